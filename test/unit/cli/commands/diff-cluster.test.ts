/** `diff --cluster`: how a change of the rules affects running objects. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deployment, type LiveApiOptions, type LiveObject, liveApi, namespace, pod, rulesConfigMap } from '../../scan/live-api.ts';
import { runOnCluster } from '../run.ts';

const inForce = `
contact: the platform team
rules:
- registry: docker.io
- registry: registry.example.com
  pullSecret: corp-pull
`;
const other = 'rules:\n- registry: other.example.com\n';

const secret = (place: string, name: string): LiveObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: place },
  type: 'kubernetes.io/dockerconfigjson',
});

/** With what the webhooks have written, while the rules were in effect. */
const injected = (objects: readonly LiveObject[], name: string): readonly LiveObject[] =>
  objects.map((object) => {
    const spec = object.kind === 'Pod' ? object.spec : (object.spec as { template: { spec: object } }).template.spec;
    const metadata = object.kind === 'Pod' ? object.metadata : (object.spec as { template: { metadata: object } }).template.metadata;
    Object.assign(spec as object, { imagePullSecrets: [{ name }] });
    Object.assign(metadata, { annotations: { 'regkeeper.io/injected': JSON.stringify({ rules: [name] }) } });
    return object;
  });

const world: readonly LiveObject[] = [
  namespace('shop'),
  namespace('billing'),
  secret('shop', 'corp-pull'),
  secret('shop', 'new-pull'),
  rulesConfigMap(inForce),
  rulesConfigMap(other, 'other-rules'),
  ...injected(deployment({ image: 'registry.example.com/web:1', pods: 2 }), 'corp-pull'),
  ...deployment({ namespace: 'billing', name: 'report', image: 'docker.io/acme/report:1', pods: 3 }),
  ...deployment({ namespace: 'billing', name: 'tool', image: 'quay.io/acme/tool:1', pods: 1 }),
  pod({ image: 'other.example.com/x:1' }),
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-diff-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileWith(text: string, name = 'new.yaml'): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

/** A manifest of the ConfigMap, as it is in a repository. */
function manifest(text: string, name = 'regkeeper-rules', place = 'regkeeper'): string {
  const { metadata, ...rest } = rulesConfigMap(text, name);
  return JSON.stringify({ ...rest, metadata: { name, namespace: place, labels: metadata.labels } });
}

async function diff(text: string, argv: readonly string[] = [], options: LiveApiOptions & { objects?: readonly LiveObject[] } = {}) {
  const { objects = world, ...api } = options;
  return runOnCluster(liveApi(objects, api).client, 'diff', '--cluster', await fileWith(text), ...argv);
}

const strict = inForce.replace('- registry: docker.io', '- registry: docker.io\n  trust: false\n  reason: Use the mirror.');

test('shows what would be denied, with the Pods that are running now', async () => {
  const { out, err, exitCode } = await diff(manifest(strict));
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^~ rule docker\.io \(.*new\.yaml:1:\d+\): trust true -> false, reason \(none\) -> "Use the mirror\."$/),
    '',
    'DENIED        Deployment billing/report  3 Pods denied when recreated',
    '              docker.io/acme/report:1',
    '                trusted by "docker.io" -> untrusted by "docker.io"',
    expect.stringMatching(
      /^ {14}Deployment billing\/report: container "app": image .* is from an untrusted registry .*: Use the mirror\. Contact: /,
    ),
    '',
    '4 workloads with 7 Pods: 1 newly denied, 0 newly allowed, 0 newly warned, 0 gaining secrets, 0 losing secrets, 3 unchanged',
    '3 Pods of 1 workload would be denied when recreated',
    '',
  ]);
  expect(err).toContain('regkeeper: comparing the rules in effect with those after regkeeper/regkeeper-rules is applied\n');
  expect(exitCode).toBe(1);
});

test('a change that allows more is not a finding', async () => {
  const { out, exitCode } = await diff(manifest(`${inForce}- registry: quay.io\n`));
  expect(out).toContain('allowed       Deployment billing/tool  1 Pod');
  expect(out).toContain('0 newly denied, 1 newly allowed');
  expect(exitCode).toBe(0);
  expect((await diff(manifest(`${inForce}- registry: quay.io\n`), ['--strict'])).exitCode).toBe(1);
});

