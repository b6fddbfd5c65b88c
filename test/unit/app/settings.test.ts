/** Settings from flags and variables: defaults, precedence, contradictions and messages. */
import { describe, expect, test } from 'vitest';
import { readSettings } from '../../../src/app/settings.ts';
import { ConfigurationError } from '../../../src/settings/configuration-error.ts';
import type { Environment, Flags } from '../../../src/settings/input.ts';
import { settingNames, settingOf, variableOf } from '../../../src/settings/table.ts';

const inPod = { POD_NAMESPACE: 'keepers', KUBERNETES_SERVICE_HOST: '10.0.0.1' };

function problemsOf(flags: Flags, env: Environment): readonly string[] {
  try {
    readSettings(flags, env);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('which settings apply', () => {
  test.each<[string, Flags, Environment, object]>([
    [
      'in a Pod: rules from ConfigMaps, certificate in a Secret',
      {},
      inPod,
      {
        rulePaths: [],
        cluster: { namespace: 'keepers' },
        tls: { mode: 'self', secretName: 'regkeeper-tls' },
        shutdownDelayMilliseconds: 10_000,
        host: '::',
        port: 8443,
        healthPort: 8080,
        auditLog: '-',
        webhookPolicy: { failurePolicy: 'Fail', timeoutSeconds: 5, namespaceSelector: [], matchCondition: undefined },
        nonDefaults: [],
        ignoredVariables: [],
      },
    ],
    [
      'in a Pod with mounted rules, the cluster still provides facts',
      { rules: ['/rules'] },
      { KUBERNETES_SERVICE_HOST: '10.0.0.1' },
      { rulePaths: ['/rules'], cluster: { namespace: 'regkeeper' } },
    ],
    [
      'for a developer: no cluster, even if a kubeconfig exists',
      { dev: true },
      { KUBECONFIG: '/k' },
      { rulePaths: ['deploy/examples/rules'], cluster: undefined, tls: { mode: 'dev' }, host: '127.0.0.1', shutdownDelayMilliseconds: 0 },
    ],
    ['certificate files', { rules: ['r'], tlsCert: 'c', tlsKey: 'k' }, {}, { tls: { mode: 'files', certificate: 'c', key: 'k' } }],
    ['a flag overrides its variable', { port: '1' }, { ...inPod, REGKEEPER_PORT: '2' }, { port: 1 }],
    ['a flag overrides an invalid variable', { port: '1' }, { ...inPod, REGKEEPER_PORT: 'x' }, { port: 1 }],
    [
      'a switch that is off overrides a variable that is on',
      { manageWebhooks: false },
      { ...inPod, REGKEEPER_MANAGE_WEBHOOKS: 'true' },
      { manageWebhooks: false },
    ],
    ['REGKEEPER_NAMESPACE overrides POD_NAMESPACE', {}, { ...inPod, REGKEEPER_NAMESPACE: 'other' }, { cluster: { namespace: 'other' } }],
    ['REGKEEPER_KUBECONFIG overrides KUBECONFIG', {}, { KUBECONFIG: '/k', REGKEEPER_KUBECONFIG: '/r' }, { cluster: { kubeconfig: '/r' } }],
    ['Events with a cluster', {}, inPod, { events: true }],
    ['no Events without a cluster', { rules: ['a'] }, {}, { events: false }],
    ['defaults of --dev if its variable is set', {}, { REGKEEPER_DEV: '1' }, { dev: true, host: '127.0.0.1' }],
    ['explicit settings override the defaults of --dev', { dev: true, host: '::' }, {}, { host: '::' }],
    ['rules from files if --dev is switched off', {}, { REGKEEPER_DEV: 'false', REGKEEPER_RULES: 'a' }, { dev: false, rulePaths: ['a'] }],
  ])('%s', (_name, flags, env, expected) => {
    expect(readSettings(flags, env)).toMatchObject(expected);
  });
});

describe('variables', () => {
  const variables: readonly (readonly [line: string, expected: object])[] = [
    ['REGKEEPER_RULES= a , b,,', { rulePaths: ['a', 'b'] }],
    ['REGKEEPER_CUSTOM_KINDS=/k.yaml', { customKindFiles: ['/k.yaml'] }],
    ['REGKEEPER_NAMESPACE_RULES=1', { namespaceRules: true }],
    ['REGKEEPER_NAMESPACE_RULES=0', { namespaceRules: false }],
    ['REGKEEPER_NAMESPACE_RULES=', { namespaceRules: false }],
    ['REGKEEPER_NAMESPACE_RULES= true ', { namespaceRules: true }],
    ['REGKEEPER_KUBECONFIG=/k', { cluster: { kubeconfig: '/k' } }],
    ['REGKEEPER_CONTEXT=c', { cluster: { context: 'c' } }],
    ['REGKEEPER_NAMESPACE=n', { cluster: { namespace: 'n' } }],
    ['REGKEEPER_SERVICE=s', { service: 's', tls: { secretName: 's-tls' } }],
    ['REGKEEPER_EVENTS=on', { events: true }],
    ['REGKEEPER_EVENTS=off', { events: false }],
    ['REGKEEPER_TLS=dev', { tls: { mode: 'dev' } }],
    ['REGKEEPER_TLS_CERT=c REGKEEPER_TLS_KEY=k REGKEEPER_TLS_CA=a', { tls: { certificate: 'c', key: 'k', ca: 'a' } }],
    ['REGKEEPER_MANAGE_WEBHOOKS=true', { manageWebhooks: true }],
    ['REGKEEPER_MANAGE_WEBHOOKS=true REGKEEPER_EXCLUDE_NAMESPACES=a,b', { excludedNamespaces: ['a', 'b'] }],
    [
      'REGKEEPER_MANAGE_WEBHOOKS=true REGKEEPER_NAMESPACE_SELECTOR=team,!legacy',
      { webhookPolicy: { namespaceSelector: [{ key: 'team' }, { key: 'legacy' }] } },
    ],
    ['REGKEEPER_MANAGE_WEBHOOKS=true REGKEEPER_MATCH_CONDITION=a,b', { webhookPolicy: { matchCondition: 'a,b' } }],
    ['REGKEEPER_MANAGE_WEBHOOKS=true REGKEEPER_FAILURE_POLICY=Ignore', { webhookPolicy: { failurePolicy: 'Ignore' } }],
    ['REGKEEPER_MANAGE_WEBHOOKS=true REGKEEPER_WEBHOOK_TIMEOUT_SECONDS=30', { webhookPolicy: { timeoutSeconds: 30 } }],
    ['REGKEEPER_MANAGE_WEBHOOKS=true REGKEEPER_ADMISSIONS_ENFORCER=disable', { admissionsEnforcer: 'disable' }],
    ['REGKEEPER_MANAGE_WEBHOOKS=true', { admissionsEnforcer: 'tolerate' }],
    ['REGKEEPER_HOST=127.0.0.1', { host: '127.0.0.1' }],
    ['REGKEEPER_PORT=0', { port: 0 }],
    ['REGKEEPER_HEALTH_PORT=1', { healthPort: 1 }],
    ['REGKEEPER_CLIENT_CA=/ca.crt', { clientCaFile: '/ca.crt' }],
    ['REGKEEPER_SHUTDOWN_DELAY_SECONDS=1.5', { shutdownDelayMilliseconds: 1500 }],
    ['REGKEEPER_LOG_LEVEL=debug', { logLevel: 'debug' }],
    ['REGKEEPER_LOG_FORMAT=text', { logFormat: 'text' }],
    ['REGKEEPER_AUDIT_LOG=/a', { auditLog: '/a' }],
    ['REGKEEPER_DEV=true', { dev: true }],
  ];

  test.each(variables)('%s', (line, expected) => {
    expect(readSettings({}, { ...inPod, ...environmentOf(line) })).toMatchObject(expected);
  });

  test('each of them is tested', () => {
    const tried = new Set(variables.flatMap(([line]) => Object.keys(environmentOf(line))));
    expect([...tried].sort()).toEqual(settingNames.map(variableOf).sort());
  });

  function environmentOf(line: string): Record<string, string> {
    const parts = line.split(/ (?=REGKEEPER_)/).map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]);
    return Object.fromEntries(parts) as Record<string, string>;
  }
});

