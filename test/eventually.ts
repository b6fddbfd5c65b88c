import { vi } from 'vitest';

/** `vi.waitFor` with a time limit that a busy machine keeps: the default of one second is too short. */
export function eventually<Value>(check: () => Value | Promise<Value>, { timeout = 60_000, interval = 50 } = {}): Promise<Value> {
  return vi.waitFor(check, { timeout, interval });
}