test('identical rules change nothing', async () => {
  const { out, exitCode } = await diff(manifest(inForce), ['--strict']);
  expect(out).toBe(
    'no differences between the rules\n\n' +
      '4 workloads with 7 Pods: 0 newly denied, 0 newly allowed, 0 newly warned, 0 gaining secrets, 0 losing secrets, 4 unchanged\n',
  );
  expect(exitCode).toBe(0);
  expect((await diff(manifest(inForce), ['-q'])).out).toBe('');
});

describe('rules that allow more', () => {
  const denying = `${inForce}- registry: bad.example.com\n  trust: false\n  reason: no\n`;
  const rulesOf = (place: string) => world.map((object) => (object.metadata.name === 'regkeeper-rules' ? rulesConfigMap(place) : object));

  test.each([
    ['enforcement is switched off', inForce, `mode: audit\n${inForce}`, '~ setting mode: enforce -> audit'],
    ['unconfigured images are allowed', inForce, `unconfigured: allow\n${inForce}`, '~ setting unconfigured: deny -> allow'],
    ['every registry is trusted', inForce, inForce.replace('docker.io', '"*"'), '+ rule *'],
    [
      'a denying rule is removed',
      denying,
      inForce,
      '- rule bad.example.com (ConfigMap regkeeper/regkeeper-rules, key rules.yaml, line 7:13): trust false, reason no',
    ],
    [
      'a contact is changed',
      inForce,
      inForce.replace('platform', 'security'),
      '~ setting contact: "the platform team" -> "the security team"',
    ],
    [
      'an exemption is added',
      inForce,
      `${inForce}exemptions: [{image: x.example.com/x, until: 2027-03-31, reason: x}]\n`,
      '+ exemption x.example.com/x',
    ],
    ['mode is overridden', inForce, `${inForce}overrides: [{namespaces: [shop], mode: audit}]\n`, '+ override for namespace shop'],
  ])('are shown, and fail with --strict: %s', async (_name, before, after, line) => {
    const run = (...argv: readonly string[]) => diff(manifest(after), argv, { objects: rulesOf(before) });
    const { out, exitCode } = await run();
    expect(out.split('\n').filter((each) => each.startsWith(line))).toHaveLength(1);
    expect(out).toContain('0 newly denied');
    expect(exitCode).toBe(0);
    const strictly = await run('--strict', '-q');
    expect(strictly.out).toContain(line);
    expect(strictly.exitCode).toBe(1);
  });
});

describe('trust that ends', () => {
  const until = (day: string, head = '') => `${head}${inForce.replace('- registry: docker.io', `- {registry: docker.io, until: ${day}}`)}`;
  const date = ['--date', '2026-11-30'];
  const objectsWith = (text: string) => world.map((object) => (object.metadata.name === 'regkeeper-rules' ? rulesConfigMap(text) : object));

  test.each([
    ['months ahead', until('2027-06-30'), inForce, ['3 Pods', 'denied after 2027-06-30'], 0],
    ['tomorrow', until('2026-12-01'), inForce, ['3 Pods', 'denied after 2026-12-01'], 1],
    ['later than before', until('2027-12-31'), until('2027-06-30'), ['3 Pods', 'denied after 2027-12-31'], 0],
    ['earlier than before', until('2027-03-31'), until('2027-06-30'), ['3 Pods', 'denied after 2027-03-31'], 0],
    [
      'in warn mode',
      until('2027-06-30', 'mode: warn\n'),
      `mode: warn\n${inForce}`,
      ['3 Pods', 'denied in enforce mode after 2027-06-30'],
      0,
    ],
  ])('shows what is denied after a new last day: %s', async (_name, after, before, [pods, line], warned) => {
    const { out, exitCode } = await diff(manifest(after), date, { objects: objectsWith(before) });
    expect(out.split('\n')).toContain(`1 workload with ${pods} would be ${line}`);
    expect(out).toContain(`0 newly denied, 0 newly allowed, ${warned} newly warned`);
    expect(out).toContain('~ rule docker.io');
    expect(out).toMatch(/until \S+ -> 202/);
    expect(exitCode).toBe(0);
  });

  test('an exemption ends too', async () => {
    const exempt = `${inForce}exemptions: [{image: quay.io/acme, until: 2027-03-31, reason: moving}]\n`;
    const { out } = await diff(manifest(exempt), date);
    expect(out).toContain('1 workload with 1 Pod would be denied after 2027-03-31\n');
  });

  test('each workload counts once, for the first new day after which it is denied', async () => {
    const two = `${until('2027-06-30').trimEnd()}\n- {registry: quay.io, until: 2027-03-31}\n- {registry: registry.example.com/x, until: 2027-01-31}\n`;
    const { out } = await diff(manifest(two), [...date, '-o', 'json']);
    const affected = (workloads: number, pods: number) => ({ workloads, pods, namespaces: workloads });
    expect(JSON.parse(out).summary.deniedAfter).toEqual([
      { date: '2027-01-31', denied: affected(0, 0), deniedOnceEnforced: affected(0, 0) },
      { date: '2027-03-31', denied: affected(1, 1), deniedOnceEnforced: affected(0, 0) },
      { date: '2027-06-30', denied: affected(1, 3), deniedOnceEnforced: affected(0, 0) },
    ]);
  });

  test('a last day that is not new is not part of the change', async () => {
    const both = `${until('2027-06-30').trimEnd()}\n- {registry: quay.io, until: 2027-12-31}\n`;
    const { out } = await diff(manifest(both), date, { objects: objectsWith(until('2027-06-30')) });
    expect(out).not.toContain('after 2027-06-30');
    expect(out).toContain('1 workload with 1 Pod would be denied after 2027-12-31\n');
  });
});

