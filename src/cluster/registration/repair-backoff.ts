/**
 * When a repair may be written. What weakens the webhooks is repaired at once, always (the loop around it writes four times a second at most).
 * What narrows them is repaired at once the first time; a writer that narrows them again and again is met with growing pauses.
 */
import type { Difference } from './compare.ts';

export type RepairBackoff = {
  /** Milliseconds until a difference of this configuration may be repaired; 0 for at once. */
  pauseBefore(configuration: string, severity: Difference['severity']): number;
  /** It was repaired now. */
  repaired(configuration: string, severity: Difference['severity']): void;
};

export const firstDelay = 10_000;
export const longestDelay = 10 * 60_000;

/** `clock` in milliseconds that only go forward. */
export function createRepairBackoff(clock: () => number): RepairBackoff {
  /** By configuration: how often in a row it was repaired for having been narrowed, and when the last time. */
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
