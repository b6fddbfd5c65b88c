/** `scan` on clusters in memory: what it prints, and its exit codes. */
import { describe, expect, test } from 'vitest';
import { desiredWebhooks } from '../../../../src/cluster/registration/desired.ts';
import { ApiError } from '../../../../src/kube/api-client.ts';
import { deployment, type LiveApiOptions, type LiveObject, liveApi, namespace, pod, rulesConfigMap } from '../../scan/live-api.ts';
import { runOnCluster, runOnTerminal } from '../run.ts';

const rules = `
rules:
- registry: registry.example.com
  pullSecret: corp-pull
- registry: old.example.com
  until: 2027-03-31
  reason: It is switched off.
exemptions:
- image: legacy.example.com
  until: 2026-12-31
  reason: TICKET-1
`;

const secret = (place: string): LiveObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'corp-pull', namespace: place },
  type: 'kubernetes.io/dockerconfigjson',
});
const account = (place: string): LiveObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'default', namespace: place },
});
const registered = (more: object = {}): LiveObject => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'regkeeper' },
  webhooks: desiredWebhooks({ namespace: 'regkeeper', service: 'regkeeper', caBundle: '', excludedNamespaces: ['infra'], ...more })
    .validating,
});
const shop = [namespace('shop', { tier: 'prod' }), secret('shop'), account('shop')];

const world: readonly LiveObject[] = [
  ...shop,
  registered(),
  rulesConfigMap(rules),
  ...deployment({ image: 'registry.example.com/web:2', pods: 2, before: ['registry.example.com/web:1'] }),
  ...deployment({ name: 'report', image: 'docker.io/acme/report:1', pods: 3 }),
  ...deployment({ name: 'batch', image: 'old.example.com/batch:1', pods: 1 }),
  ...deployment({ name: 'ledger', image: 'legacy.example.com/ledger:7', pods: 1 }),
  ...deployment({ namespace: 'infra', name: 'agent', image: 'anything.example.com/agent', pods: 4 }),
  pod({ image: 'registry.example.com/job:1', phase: 'Succeeded' }),
];

async function scan(objects: readonly LiveObject[], argv: readonly string[] = [], options: LiveApiOptions = {}) {
  return runOnCluster(liveApi(objects, options).client, 'scan', '--date', '2026-11-30', ...argv);
}

const json = async (...input: Parameters<typeof scan>) => {
  const [objects, argv = [], options] = input;
  const { out, exitCode } = await scan(objects, [...argv, '-o', 'json'], options);
  return { exitCode, document: JSON.parse(out) };
};

