/**
 * Tests secret delivery on a node: first pulls in new namespaces succeed because `regkeeper deliver` put the secret there in time, and Pods
 * follow a rotated source. TEST_DELIVERY_FULL=1 tries it in 50 namespaces.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyDelivery, applyDeliveryRights, deleteDelivery, withdrawDelivery } from '../../cluster/delivery.ts';
import { target } from '../../cluster/target.ts';
import { withRegkeeper } from '../../cluster/with-regkeeper.ts';
import { deployment, pod, secretsIn } from '../../cluster/workloads.ts';
import { untilRolledOut } from '../installation.ts';
import {
  type ActingOnNode,
  actingOnNode,
  named,
  pullFailed,
  putSource,
  requestsFor,
  sleeping,
  untilDelivered,
  untilPod,
  untilPullFails,
  untilRunning,
  usersWhoPulled,
} from '../target.ts';
import { median } from '../times.ts';

const full = process.env.TEST_DELIVERY_FULL === '1';
const namespaces = full ? 50 : 6;
const bareNamespaces = full ? 50 : 3;
/** Of the Deployments. The first copies of a new process take longest, and other tests may use the processor, so few namespaces show less. */
const allowedFailures = 2;

const cluster = target();
const rules = `
mode: enforce
unconfigured: deny
rules:
- {registry: private.test, pullSecret: delivered-pull}
- {registry: second.test, pullSecret: everywhere-pull}
- {registry: mixed.test, pullSecret: expired-pull}
- {registry: edited.test, pullSecret: bare-pull}
secrets:
- {name: delivered-pull, source: delivered-source, namespaces: {matchLabels: {tier: prod}}}
- {name: everywhere-pull, source: everywhere-source, namespaces: {matchLabels: {tier: prod}}, deliver: always}
- {name: expired-pull, source: expired-source, namespaces: {matchLabels: {tier: prod}}}
- {name: bare-pull, source: bare-source, namespaces: {matchLabels: {tier: prod}}}
`;
const keeper = withRegkeeper(cluster, rules);
const { kubectl } = cluster;
let folder = '';
/** Has a Deployment `expired`, whose first pull failed before the source was replaced. */
let withExpired: ActingOnNode;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-delivery-'));
  await applyDelivery(kubectl, folder);
  await applyDeliveryRights(kubectl, folder, rules);
  await putSource(kubectl, 'delivered-source', { 'private.test': 'ada' });
  await putSource(kubectl, 'everywhere-source', { 'second.test': 'grace' });
  await putSource(kubectl, 'bare-source', { 'edited.test': 'ada' });
  await putSource(kubectl, 'expired-source', { 'mixed.test': 'ada' }, 'expired');
  // A replica leads before the next probe reports it as ready.
  await untilDelivered(kubectl, (await newNamespace()).name, 'everywhere-pull', 'grace');
  // It pulls again after 10 seconds or more, which the first test needs anyway.
  withExpired = (await newNamespace()).acting;
  await withExpired.create(deployment('expired', sleeping('mixed.test/expired:1')));
  await untilPullFails(withExpired, '-l', 'app=expired');
  await putSource(kubectl, 'expired-source', { 'mixed.test': 'linus' });
});

afterAll(async () => {
  await withdrawDelivery(kubectl, folder);
  await deleteDelivery(kubectl);
  await rm(folder, { recursive: true });
});

// One after the other and before the other tests, since such a Pod has a node for itself in a real cluster too.
test(`in a newly created namespace, the first Pod of a Deployment runs, with no step but the rule (${namespaces} namespaces)`, async () => {
  const pulls: WithCopy[] = [];
  for (let index = 0; index < namespaces; index++) {
    const repository = `first-${index}`;
    const { acting, name: namespace } = await newNamespace();
    const copyAppears = timeOfCopy(namespace, 'delivered-pull');
    const pull = await firstPull(acting, deployment(repository, sleeping(`private.test/${repository}:1`)), '-l', `app=${repository}`);
    pulls.push({ ...pull, copied: (await copyAppears) - pull.stored });
    used.push({ namespace, acting, repository });
  }
  console.log(`First Pods of Deployments, each in a new namespace: ${await describePulls(pulls)}.`);
  expect(used.map(({ repository }) => usersWhoPulled(repository))).toEqual(used.map(() => ['ada@private.test']));
  expect(pulls.filter(({ failed }) => failed).length).toBeLessThanOrEqual(allowedFailures);
});

