/** Tests which Events about Secrets are written, and how often. */
import { expect, test } from 'vitest';
import { createSecretEvents } from '../../../../src/cluster/delivery/events.ts';
import { type ApiClient, ApiError } from '../../../../src/kube/api-client.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { settle, virtualClock } from './virtual-clock.ts';

const hour = 3_600_000;

function recordedEvents() {
  const clock = virtualClock();
  const log = recordingLog();
  const state = { failure: undefined as ApiError | undefined };
  const sent: { path: string; name: string; message: string }[] = [];
  const create = async (path: string, { metadata, message }: { metadata: { name: string }; message: string }) => {
    if (state.failure) throw state.failure;
    sent.push({ path, name: metadata.name, message });
  };
  const events = createSecretEvents({ client: { create } as unknown as ApiClient, log, clock });
  const warn = (namespace = 'a') => events.warn({ namespace, name: 'corp', uid: '0123456789' }, 'SecretNotDelivered', 'Delete it');
  return { clock, log, state, warn, sent: () => sent.splice(0) };
}

test('an Event is in the namespace of its Secret, and is written again after an hour', async () => {
  const { clock, warn, sent } = recordedEvents();
  warn();
  warn();
  await settle();
  expect(sent()).toEqual([{ path: '/api/v1/namespaces/a/events', name: 'corp.secretnotdelivered.01234567', message: 'Delete it' }]);
  await clock.advance(hour - 1);
  warn();
  expect(sent()).toEqual([]);
  await clock.advance(1);
  warn();
  expect(sent()).toHaveLength(1);
});

test('an Event that still exists is retried at the next report', async () => {
  const { state, warn, sent } = recordedEvents();
  state.failure = new ApiError(409, 'AlreadyExists', 'POST events: AlreadyExists (409)');
  warn();
  await settle();
  state.failure = undefined;
  warn();
  expect(sent()).toHaveLength(1);
});

test('Events are limited to 20 at once and five per second', async () => {
  const { clock, warn, sent } = recordedEvents();
  for (let index = 0; index < 100; index += 1) warn(`team-${index}`);
  expect(sent()).toHaveLength(20);
  await clock.advance(1_000);
  for (let index = 0; index < 100; index += 1) warn(`team-${index}`);
  expect(sent()).toHaveLength(5);
});

test('a failure is logged once, and a deleted namespace is not a failure', async () => {
  const { log, state, warn } = recordedEvents();
  state.failure = new ApiError(404, 'NotFound', 'POST events: NotFound (404)');
  warn('gone');
  await settle();
  expect(log.lines).toEqual([]);
  state.failure = new ApiError(403, 'Forbidden', 'POST events: Forbidden (403)');
  warn('a');
  warn('b');
  await settle();
  expect(log.lines).toEqual([expect.objectContaining({ level: 'warn', message: expect.stringContaining('Forbidden (403)') })]);
});