describe('the table', () => {
  test('is grouped by registry, the worst first', async () => {
    const { out, err, exitCode } = await scan(world);
    expect(out.split('\n')).toEqual([
      'REGISTRY              RULE                  RESULT                    IMAGES  WORKLOADS  PODS  NAMESPACES',
      'docker.io             -                     denied                         1          1     3           1',
      'legacy.example.com    -                     allowed, ends 2026-12-31       1          1     1           1',
      'old.example.com       old.example.com       allowed, ends 2027-03-31       1          1     1           1',
      'registry.example.com  registry.example.com  allowed                        1          1     2           1',
      '',
      '4 workloads with 7 Pods in 1 namespace: 3 allowed, 0 warned, 1 denied',
      '3 Pods of 1 workload are running and would be denied when recreated',
      'rule "old.example.com" ends on 2027-03-31: 1 workload with 1 Pod in 1 namespace still uses it',
      'not evaluated: 1 old ReplicaSet, Job or Build and 1 finished Pod',
      'excluded from the webhooks: 6 objects in infra',
      '',
    ]);
    expect(err).toBe('');
    expect(exitCode).toBe(1);
  });

  test('is grouped by namespace', async () => {
    const { out } = await scan(world, ['--by', 'namespace']);
    expect(out.split('\n').slice(0, 2)).toEqual([
      'NAMESPACE  WORKLOADS  PODS  ALLOWED  WARNED  DENIED  PODS DENIED WHEN RECREATED  IN ENFORCE MODE',
      'shop               4     7        3       0       1                           3                0',
    ]);
  });

  test('is grouped by finding, with everything that is affected', async () => {
    const { out } = await scan(world, ['--by', 'finding', '-q']);
    expect(out.split('\n')).toEqual([
      'denied: unconfigured',
      '  1 workload with 3 Pods in 1 namespace',
      '  - Deployment shop/report, 3 Pods',
      '      docker.io/acme/report:1',
      '',
      'allowed, ends 2027-03-31: rule "old.example.com", regkeeper/regkeeper-rules rules.yaml:5',
      '  1 workload with 1 Pod in 1 namespace',
      '  - Deployment shop/batch, 1 Pod',
      '      old.example.com/batch:1',
      '',
      'allowed, ends 2026-12-31: exempted',
      '  1 workload with 1 Pod in 1 namespace',
      '  - Deployment shop/ledger, 1 Pod',
      '      legacy.example.com/ledger:7',
      '',
      '',
    ]);
  });

  test('shows on which day workloads will be denied', async () => {
    const { out } = await runOnCluster(liveApi(world).client, 'scan', '--date', '2027-04-01', '--by', 'finding', '-q');
    expect(out).toContain('denied: trust ended 2027-03-31, rule "old.example.com"');
    expect(out).toContain('denied: unconfigured\n  2 workloads with 4 Pods');
  });

  test('shows that trust has ended, and not that workloads are denied until then', async () => {
    const warn = rulesConfigMap('mode: warn\nrules:\n- registry: old.example.com\n  until: 2026-03-31\n');
    const cluster = [...shop, registered(), warn, ...deployment({ name: 'batch', image: 'old.example.com/batch:1', pods: 1 })];
    expect((await scan(cluster)).out).toContain('  denied in enforce mode: trust ended 2026-03-31  ');
    expect((await scan(cluster, ['--by', 'finding'])).out).toContain(
      'denied in enforce mode: trust ended 2026-03-31, rule "old.example.com", regkeeper/regkeeper-rules rules.yaml:3\n',
    );
  });

  test('for a namespace contains no others', async () => {
    const { out, exitCode } = await scan([...world, namespace('empty')], ['-n', 'empty']);
    expect(out.split('\n')).toEqual([
      '0 workloads with 0 Pods in 0 namespaces: 0 allowed, 0 warned, 0 denied',
      'rule "old.example.com" ends on 2027-03-31: no scanned workload uses it',
      '',
    ]);
    expect(exitCode).toBe(0);
  });

  test('names from the cluster cannot rewrite the terminal', async () => {
    const { out } = await scan(
      [...shop, rulesConfigMap('rules: []\nunconfigured: allow\nmode: enforce'), pod({ image: 'x\u001b[2J' })],
      ['--by', 'finding'],
    );
    expect(out).toContain('x\\u001b[2J');
    expect(out).not.toContain('\u001b');
  });
});

