/**
 * Pulls keep working: a Pod has all secrets with regkeeper that it has without. Random Pods, templates and service accounts are created in
 * two namespaces, one excluded from the webhooks and one where regkeeper works. The test compares the `imagePullSecrets` of the stored Pods,
 * which the API server fills from the service account where they are empty.
 */

import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { actingIn, deployment, listOf, type PodLike, pod, running, secretsIn, serviceAccount, workload } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;

const baseline = `regkeeper-baseline-${randomUUID().slice(0, 8)}`;
// The secrets of rules, of service accounts and of the objects themselves share names, so that duplicates occur.
const names = ['a', 'b', 'c', 'd'] as const;
const registries: Readonly<Record<string, readonly string[]>> = {
  'one.example.com': ['a'],
  'two.example.com': ['b', 'c'],
  'other.example.com': ['rule-only'],
  'open.example.com': [],
  'internal.example.com:5000': [],
};
const rules = `
internalRegistries: ["internal.example.com:5000"]
rules:
- {registry: one.example.com, pullSecret: a}
- {registry: two.example.com, pullSecret: [b, c]}
- {registry: other.example.com, pullSecret: rule-only}
- {registry: open.example.com}
`;

const keeper = withRegkeeper(cluster, rules, { flags: ['--exclude-namespaces', baseline] });
const guarded = actingIn(kubectl, () => keeper.namespace);
const unguarded = actingIn(kubectl, () => baseline);
const both = [guarded, unguarded];

const seed = 20261121;
const kinds = ['Pod', 'ReplicaSet', 'Deployment', 'StatefulSet', 'ReplicationController', 'Job'] as const;
const rollsOut = 'Deployment';
const someNames = fc.uniqueArray(fc.constantFrom(...names, 'account-only'), { maxLength: 3 });
const someImages = fc.array(fc.constantFrom(...Object.keys(registries)), { minLength: 1, maxLength: 3 });
const accounts = fc
  .sample(fc.record({ secrets: someNames, strict: fc.boolean() }), { seed, numRuns: 6 })
  .map((account, index) => ({ name: `account-${index}`, ...account }));
const drawn = fc.sample(
  fc.record({
    kind: fc.oneof(fc.constantFrom(...kinds), fc.constant(rollsOut)),
    images: someImages,
    imagesThen: someImages,
    list: fc.option(fc.array(fc.constantFrom(...names, 'author-only', ''), { maxLength: 4 }), { nil: undefined, freq: 2 }),
    account: fc.constantFrom(undefined, ...accounts),
    mark: fc.option(fc.record({ rules: someNames, serviceAccount: someNames }), { nil: undefined, freq: 3 }),
  }),
  { seed, numRuns: 60 },
);
type Drawn = Omit<(typeof drawn)[number], 'list'> & { readonly name: string; readonly list: readonly string[] | undefined };
const objects = drawn.map(
  ({ list, ...each }, index): Drawn => ({
    ...each,
    name: `object-${index}`,
    // The API server denies a Pod with any other secret, with and without regkeeper.
    list: each.account?.strict ? list?.filter((name) => each.account?.secrets.some((own) => own === name)) : list,
  }),
);

describe.runIf(cluster.local)(`the credentials of ${objects.length} random objects (seed ${seed})`, () => {
  beforeAll(async () => {
    await kubectl(['create', 'namespace', baseline]);
    await waitFor(async () => (await unguarded.attempt(['get', 'serviceaccount', 'default'])).code === 0, {
      deadlineSeconds: 60,
      what: 'the default account',
    });
    const enforced = { 'kubernetes.io/enforce-mountable-secrets': 'true' };
    const made = accounts.map(({ name, secrets, strict }) => serviceAccount(name, secrets, strict ? enforced : {}));
    for (const act of both) await act.create(...made, serviceAccount('last', ['last-own']));
    // Informers see accounts in the order of their creation, so when the last one is known, all are.
    const probe = deployment('probe', running('one.example.com/x', { serviceAccountName: 'last' }));
    await waitFor(async () => (await guarded.tryCreate(probe, '--dry-run=server', '-o', 'json')).stdout.includes('last-own'), {
      deadlineSeconds: 60,
      what: 'the accounts to be known',
    });
  });
  afterAll(async () => {
    await kubectl(['delete', 'namespace', baseline, '--wait=false', '--ignore-not-found']);
  });

  test('new Pods have the credentials that they have without regkeeper, and the secrets of their images', async () => {
    const manifests = objects.map((each) => manifestOf(each, each.images, 1));
    for (const act of both) await act.create(...manifests);
    await compare(objects, 1);
  });

  test('after a replace with different images, Pods have their previous credentials and the secrets of the new images', async () => {
    const changed = objects.filter(({ kind }) => kind === rollsOut).map((each) => ({ ...each, images: each.imagesThen }));
    const file = JSON.stringify(listOf(changed.map((each) => manifestOf(each, each.images, 2))));
    for (const namespace of [keeper.namespace, baseline]) await kubectl(['replace', '-f', '-', '-n', namespace], { stdin: file });
    await compare(changed, 2);
  });
});