// With the full number nothing else may run on the node, because a few milliseconds decide.
(full ? test : test.concurrent)(
  `a bare Pod in a new namespace runs, at the latest with its next pull (${bareNamespaces} namespaces)`,
  async () => {
    const pulls: WithCopy[] = [];
    for (let index = 0; index < bareNamespaces; index++) {
      const name = `bare-first-${index}`;
      const { acting, name: namespace } = await newNamespace();
      const copyAppears = timeOfCopy(namespace, 'bare-pull');
      const pull = await firstPull(acting, pod(name, sleeping(`edited.test/${name}:1`)), named(name));
      pulls.push({ ...pull, copied: (await copyAppears) - pull.stored });
    }
    console.log(`Bare Pods, each in a new namespace: ${await describePulls(pulls)}.`);
    const within = (from: number, to: number) => pulls.filter(({ copied }) => copied > from && copied <= to);
    const succeeded = (some: readonly FirstPull[]) => some.filter(({ failed }) => !failed).length;
    for (const [from, to] of [
      [-Infinity, 25],
      [25, 50],
      [50, Infinity],
    ] as const) {
      const some = within(from, to);
      const when = from === 50 ? 'later' : `${from === 25 ? 'after 25 to' : 'within'} ${to} ms`;
      console.log(`Where the copy existed ${when}: ${succeeded(some)} of ${some.length} first pulls succeeded.`);
    }
    const users = pulls.map((_, index) => usersWhoPulled(`bare-first-${index}`));
    expect(users).toEqual(pulls.map(() => ['ada@edited.test']));
    const early = within(-Infinity, 25);
    if (full) expect(succeeded(early)).toBeGreaterThanOrEqual(Math.floor(0.9 * early.length));
  },
);

describe.concurrent('also in a new namespace', () => {
  test('both replicas of secret delivery are ready', async () => {
    await untilRolledOut(kubectl, 'regkeeper-deliver');
  });

  test('a bare Pod runs immediately where the secret is always delivered', async () => {
    const { acting, name: namespace } = await newNamespace();
    await untilDelivered(kubectl, namespace, 'everywhere-pull', 'grace');
    const pull = await firstPull(acting, pod('always', sleeping('second.test/always:1')), named('always'));
    await pull.running;
    expect(pull.failed).toBe(false);
    expect(usersWhoPulled('always')).toEqual(['grace@second.test']);
  });

  test('a Pod recovers when its expired source is replaced', async () => {
    await untilRunning(withExpired, '-l', 'app=expired');
    expect(usersWhoPulled('expired')).toEqual(['linus@mixed.test']);
  });

  test("a Pod's image cannot be pulled where no rule entitles the namespace to the secret", async () => {
    const acting = actingOnNode(kubectl, () => keeper.namespace);
    await acting.create(deployment('not-entitled', sleeping('private.test/not-entitled:1')));
    const failed = await untilPullFails(acting, '-l', 'app=not-entitled');
    expect(secretsIn(failed)).toEqual(['delivered-pull']);
    expect(usersWhoPulled('not-entitled')).toEqual([]);
  });
});