describe('workloads that still use a rule that ends', () => {
  const ending = `
rules:
- registry: registry.example.com
- name: old
  registry: [old.example.com, older.example.com]
  until: 2027-03-31
- registry: gone.example.com
  until: 2026-12-24
  warnFrom: 2026-12-01
`;
  const cluster = [
    ...shop,
    registered(),
    rulesConfigMap(ending),
    ...deployment({ image: 'registry.example.com/web:2', pods: 2 }),
    ...deployment({ name: 'batch', image: 'old.example.com/batch:1', pods: 3, before: ['old.example.com/batch:0'] }),
    ...deployment({ name: 'report', image: 'older.example.com/report:1', pods: 1 }),
  ];
  const linesOn = async (day: string, ...argv: readonly string[]) => {
    const { out } = await runOnCluster(liveApi(cluster).client, 'scan', '--date', day, ...argv);
    return out.split('\n').filter((line) => line.startsWith('rule '));
  };

  test('are counted, the first to end first, in every table', async () => {
    const expected = [
      'rule "gone.example.com" ends on 2026-12-24: no scanned workload uses it',
      'rule "old" ends on 2027-03-31: 2 workloads with 4 Pods in 1 namespace still use it',
    ];
    expect(await linesOn('2026-11-30')).toEqual(expected);
    expect(await linesOn('2026-11-30', '--by', 'finding')).toEqual(expected);
    expect(await linesOn('2026-11-30', '--by', 'namespace')).toEqual(expected);
  });

  test('have a line for each of the first 20 rules', async () => {
    const many = Array.from({ length: 22 }, (_, index) => `- {registry: r${index}.example.com, until: 2027-01-${10 + index}}`);
    const { out } = await runOnCluster(liveApi([...shop, rulesConfigMap(`rules:\n${many.join('\n')}`)]).client, 'scan');
    const lines = out.split('\n').filter((line) => line.startsWith('rule ') || line.startsWith('and '));
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('and 2 more rules with an end date. Use -o json to list all of them');
  });

  test('show whether the rule warns already, or has ended', async () => {
    expect(await linesOn('2027-03-01')).toEqual([
      'rule "gone.example.com" ended on 2026-12-24: no scanned workload uses it',
      'rule "old" has warned since 2027-03-01 and ends on 2027-03-31: 2 workloads with 4 Pods in 1 namespace still use it',
    ]);
    expect((await linesOn('2027-04-01'))[1]).toBe('rule "old" ended on 2027-03-31: 2 workloads with 4 Pods in 1 namespace still use it');
  });

  test('are in the JSON with names and images', async () => {
    const { document } = await json(cluster);
    expect(document.endingRules).toEqual([
      {
        rule: { name: 'gone.example.com', until: '2026-12-24', source: expect.anything() },
        until: '2026-12-24',
        warnFrom: '2026-12-01',
        phase: 'lasting',
        workloads: 0,
        pods: 0,
        namespaces: 0,
        where: [],
      },
      {
        rule: { name: 'old', until: '2027-03-31', source: { configMap: 'regkeeper/regkeeper-rules', key: 'rules.yaml', line: 5 } },
        until: '2027-03-31',
        warnFrom: '2027-03-01',
        phase: 'lasting',
        workloads: 2,
        pods: 4,
        namespaces: 1,
        where: [
          { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'batch', pods: 3, images: ['old.example.com/batch:1'] },
          { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'report', pods: 1, images: ['older.example.com/report:1'] },
        ],
      },
    ]);
  });
});

describe('modes', () => {
  const audited = [
    ...shop,
    registered(),
    rulesConfigMap('mode: audit\nrules: []'),
    ...deployment({ image: 'docker.io/acme/web:1', pods: 2 }),
  ];

  test('images that are only recorded in audit mode are allowed, and shown as denied in enforce mode', async () => {
    const { out, exitCode } = await scan(audited);
    expect(out).toContain('denied in enforce mode');
    expect(out).toContain(
      '1 workload with 2 Pods in 1 namespace: 1 allowed, 0 warned, 0 denied\n2 Pods of 1 workload are running and would be denied in enforce mode\n',
    );
    expect(exitCode).toBe(0);
  });

  test('a secret that is missing in a namespace is a finding', async () => {
    const { out } = await scan(
      [namespace('shop'), rulesConfigMap(rules), ...deployment({ image: 'registry.example.com/web:1', pods: 1 })],
      ['--by', 'finding'],
    );
    expect(out).toContain(
      'allowed with a warning: missing secret (secret-missing)\n  1 workload with 1 Pod in 1 namespace\n  regkeeper: pull secret "corp-pull" does not exist in namespace "shop"',
    );
  });
});

test('a warning about a secret is a finding with its reason', async () => {
  const spelling = [...shop, registered(), rulesConfigMap(rules), ...deployment({ image: 'Registry.example.com/web:1', pods: 1 })];
  const { out } = await scan(spelling, ['--by', 'finding']);
  expect(out).toContain(
    'allowed with a warning: non-canonical registry name (registry-spelling)\n  1 workload with 1 Pod in 1 namespace\n',
  );
  const { document } = await json(spelling);
  const warning = { reason: 'registry-spelling', message: expect.stringContaining('uses a non-canonical registry name') };
  expect(document.findings).toEqual([expect.objectContaining({ finding: 'warning', outcome: 'warned', ...warning })]);
  expect(document.workloads[0].templates[0].warnings).toEqual([warning]);
});

