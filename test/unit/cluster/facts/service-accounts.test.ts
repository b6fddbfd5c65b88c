/** Tests service accounts as facts, and their memory budget. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createClusterFacts } from '../../../../src/cluster/facts/facts.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const path = (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
const streamPath = (namespace: string, name: string) => `/apis/image.openshift.io/v1/namespaces/${namespace}/imagestreams/${name}`;

type Listed = { readonly secrets?: readonly string[]; readonly enforcing?: boolean };

const account = (namespace: string, name: string, { secrets = [], enforcing = false }: Listed = {}): KubeObject =>
  ({
    metadata: {
      name,
      namespace,
      annotations: { filler: 'x'.repeat(1_000), ...(enforcing && { 'kubernetes.io/enforce-mountable-secrets': 'true' }) },
    },
    imagePullSecrets: secrets.map((each) => ({ name: each })),
  }) as KubeObject;

const stream = (namespace: string, name: string): KubeObject =>
  ({ metadata: { name, namespace }, spec: { tags: [{ name: '1', from: { kind: 'DockerImage', name: 'quay.io/x' } }] } }) as KubeObject;

const perNamespace = 20_000;

/** Room for about 50 accounts of a namespace. */
function watching(objects: readonly KubeObject[], limits: { perNamespace?: number; inAll?: number } = { perNamespace }) {
  const api = memoryApi({}, { groups: ['image.openshift.io'] });
  const put = (object: KubeObject) => api.put(pathOf(object), object);
  for (const object of objects) put(object);
  const time = handClock(1_000);
  const log = recordingLog();
  const facts = createClusterFacts({ client: api.client, namespace: 'regkeeper', log, clock: time.clock, budget: limits });
  facts.start();
  onTestFinished(() => facts.stop());
  return {
    api,
    put,
    time,
    log,
    facts,
    ready: () => expect.poll(() => facts.missing()).toBeUndefined(),
    kindOf: (namespace: string, name: string) => facts.current()?.serviceAccount(namespace, name).kind,
    warnings: () => log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message),
  };
}

function pathOf(object: KubeObject): string {
  const { namespace = '', name } = object.metadata;
  return 'spec' in object ? streamPath(namespace, name) : path(namespace, name);
}

const many = (namespace: string, count: number) => Array.from({ length: count }, (_, index) => account(namespace, `small-${index}`));

describe('a service account', () => {
  test('is known with its pull secrets', async () => {
    const { facts, ready } = watching([account('shop', 'robot', { secrets: ['a', 'b'] })]);
    await ready();
    expect(facts.current()?.serviceAccount('shop', 'robot')).toEqual({ kind: 'known', pullSecrets: ['a', 'b'], onlyListedSecrets: false });
    expect(facts.current()?.serviceAccount('shop', 'other')).toEqual({ kind: 'absent' });
  });

  test('with more names than the limit is too large, and known again when it is shortened', async () => {
    const secrets = Array.from({ length: 60_000 }, (_, index) => `p${index}`);
    const { put, facts, ready, kindOf } = watching([account('shop', 'fat', { secrets, enforcing: true })]);
    await ready();
    expect(facts.current()?.serviceAccount('shop', 'fat')).toMatchObject({ kind: 'too-large', onlyListedSecrets: true });
    expect(facts.gaps().heldBytes).toBeLessThan(1_000);
    put(account('shop', 'fat', { secrets: ['a'] }));
    await expect.poll(() => kindOf('shop', 'fat')).toBe('known');
  });
});

