import type { Clock } from '../../../src/server/limits.ts';

/** A clock that stands still until it is moved, and then does what is due. */
export function manualClock(): Clock & { pass(milliseconds: number): void } {
  let at = 0;
  const repeated = new Set<{ every: number; next: number; work: () => void }>();
  return {
    now: () => at,
    every(milliseconds, work) {
      const each = { every: milliseconds, next: at + milliseconds, work };
      repeated.add(each);
      return () => void repeated.delete(each);
    },
    pass(milliseconds) {
      at += milliseconds;
      for (const each of repeated) {
        if (each.next > at) continue;
        each.next = at + each.every;
        each.work();
      }
    },
  };
}