describe('invalid values are rejected, as the user specified them', () => {
  test.each<[string, Flags, Environment, readonly string[]]>([
    [
      'a port as flag',
      { port: '70000' },
      {},
      ['--port 70000: must be a port number from 0 to 65535. With 0 the system chooses a free port'],
    ],
    [
      'a port as variable',
      {},
      { REGKEEPER_PORT: 'x' },
      ['REGKEEPER_PORT=x: must be a port number from 0 to 65535. With 0 the system chooses a free port'],
    ],
    ['a choice', { tls: 'magic' }, {}, ['--tls magic: must be `self`, `files` or `dev`']],
    [
      'a choice with the wrong case',
      {},
      { REGKEEPER_FAILURE_POLICY: 'ignore' },
      ['REGKEEPER_FAILURE_POLICY=ignore: must be `Fail` or `Ignore`'],
    ],
    ['a switch', {}, { REGKEEPER_MANAGE_WEBHOOKS: 'yes' }, ['REGKEEPER_MANAGE_WEBHOOKS=yes: must be `true`, `false`, `1` or `0`']],
    ['a drain time', { shutdownDelaySeconds: '-1' }, {}, ['--shutdown-delay-seconds -1: must be a number of seconds from 0 to 600']],
    ['a timeout', { webhookTimeoutSeconds: '31' }, {}, ['--webhook-timeout-seconds 31: must be a whole number of seconds from 1 to 30']],
    ['a blank value', { kubeconfig: '' }, {}, ["--kubeconfig '': is blank. Set a value, or remove it"]],
    ['a list without a value', {}, { REGKEEPER_RULES: ',' }, ['REGKEEPER_RULES=,: contains commas but no value']],
    [
      'a list of names in a flag, with the syntax of a variable',
      { excludeNamespaces: ['a,b'] },
      {},
      [
        '--exclude-namespaces a,b: "a,b" is not a valid name. Use at most 63 lower-case letters, digits and hyphens. Patterns are not supported',
      ],
    ],
    [
      'a selector',
      {},
      { REGKEEPER_NAMESPACE_SELECTOR: 'team in a' },
      [
        expect.stringMatching(
          /^REGKEEPER_NAMESPACE_SELECTOR='team in a': "team in a" is not a label requirement\. Use a selector such as /,
        ),
      ],
    ],
    ['an unknown variable', {}, { REGKEEPER_LOGLEVEL: 'x' }, ['REGKEEPER_LOGLEVEL is not a setting. Did you mean REGKEEPER_LOG_LEVEL?']],
    [
      'an unknown variable that resembles none',
      {},
      { REGKEEPER_COLOUR: 'red' },
      ['REGKEEPER_COLOUR is not a setting. Run "regkeeper serve --help" for the list of variables'],
    ],
    ['an unknown blank variable', {}, { REGKEEPER_RULE: '' }, ['REGKEEPER_RULE is not a setting. Did you mean REGKEEPER_RULES?']],
    [
      'several at once, flags and variables',
      { port: 'x' },
      { REGKEEPER_PROT: '1', REGKEEPER_TLS: 'y', REGKEEPER_DEV: 'on' },
      [
        'REGKEEPER_PROT is not a setting. Did you mean REGKEEPER_PORT?',
        'REGKEEPER_TLS=y: must be `self`, `files` or `dev`',
        '--port x: must be a port number from 0 to 65535. With 0 the system chooses a free port',
        'REGKEEPER_DEV=on: must be `true`, `false`, `1` or `0`',
      ],
    ],
  ])('%s', (_name, flags, env, problems) => {
    expect(problemsOf(flags, { ...inPod, ...env })).toEqual(problems);
  });

  test('variables of the tests, and those with another prefix, are ignored', () => {
    const env = { REGKEEPER_CORPUS: '/c', REGKEEPER_TEST_KUBECONFIG: '/k', regkeeper_port: 'x', REGKEEPERPORT: 'x' };
    expect(problemsOf({}, { ...inPod, ...env })).toEqual([]);
  });
});