describe('the JSON', () => {
  test('contains each workload with its templates and Pods, and every table', async () => {
    const { document } = await json(world);
    expect(Object.keys(document)).toEqual([
      'rulesRevision',
      'workloads',
      'registries',
      'namespaces',
      'findings',
      'endingRules',
      'excluded',
      'notEvaluated',
      'notRead',
      'summary',
    ]);
    const report = document.workloads.find(({ object }: { object: { name: string } }) => object.name === 'report');
    expect(report).toMatchObject({
      object: { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'report' },
      outcome: 'denied',
      templates: [{ outcome: 'denied', images: [{ image: 'docker.io/acme/report:1', reason: 'unconfigured', outcome: 'denied' }] }],
      pods: [
        { count: 3, example: 'report-new-0', outcome: 'denied', messages: [expect.stringContaining('is not from a configured registry')] },
      ],
      idleCopies: 0,
    });
    expect(document.summary).toMatchObject({
      deniedWhenRecreated: { workloads: 1, pods: 3, namespaces: 1 },
      idleCopies: 1,
      finishedPods: 1,
    });
  });
});

describe('incomplete permissions never produce a clean result', () => {
  const clean = [...shop, registered(), rulesConfigMap(rules), ...deployment({ image: 'registry.example.com/web:1', pods: 1 })];

  test('with all permissions, the exit code is 0', async () => {
    expect((await scan(clean)).exitCode).toBe(0);
  });

  test.each([
    ['a kind', '/apis/apps/v1/deployments', 'cannot read deployments.apps in all namespaces: '],
    ['Pods', '/api/v1/pods', 'cannot read pods in all namespaces: '],
    [
      "the server's flags",
      '/apis/apps/v1/namespaces/regkeeper/deployments/regkeeper',
      'cannot read deployments.apps in namespace regkeeper: ',
    ],
  ])('%s', async (_name, path, message) => {
    const { out, err, exitCode } = await scan(clean, [], { forbidden: [path] });
    expect(err).toContain(`regkeeper: ${message}`);
    expect(err).toContain('Grant these permissions with a');
    expect(out).toContain('incomplete: 1 problem kept objects from being evaluated');
    expect(exitCode).toBe(2);
  });

  test('without permission to read the rules, there are no rules', async () => {
    const { out, err, exitCode } = await scan(clean, [], { forbidden: ['/api/v1/namespaces/regkeeper/configmaps'] });
    expect(out).toBe('');
    expect(err).toContain('regkeeper: cannot load the rules of the cluster: GET /api/v1/namespaces/regkeeper/configmaps: Forbidden (403)');
    expect(exitCode).toBe(2);
  });

  test.each([
    ['labels of namespaces', '/api/v1/namespaces', 'cannot read the labels of namespaces'],
    ['service accounts', '/api/v1/serviceaccounts', 'cannot read service accounts'],
    ['secrets', '/api/v1/secrets', 'cannot read secrets, so missing ones are not reported'],
    [
      'the webhook configuration',
      '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/regkeeper',
      'cannot determine which namespaces the webhooks match',
    ],
  ])('%s are reported, and change no result', async (_name, path, message) => {
    const { err, exitCode } = await scan(clean, [], { forbidden: [path] });
    expect(err).toContain(message);
    expect(exitCode).toBe(0);
  });

  test('results that depend on unreadable labels are uncertain', async () => {
    const byLabel = rulesConfigMap('rules:\n- registry: registry.example.com\n  namespaces: {matchLabels: {tier: prod}}\n');
    const objects = [...shop, registered(), byLabel, ...deployment({ image: 'registry.example.com/web:1', pods: 1 })];
    expect((await scan(objects)).exitCode).toBe(0);
    const { out, exitCode } = await scan(objects, ['--by', 'finding'], { forbidden: ['/api/v1/namespaces'] });
    expect(out).toContain('uncertain');
    expect(exitCode).toBe(1);
  });

  test("for a single namespace, a caller with a developer's permissions only needs the rules as files", async () => {
    const forbidden = [
      '/apis/apps/v1/namespaces/regkeeper/deployments/regkeeper',
      '/api/v1/namespaces/regkeeper/configmaps',
      '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/regkeeper',
      '/api/v1/namespaces',
      '/api/v1/namespaces/shop/secrets',
    ];
    const { exitCode } = await scan(world, ['-n', 'shop', '--rules', 'deploy/examples/rules'], { forbidden });
    expect(exitCode).toBe(1);
  });

  test('a namespace that does not exist is an error', async () => {
    await expect(scan(world, ['-n', 'shp'])).rejects.toThrow('GET /api/v1/namespaces/shp: NotFound (404)');
  });

  test('an unreachable API server is an error', async () => {
    const failures = { '/api/v1/pods': new ApiError(0, 'Unreachable', 'GET /api/v1/pods: connection failed') };
    const error = await scan(world, [], { failures }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'ConfigurationError',
      message: 'cannot reach the API server: connection failed. Check the address in the kubeconfig and the network',
    });
  });
});