async function compare(made: readonly Drawn[], round: number): Promise<void> {
  const without = await podsOf(unguarded, made.length, round);
  const withUs = await podsOf(guarded, made.length, round);
  const lost = made.map(({ name, list = [], account, images }) => {
    const before = without.get(name) ?? [];
    const after = withUs.get(name) ?? [];
    const wanted = account?.strict ? [] : images.flatMap((registry) => registries[registry] ?? []);
    return {
      name,
      before,
      after,
      lost: before.filter((secret) => !after.includes(secret)),
      lacks: wanted.filter((secret) => !after.includes(secret)),
      moved: after.slice(0, list.length).join() !== list.join(),
      twice: after.filter((secret, index) => after.indexOf(secret) !== index && !list.includes(secret)),
    };
  });
  expect(lost.filter(({ lost, lacks, moved, twice }) => lost.length + lacks.length + twice.length > 0 || moved)).toEqual([]);
  // The comparison is only meaningful where objects have secrets that could be lost, and where secrets were added.
  expect(lost.filter(({ before }) => before.length > 0).length).toBeGreaterThan(made.length / 3);
  expect(lost.filter(({ before, after }) => after.length > before.length).length).toBeGreaterThan(made.length / 4);
}

function manifestOf({ kind, name, list, account, mark }: Drawn, images: readonly string[], round: number): object {
  const labels = { object: name, round: String(round) };
  const [first = '', ...others] = images.map((registry) => `${registry}/app:${round}`);
  const spec = running(first, {
    initContainers: others.slice(0, 1).map((image) => ({ name: 'init', image })),
    volumes: others.slice(1).map((reference) => ({ name: 'data', image: { reference } })),
    ...(kind === 'Job' && { restartPolicy: 'Never' }),
    ...(account && { serviceAccountName: account.name }),
    ...(list && { imagePullSecrets: list.map((secret) => ({ name: secret })) }),
  });
  // On a template a mark means that regkeeper may remove the entries it names. On a Pod it must not remove anything, even when it is forged.
  const annotations = mark && { annotations: { 'regkeeper.io/injected': JSON.stringify(mark) } };
  if (kind === 'Pod') return pod(name, spec, { labels, ...annotations });
  const template = { template: { metadata: { labels }, spec } };
  const selector = { matchLabels: { object: name } };
  switch (kind) {
    case 'StatefulSet':
      return workload('apps/v1', kind, name, spec, { selector, ...template, serviceName: name });
    case 'ReplicationController':
      return workload('v1', kind, name, spec, { selector: { object: name }, ...template });
    case 'Job':
      return workload('batch/v1', kind, name, spec, { selector: null, ...template });
    default:
      return workload('apps/v1', kind, name, spec, { selector, ...template });
  }
}

/** The secrets of each object's Pod, by the object's name. Waits until all Pods exist. */
async function podsOf(acting: typeof guarded, count: number, round: number): Promise<ReadonlyMap<string, readonly string[]>> {
  return await waitFor(
    async () => {
      const pods = await acting.list<PodLike>('pods', '-l', `object,round=${round}`);
      const secrets = new Map(pods.map((each) => [each.metadata.labels?.object ?? '', secretsIn(each)]));
      return secrets.size === count && secrets;
    },
    { deadlineSeconds: 60, what: `the Pods of ${count} objects` },
  );
}
