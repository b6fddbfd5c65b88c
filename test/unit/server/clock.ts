/** A clock for tests of the server. */
import type { Clock } from '../../../src/time/clock.ts';

/** A clock that only moves when the test moves it, and then runs what is due. */
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
