import type { Clock } from '../../../src/time/clock.ts';

/** A clock that stands still until it is moved, and then does what is due. */
export function manualClock(): Clock & { pass(milliseconds: number): void } {
  let at = 0;
  const scheduled = new Set<{ due: number; work: () => void }>();
  return {
    now: () => at,
    monotonic: () => at,
    schedule(work, milliseconds) {
      const each = { due: at + milliseconds, work };
      scheduled.add(each);
      return () => void scheduled.delete(each);
    },
    pass(milliseconds) {
      at += milliseconds;
      for (const each of [...scheduled]) {
        if (each.due > at || !scheduled.delete(each)) continue;
        each.work();
      }
    },
  };
}