test('changes are ordered by severity, and their headings show what is lost and what is gained', async () => {
  const before = `mode: enforce
unconfigured: warn
rules:
- {registry: docker.io}
- {registry: a.example.com, pullSecret: corp-pull}
- {registry: b.example.com}
- {registry: c.example.com}
- {registry: e.example.com, trust: false, reason: moved}
- {registry: g.example.com}
`;
  const after = `mode: enforce
unconfigured: warn
rules:
- {registry: docker.io, trust: false, reason: moved}
- {registry: a.example.com}
- {registry: b.example.com, pullSecret: new-pull}
- {registry: d.example.com}
- {registry: e.example.com}
- {registry: f.example.com, pullSecret: new-pull}
- {registry: g.example.com, namespaces: {matchLabels: {team: a}}}
`;
  const workload = (name: string, image: string, place = 'shop') => deployment({ name, image, pods: 1, namespace: place });
  const objects = [
    namespace('shop'),
    secret('shop', 'corp-pull'),
    secret('shop', 'new-pull'),
    rulesConfigMap(before),
    ...workload('denied', 'docker.io/acme/x:1'),
    ...injected(workload('loses', 'a.example.com/x:1'), 'corp-pull'),
    ...workload('gains', 'b.example.com/x:1'),
    ...workload('warned', 'c.example.com/x:1'),
    ...workload('quiet', 'd.example.com/x:1'),
    ...workload('allowed', 'e.example.com/x:1'),
    ...workload('gains-too', 'f.example.com/x:1'),
    // Its namespace cannot be read.
    ...workload('uncertain', 'g.example.com/x:1', 'elsewhere'),
  ];
  const { out } = await diff(manifest(after), [], { objects });
  expect(out.split('\n').flatMap((line) => /^(\S.*?) +Deployment \S+\/(\S+)/.exec(line)?.slice(1, 3).join(' ') ?? [])).toEqual([
    'DENIED denied',
    'LOSES SECRET loses',
    'warned uncertain',
    'warned warned',
    'allowed allowed',
    'no warning gains-too',
    'no warning quiet',
    'gains secret gains',
  ]);
});

test('live objects are compared by their existing secrets', async () => {
  const { out, exitCode } = await diff(manifest(inForce.replace('corp-pull', 'new-pull')));
  expect(out).toContain(
    [
      'LOSES SECRET  Deployment shop/web  2 Pods',
      '              + spec.template.spec.imagePullSecrets: new-pull',
      '              + spec.imagePullSecrets: new-pull',
      '              - spec.template.spec.imagePullSecrets: corp-pull',
    ].join('\n'),
  );
  expect(out).toContain('1 gaining secrets, 1 losing secrets');
  expect(exitCode).toBe(1);
});

