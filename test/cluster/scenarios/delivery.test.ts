/**
 * Secret delivery on a real API server, with the webhook that records what objects need: what a namespace gets, how quickly, and what is never
 * touched. TEST_DELIVERY_FULL=1 runs it with the full numbers: 50 first Pods, 1,000 namespaces, and 100 kills.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiClient, KubeObject } from '../../../src/kube/api-client.ts';
import { applyDelivery, applyDeliveryRights, type DeliveryProcess, deleteDelivery, startDelivery } from '../delivery.ts';
import { ownNamespace } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { deployment, pod, running, serviceAccount } from '../workloads.ts';

const full = process.env.TEST_DELIVERY_FULL === '1';
const size = full
  ? { deployments: 50, pods: 50, forged: 500, namespaces: 1_000, kills: 100 }
  : { deployments: 4, pods: 4, forged: 20, namespaces: 20, kills: 1 };

const cluster = target();
const { kubectl } = cluster;

const entitled = `
- {name: corp-pull, source: corp-source, namespaces: {matchLabels: {tier: prod}}, retain: 0s}
- {name: base-pull, source: base-source, namespaces: {matchLabels: {base: 'true'}}, deliver: always}
`;
const rules = `
mode: enforce
rules:
- {registry: reg.example.com, pullSecret: corp-pull}
- {registry: base.example.com, pullSecret: base-pull}
secrets:${entitled}`;

/** As in deploy/secret-delivery. Node derives the heap from the limit of the container. */
const containerLimit = 512;
const shippedMemory = ['--max-old-space-size=302', '--max-semi-space-size=4'];

withRegkeeper(cluster, rules);
let folder = '';
let api: ApiClient;
let delivery: DeliveryProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-delivery-'));
  api = await kubectl.api();
  await applyDelivery(kubectl, folder);
  await applyDeliveryRights(kubectl, folder, rules);
  await putSource('corp-source', { 'reg.example.com': 'robot:one', 'other.example.com': 'robot:other' });
  await putSource('base-source', { 'base.example.com': 'robot:base' });
  delivery = await startDelivery({ kubectl, directory: join(folder, 'delivery'), nodeFlags: shippedMemory });
});

afterAll(
  async () => {
    await delivery?.end('SIGKILL');
    await deleteDelivery(kubectl);
    await rm(folder, { recursive: true, force: true });
  },
  full ? 600_000 : 120_000,
);

async function putSource(name: string, auths: Readonly<Record<string, string>>): Promise<void> {
  const entries = Object.entries(auths).map(([key, login]) => [key, { auth: btoa(login) }]);
  await putSourceText(name, JSON.stringify({ auths: Object.fromEntries(entries) }));
}

async function putSourceText(name: string, text: string): Promise<void> {
  await api.patchApply(
    `${secretsOf(ownNamespace)}/${name}`,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, labels: { 'regkeeper.io/source': 'true' } },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': Buffer.from(text).toString('base64') },
    },
    { fieldManager: 'test', force: true },
  );
}

type Secret = KubeObject & { readonly type: string; readonly data: Readonly<Record<string, string>> };

const secretsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`;

async function copy(namespace: string, name = 'corp-pull'): Promise<Secret | undefined> {
  return await api.get<Secret>(`${secretsOf(namespace)}/${name}`).catch(() => undefined);
}

async function waitForCopy(namespace: string, name = 'corp-pull'): Promise<Secret> {
  return await waitFor(() => copy(namespace, name), { deadlineSeconds: 60, what: `the copy ${namespace}/${name}` });
}

function loginsOf({ data }: Secret): Record<string, string> {
  const { auths } = JSON.parse(atob(data['.dockerconfigjson'] ?? '')) as { auths: Record<string, { auth: string }> };
  return Object.fromEntries(Object.entries(auths).map(([key, { auth }]) => [key, atob(auth)]));
}

async function waitForLogin(namespace: string, login: string): Promise<void> {
  const current = async () => loginsOf(await waitForCopy(namespace))['reg.example.com'] === login;
  await waitFor(current, { deadlineSeconds: 60, what: `the login ${login} in ${namespace}` });
}

const create = (namespace: string, resource: string, object: object) => api.create(`/api/v1/namespaces/${namespace}/${resource}`, object);
const image = running('reg.example.com/web:1');

/** When the first object of the collection was created, as a watch by this process sees it. */
async function firstIn(path: string, query: Record<string, string>, signal: AbortSignal): Promise<number> {
  while (true) {
    for await (const { type } of api.watch(path, query, signal)) if (type === 'ADDED') return performance.now();
  }
}

/** Milliseconds from the answer to the request until the copy exists, and until the namespace has a Pod. */
async function timeToCopy(namespace: string, store: () => Promise<unknown>): Promise<{ readonly copy: number; readonly pod: number }> {
  const ending = AbortSignal.timeout(20_000);
  const seen = Promise.all([
    firstIn(secretsOf(namespace), { fieldSelector: 'metadata.name=corp-pull' }, ending),
    firstIn(`/api/v1/namespaces/${namespace}/pods`, {}, ending),
  ]);
  await store();
  const stored = performance.now();
  const [copied, pod] = await seen;
  return { copy: Math.max(0, copied - stored), pod: pod - stored };
}

/** In milliseconds, sorted. */
function summaryOf(times: readonly number[]) {
  const sorted = times.map((time) => Math.round(time)).toSorted((one, other) => one - other);
  const [median = 0, worst = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  return { median, worst, text: `median ${median} ms, worst ${worst} ms of ${sorted.length}` };
}

describe('a newly created namespace', () => {
  test('gets the entries that its rules need with its first Deployment, before the first Pod', async () => {
    const times: { copy: number; pod: number }[] = [];
    let namespace = '';
    for (let index = 0; index < size.deployments; index += 1) {
      namespace = await cluster.namespace({ tier: 'prod' });
      const store = () => api.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, deployment('web', image));
      times.push(await timeToCopy(namespace, store));
    }
    const copied = summaryOf(times.map(({ copy: time }) => time));
    const before = times.filter(({ copy: time, pod: first }) => time <= first).length;
    console.log(`copies after Deployments: ${copied.text}, before the first Pod in ${before}`);
    if (full) {
      expect(before).toBeGreaterThanOrEqual(48);
      expect(copied.worst).toBeLessThanOrEqual(200);
    }
    const delivered = await waitForCopy(namespace);
    expect(loginsOf(delivered)).toEqual({ 'reg.example.com': 'robot:one' });
    expect(delivered.type).toBe('kubernetes.io/dockerconfigjson');
    expect(delivered.metadata.labels).toEqual({ 'regkeeper.io/delivered': 'true', 'app.kubernetes.io/managed-by': 'regkeeper' });
  });

  test('gets it with a bare Pod', async () => {
    const times: number[] = [];
    for (let index = 0; index < size.pods; index += 1) {
      const namespace = await cluster.namespace({ tier: 'prod' });
      times.push((await timeToCopy(namespace, () => create(namespace, 'pods', pod('one', image)))).copy);
    }
    const { median, worst, text } = summaryOf(times);
    console.log(`copies after bare Pods: ${text}`);
    // On a shared machine only an order of magnitude can be asserted.
    expect(median).toBeLessThan(full ? 26 : 1_000);
    if (full) expect(worst).toBeLessThanOrEqual(100);
  });

  test.each([
    ['lists the secret itself', { imagePullSecrets: [{ name: 'corp-pull' }] }],
    ['gets it from its service account', { serviceAccountName: 'builder' }],
  ])('gets it for a Pod that %s', async (_what, spec) => {
    const namespace = await cluster.namespace({ tier: 'prod' });
    await create(namespace, 'serviceaccounts', serviceAccount('builder', ['corp-pull']));
    await waitFor(() => create(namespace, 'pods', pod('one', running('reg.example.com/web:1', spec))), {
      deadlineSeconds: 60,
      what: 'the Pod',
    });
    await waitForCopy(namespace);
  });

  test('gets nothing without entitlement, whatever its annotations request', async () => {
    const forged = { annotations: { 'regkeeper.io/secrets': 'corp-pull,base-pull,regkeeper-tls' } };
    const [other, prod] = [await cluster.namespace(), await cluster.namespace({ tier: 'prod' })];
    // Rules in the ConfigMap of a tenant, labelled as those of the cluster.
    await create(other, 'configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'rules', labels: { 'regkeeper.io/rules': 'cluster' } },
      data: { 'rules.yaml': rules.replace('{matchLabels: {tier: prod}}', "'*'") },
    });
    for (let index = 0; index < size.forged; index += 1) {
      const needing = {
        apiVersion: 'v1',
        kind: 'PodTemplate',
        metadata: { name: `forged-${index}`, ...forged },
        template: { spec: image },
      };
      await create(other, 'podtemplates', needing);
    }
    // A namespace that is entitled gets its copy afterwards, so the others had their turn.
    await create(prod, 'pods', pod('one', image));
    await waitForCopy(prod);
    expect(await copy(other)).toBeUndefined();
    expect(await copy(other, 'base-pull')).toBeUndefined();
  });

  test('gets it without any object if it is always delivered', async () => {
    const namespace = await cluster.namespace({ base: 'true' });
    expect(loginsOf(await waitForCopy(namespace, 'base-pull'))).toEqual({ 'base.example.com': 'robot:base' });
  });
});

describe('a tenant', () => {
  const patch = (namespace: string, body: object) =>
    api.request({ method: 'PATCH', path: `${secretsOf(namespace)}/corp-pull`, body, contentType: 'application/merge-patch+json' });
  const started = async () => {
    const namespace = await cluster.namespace({ tier: 'prod' });
    await create(namespace, 'pods', pod('one', image));
    const { metadata } = await waitForCopy(namespace);
    return { namespace, uid: metadata.uid };
  };

  test('who edits a copy gets it restored', async () => {
    const { namespace } = await started();
    await patch(namespace, { data: { '.dockerconfigjson': btoa('{"auths":{"reg.example.com":{"auth":"YTpi"}}}') } });
    await waitForLogin(namespace, 'robot:one');
    expect(delivery.audit()).toContainEqual(
      expect.objectContaining({ event: 'delivery', namespace, action: 'update', reason: 'tampered' }),
    );
  });

  test.each([
    ['', {}],
    [' without managedFields', { managedFields: [{}] }],
  ])('who edits it and makes it immutable%s gets a new one', async (_how, metadata) => {
    const { namespace, uid } = await started();
    await patch(namespace, { immutable: true, metadata, data: { '.dockerconfigjson': btoa('{"auths":{}}') } });
    await waitFor(async () => (await copy(namespace))?.metadata.uid !== uid && (await copy(namespace)) !== undefined, {
      deadlineSeconds: 60,
      what: 'a new copy',
    });
    await waitForLogin(namespace, 'robot:one');
  });

  test('who deletes it gets a new one while it is needed', async () => {
    const { namespace, uid } = await started();
    await api.delete(`${secretsOf(namespace)}/corp-pull`);
    await waitFor(async () => ((await copy(namespace))?.metadata.uid ?? uid) !== uid, { deadlineSeconds: 60, what: 'a new copy' });
  });

  test('who removes the label keeps the Secret, and sees why it is no longer updated', async () => {
    const { namespace } = await started();
    await patch(namespace, { metadata: { labels: { 'regkeeper.io/delivered': null } } });
    const events = () => api.list<never>(`/api/v1/namespaces/${namespace}/events`, { fieldSelector: 'reason=DeliveredLabelRemoved' });
    await waitFor(async () => (await events()).items.length > 0, { deadlineSeconds: 60, what: 'the Event' });
  });

  test('who has a Secret with that name keeps it', async () => {
    const namespace = await cluster.namespace({ tier: 'prod' });
    await create(namespace, 'secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'corp-pull' }, stringData: { mine: 'yes' } });
    await create(namespace, 'pods', pod('one', image));
    const events = () => api.list<never>(`/api/v1/namespaces/${namespace}/events`, { fieldSelector: 'reason=SecretNotDelivered' });
    await waitFor(async () => (await events()).items.length > 0, { deadlineSeconds: 60, what: 'the Event' });
    expect((await copy(namespace))?.data).toEqual({ mine: btoa('yes') });
  });
});

async function namespacesWithCopies(count: number, login: string): Promise<string[]> {
  await putSource('corp-source', { 'reg.example.com': login });
  const names: string[] = [];
  while (names.length < count) {
    const batch = Array.from({ length: Math.min(20, count - names.length) }, async () => {
      const namespace = await cluster.namespace({ tier: 'prod' });
      const user = { apiVersion: 'v1', kind: 'PodTemplate', metadata: { name: 'user' }, template: { spec: image } };
      await create(namespace, 'podtemplates', user);
      return namespace;
    });
    names.push(...(await Promise.all(batch)));
  }
  await untilAllHave(names, login);
  return names;
}

async function untilAllHave(names: readonly string[], login: string): Promise<void> {
  const following = async () => {
    const { items } = await api.list<Secret>('/api/v1/secrets', { fieldSelector: 'metadata.name=corp-pull' });
    const ready = items.filter((each) => each.data['.dockerconfigjson'] && loginsOf(each)['reg.example.com'] === login);
    const namespaces = new Set(ready.map(({ metadata }) => metadata.namespace));
    return names.every((name) => namespaces.has(name));
  };
  await waitFor(following, { deadlineSeconds: 120, what: `the login ${login} in ${names.length} namespaces` });
}

const tamper = (namespace: string) =>
  api
    .request({
      method: 'PATCH',
      path: `${secretsOf(namespace)}/corp-pull`,
      body: { data: { '.dockerconfigjson': btoa('{"auths":{"reg.example.com":{"auth":"YTpi"}}}') } },
      contentType: 'application/merge-patch+json',
    })
    .catch(() => undefined);

/** When the first copy of all had the login, and the last one of these namespaces, as a watch sees it. Earlier tests have left others. */
async function followRotation(namespaces: ReadonlySet<string>, login: string, resourceVersion: string) {
  const signal = AbortSignal.timeout(120_000);
  const left = new Set(namespaces);
  let first: number | undefined;
  const query = { fieldSelector: 'metadata.name=corp-pull', resourceVersion };
  for await (const { type, object } of api.watch<Secret>('/api/v1/secrets', query, signal)) {
    const { namespace = '' } = object.metadata;
    if (type !== 'MODIFIED' || loginsOf(object)['reg.example.com'] !== login) continue;
    first ??= performance.now();
    left.delete(namespace);
    if (left.size === 0) break;
  }
  return { first: first ?? Number.NaN, last: performance.now() };
}

/** The most that the data of a Secret may have, in bytes. */
const mebibyte = 1024 * 1024;

/** A source of so many bytes, with some 20,000 entries. */
function sourceOfSize(bytes: number, login: string): string {
  const padding = Array.from({ length: 20_000 }, (_, index) => [`team-${index}.example.com`, { auth: 'YTpi' }]);
  const textWith = (email: string) =>
    JSON.stringify({ auths: { ...Object.fromEntries(padding), 'reg.example.com': { auth: btoa(login) }, 'other.example.com': { email } } });
  return textWith('x'.repeat(bytes - textWith('').length));
}

describe('the source', () => {
  test('may be malformed, disappear and grow: copies stay or follow', async () => {
    const namespace = await cluster.namespace({ tier: 'prod' });
    await create(namespace, 'pods', pod('one', image));
    await waitForCopy(namespace);
    await putSourceText('corp-source', '{"auths":{"reg.example.com":{"auth":"!"},"x":7}}');
    await api.delete(`${secretsOf(ownNamespace)}/corp-source`);
    expect(loginsOf(await waitForCopy(namespace))['reg.example.com']).toBe('robot:one');
    await putSource('corp-source', { 'reg.example.com': 'robot:two' });
    await waitForLogin(namespace, 'robot:two');
  });

  test('may be as large as a Secret can be: copies have what they need, and one that would be larger stays unchanged', async () => {
    const namespace = await cluster.namespace({ tier: 'prod' });
    await create(namespace, 'pods', pod('one', image));
    await waitForCopy(namespace);
    await putSourceText('corp-source', sourceOfSize(mebibyte, 'robot:large'));
    await waitForLogin(namespace, 'robot:large');
    expect(Object.keys(loginsOf(await waitForCopy(namespace)))).toEqual(['reg.example.com']);
    await expect(putSourceText('corp-source', sourceOfSize(mebibyte + 1, 'robot:larger'))).rejects.toThrow('Too long');
    // In a copy each letter beyond ASCII is an escape of six characters. The source has half a MiB of them.
    const own = { auth: btoa('robot:too-large'), email: 'é'.repeat(mebibyte / 4) };
    await putSourceText('corp-source', JSON.stringify({ auths: { 'reg.example.com': own } }));
    const unavailable = () => delivery.metric('regkeeper_delivery_findings{finding="content-unavailable"}');
    await waitFor(async () => ((await unavailable()) ?? 0) > 0, { deadlineSeconds: 60, what: 'the finding' });
    expect(delivery.log()).toContainEqual(
      expect.objectContaining({ msg: expect.stringContaining('exceeds the 1 MiB limit for a Secret') }),
    );
    expect(loginsOf(await waitForCopy(namespace))['reg.example.com']).toBe('robot:large');
    expect(await delivery.metric('regkeeper_delivery_writes_total{action="update",outcome="failed"}')).toBe(0);
    const memory = (await delivery.metric('process_resident_memory_bytes')) ?? 0;
    console.log(`after sources of 1 MiB: ${Math.round(memory / mebibyte)} MiB of resident memory`);
    expect(memory).toBeLessThan(containerLimit * mebibyte);
    await putSource('corp-source', { 'reg.example.com': 'robot:small' });
    await waitForLogin(namespace, 'robot:small');
    await waitFor(async () => (await unavailable()) === 0, { deadlineSeconds: 60, what: 'the end of the finding' });
  });

  test(
    'is rotated in many namespaces',
    async () => {
      const names = await namespacesWithCopies(size.namespaces, 'robot:before');
      const { resourceVersion } = await api.list('/api/v1/secrets', { fieldSelector: 'metadata.name=corp-pull' });
      const following = followRotation(new Set(names), 'robot:two', resourceVersion);
      await putSource('corp-source', { 'reg.example.com': 'robot:two' });
      const rotated = performance.now();
      const { first, last } = await following;
      const seconds = (time: number) => (time - rotated) / 1_000;
      console.log(`rotation in ${names.length} namespaces: first copy ${seconds(first).toFixed(2)} s, last ${seconds(last).toFixed(1)} s`);
      if (full) expect(seconds(first)).toBeLessThanOrEqual(1);
      expect(seconds(last)).toBeLessThanOrEqual(30);
    },
    full ? 600_000 : 60_000,
  );

  test(
    'reaches every copy although the process is killed at random, namespaces are deleted, and tenants edit and delete copies',
    async () => {
      const names = await namespacesWithCopies(size.kills + 10, 'robot:before');
      const foreign = await cluster.namespace({ tier: 'prod' });
      await create(foreign, 'secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'corp-pull' }, stringData: { mine: 'yes' } });
      await create(foreign, 'pods', pod('one', image));
      for (let kill = 0; kill < size.kills; kill += 1) {
        await putSource('corp-source', { 'reg.example.com': `robot:kill-${kill}` });
        const [churned] = names.splice((kill * 31) % names.length, 1);
        await api.delete(`/api/v1/namespaces/${churned}`);
        await tamper(names[(kill * 37) % names.length] ?? '');
        await api.delete(`${secretsOf(names[(kill * 17) % names.length] ?? '')}/corp-pull`).catch(() => undefined);
        // Within the second in which the copies follow, at another moment each time.
        await new Promise((resolve) => setTimeout(resolve, (kill * 7_919) % 1_000));
        await delivery.end('SIGKILL');
        // Otherwise the next process waits for the end of the Lease, as another replica would.
        await api.delete(`/apis/coordination.k8s.io/v1/namespaces/${ownNamespace}/leases/regkeeper-deliver`);
        delivery = await startDelivery({ kubectl, directory: join(folder, 'delivery'), nodeFlags: shippedMemory });
      }
      await untilAllHave(names, `robot:kill-${size.kills - 1}`);
      expect((await copy(foreign))?.data).toEqual({ mine: btoa('yes') });
    },
    full ? 900_000 : 60_000,
  );
});

test('a copy that is not needed is deleted after its retention time', async () => {
  const namespace = await cluster.namespace({ tier: 'prod' });
  await create(namespace, 'pods', pod('one', image));
  await waitForCopy(namespace);
  await api.request({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}/pods/one`, body: { gracePeriodSeconds: 0 } });
  await waitFor(async () => (await copy(namespace)) === undefined, { deadlineSeconds: 60, what: 'the copy to be deleted' });
});

test('a copy that a Deployment no longer needs is deleted, although the ReplicaSet of its earlier revision remains', async () => {
  type Annotated = { readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> } };
  const namespace = await cluster.namespace({ tier: 'prod' });
  const apps = `/apis/apps/v1/namespaces/${namespace}`;
  const needs = async () =>
    (await api.list<Annotated>(`${apps}/replicasets`)).items.map(({ metadata }) => metadata.annotations?.['regkeeper.io/secrets']);
  await api.create(`${apps}/deployments`, deployment('web', image, { replicas: 0 }));
  await waitForCopy(namespace);
  await waitFor(async () => (await needs()).join() === 'corp-pull', { deadlineSeconds: 60, what: 'the first ReplicaSet' });
  const contentType = 'application/merge-patch+json';
  const body = { spec: { template: { spec: running('base.example.com/web:1') } } };
  await api.request({ method: 'PATCH', path: `${apps}/deployments/web`, body, contentType });
  await waitFor(async () => (await copy(namespace)) === undefined, { deadlineSeconds: 60, what: 'the copy to be deleted' });
  expect((await needs()).toSorted()).toEqual(['base-pull', 'corp-pull']);
});
