/**
 * Decides when each copy is written: urgent ones at once, others at a limited rate, and failing or disputed ones after a backoff. The queue knows
 * only keys. What to write is decided when it is the key's turn.
 */
import { type Clock, systemClock } from '../../time/clock.ts';

export type WriteQueue = {
  /** Adds a key, or makes it urgent if it waits already. During its write, another turn follows. */
  add(key: string, priority: Priority): void;
  /** Keys that wait or are being written. */
  readonly size: number;
  /** Resolves when nothing is being written any more. Keys that wait are dropped. */
  stop(): Promise<void>;
};

/** `urgent`: a Pod may wait for the copy. */
export type Priority = 'urgent' | 'bulk';

export type WriteQueueOptions = {
  /**
   * Does what is to be done for the key. `written`: an object was changed. `nothing`: there was nothing to do. A rejection, and `retry`, are
   * repeated with backoff.
   */
  readonly write: (key: string, signal: AbortSignal) => Promise<'written' | 'nothing' | 'retry'>;
  readonly clock?: Clock | undefined;
  /** At least 0, below 1. */
  readonly random?: (() => number) | undefined;
  readonly limits?: Partial<WriteLimits> | undefined;
};

export type WriteLimits = {
  readonly concurrent: number;
  /** Per second. After a rotation of a source, 1,000 copies take 20 seconds. */
  readonly bulkRate: number;
  readonly urgentRate: number;
  readonly urgentBurst: number;
};

/** An API server serves several hundred writes per second to all of its clients. */
const defaultLimits: WriteLimits = { concurrent: 8, bulkRate: 50, urgentRate: 100, urgentBurst: 200 };

/** Milliseconds. */
const firstRetry = 500;
const longestRetry = 60_000;
/** After another writer has changed the copy again and again. */
const longestTruce = 300_000;
/** Writes to one key within a short time that are not delayed. */
const freeWrites = 4;
/** A key that needs no write for this long is no longer disputed. It must be longer than the longest wait. */
const quietTime = 2 * longestTruce;

type Waiting = { priority: Priority };

export function createWriteQueue(options: WriteQueueOptions): WriteQueue {
  const { write, clock = systemClock, random = Math.random } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const closing = new AbortController();
  const waiting = { urgent: new Set<string>(), bulk: new Set<string>() };
  const writing = new Map<string, { again: Waiting | undefined; done: Promise<void> }>();
  /** Keys that wait for the end of a backoff. */
  const delayed = new Map<string, { priority: Priority; cancel: () => void }>();
  const failures = new Map<string, number>();
  const history = new Map<string, { writes: number; last: number }>();
  const buckets = {
    urgent: createBucket(limits.urgentRate, limits.urgentBurst),
    bulk: createBucket(limits.bulkRate, Math.max(1, limits.bulkRate / 10)),
  };
  let cancelTick: (() => void) | undefined;

  function add(key: string, priority: Priority): void {
    const current = writing.get(key);
    const late = delayed.get(key);
    if (current) current.again = { priority: urgentIf(priority, current.again?.priority) };
    else if (late) late.priority = urgentIf(priority, late.priority);
    else enqueue(key, priority);
  }

  function enqueue(key: string, priority: Priority): void {
    if (priority === 'urgent') waiting.bulk.delete(key);
    else if (waiting.urgent.has(key)) return;
    waiting[priority].add(key);
    run();
  }

  function run(): void {
    for (const priority of ['urgent', 'bulk'] as const) {
      // Writes in bulk leave room, so that an urgent one need not wait for a slow API server.
      const most = priority === 'urgent' ? limits.concurrent : Math.max(1, limits.concurrent - 2);
      for (const key of waiting[priority]) {
        if (writing.size >= most) break;
        const delay = buckets[priority].take(clock.monotonic());
        if (delay > 0) {
          tickAfter(delay * (0.8 + 0.4 * random()));
          break;
        }
        waiting[priority].delete(key);
        start(key, priority);
      }
    }
  }

  function tickAfter(milliseconds: number): void {
    cancelTick ??= clock.schedule(
      () => {
        cancelTick = undefined;
        run();
      },
      Math.max(1, milliseconds),
    );
  }

  function start(key: string, priority: Priority): void {
    const entry = { again: undefined as Waiting | undefined, done: Promise.resolve() };
    entry.done = attempt(key).then((retry) => {
      writing.delete(key);
      if (closing.signal.aborted) return;
      const next = entry.again ?? (retry ? { priority } : undefined);
      if (next) delay(key, next.priority);
      run();
    });
    writing.set(key, entry);
  }

  /** Returns whether to try again. */
  async function attempt(key: string): Promise<boolean> {
    let result: 'written' | 'nothing' | 'retry';
    try {
      result = await write(key, closing.signal);
    } catch {
      result = 'retry';
    }
    if (result === 'retry') failures.set(key, (failures.get(key) ?? 0) + 1);
    else failures.delete(key);
    if (result === 'written') noteWrite(key);
    return result === 'retry';
  }

  function noteWrite(key: string): void {
    const now = clock.monotonic();
    const before = history.get(key);
    // The latest one is the last of the map, so the first ones are those to forget.
    history.delete(key);
    history.set(key, { writes: before && now - before.last < quietTime ? before.writes + 1 : 1, last: now });
    for (const [each, { last }] of history) {
      if (now - last < quietTime) break;
      history.delete(each);
    }
  }

  /** A key that fails, or that another writer changes again and again, waits longer each time. */
  function delay(key: string, priority: Priority): void {
    const failed = failures.get(key) ?? 0;
    const { writes, last } = history.get(key) ?? { writes: 0, last: 0 };
    const disputed = clock.monotonic() - last < quietTime ? writes - freeWrites : 0;
    const longest = Math.max(backoff(failed, longestRetry), backoff(disputed, longestTruce));
    if (longest === 0) {
      enqueue(key, priority);
      return;
    }
    const milliseconds = longest * (0.5 + random() / 2);
    const cancel = clock.schedule(() => {
      const entry = delayed.get(key);
      delayed.delete(key);
      enqueue(key, entry?.priority ?? priority);
    }, milliseconds);
    delayed.set(key, { priority, cancel });
  }

  return {
    add(key, priority) {
      if (closing.signal.aborted) return;
      if (!waiting.urgent.has(key) && !waiting.bulk.has(key) && !writing.has(key) && !delayed.has(key)) delay(key, priority);
      else add(key, priority);
    },
    get size() {
      return waiting.urgent.size + waiting.bulk.size + writing.size + delayed.size;
    },
    async stop() {
      closing.abort();
      cancelTick?.();
      for (const { cancel } of delayed.values()) cancel();
      delayed.clear();
      waiting.urgent.clear();
      waiting.bulk.clear();
      await Promise.all([...writing.values()].map(({ done }) => done));
    },
  };
}

function backoff(count: number, longest: number): number {
  return count <= 0 ? 0 : Math.min(longest, firstRetry * 2 ** (count - 1));
}

function urgentIf(one: Priority, other: Priority | undefined): Priority {
  return one === 'urgent' || other === 'urgent' ? 'urgent' : 'bulk';
}

/** A token bucket. `take` returns 0 if a token was free, else the milliseconds until there is one. */
function createBucket(rate: number, burst: number) {
  let tokens = burst;
  let at: number | undefined;
  return {
    take(now: number): number {
      tokens = Math.min(burst, tokens + ((now - (at ?? now)) / 1_000) * rate);
      at = now;
      if (tokens < 1) return ((1 - tokens) / rate) * 1_000;
      tokens -= 1;
      return 0;
    },
  };
}
