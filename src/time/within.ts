/** A bound on how long work is waited for. The work itself goes on after that. */
import type { Clock } from './clock.ts';

/** Why `within` rejects when the time is over first. */
export class TooLate extends Error {
  override readonly name = 'TooLate';
}

/**
 * What the work resolves to or rejects with.
 * @throws TooLate with `message` where the time, in milliseconds, is over first; a later failure of the work is then ignored
 */
export async function within<T>(
  { schedule }: Pick<Clock, 'schedule'>,
  milliseconds: number,
  message: string,
  work: () => Promise<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = schedule(() => reject(new TooLate(message)), milliseconds);
  const working = work();
  working.catch(() => undefined);
  try {
    return await Promise.race([working, late]);
  } finally {
    cancel();
  }
}