describe('conflicts show both settings as the user specified them', () => {
  test.each<[string, Flags, Environment, readonly (string | RegExp)[]]>([
    [
      '--manage-webhooks without a cluster',
      { dev: true, manageWebhooks: true },
      {},
      [/^--manage-webhooks requires a cluster\. Set --kubeconfig/],
    ],
    [
      'the same with variables',
      {},
      { REGKEEPER_DEV: '1', REGKEEPER_MANAGE_WEBHOOKS: '1' },
      [/^REGKEEPER_MANAGE_WEBHOOKS=1 requires a cluster/],
    ],
    ['--tls self requires a cluster', { rules: ['r'], tls: 'self' }, {}, [/^--tls self .* requires a cluster/]],
    ['only one of a pair of files', { rules: ['r'], tlsCert: 'c' }, {}, ['--tls-cert c requires --tls-key FILE']],
    ['only --tls files', {}, { ...inPod, REGKEEPER_TLS: 'files' }, ['REGKEEPER_TLS=files requires --tls-cert FILE and --tls-key FILE']],
    [
      'registration with files and an unknown CA',
      { kubeconfig: 'k', manageWebhooks: true, tlsCert: 'c', tlsKey: 'k' },
      {},
      [
        '--manage-webhooks requires the CA that signed the certificate, so that the API server can verify it. Set the CA with --tls-ca FILE',
      ],
    ],
    [
      'files next to another mode, flag and variable',
      { dev: true, tlsCert: 'c', tlsKey: 'k' },
      { REGKEEPER_TLS: 'dev' },
      ['--tls-cert c requires --tls files, but REGKEEPER_TLS=dev is set', '--tls-key k requires --tls files, but REGKEEPER_TLS=dev is set'],
    ],
    [
      'namespace rules next to rules from files, variable and variable',
      {},
      { ...inPod, REGKEEPER_NAMESPACE_RULES: 'true', REGKEEPER_RULES: '/a,/b' },
      ['REGKEEPER_NAMESPACE_RULES=true and REGKEEPER_RULES=/a,/b cannot be used together. Remove one of them'],
    ],
    [
      'the same with --dev, flag and flag',
      { namespaceRules: true, dev: true },
      {},
      ['--namespace-rules and --dev cannot be used together. Remove one of them'],
    ],
    [
      'a registration setting without registration',
      { failurePolicy: 'Ignore' },
      inPod,
      ['--failure-policy Ignore requires --manage-webhooks, which is not set'],
    ],
    [
      'the same where registration is switched off',
      { excludeNamespaces: ['a', 'b'] },
      { ...inPod, REGKEEPER_MANAGE_WEBHOOKS: '0' },
      ['--exclude-namespaces a b requires --manage-webhooks, but REGKEEPER_MANAGE_WEBHOOKS=0 is set'],
    ],
    ['the same port for both', { port: '8080' }, inPod, [/^--port 8080 and --health-port 8080 are the same port/]],
    [
      'a selector that excludes namespaces which are never intercepted',
      { manageWebhooks: true, namespaceSelector: 'kubernetes.io/metadata.name in (kube-system, keepers)' },
      inPod,
      [
        "--namespace-selector 'kubernetes.io/metadata.name in (kube-system, keepers)' matches no namespace, or only excluded ones. Correct the selector, or exclude fewer namespaces",
      ],
    ],
    ['a selector that contradicts itself', { manageWebhooks: true, namespaceSelector: 'team,!team' }, inPod, [/matches no namespace/]],
  ])('%s', (_name, flags, env, problems) => {
    const matching = problems.map((problem) => (problem instanceof RegExp ? expect.stringMatching(problem) : problem));
    expect(problemsOf(flags, env)).toEqual(matching);
  });

  test.each<[string, Flags, Environment]>([
    ['two free ports', { port: '0', healthPort: '0' }, inPod],
    ['a switch that is off', { dev: false, rules: ['r'], namespaceRules: false }, {}],
    ['a flag that resolves a conflict of variables', { namespaceRules: false }, { REGKEEPER_NAMESPACE_RULES: '1', REGKEEPER_RULES: 'r' }],
    ['a selector by name', { manageWebhooks: true, namespaceSelector: 'kubernetes.io/metadata.name=team-a' }, inPod],
  ])('%s: none', (_name, flags, env) => {
    expect(problemsOf(flags, env)).toEqual([]);
  });
});

