/** `diff --cluster`: what a change of the rules does to what runs. */
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

/** With what the webhooks have written, as long as the rules were in force. */
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

test('shows what would be denied, with the Pods that run now', async () => {
  const { out, err, exitCode } = await diff(manifest(strict));
  expect(out.split('\n')).toEqual([
    'DENIED     Deployment billing/report  3 Pods denied when recreated',
    '           docker.io/acme/report:1',
    '             trusted by "docker.io" -> untrusted by "docker.io"',
    expect.stringMatching(
      /^ {11}Deployment billing\/report: container "app": image .* is from an untrusted registry .*: Use the mirror\. Contact: /,
    ),
    '',
    '4 workloads with 7 Pods: 1 newly denied, 0 newly allowed, 0 newly warned, 0 gain secrets, 0 lose secrets, 3 unchanged',
    '3 Pods of 1 workload would be denied when recreated',
    '',
  ]);
  expect(err).toContain('regkeeper: comparing the rules in effect with those after regkeeper/regkeeper-rules is applied\n');
  expect(exitCode).toBe(1);
});

test('a change that allows more is no finding', async () => {
  const { out, exitCode } = await diff(manifest(`${inForce}- registry: quay.io\n`));
  expect(out).toContain('allowed    Deployment billing/tool  1 Pod');
  expect(out).toContain('0 newly denied, 1 newly allowed');
  expect(exitCode).toBe(0);
  expect((await diff(manifest(`${inForce}- registry: quay.io\n`), ['--strict'])).exitCode).toBe(1);
});

test('no change changes nothing', async () => {
  const { out, exitCode } = await diff(manifest(inForce), ['--strict']);
  expect(out).toContain(
    '4 workloads with 7 Pods: 0 newly denied, 0 newly allowed, 0 newly warned, 0 gain secrets, 0 lose secrets, 4 unchanged',
  );
  expect(exitCode).toBe(0);
});

test('live objects are compared by the secrets that they have', async () => {
  const { out, exitCode } = await diff(manifest(inForce.replace('corp-pull', 'new-pull')));
  expect(out).toContain(
    [
      'secrets    Deployment shop/web  2 Pods',
      '           + spec.template.spec.imagePullSecrets: new-pull',
      '           + spec.imagePullSecrets: new-pull',
      '           - spec.template.spec.imagePullSecrets: corp-pull',
    ].join('\n'),
  );
  expect(out).toContain('1 gains secrets, 1 loses secrets');
  expect(exitCode).toBe(1);
});

describe('the rules after the change', () => {
  test('a ConfigMap replaces the one of its name only', async () => {
    const { out } = await diff(manifest('rules: [{registry: x.example.com}]', 'other-rules'), ['-q']);
    expect(out).toContain('DENIED     Pod shop/alone');
    expect(out).not.toContain('Deployment');
  });

  test('a ConfigMap without a namespace is that of regkeeper', async () => {
    const text = manifest(strict).replace('"namespace":"regkeeper",', '');
    expect((await diff(text)).out).toContain('1 newly denied');
  });

  test('a rules document replaces all rules', async () => {
    const { out, err } = await diff(inForce);
    expect(out).toContain('DENIED     Pod shop/alone');
    expect(err).toContain('alone, as if it replaced them');
  });

  test('two sets are compared with each other', async () => {
    const [before, after] = [await fileWith(inForce, 'before.yaml'), await fileWith(strict, 'after.yaml')];
    const { out, exitCode } = await runOnCluster(liveApi(world).client, 'diff', before, after, '--cluster');
    expect(out).toContain('1 newly denied');
    expect(exitCode).toBe(1);
  });

  test.each([
    ['invalid', 'rules: [{registy: docker.io}]', 'unknown-field'],
    ['in conflict with the others', 'rules: [{registry: other.example.com, trust: false, reason: no}]', 'other.example.com'],
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

  test('a ConfigMap that the server would not read is an error', async () => {
    await expect(diff(manifest(strict, 'regkeeper-rules', 'shop'))).rejects.toThrow(
      'ConfigMap shop/regkeeper-rules is not in regkeeper\'s namespace ("regkeeper"), so the server would not read it',
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

test('what may not be read makes the comparison incomplete', async () => {
  const { err, exitCode } = await diff(manifest(inForce), [], { forbidden: ['/apis/apps/v1/daemonsets'] });
  expect(err).toContain('cannot read daemonsets.apps in all namespaces: ');
  expect(exitCode).toBe(2);
});

test('the JSON has everything', async () => {
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
  [['diff', 'deploy/examples/rules', 'deploy/examples/rules', '-l', 'a=b'], '--selector can be used with --cluster only'],
])('%j is a usage error', async (argv, message) => {
  await expect(runOnCluster(liveApi(world).client, ...argv)).rejects.toThrow(message);
});

test.each([['--assume-complete'], ['--replay']])('%s has no meaning for a cluster', async (option) => {
  const { err, exitCode } = await diff(manifest(inForce), option === '--replay' ? [option, 'deploy/examples/audit.jsonl'] : [option]);
  expect(err).toContain("cannot be used with option '--cluster'");
  expect(exitCode).toBe(2);
});

test('a Pod without an owner has only its own secrets when it is created again', async () => {
  const alone = injected([pod({ image: 'registry.example.com/x:1' })], 'corp-pull');
  const cluster = liveApi([namespace('shop'), secret('shop', 'corp-pull'), rulesConfigMap(inForce), ...alone]);
  const file = await fileWith('rules: [{registry: registry.example.com}]', 'without-secret.yaml');
  const { out, exitCode } = await runOnCluster(cluster.client, 'diff', '--cluster', file);
  expect(out).toContain('secrets    Pod shop/alone  1 Pod');
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
    '2 workloads with 3 Pods: 0 newly denied, 0 newly allowed, 0 newly warned, 0 gain secrets, 0 lose secrets, 2 unchanged',
    '1 workload with 2 Pods would be newly denied in enforce mode. Set mode: enforce in the files to list them',
    '',
  ]);
  expect(exitCode).toBe(0);
  const json = await runOnCluster(audited.client, 'diff', '--cluster', file, '-o', 'json');
  expect(JSON.parse(json.out).summary.newlyDeniedOnceEnforced).toEqual({ workloads: 1, pods: 2, namespaces: 1 });
});