describe('a namespace that exceeds its budget', () => {
  test('is omitted from memory, is logged once, and does not affect others', async () => {
    const { facts, ready, kindOf, warnings } = watching([account('honest', 'robot'), ...many('evil', 500)]);
    await ready();
    expect(kindOf('evil', 'small-0')).toBe('too-large');
    expect(kindOf('evil', 'small-499')).toBe('too-large');
    expect(kindOf('evil', 'never-there')).toBe('too-large');
    expect(kindOf('honest', 'robot')).toBe('known');
    expect(facts.gaps().heldBytes).toBeLessThan(1_000);
    expect(facts.gaps().namespacesOverBudget).toEqual(['evil']);
    expect(warnings()).toEqual([expect.stringContaining('namespace evil needs more than')]);
  });

  test('is also detected while it grows', async () => {
    const { put, ready, kindOf } = watching([account('evil', 'first')]);
    await ready();
    expect(kindOf('evil', 'first')).toBe('known');
    for (const each of many('evil', 500)) put(each);
    await expect.poll(() => kindOf('evil', 'first')).toBe('too-large');
  });

  test('counts the size of all collections together, so its image streams are too large as well', async () => {
    const streams = Array.from({ length: 40 }, (_, index) => stream('evil', `stream-${index}`));
    const { facts, ready, kindOf } = watching([...many('evil', 40), ...streams, stream('honest', 'web')]);
    await ready();
    await expect.poll(() => kindOf('evil', 'small-0')).toBe('too-large');
    expect(facts.current()?.imageStream('evil', 'stream-0').kind).toBe('too-large');
    expect(facts.current()?.imageStream('honest', 'web').kind).toBe('known');
  });

  test('still knows which accounts allow only listed secrets', async () => {
    const { facts, ready } = watching([account('evil', 'strict', { enforcing: true }), ...many('evil', 500)]);
    await ready();
    expect(facts.current()?.serviceAccount('evil', 'strict')).toMatchObject({ kind: 'too-large', onlyListedSecrets: true });
    expect(facts.current()?.serviceAccount('evil', 'small-0')).toMatchObject({ kind: 'too-large', onlyListedSecrets: false });
  });

  test('treats all its accounts as such if there are too many', async () => {
    const strict = Array.from({ length: 1_100 }, (_, index) => account('evil', `strict-${index}`, { enforcing: true }));
    const { facts, ready } = watching([...strict, account('evil', 'lax')]);
    await ready();
    expect(facts.current()?.serviceAccount('evil', 'strict-1099')).toMatchObject({ onlyListedSecrets: true });
    expect(facts.current()?.serviceAccount('evil', 'lax')).toMatchObject({ onlyListedSecrets: true });
  });

  test('forgets an account that is deleted, and its restriction', async () => {
    const { api, facts, ready } = watching([account('evil', 'strict', { enforcing: true }), ...many('evil', 500)]);
    await ready();
    const onlyListed = () => facts.current()?.serviceAccount('evil', 'strict');
    expect(onlyListed()).toMatchObject({ onlyListedSecrets: true });
    api.remove(path('evil', 'strict'));
    await expect.poll(onlyListed).toMatchObject({ kind: 'too-large', onlyListedSecrets: false });
  });

  test('returns when it has shrunk enough, and not while it is just below the limit', async () => {
    const { api, time, facts, ready, kindOf, log } = watching(many('evil', 100));
    await ready();
    expect(kindOf('evil', 'small-0')).toBe('too-large');
    const remove = (from: number, to: number) => {
      for (let index = from; index < to; index += 1) api.remove(path('evil', `small-${index}`));
    };
    const measured = () => api.calls.filter(({ path: asked }) => asked.includes('/namespaces/evil/')).length;
    remove(75, 100);
    const before = measured();
    await expect.poll(time.passing(measured)).toBeGreaterThan(before);
    expect(kindOf('evil', 'small-0')).toBe('too-large');
    remove(10, 75);
    await expect.poll(time.passing(() => kindOf('evil', 'small-0'))).toBe('known');
    expect(kindOf('evil', 'small-99')).toBe('absent');
    expect(facts.gaps().namespacesOverBudget).toEqual([]);
    expect(log.lines.at(-1)?.message).toContain('within its memory budget again');
  });
});

test('of many namespaces that fill the total budget together, the largest is omitted first', async () => {
  const small = Array.from({ length: 20 }, (_, index) => many(`ns-${index}`, 2)).flat();
  const { facts, ready, kindOf, warnings } = watching([...many('large', 40), ...small], { perNamespace, inAll: 20_000 });
  await ready();
  expect(facts.gaps().namespacesOverBudget).toEqual(['large']);
  expect(kindOf('ns-19', 'small-1')).toBe('known');
  expect(facts.gaps().heldBytes).toBeLessThanOrEqual(20_000);
  expect(warnings()).toHaveLength(1);
});

test('labels of a namespace beyond 64 KiB are unknown', async () => {
  const { api, facts, ready } = watching([]);
  const labels = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`example.com/label-${index}`, 'x'.repeat(60)]));
  api.put('/api/v1/namespaces/evil', { metadata: { name: 'evil', labels } });
  await ready();
  await expect.poll(() => facts.current()?.namespace('evil')).toEqual({ kind: 'unknown' });
});
