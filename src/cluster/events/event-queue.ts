/** Events that wait to be written, within the limits for one namespace and for all. */
import { isSameEvent, type OfferedEvent } from './event.ts';

export type QueuedEvent = {
  readonly event: OfferedEvent;
  /** How often it has occurred since it was written last. */
  readonly occurrences: number;
  /** How often writing it has failed. */
  readonly failures: number;
};

export type EventQueue = {
  /** False if there is no room. `notBefore` is when it may be written, on the monotonic clock. */
  offer(event: OfferedEvent, notBefore?: number): boolean;
  /** Puts an event back whose write has failed. False if there is no room. A newer event that waits with the same key replaces it. */
  putBack(failed: QueuedEvent, notBefore: number): boolean;
  /** The next event that may be written now. The namespaces are served in turn. */
  take(now: number): QueuedEvent | undefined;
  /** When `take` can succeed, on the monotonic clock. Undefined while nothing waits. */
  due(): number | undefined;
  /** Nothing may be written before this time, because the API server rejects it. */
  pause(until: number): void;
  readonly size: number;
};

/** In milliseconds, between two Events in one namespace and between any two. */
export const namespaceInterval = 1_000;
export const overallInterval = 50;
/** Events that wait. Each has at most about 4 KiB. */
export const maxWaiting = 1_000;
export const maxWaitingInNamespace = 20;

type Waiting = QueuedEvent & { readonly notBefore: number };
type Lane = { readonly waiting: Map<string, Waiting>; free: number };

export function createEventQueue(): EventQueue {
  /** In the order in which they are served. A lane without events remembers when the next one may be written. */
  const lanes = new Map<string, Lane>();
  let size = 0;
  let free = Number.NEGATIVE_INFINITY;

  /** `which` of the two is newer, if an event with the same key already waits. */
  function add(added: Waiting, which: 'added' | 'waiting'): boolean {
    const { namespace, key } = added.event;
    const lane = lanes.get(namespace) ?? { waiting: new Map<string, Waiting>(), free: Number.NEGATIVE_INFINITY };
    const known = lane.waiting.get(key);
    if (known) {
      lane.waiting.set(key, which === 'added' ? combine(known, added) : combine(added, known));
      return true;
    }
    if (size >= maxWaiting || lane.waiting.size >= maxWaitingInNamespace) return false;
    lane.waiting.set(key, added);
    lanes.set(namespace, lane);
    size += 1;
    return true;
  }

  return {
    offer: (event, notBefore = Number.NEGATIVE_INFINITY) => add({ event, occurrences: 1, failures: 0, notBefore }, 'added'),
    putBack: ({ failures, ...failed }, notBefore) => add({ ...failed, failures: failures + 1, notBefore }, 'waiting'),
    take(now) {
      if (now < free) return undefined;
      for (const [namespace, lane] of lanes) {
        if (lane.waiting.size === 0 && lane.free <= now) lanes.delete(namespace);
        if (lane.free > now) continue;
        const next = [...lane.waiting].find(([, { notBefore }]) => notBefore <= now);
        if (!next) continue;
        const [key, { event, occurrences, failures }] = next;
        lane.waiting.delete(key);
        size -= 1;
        lane.free = now + namespaceInterval;
        free = now + overallInterval;
        lanes.delete(namespace);
        lanes.set(namespace, lane);
        return { event, occurrences, failures };
      }
      return undefined;
    },
    due() {
      if (size === 0) return undefined;
      let earliest = Number.POSITIVE_INFINITY;
      for (const { waiting, free: laneFree } of lanes.values())
        for (const { notBefore } of waiting.values()) earliest = Math.min(earliest, Math.max(laneFree, notBefore));
      return Math.max(earliest, free);
    },
    pause(until) {
      free = Math.max(free, until);
    },
    get size() {
      return size;
    },
  };
}

/** What waits after two events with the same key. Another event replaces the older one, with its count, attempts and back-off. */
function combine(older: Waiting, newer: Waiting): Waiting {
  if (!isSameEvent(older.event, newer.event)) return newer;
  return {
    event: newer.event,
    // What is reported again without being counted has not occurred again.
    occurrences: newer.event.ifExists === 'count' ? older.occurrences + newer.occurrences : newer.occurrences,
    failures: Math.max(older.failures, newer.failures),
    notBefore: Math.max(older.notBefore, newer.notBefore),
  };
}
