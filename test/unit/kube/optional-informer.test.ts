/** Tests informers of APIs that may not exist. */
import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { KubeObject } from '../../../src/kube/api-client.ts';
import type { InformerStore } from '../../../src/kube/informer-store.ts';
import { createOptionalInformer } from '../../../src/kube/optional-informer.ts';
import { abortable } from './abortable.ts';
import { handClock, memoryApi } from './memory-api.ts';
import { recordingLog } from './scripted-api.ts';

test('if it is closed while it checks whether the API exists, it starts no watch', async () => {
  const api = memoryApi();
  const asked = Promise.withResolvers<boolean>();
  const client = abortable({ ...api.client, watchedCollections: new Set(), hasResource: () => asked.promise });
  const reported: boolean[] = [];
  const options = { client, groupVersion: 'a.b/v1', plural: 'cs', log: recordingLog(), clock: handClock(1_000).clock };
  const served = createOptionalInformer({ ...options, onServed: (now) => void reported.push(now) });
  served.start();
  await served.stop();
  asked.resolve(true);
  await setImmediate();
  expect(client.watchedCollections?.size).toBe(0);
  expect(reported).toEqual([]);
});

test('an API that is no longer served leaves nothing in the store', async () => {
  const groups = ['a.b'];
  const api = memoryApi({ '/apis/a.b/v1/cs/one': { metadata: { name: 'one' } } }, { groups });
  let adopted: ReadonlyMap<string, KubeObject> = new Map();
  const store: InformerStore<KubeObject> = {
    create: () => new Map(),
    adopt(map) {
      adopted = map;
    },
  };
  const time = handClock(1_000);
  const options = { client: api.client, groupVersion: 'a.b/v1', plural: 'cs', log: recordingLog(), clock: time.clock, store };
  const served = createOptionalInformer(options);
  served.start();
  onTestFinished(() => served.stop());
  await expect.poll(() => [...adopted.keys()]).toEqual(['/one']);
  groups.pop();
  await expect.poll(time.passing(() => served.state())).toBe('absent');
  await expect.poll(() => adopted.size).toBe(0);
});
