/** `explain --cluster`: the rules in effect, with the labels of the namespace. */
import { describe, expect, test } from 'vitest';
import { desiredWebhooks } from '../../../../src/cluster/registration/desired.ts';
import { auditRule } from '../../../../src/observe/audit/audited-rule.ts';
import { type LiveApiOptions, type LiveObject, liveApi, namespace, rulesConfigMap } from '../../scan/live-api.ts';
import { runCommand, runOnCluster } from '../run.ts';

const rules = `contact: the platform team (#platform)
helpUrl: https://wiki.example.com/images
rules:
- {name: hub, registry: docker.io, trust: false, reason: Use the mirror.}
- {name: team, registry: quay.io/team, namespaces: {matchLabels: {team: a}}, pullSecret: team-pull}
`;

const { validating } = desiredWebhooks({ namespace: 'regkeeper', service: 'regkeeper', caBundle: '', excludedNamespaces: [] });
const webhooks: LiveObject = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'regkeeper' },
  webhooks: validating,
};
const world: readonly LiveObject[] = [webhooks, namespace('shop'), namespace('team-a', { team: 'a' }), rulesConfigMap(rules)];

async function explain(argv: readonly string[], { objects = world, ...api }: LiveApiOptions & { objects?: readonly LiveObject[] } = {}) {
  return runOnCluster(liveApi(objects, api).client, 'explain', '--cluster', ...argv);
}

test('shows verdict, rule, position, reason and contact like an Event', async () => {
  const { out, err, exitCode } = await explain(['-n', 'shop', 'docker.io/acme/web:1']);
  expect(out.split('\n')).toEqual(
    expect.arrayContaining([
      'namespace    shop, labels kubernetes.io/metadata.name=shop',
      'verdict      untrusted: denied',
      'decided by   rule "hub", ConfigMap regkeeper/regkeeper-rules, key rules.yaml, line 4:25: denies docker.io',
      'message      "docker.io/acme/web:1" is from an untrusted registry (rule "hub", ConfigMap regkeeper/regkeeper-rules, key rules.yaml, line 4:25): Use the mirror.',
      '             Contact: the platform team (#platform). Help: https://wiki.example.com/images',
    ]),
  );
  expect(err).toBe('');
  expect(exitCode).toBe(1);
});

test('the JSON has the position in the audit record', async () => {
  const { out } = await explain(['-n', 'shop', 'docker.io/acme/web:1', '-o', 'json']);
  const origin = { source: { kind: 'configMap', namespace: 'regkeeper', name: 'regkeeper-rules', key: 'rules.yaml' }, line: 4, column: 16 };
  const { name, source } = auditRule({ name: 'hub', origin } as Parameters<typeof auditRule>[0]);
  expect(JSON.parse(out)).toMatchObject({ verdict: 'untrusted', rule: { name, source }, contact: 'the platform team (#platform)' });
});

describe('the labels of the namespace', () => {
  test.each([
    ['team-a', 0, 'trusted: allowed'],
    ['shop', 1, 'unconfigured: denied'],
  ])('are read: %s', async (place, code, verdict) => {
    const { out, exitCode } = await explain(['-n', place, 'quay.io/team/web:1']);
    expect(out).toContain(`verdict      ${verdict}\n`);
    expect(out).not.toContain('unknown');
    expect(exitCode).toBe(code);
  });

  test('are those on the command line, if specified', async () => {
    const forbidden = ['/api/v1/namespaces/shop'];
    const { out, exitCode } = await explain(['-n', 'shop', '--namespace-label', 'team=a', '--', 'quay.io/team/web:1'], { forbidden });
    expect(out).toContain('verdict      trusted: allowed\n');
    expect(exitCode).toBe(0);
  });

  test('are unknown without the permission to read them, which is reported', async () => {
    const { out, err, exitCode } = await explain(['-n', 'shop', 'quay.io/team/web:1'], { forbidden: ['/api/v1/namespaces/shop'] });
    expect(err).toMatch(/^regkeeper: cannot read the labels of namespace "shop": .*forbidden/i);
    expect(out).toContain('namespace    shop, labels unknown\n');
    expect(out).toContain('uncertain');
    expect(exitCode).toBe(1);
  });
});

test.each([
  ['a namespace that does not exist', ['-n', 'shp', 'docker.io/x'], 'namespace "shp" does not exist in the cluster'],
  ['neither rules nor a cluster', [], 'specify --rules FILES, or --cluster for the rules in effect in a cluster'],
  [
    'an option for clusters, without a cluster',
    ['--kubeconfig', 'x', '--rules', 'deploy/examples', '--', 'nginx'],
    '--kubeconfig can be used only with --cluster',
  ],
])('%s is an error', async (_name, argv, message) => {
  const run = argv[0] === '-n' ? explain(argv) : runCommand('explain', ...(argv.length === 0 ? ['nginx'] : argv));
  await expect(run).rejects.toThrow(message);
});

test('invalid rules are reported', async () => {
  const { out, err, exitCode } = await explain(['nginx'], { forbidden: ['/api/v1/namespaces/regkeeper/configmaps'] });
  expect(err).toContain('regkeeper: cannot load the rules of the cluster: ');
  expect(out).toBe('');
  expect(exitCode).toBe(2);
});

test('a namespace that the webhooks exclude is reported', async () => {
  const objects = [...world, namespace('kube-system')];
  const excluded = ['-n', 'kube-system', 'docker.io/x/y'];
  for (const more of [[], ['-q'], ['-o', 'json']]) {
    const { err } = await explain([...excluded, ...more], { objects });
    expect(err).toBe('regkeeper: namespace "kube-system" is excluded from the webhooks, so its images are not evaluated\n');
  }
  expect(JSON.parse((await explain([...excluded, '-o', 'json'], { objects })).out)).toMatchObject({ verdict: 'untrusted', excluded: true });
  expect((await explain(['-n', 'shop', 'docker.io/x/y'], { objects })).err).toBe('');
  expect(JSON.parse((await explain(['-n', 'shop', 'docker.io/x/y', '-o', 'json'], { objects })).out)).not.toHaveProperty('excluded');
});