test.concurrent('after its source was rotated, new Pods pull with the new credential, and cached images run without a request to the registry', async () => {
  const rotated = performance.now();
  await putSource(kubectl, 'delivered-source', { 'private.test': 'barbara' });
  const copies = used.map(async ({ namespace }) => {
    await untilDelivered(kubectl, namespace, 'delivered-pull', 'barbara');
    return performance.now() - rotated;
  });
  console.log(`Copies in ${used.length} namespaces followed their source after ${milliseconds(await Promise.all(copies))}.`);
  const pulls = used.slice(0, 6).map(async ({ acting }, index) => {
    const name = `rotated-${index}`;
    await acting.create(deployment(name, sleeping(`private.test/${name}:1`)));
    await untilRunning(acting, '-l', `app=${name}`);
    expect(usersWhoPulled(name)).toEqual(['barbara@private.test']);
  });
  await Promise.all(pulls);

  const [{ acting, repository }] = used as [UsedNamespace];
  const { nodeName } = (await untilRunning(acting, '-l', `app=${repository}`)).spec;
  const before = requestsFor(repository).length;
  await acting.create(pod('cached', sleeping(`private.test/${repository}:1`, { nodeName })));
  await untilRunning(acting, named('cached'));
  expect(requestsFor(repository)).toHaveLength(before);
});

/** A namespace with a Deployment whose image of this repository was pulled. */
interface UsedNamespace {
  readonly namespace: string;
  readonly acting: ActingOnNode;
  readonly repository: string;
}

/** Of the first test. */
const used: UsedNamespace[] = [];

async function newNamespace(): Promise<{ readonly name: string; readonly acting: ActingOnNode }> {
  const name = await cluster.namespace({ tier: 'prod' });
  return { name, acting: actingOnNode(kubectl, () => name) };
}

interface FirstPull {
  /** Whether an attempt to pull failed. */
  readonly failed: boolean;
  /** Milliseconds from the answer to the request to Running. */
  readonly running: Promise<number>;
  /** When the request was answered, by performance.now(). */
  readonly stored: number;
}

/** The copy existed so many milliseconds after the answer to the request, as a watch sees it. */
type WithCopy = FirstPull & { readonly copied: number };

/** Creates an object, and returns when its Pod runs or could not be pulled. */
async function firstPull(acting: ActingOnNode, object: object, ...itsPod: readonly string[]): Promise<FirstPull> {
  await acting.create(object);
  const created = performance.now();
  const first = await untilPod(acting, itsPod, 'to run or to fail its pull', (each) => each.status.phase === 'Running' || pullFailed(each));
  const afterFirst = performance.now() - created;
  if (pullFailed(first))
    return { failed: true, stored: created, running: untilRunning(acting, ...itsPod).then(() => performance.now() - created) };
  // An attempt may have failed between two reads of the Pod. Its event is stored before the next attempt.
  const events = await acting.list<{ readonly reason: string; readonly message: string }>('events');
  return {
    failed: events.some(({ reason, message }) => reason === 'Failed' && message.includes('pull')),
    running: Promise.resolve(afterFirst),
    stored: created,
  };
}

/** When the namespace gets a Secret of this name, by performance.now(), as a watch sees it. */
async function timeOfCopy(namespace: string, secret: string): Promise<number> {
  const api = await kubectl.api();
  const ending = AbortSignal.timeout(60_000);
  const query = { fieldSelector: `metadata.name=${secret}` };
  while (true) {
    for await (const { type } of api.watch(`/api/v1/namespaces/${namespace}/secrets`, query, ending)) {
      if (type === 'ADDED') return performance.now();
    }
  }
}

async function describePulls(pulls: readonly WithCopy[]): Promise<string> {
  const times = await Promise.all(pulls.map(({ running }) => running));
  const late = pulls.flatMap(({ failed, copied }, index) =>
    failed ? [`${((times[index] ?? 0) / 1000).toFixed(1)} s (copy after ${copied.toFixed(0)} ms)`] : [],
  );
  const failed = late.length === 0 ? '' : `. The others ran after ${late.join(', ')}`;
  const copies = `copies after ${milliseconds(pulls.map(({ copied }) => copied))}`;
  return `${pulls.length - late.length} of ${pulls.length} without a failed pull, ${copies}, Running after ${milliseconds(times)}${failed}`;
}

function milliseconds(times: readonly number[]): string {
  return `${median(times).toFixed(0)} ms (median) and ${Math.max(...times).toFixed(0)} ms (worst)`;
}