describe('the rules after the change', () => {
  test('a ConfigMap only replaces the one with the same name', async () => {
    const { out } = await diff(manifest('rules: [{registry: x.example.com}]', 'other-rules'), ['-q']);
    expect(out).toContain('DENIED        Pod shop/alone');
    expect(out).not.toContain('Deployment');
  });

  test("a ConfigMap without a namespace replaces the one in regkeeper's namespace", async () => {
    const text = manifest(strict).replace('"namespace":"regkeeper",', '');
    expect((await diff(text)).out).toContain('1 newly denied');
  });

  test('kubectl would write it to another namespace, so there is a warning', async () => {
    const text = manifest(strict).replace('"namespace":"regkeeper",', '');
    const warning =
      'regkeeper: ConfigMap regkeeper-rules has no metadata.namespace, so kubectl would write it to the current namespace. Add namespace: regkeeper, or use kubectl apply -n regkeeper\n';
    expect((await diff(text)).err).toContain(warning);
    expect((await diff(manifest(strict))).err).not.toContain('metadata.namespace');
  });

  describe('a ConfigMap without the label in the file', () => {
    const unlabelled = (text: string, name?: string) => manifest(text, name).replace(',"labels":{"regkeeper.io/rules":"cluster"}', '');
    const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
    const ofLabel = { 'f:metadata': { 'f:labels': { 'f:regkeeper.io/rules': {} } } };
    const ofData = { 'f:data': { 'f:rules.yaml': {} } };
    const entry = (manager: string, operation: 'Apply' | 'Update', fieldsV1: object) => ({ manager, operation, fieldsV1 });
    const lastAppliedWith = (labels: object) => ({ [lastApplied]: JSON.stringify({ metadata: { labels } }) });
    const written = (metadata: object) =>
      world.map((object) =>
        object.metadata.name === 'regkeeper-rules' ? { ...object, metadata: { ...object.metadata, ...metadata } } : object,
      );
    const ofAnother = { managedFields: [entry('kubectl', 'Apply', ofData), entry('kubectl-label', 'Update', ofLabel)] };

    test.each([
      ['kubectl label', ofAnother],
      ['an apply of the label only', { managedFields: [entry('kubectl', 'Apply', ofData), entry('labeler', 'Apply', ofLabel)] }],
      ['kubectl label, after a client-side apply without it', { ...ofAnother, annotations: lastAppliedWith({}) }],
    ])('keeps the label in the cluster if it has another owner: %s', async (_name, metadata) => {
      const { out, err, exitCode } = await diff(unlabelled(inForce), ['--strict'], { objects: written(metadata) });
      expect(out).toContain('no differences between the rules\n');
      expect(err).toContain('The label in the cluster is used');
      expect(exitCode).toBe(0);
    });

    const bothAt = (manager: string, operation: 'Apply' | 'Update') => entry(manager, operation, { ...ofLabel, ...ofData });
    const csaFields = { ...ofData, 'f:metadata': { ...ofLabel['f:metadata'], 'f:annotations': { [`f:${lastApplied}`]: {} } } };

    test.each([
      ['a server-side apply of the same manager', { managedFields: [bothAt('kubectl', 'Apply')] }],
      ['a server-side apply with --field-manager', { managedFields: [bothAt('ci', 'Apply')] }],
      [
        'a client-side apply',
        {
          managedFields: [entry('kubectl-client-side-apply', 'Update', csaFields)],
          annotations: lastAppliedWith({ 'regkeeper.io/rules': 'cluster' }),
        },
      ],
      [
        'a client-side apply that kubectl converts',
        { managedFields: [entry('kubectl-client-side-apply', 'Update', csaFields)], annotations: lastAppliedWith({}) },
      ],
      ['kubectl label and a client-side apply', { ...ofAnother, annotations: lastAppliedWith({ 'regkeeper.io/rules': 'cluster' }) }],
      ['an invalid last-applied annotation', { ...ofAnother, annotations: { [lastApplied]: '{' } }],
      ['no one', { managedFields: [bothAt('kubectl-label', 'Update')].map(({ manager }) => ({ manager })) }],
      ['an unknown writer', {}],
    ])('loses the label in the cluster, and its rules, if the owner of the label is %s', async (_name, metadata) => {
      const { out, err, exitCode } = await diff(unlabelled(inForce), ['--strict', '-q'], { objects: written(metadata) });
      expect(out).toContain('- rule registry.example.com (ConfigMap regkeeper/regkeeper-rules');
      expect(out).not.toContain('rule other.example.com');
      expect(err).toContain(
        'regkeeper: ConfigMap regkeeper/regkeeper-rules has no label regkeeper.io/rules in the file. No other field manager owns the label in the cluster, so kubectl apply removes it, and the rules with it. Add it to the file\n',
      );
      expect(exitCode).toBe(1);
    });

    test('reports when the cluster loses its only rules', async () => {
      const objects = world.filter(({ metadata }) => metadata.name !== 'other-rules');
      const { out, err, exitCode } = await diff(unlabelled(inForce), ['--strict', '-q'], { objects });
      expect(out).toBe('');
      expect(err).toContain('so kubectl apply removes it, and the rules with it. Add it to the file\n');
      expect(err).toContain('regkeeper: cannot load the rules of the cluster after the change: there are no rules\n');
      expect(exitCode).toBe(2);
    });

    test('uses the label in the cluster, as after kubectl apply', async () => {
      const { out, err, exitCode } = await diff(unlabelled(strict), [], { objects: written(ofAnother) });
      expect(out).toContain('1 newly denied');
      expect(err).toContain('regkeeper: comparing the rules in effect with those after regkeeper/regkeeper-rules is applied\n');
      expect(err).toContain(
        'regkeeper: ConfigMap regkeeper/regkeeper-rules has no label regkeeper.io/rules in the file. The label in the cluster is used, because another field manager owns it and kubectl apply keeps it. Add it to the file\n',
      );
      expect(exitCode).toBe(1);
    });

    test('uses it even without a namespace', async () => {
      expect(
        (await diff(unlabelled(strict).replace('"namespace":"regkeeper"', '"x":"y"'), [], { objects: written(ofAnother) })).out,
      ).toContain('1 newly denied');
    });

    test('contains no rules if the ConfigMap in the cluster has no label', async () => {
      await expect(diff(unlabelled(strict, 'notes'))).rejects.toThrow('contains no rules, only ConfigMap notes');
    });

    test('contains no rules if no cluster is involved', async () => {
      const files = [await fileWith(inForce, 'before.yaml'), await fileWith(unlabelled(strict), 'after.yaml')];
      await expect(runOnCluster(liveApi(world).client, 'diff', ...files, '--cluster')).rejects.toThrow('contains no rules');
    });
  });

  test('a rules document replaces all rules', async () => {
    const { out, err } = await diff(inForce);
    expect(out).toContain('DENIED        Pod shop/alone');
    expect(err).toContain('alone, as if it replaced them');
  });

  test('two rule sets are compared with each other', async () => {
    const [before, after] = [await fileWith(inForce, 'before.yaml'), await fileWith(strict, 'after.yaml')];
    const { out, exitCode } = await runOnCluster(liveApi(world).client, 'diff', before, after, '--cluster');
    expect(out).toContain('1 newly denied');
    expect(exitCode).toBe(1);
  });

  test.each([
    ['invalid', 'rules: [{registy: docker.io}]', 'unknown-field'],
    ['conflicting with the others', 'rules: [{registry: other.example.com, trust: false, reason: no}]', 'other.example.com'],
  ])('%s rules are reported, and nothing is compared', async (_name, text, message) => {
    const { out, err, exitCode } = await diff(manifest(text));
    expect(err).toContain(message);
    expect(err).toContain('new.yaml');
    expect(out).toBe('');
    expect(exitCode).toBe(2);
    const report = JSON.parse((await diff(manifest(text), ['-o', 'json'])).out);
    expect(report).toMatchObject({ rulesRevision: { after: null }, rules: [], changes: [] });
    expect(report.rulesProblems).toHaveLength(1);
  });

  test('a ConfigMap that the server would ignore is an error', async () => {
    await expect(diff(manifest(strict, 'regkeeper-rules', 'shop'))).rejects.toThrow(
      'ConfigMap shop/regkeeper-rules is not in regkeeper\'s namespace, so the server would not read it. Set its metadata.namespace to "regkeeper"',
    );
  });
});

