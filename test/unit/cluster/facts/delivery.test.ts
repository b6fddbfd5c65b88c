/** Tests whether secret delivery counts as running, by its Lease. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDeliveryFacts } from '../../../../src/cluster/facts/delivery.ts';
import { type ApiClient, ApiError, type KubeObject } from '../../../../src/kube/api-client.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const path = '/apis/coordination.k8s.io/v1/namespaces/regkeeper/leases/regkeeper-deliver';
const start = Date.parse('2026-11-21T10:00:00Z');

type Spec = { readonly holder?: string; readonly seconds?: number; readonly renewedAt?: number };

function lease({ holder = 'deliver-1', seconds = 15, renewedAt = start }: Spec = {}): KubeObject {
  const renewTime = new Date(renewedAt).toISOString().replace('Z', '000Z');
  return {
    metadata: { name: 'regkeeper-deliver', namespace: 'regkeeper' },
    spec: { holderIdentity: holder, leaseDurationSeconds: seconds, renewTime },
  } as KubeObject;
}

function watching(objects: Record<string, KubeObject> = {}, { hasDelivery = true, client = (memory: ApiClient) => memory } = {}) {
  const api = memoryApi(objects);
  const { clock: scheduling } = handClock();
  let passed = 0;
  let ahead = 0;
  const clock = { ...scheduling, now: () => start + passed + ahead, monotonic: () => 5_000 + passed };
  const delivery = createDeliveryFacts({ client: client(api.client), namespace: 'regkeeper', log: recordingLog(), clock });
  delivery.start();
  delivery.follow(hasDelivery);
  onTestFinished(() => delivery.stop());
  const pass = (milliseconds: number) => {
    passed += milliseconds;
  };
  const jump = (milliseconds: number) => {
    ahead += milliseconds;
  };
  return { api, pass, jump, delivery, becomes: (state: object) => expect.poll(() => delivery.state()).toEqual(state) };
}

test('nothing is watched while no rule uses delivery', async () => {
  const { api, delivery, becomes } = watching({ [path]: lease() }, { hasDelivery: false });
  expect(delivery.state()).toEqual({ kind: 'unknown' });
  delivery.follow(true);
  await becomes({ kind: 'running' });
  delivery.follow(false);
  expect(delivery.state()).toEqual({ kind: 'unknown' });
  expect(api.calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
    'list /apis/coordination.k8s.io/v1/namespaces/regkeeper/leases',
  ]);
});

test('delivery that was never installed is not running', async () => {
  const { becomes } = watching();
  await becomes({ kind: 'stopped' });
});

test('it runs as long as its Lease is renewed', async () => {
  const { api, pass, delivery, becomes } = watching({ [path]: lease() });
  await becomes({ kind: 'running' });
  pass(15_000);
  expect(delivery.state()).toEqual({ kind: 'running' });
  pass(1);
  expect(delivery.state()).toEqual({ kind: 'stopped', since: start });
  api.put(path, lease({ renewedAt: start + 15_000 }));
  await becomes({ kind: 'running' });
});

describe('a Lease', () => {
  test('that expired before it was first seen is old', async () => {
    const { becomes } = watching({ [path]: lease({ renewedAt: start - 3_600_000 }) });
    await becomes({ kind: 'stopped', since: start - 3_600_000 });
  });

  test.each([
    ['later', 3_600_000],
    ['earlier', -3_600_000],
  ])('is valid when it is renewed, although its clock is an hour %s', async (_when, difference) => {
    const { api, pass, delivery, becomes } = watching();
    await becomes({ kind: 'stopped' });
    api.put(path, lease({ renewedAt: start + difference }));
    await becomes({ kind: 'running' });
    pass(15_001);
    expect(delivery.state()).toEqual({ kind: 'stopped', since: start });
  });

  test.each([-86_400_000, 86_400_000])('lasts as long as before when the wall clock jumps by %d ms', async (milliseconds) => {
    const { api, pass, jump, delivery, becomes } = watching({ [path]: lease() });
    await becomes({ kind: 'running' });
    jump(milliseconds);
    pass(15_000);
    expect(delivery.state()).toEqual({ kind: 'running' });
    pass(1);
    expect(delivery.state()).toMatchObject({ kind: 'stopped' });
    api.put(path, lease({ renewedAt: start + milliseconds + 15_001 }));
    await becomes({ kind: 'running' });
  });

  test('from the future, seen first, expires as if it had been renewed now', async () => {
    const { pass, delivery, becomes } = watching({ [path]: lease({ renewedAt: start + 3_600_000 }) });
    await becomes({ kind: 'running' });
    pass(15_001);
    expect(delivery.state()).toEqual({ kind: 'stopped', since: start });
  });

  test('that its holder has released expires immediately', async () => {
    const { api, pass, becomes } = watching({ [path]: lease() });
    await becomes({ kind: 'running' });
    pass(4_000);
    api.put(path, lease({ holder: '', seconds: 1, renewedAt: start + 4_000 }));
    await becomes({ kind: 'stopped', since: start + 4_000 });
  });

  test('that is deleted expires immediately', async () => {
    const { api, becomes } = watching({ [path]: lease() });
    await becomes({ kind: 'running' });
    api.remove(path);
    await becomes({ kind: 'stopped', since: start });
  });
});

test('without the permission to watch the Lease nothing is known', async () => {
  let attempts = 0;
  const list = () => {
    attempts += 1;
    return Promise.reject(new ApiError(403, 'Forbidden', 'GET …/leases: Forbidden (403)'));
  };
  const { delivery } = watching({}, { client: (client) => ({ ...client, list }) });
  await expect.poll(() => attempts).toBeGreaterThan(1);
  expect(delivery.state()).toEqual({ kind: 'unknown' });
});
