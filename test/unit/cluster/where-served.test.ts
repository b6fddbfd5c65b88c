import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ApiClient } from '../../../src/cluster/api.ts';
import { watchWhereServed } from '../../../src/cluster/where-served.ts';
import { handSchedule, memoryApi } from './memory-api.ts';
import { recordingLog } from './scripted-api.ts';

test('closed while it is asked whether the API is there, it starts no watch', async () => {
  const api = memoryApi();
  const asked = Promise.withResolvers<boolean>();
  const client: ApiClient = { ...api.client, followed: new Set(), hasResource: () => asked.promise };
  const told: boolean[] = [];
  const options = { client, groupVersion: 'a.b/v1', plural: 'cs', log: recordingLog(), schedule: handSchedule(1_000).schedule };
  const served = watchWhereServed({ ...options, onServed: (now) => void told.push(now) });
  await served.close();
  asked.resolve(true);
  await setImmediate();
  expect(client.followed?.size).toBe(0);
  expect(told).toEqual([]);
});
