/** Tests the backoff of an informer. */
import { expect, test } from 'vitest';
import { type ApiClient, ApiError } from '../../../src/kube/api-client.ts';
import { createInformer } from '../../../src/kube/informer.ts';
import { eventually } from '../../eventually.ts';

/** The first pauses of an informer whose API server always answers with this error. */
async function pausesAfter(error: ApiError, random: number, count: number): Promise<readonly number[]> {
  const pauses: number[] = [];
  const fail = () => Promise.reject(error);
  const client = {
    list: fail,
    watch: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
    request: fail,
    get: fail,
  } as unknown as ApiClient;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const schedule = (work: () => void, milliseconds: number) => {
    pauses.push(milliseconds);
    if (pauses.length < count) queueMicrotask(work);
    return () => undefined;
  };
  const clock = { now: () => 0, monotonic: () => 0, schedule };
  const reflector = createInformer({ client, path: '/api/v1/namespaces', log, clock, timings: { random: () => random } });
  reflector.start();
  reflector.whenSynced().catch(() => undefined);
  await eventually(() => expect(pauses).toHaveLength(count));
  await reflector.stop();
  return pauses;
}

const failing = new ApiError(500, 'InternalError', 'GET /api/v1/namespaces: etcd is unavailable');

test.each([
  ['the minimum', 0, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]],
  ['the maximum', 1, [400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]],
])('the back-off doubles with each consecutive failure, up to 10 s: %s', async (_name, random, expected) => {
  expect(await pausesAfter(failing, random, expected.length)).toEqual(expected);
});

test('the back-off is as long as the API server requests, up to 5 minutes', async () => {
  const asking = (seconds: number) => Object.assign(new ApiError(429, 'TooManyRequests', 'slow down'), { retryAfterSeconds: seconds });
  expect(await pausesAfter(asking(60), 0, 2)).toEqual([60_000, 60_000]);
  expect(await pausesAfter(asking(3_600), 0, 2)).toEqual([300_000, 300_000]);
});
