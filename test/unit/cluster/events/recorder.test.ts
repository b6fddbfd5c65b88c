/** Results of edits whose Event could not be written at once, on an API server in memory. */
import { expect, onTestFinished, test } from 'vitest';
import type { OfferedEvent } from '../../../../src/cluster/events/event.ts';
import { createEventRecorder } from '../../../../src/cluster/events/recorder.ts';
import { type ApiClient, ApiError } from '../../../../src/kube/api-client.ts';
import type { EventDrop } from '../../../../src/observe/event-drops.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { manualClock } from '../../server/clock.ts';
import { eventsIn, pass } from './events.ts';

/** A replica. The first write of an Event fails after `meanwhile`. */
function replica(meanwhile: (offer: (event: OfferedEvent) => void) => void) {
  const api = memoryApi();
  const clock = manualClock();
  const dropped: EventDrop[] = [];
  let isFirst = true;
  const create: ApiClient['create'] = (path, body) => {
    if (!isFirst) return api.client.create(path, body);
    isFirst = false;
    meanwhile(recorder.offer);
    throw new ApiError(0, 'Timeout', `POST ${path}: timed out`);
  };
  const recorder = createEventRecorder({
    client: { ...api.client, create },
    log: recordingLog(),
    onWritten() {},
    onDropped: (reason) => void dropped.push(reason),
    clock,
  });
  recorder.start();
  onTestFinished(async () => recorder.stop());
  return { api, clock, recorder, dropped };
}

function result(reason: 'RulesAccepted' | 'RulesRejected', version: string): OfferedEvent {
  const regarding = { apiVersion: 'v1', kind: 'ConfigMap', name: 'rules', uid: 'u' };
  const type = reason === 'RulesAccepted' ? 'Normal' : 'Warning';
  const common = { type, reason, note: `${reason}.`, namespace: 'regkeeper', version, ifExists: 'keep' } as const;
  return { ...common, key: 'result rules', regarding: async () => regarding };
}

test('a rejection that could not be written does not replace the acceptance of the corrected rules', async () => {
  const { api, clock, recorder, dropped } = replica((offer) => offer(result('RulesAccepted', '101')));
  recorder.offer(result('RulesRejected', '100'));
  await pass(clock, 60_000);
  expect(eventsIn(api).map(({ reason, count }) => [reason, count])).toEqual([['RulesAccepted', 1]]);
  expect(dropped).toEqual([]);
});

test('an acceptance that could not be written does not replace a later rejection', async () => {
  const { api, clock, recorder } = replica((offer) => offer(result('RulesRejected', '101')));
  recorder.offer(result('RulesAccepted', '100'));
  await pass(clock, 60_000);
  expect(eventsIn(api).map(({ reason }) => reason)).toEqual(['RulesRejected']);
});

test('an occurrence during a failed write is counted with the others, once', async () => {
  const denied: OfferedEvent = { ...result('RulesRejected', ''), reason: 'ImageDenied', ifExists: 'count' };
  const { api, clock, recorder } = replica((offer) => offer(denied));
  recorder.offer(denied);
  recorder.offer(denied);
  await pass(clock, 60_000);
  expect(eventsIn(api).map(({ count }) => count)).toEqual([3]);
});