test('namespaces that gain or lose a delivered copy are listed', async () => {
  const withDelivery = (where: string, deliver = 'onDemand') =>
    `${inForce}secrets:\n- {name: corp-pull, source: corp-pull, namespaces: ${where}, deliver: ${deliver}}\n`;
  const objects = world.map((object) =>
    object.kind === 'ConfigMap' && object.metadata.name === 'regkeeper-rules' ? rulesConfigMap(withDelivery('[shop, billing]')) : object,
  );
  const lost = await diff(manifest(inForce), [], { objects });
  // Nothing in billing needs it.
  expect(lost.out).toContain('- copies of secret corp-pull are removed from 1 namespace: shop\n');
  expect(lost.exitCode).toBe(1);
  const gained = await diff(manifest(withDelivery('[billing, shop]', 'always')), [], { objects });
  expect(gained.out).toContain('+ copies of secret corp-pull are delivered to 1 namespace: billing\n');
  expect(gained.exitCode).toBe(0);
});

test('missing permissions make the comparison incomplete', async () => {
  const { err, exitCode } = await diff(manifest(inForce), [], { forbidden: ['/apis/apps/v1/daemonsets'] });
  expect(err).toContain('cannot read daemonsets.apps in all namespaces: ');
  expect(exitCode).toBe(2);
});

