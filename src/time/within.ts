/** Limits how long a caller waits for work. The work itself continues after that. */
import type { Clock } from './clock.ts';

/** The error of `within` when the time is over. */
export class TooLate extends Error {
  override readonly name = 'TooLate';
}

/**
 * Resolves or rejects as the work does.
 *
 * @throws TooLate with `message` if the time in milliseconds is over first, or the signal's reason if that is aborted first. A later failure
 * of the work is ignored.
 */
export async function within<T>(
  { schedule }: Pick<Clock, 'schedule'>,
  milliseconds: number,
  message: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = schedule(() => reject(new TooLate(message)), milliseconds);
  const onAbort = () => reject(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const working = work();
  working.catch(() => undefined);
  try {
    return await Promise.race([working, late]);
  } finally {
    cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}
