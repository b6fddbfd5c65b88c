/** Tests image streams as facts. */
import { expect, onTestFinished, test } from 'vitest';
import { createImageStreamFacts } from '../../../../src/cluster/facts/image-streams.ts';
import { createNamespaceBudget } from '../../../../src/cluster/facts/namespace-budget.ts';
import { type ApiClient, ApiError, type KubeObject } from '../../../../src/kube/api-client.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const group = 'image.openshift.io';
const path = (namespace: string, name: string) => `/apis/${group}/v1/namespaces/${namespace}/imagestreams/${name}`;
const stream = (namespace: string, name: string, image: string): KubeObject =>
  ({
    metadata: { name, namespace, annotations: { long: 'x'.repeat(10_000) } },
    spec: { tags: [{ name: '1', from: { kind: 'DockerImage', name: image } }] },
  }) as KubeObject;
const holding = (image: string) => ({
  kind: 'known',
  tags: new Map([['1', { spec: { from: { kind: 'DockerImage', name: image }, local: false }, images: [] }]]),
});

function watching(objects: Record<string, KubeObject> = {}, groups: string[] = [group], hasResource?: ApiClient['hasResource']) {
  const api = memoryApi(objects, { groups });
  const served = api.client.hasResource;
  if (hasResource) api.client.hasResource = hasResource;
  const time = handClock(1_000);
  const log = recordingLog();
  const budget = createNamespaceBudget({ log, clock: time.clock });
  budget.start();
  onTestFinished(() => budget.stop());
  const streams = createImageStreamFacts({ client: api.client, log, budget, clock: time.clock });
  streams.start();
  onTestFinished(() => streams.stop());
  return { api, served, time, log, streams, groups };
}

test('streams of all namespaces are known with their contents, including the namespace openshift', async () => {
  const { api, streams } = watching({ [path('openshift', 'node')]: stream('openshift', 'node', 'quay.io/node') });
  expect(streams.waiting()).toBe(true);
  expect(streams.get('openshift', 'node')).toEqual({ kind: 'unknown' });
  await expect.poll(() => streams.waiting()).toBe(false);
  expect(streams.get('openshift', 'node')).toEqual(holding('quay.io/node'));
  expect(streams.get('shop', 'node')).toEqual({ kind: 'absent' });
  api.put(path('shop', 'node'), stream('shop', 'node', 'a.io/node'));
  await expect.poll(() => streams.get('shop', 'node')).toEqual(holding('a.io/node'));
  api.put(path('shop', 'node'), stream('shop', 'node', 'b.io/node'));
  await expect.poll(() => streams.get('shop', 'node')).toEqual(holding('b.io/node'));
  api.remove(path('shop', 'node'));
  await expect.poll(() => streams.get('shop', 'node')).toEqual({ kind: 'absent' });
});

test('a cluster without image streams does not wait for them, and nothing is logged', async () => {
  const { api, streams, log } = watching({}, []);
  expect(streams.served()).toBe(true);
  await expect.poll(() => streams.waiting()).toBe(false);
  expect(streams.served()).toBe(false);
  expect(streams.get('shop', 'node')).toEqual({ kind: 'unknown' });
  expect(api.calls).toEqual([]);
  expect(log.lines).toEqual([]);
});

test('an API that is installed later is followed from then on, and the server stays ready', async () => {
  const { api, time, streams, groups } = watching({}, []);
  await expect.poll(() => streams.waiting()).toBe(false);
  time.passTime();
  api.put(path('shop', 'node'), stream('shop', 'node', 'a.io/node'));
  groups.push(group);
  await expect.poll(time.passing(() => streams.get('shop', 'node'))).toEqual(holding('a.io/node'));
  expect([streams.waiting(), streams.served()]).toEqual([false, true]);
});

test('an API that does not respond is waited for a while, logged once, and retried', async () => {
  let asked = 0;
  const { api, served, time, streams, log } = watching(
    { [path('shop', 'node')]: stream('shop', 'node', 'a.io/node') },
    [group],
    async () => {
      asked += 1;
      throw new ApiError(503, 'ServiceUnavailable', 'GET /apis/image.openshift.io/v1: ServiceUnavailable (503)');
    },
  );
  await expect.poll(() => asked).toBeGreaterThan(0);
  expect(streams.waiting()).toBe(true);
  await expect.poll(time.passing(() => streams.waiting())).toBe(false);
  expect(streams.served()).toBe(true);
  await expect.poll(time.passing(() => asked)).toBeGreaterThan(3);
  expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
    ['warn', expect.stringContaining('cannot determine whether the API server serves imagestreams (image.openshift.io/v1)')],
    ['warn', expect.stringContaining('image streams have not been read yet')],
  ]);
  api.client.hasResource = served;
  await expect.poll(time.passing(() => streams.get('shop', 'node'))).toEqual(holding('a.io/node'));
});
