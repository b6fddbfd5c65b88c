/** Ends work whose deadline is over. */
import { type Clock, repeat } from '../../time/clock.ts';

export type Deadline = {
  /** Monotonic milliseconds. May be brought forward. */
  deadline: number;
  /** Called at each check after the deadline, until the entry is deleted. */
  expire(): void;
};

export type Deadlines = { add(entry: Deadline): void; delete(entry: Deadline): void; stop(): void };

/** Interval in milliseconds at which deadlines are checked. One timer per body would slow down every request. */
const sweepMilliseconds = 100;

export function createDeadlines(clock: Pick<Clock, 'monotonic' | 'schedule'>): Deadlines {
  const entries = new Set<Deadline>();
  const expireOverdue = () => {
    const now = clock.monotonic();
    for (const each of entries) if (each.deadline <= now) each.expire();
  };
  const stop = repeat(clock, expireOverdue, sweepMilliseconds);
  return { add: (entry) => void entries.add(entry), delete: (entry) => void entries.delete(entry), stop };
}
