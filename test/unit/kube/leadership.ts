/** Leadership that a test controls. */
import type { Leadership } from '../../../src/kube/leader-election.ts';

/** Leads when the test says so. */
export function leadershipByHand(leads = false): Leadership & { become(leads: boolean): void } {
  const listeners = new Set<() => void>();
  let now = leads;
  return {
    leads: () => now,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    become(leads) {
      now = leads;
      for (const listener of listeners) listener();
    },
  };
}
