/**
 * When a repair may be written. A weakened configuration is always repaired at once (the reconcile loop writes at most four times a
 * second). A narrowed one is repaired at once the first time, and with exponential backoff if another writer keeps narrowing it.
 */
import type { Difference } from './configuration-difference.ts';

export type RepairBackoff = {
  /** Milliseconds until a difference of this configuration may be repaired. 0 means at once. */
  pauseBefore(configuration: string, severity: Difference['severity']): number;
  /** Records a repair. */
  repaired(configuration: string, severity: Difference['severity']): void;
};

export const firstDelay = 10_000;
export const longestDelay = 10 * 60_000;

/** `clock` returns monotonic milliseconds. */
export function createRepairBackoff(clock: () => number): RepairBackoff {
  /** By configuration: the consecutive repairs after it was narrowed, and the time of the last one. */
  const repairs = new Map<string, { readonly count: number; readonly at: number }>();
  return {
    pauseBefore(configuration, severity) {
      const last = repairs.get(configuration);
      if (severity === 'weakened' || !last) return 0;
      return Math.max(0, last.at + delayAfter(last.count) - clock());
    },
    repaired(configuration, severity) {
      if (severity === 'weakened') return;
      const last = repairs.get(configuration);
      const now = clock();
      const inARow = last !== undefined && now - last.at < delayAfter(last.count) + longestDelay;
      repairs.set(configuration, { count: inARow ? last.count + 1 : 1, at: now });
    },
  };
}

function delayAfter(count: number): number {
  return Math.min(longestDelay, firstDelay * 2 ** (count - 1));
}