describe('the rules are those in effect', () => {
  const snapshot = {
    ...rulesConfigMap('', 'regkeeper-rules-snapshot', { 'regkeeper.io/rules': 'snapshot' }),
    data: { 'regkeeper-rules.json': JSON.stringify({ resourceVersion: '1', data: { 'rules.yaml': rules } }) },
  };
  const started = (args: readonly string[], volumes: object = {}): LiveObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'regkeeper', namespace: 'regkeeper' },
    spec: { template: { spec: { containers: [{ name: 'regkeeper', image: 'x', args, ...volumes }] } } },
  });

  test('an invalid ConfigMap is reported, and its last valid version applies', async () => {
    const { out, err, exitCode } = await scan([
      ...shop,
      registered(),
      rulesConfigMap('rules: nonsense'),
      snapshot,
      ...deployment({ image: 'registry.example.com/web:1', pods: 1 }),
    ]);
    expect(err).toContain('ConfigMap regkeeper/regkeeper-rules, key rules.yaml, line 1:8 wrong-type');
    expect(out).toContain('registry.example.com  registry.example.com  allowed');
    expect(exitCode).toBe(0);
  });

  test('the snapshot applies after the last ConfigMap was deleted, and scan reports this', async () => {
    const { out, err } = await scan([...shop, registered(), snapshot, ...deployment({ image: 'registry.example.com/web:1', pods: 1 })]);
    expect(err).toContain(
      'regkeeper: the rules in effect come from the snapshot, ConfigMap regkeeper/regkeeper-rules-snapshot: ConfigMap regkeeper/regkeeper-rules was deleted or is blank',
    );
    expect(out).toContain('registry.example.com  registry.example.com  allowed');
  });

  test('an invalid ConfigMap has its own line, and the snapshot is named', async () => {
    const { err } = await scan([...shop, registered(), rulesConfigMap('rules: nonsense'), snapshot]);
    expect(err).toContain(
      'regkeeper: the rules in effect come from the snapshot, ConfigMap regkeeper/regkeeper-rules-snapshot: ConfigMap regkeeper/regkeeper-rules: ',
    );
  });

  test('without rules, there is no result', async () => {
    const { err, exitCode } = await scan([...shop, ...deployment({ image: 'x:1' })]);
    expect(err).toContain('cannot load the rules of the cluster: ');
    expect(exitCode).toBe(2);
  });

  test('a server with rules from files is reported', async () => {
    const { err, exitCode } = await scan([...world, started(['serve', '--rules', '/etc/rules'])]);
    expect(err).toContain('the server loads its rules from files. Pass them with --rules');
    expect(exitCode).toBe(2);
  });

  test.each([
    ['apply if the server allows them', ['serve', '--namespace-rules'], 'denied'],
    ['have no effect otherwise', ['serve'], 'allowed'],
  ])('namespace rules %s', async (_name, args, outcome) => {
    const own = {
      ...rulesConfigMap('rules:\n- registry: registry.example.com/web\n  trust: false\n  reason: not here\n', 'own', {
        'regkeeper.io/rules': 'namespace',
      }),
      metadata: { name: 'own', namespace: 'shop', labels: { 'regkeeper.io/rules': 'namespace' } },
    };
    const { document } = await json([
      ...shop,
      rulesConfigMap(rules),
      own,
      started(args),
      ...deployment({ image: 'registry.example.com/web:1' }),
    ]);
    expect(document.workloads[0].outcome).toBe(outcome);
  });

  const kinds = 'kinds:\n- {group: argoproj.io, version: v1alpha1, resource: rollouts, kind: Rollout, template: spec.template}\n';
  const rollout: LiveObject = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'canary', namespace: 'shop' },
    spec: { template: { spec: { containers: [{ name: 'app', image: 'docker.io/acme/canary:1' }] } } },
  };

  test('custom kinds of the server are read from its ConfigMap', async () => {
    const mounted = started(['serve', '--custom-kinds', '/etc/regkeeper/kinds/custom-kinds.yaml'], {
      volumeMounts: [{ name: 'kinds', mountPath: '/etc/regkeeper/kinds' }],
    });
    const server = {
      ...mounted,
      spec: {
        template: {
          spec: {
            ...(mounted.spec as { template: { spec: object } }).template.spec,
            volumes: [{ name: 'kinds', configMap: { name: 'kinds-1' } }],
          },
        },
      },
    };
    const configMap = { ...rulesConfigMap('', 'kinds-1', {}), data: { 'custom-kinds.yaml': kinds } };
    const { document } = await json([...shop, rulesConfigMap(rules), server, configMap, rollout]);
    expect(document.workloads).toMatchObject([{ object: { kind: 'Rollout', name: 'canary' }, outcome: 'denied' }]);
  });

  test('a kind that the webhooks intercept but that is unknown here makes the result incomplete', async () => {
    const custom = { group: 'argoproj.io', version: 'v1alpha1', resource: 'rollouts', kind: 'Rollout' };
    const kind = { ...custom, entryPoints: [{ resource: 'rollouts', operations: ['CREATE' as const] }], fields: [] };
    const { err, exitCode } = await scan([...shop, rulesConfigMap(rules), registered({ kinds: [kind] }), rollout]);
    expect(err).toContain(
      'the webhooks match rollouts.argoproj.io, but the paths of its images are unknown. With --custom-kinds, pass the file that declares this kind',
    );
    expect(exitCode).toBe(2);
  });

  test('a cluster without the webhooks is reported', async () => {
    const { err } = await scan([...shop, rulesConfigMap(rules)]);
    expect(err).toBe('regkeeper: the webhooks are not registered in this cluster, so no request is denied yet\n');
  });
});

