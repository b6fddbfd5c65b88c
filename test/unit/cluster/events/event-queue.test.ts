/** Which Event waits if several have the same key, and what a failed write leaves of it. */
import { describe, expect, test } from 'vitest';
import type { OfferedEvent } from '../../../../src/cluster/events/event.ts';
import { createEventQueue, maxWaitingInNamespace, type QueuedEvent } from '../../../../src/cluster/events/event-queue.ts';

const unlimited = Number.MAX_SAFE_INTEGER;

function event(more: Partial<OfferedEvent> = {}): OfferedEvent {
  return {
    type: 'Warning',
    reason: 'ImageDenied',
    note: 'denied',
    namespace: 'shop',
    key: 'web',
    ifExists: 'count',
    regarding: async () => undefined,
    ...more,
  };
}
const result = (version: string, reason: string, ifExists: OfferedEvent['ifExists'] = 'keep') =>
  event({ key: 'result rules', version, reason, note: `${reason} ${version}`, ifExists });
const rejected = result('100', 'RulesRejected');
const accepted = result('101', 'RulesAccepted');

/** The queue after a write of the first event, during which the others were offered, has failed. */
function afterFailure([first, ...others]: readonly OfferedEvent[], { failures = 0, notBefore = 10 } = {}) {
  const queue = createEventQueue();
  queue.offer(first as OfferedEvent);
  const taken = queue.take(0) as QueuedEvent;
  for (const each of others) queue.offer(each);
  const isKept = queue.putBack({ ...taken, failures }, notBefore);
  return { isKept, size: queue.size, due: queue.due(), next: queue.take(unlimited) };
}

describe('after a failed write', () => {
  test.each<[title: string, events: readonly OfferedEvent[], waiting: Partial<QueuedEvent>]>([
    ['the Event waits', [rejected], { event: rejected, occurrences: 1, failures: 1 }],
    ['a newer result stays', [rejected, accepted], { event: accepted, occurrences: 1, failures: 0 }],
    [
      'the newest of several results stays',
      [rejected, accepted, result('102', 'RulesRejected')],
      { event: expect.objectContaining({ version: '102' }), occurrences: 1, failures: 0 },
    ],
    [
      'a newer result for the same version stays',
      [rejected, result('100', 'RulesAccepted')],
      { event: expect.objectContaining({ reason: 'RulesAccepted' }), occurrences: 1, failures: 0 },
    ],
    [
      'the same result is not counted again',
      [rejected, result('100', 'RulesRejected', 'refresh')],
      { event: expect.objectContaining({ ifExists: 'refresh' }), occurrences: 1, failures: 1 },
    ],
    ['occurrences are added, and the failure counts', [event(), event(), event()], { occurrences: 3, failures: 1 }],
    ['Events with other keys wait too', [event(), event({ key: 'db' })], { event: expect.objectContaining({ key: 'db' }), occurrences: 1 }],
  ])('%s', (_title, events, waiting) => {
    const { isKept, size, next } = afterFailure(events);
    expect(isKept).toBe(true);
    expect(size).toBe(new Set(events.map(({ key }) => key)).size);
    expect(next).toMatchObject(waiting);
  });

  test('an Event that has occurred again waits as long, and has as many attempts, as one that has not', () => {
    const again = afterFailure([event(), event()], { failures: 1, notBefore: 10_000 });
    const once = afterFailure([event()], { failures: 1, notBefore: 10_000 });
    expect(again.due).toBe(10_000);
    expect(once.due).toBe(10_000);
    expect(again.next?.failures).toBe(2);
    expect(once.next?.failures).toBe(2);
  });

  test('a newer result does not wait for the next attempt of the older one', () => {
    expect(afterFailure([rejected, accepted], { notBefore: 10_000 }).due).toBeLessThan(10_000);
  });

  test('the limit for the namespace applies, but not to an Event that has been replaced', () => {
    const others = Array.from({ length: maxWaitingInNamespace }, (_, index) => event({ key: `other ${index}` }));
    expect(afterFailure([event(), ...others])).toMatchObject({ isKept: false, size: maxWaitingInNamespace });
    expect(afterFailure([rejected, accepted, ...others.slice(1)])).toMatchObject({ isKept: true, size: maxWaitingInNamespace });
  });
});

test.each<[title: string, events: readonly OfferedEvent[], waiting: Partial<QueuedEvent>]>([
  ['a newer result replaces one that waits, with its attempts', [rejected, accepted], { event: accepted, occurrences: 1, failures: 0 }],
  ['the same Event keeps its attempts', [event(), event()], { occurrences: 2, failures: 2 }],
])('after failures, %s', (_title, [first, second], waiting) => {
  const queue = createEventQueue();
  queue.putBack({ event: first as OfferedEvent, occurrences: 1, failures: 1 }, 10_000);
  queue.offer(second as OfferedEvent);
  expect(queue.take(unlimited)).toMatchObject(waiting);
  expect(queue.size).toBe(0);
});