test('the JSON contains everything', async () => {
  const { out } = await diff(manifest(strict), ['-o', 'json']);
  const document = JSON.parse(out);
  expect(document).toMatchObject({
    rules: [{ kind: 'rule', about: 'docker.io', change: 'changed' }],
    changes: [
      { object: { kind: 'Deployment', namespace: 'billing', name: 'report' }, effect: 'newly-denied', pods: 3, podsNewlyDenied: 3 },
    ],
    copies: [],
    summary: { newlyDenied: 1, newlyDeniedWhenRecreated: { workloads: 1, pods: 3, namespaces: 1 }, unchanged: 3 },
  });
});

test.each([
  [['diff', 'deploy/examples/rules'], 'specify two sets of rules, or --cluster to compare with those of a cluster'],
  [
    ['diff', '--replay', 'audit.jsonl', 'deploy/examples/rules'],
    'specify two sets of rules, before and after the change. --replay has the value audit.jsonl, so only deploy/examples/rules is left',
  ],
  [
    ['diff', '-f', 'old.yaml', 'deploy/examples/rules'],
    'specify two sets of rules, before and after the change. -f has the value old.yaml, so only deploy/examples/rules is left',
  ],
  [['diff', 'deploy/examples/rules', 'deploy/examples/rules', '-l', 'a=b'], '--selector can be used only with --cluster'],
])('%j is a usage error', async (argv, message) => {
  await expect(runOnCluster(liveApi(world).client, ...argv)).rejects.toThrow(message);
});

test.each([['--assume-complete'], ['--replay']])('%s does not apply to a cluster', async (option) => {
  const { err, exitCode } = await diff(manifest(inForce), option === '--replay' ? [option, 'deploy/examples/audit.jsonl'] : [option]);
  expect(err).toContain("cannot be used with option '--cluster'");
  expect(exitCode).toBe(2);
});

test('a Pod without an owner only has its own secrets when it is recreated', async () => {
  const alone = injected([pod({ image: 'registry.example.com/x:1' })], 'corp-pull');
  const cluster = liveApi([namespace('shop'), secret('shop', 'corp-pull'), rulesConfigMap(inForce), ...alone]);
  const file = await fileWith('rules: [{registry: registry.example.com}]', 'without-secret.yaml');
  const { out, exitCode } = await runOnCluster(cluster.client, 'diff', '--cluster', file);
  expect(out).toContain('LOSES SECRET  Pod shop/alone  1 Pod');
  expect(out).toContain('- spec.imagePullSecrets: corp-pull');
  expect(exitCode).toBe(1);
});

test('a mode that denies nothing does not hide what enforce mode would newly deny', async () => {
  const audited = liveApi([
    namespace('shop'),
    rulesConfigMap('mode: audit\nrules: [{registry: docker.io}]'),
    ...deployment({ image: 'docker.io/acme/web:1', pods: 2 }),
    ...deployment({ name: 'other', image: 'quay.io/acme/web:1', pods: 1 }),
  ]);
  const file = await fileWith('mode: audit\nrules: []', 'audited.yaml');
  const { out, exitCode } = await runOnCluster(audited.client, 'diff', '--cluster', file);
  expect(out.split('\n')).toEqual([
    '- rule docker.io (ConfigMap regkeeper/regkeeper-rules, key rules.yaml, line 2:20): trust true',
    '',
    '2 workloads with 3 Pods: 0 newly denied, 0 newly allowed, 0 newly warned, 0 gaining secrets, 0 losing secrets, 2 unchanged',
    '1 workload with 2 Pods would be newly denied in enforce mode. Set mode: enforce in the files to list them',
    '',
  ]);
  expect(exitCode).toBe(0);
  const json = await runOnCluster(audited.client, 'diff', '--cluster', file, '-o', 'json');
  expect(JSON.parse(json.out).summary.newlyDeniedOnceEnforced).toEqual({ workloads: 1, pods: 2, namespaces: 1 });
});
