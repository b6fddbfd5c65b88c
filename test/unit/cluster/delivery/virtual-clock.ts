/** A clock whose time passes only when a test advances it. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../../src/time/clock.ts';

export type VirtualClock = Clock & {
  /** Runs the timers that are due within this time, in their order, and lets promises settle after each. */
  advance(milliseconds: number): Promise<void>;
  /** Sets the wall clock forwards or back. No time passes by the monotonic one. */
  jump(milliseconds: number): void;
};

export function virtualClock(start = Date.UTC(2027, 0, 1)): VirtualClock {
  let time = 0;
  let ahead = 0;
  const timers = new Set<{ readonly at: number; readonly work: () => void }>();
  return {
    now: () => start + time + ahead,
    monotonic: () => time,
    schedule(work, milliseconds) {
      const timer = { at: time + milliseconds, work };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async advance(milliseconds) {
      const end = time + milliseconds;
      await settle();
      while (true) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
        if (!next) break;
        timers.delete(next);
        time = Math.max(time, next.at);
        next.work();
        await settle();
      }
      time = end;
    },
    jump(milliseconds) {
      ahead += milliseconds;
    },
  };
}

/** Promises that resolve one after the other need several turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await setImmediate();
}