test('OpenShift trusts its internal registry, and its namespaces are excluded', async () => {
  const config: LiveObject = {
    apiVersion: 'config.openshift.io/v1',
    kind: 'Image',
    metadata: { name: 'cluster' },
    status: { internalRegistryHostname: 'image-registry.openshift-image-registry.svc:5000' },
  };
  const internal = 'image-registry.openshift-image-registry.svc:5000/shop/web:1';
  const { document, exitCode } = await json([
    ...shop,
    config,
    rulesConfigMap(rules),
    ...deployment({ image: internal }),
    ...deployment({ namespace: 'openshift-monitoring', image: 'quay.io/x' }),
  ]);
  expect(document.workloads).toMatchObject([{ object: { namespace: 'shop' }, outcome: 'allowed' }]);
  expect(document.excluded.namespaces).toEqual(['openshift-monitoring']);
  expect(exitCode).toBe(0);
});

describe('progress', () => {
  test('is one line that is replaced, on a terminal', async () => {
    const { err } = await runOnTerminal({ isTerminal: true, client: liveApi(world).client }, 'scan');
    expect(err).toContain('\r\u001b[2Kreading pods [####################] 12 of 12');
    expect(err.endsWith('\r\u001b[2K')).toBe(true);
  });

  test('is not shown elsewhere', async () => {
    expect((await scan(world)).err).not.toContain('\r');
  });
});

const { out: help } = await runOnCluster(liveApi([]).client, 'scan', '--help');
const examples = [...help.matchAll(/^ {2}regkeeper (scan.*)$/gm)].map(([, line = '']) => line);

test.each(examples)('the example "%s" works', async (line) => {
  const withReports = { apiVersion: 'openreports.io/v1alpha1', kind: 'Report', metadata: { name: 'another', namespace: 'shop' } };
  const { out, exitCode } = await runOnCluster(liveApi([...world, withReports]).client, ...line.split(' '));
  expect(out).not.toBe('');
  // Findings are not a failure of the process that writes Reports.
  expect(exitCode).toBe(line.includes('--report') ? 0 : 1);
});

test.each([
  [['-n', 'shop', '-A'], "option '-A, --all-namespaces' cannot be used with option '-n, --namespace <name>'"],
  [['-l', 'a=='], 'the label a has an empty value'],
  [['--by', 'pod'], 'Allowed choices are registry, namespace, finding'],
])('%j is a usage error', async (argv, message) => {
  const { err, exitCode } = await scan(world, argv);
  expect(err).toContain(message);
  expect(exitCode).toBe(2);
});