describe('what is logged about the settings', () => {
  test('those that differ from the defaults, as the user specified them', () => {
    const env = { ...inPod, REGKEEPER_PORT: '8443', REGKEEPER_LOG_LEVEL: 'debug', REGKEEPER_NAMESPACE_SELECTOR: 'a in (b)' };
    expect(readSettings({ healthPort: '8080', shutdownDelaySeconds: '3', manageWebhooks: true }, env).nonDefaults).toEqual([
      '--manage-webhooks',
      "REGKEEPER_NAMESPACE_SELECTOR='a in (b)'",
      '--shutdown-delay-seconds 3',
      'REGKEEPER_LOG_LEVEL=debug',
    ]);
  });

  test('variables that a flag overrides, unless both have the same value', () => {
    const env = { ...inPod, REGKEEPER_PORT: '1', REGKEEPER_MANAGE_WEBHOOKS: 'false', REGKEEPER_LOG_LEVEL: 'warn' };
    expect(readSettings({ port: '2', manageWebhooks: true, logLevel: 'warn' }, env).ignoredVariables).toEqual([
      { variable: 'REGKEEPER_MANAGE_WEBHOOKS', flag: '--manage-webhooks' },
      { variable: 'REGKEEPER_PORT', flag: '--port 2' },
    ]);
  });

  test('in messages, the flag or the variable to correct', () => {
    const settings = readSettings({ host: '::1' }, { ...inPod, REGKEEPER_PORT: '1' });
    expect([settings.nameOf('host'), settings.nameOf('port'), settings.nameOf('auditLog')]).toEqual([
      '--host',
      'REGKEEPER_PORT',
      '--audit-log',
    ]);
  });
});

test('a setting either has a value and a parser, or is a switch that is off by default', () => {
  for (const name of settingNames) {
    const { placeholder, read, default: usual } = settingOf(name);
    expect({ name, reads: read !== undefined }).toEqual({ name, reads: placeholder !== undefined });
    if (placeholder === undefined) expect({ name, usual }).toEqual({ name, usual: false });
  }
});
