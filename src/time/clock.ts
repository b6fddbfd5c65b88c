/** The clock of the server: the time, elapsed time, and timers. Tests pass their own. */
import { uptime } from 'node:os';

export type Clock = {
  /** Epoch milliseconds. The system clock may be changed, so this cannot measure durations. */
  now(): number;
  /** Milliseconds that never go back, from an arbitrary start. */
  monotonic(): number;
  /**
   * Calls `work` once after the time in milliseconds. The returned function cancels the call. The timer does not keep the process alive.
   */
  schedule(work: () => void, milliseconds: number): () => void;
};

export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  schedule(work, milliseconds) {
    const timer = setTimeout(work, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};

/** A clock whose monotonic time continues while the machine is suspended, unlike `performance.now()`. Its resolution is 10 ms. */
export const suspendAwareClock: Clock = { ...systemClock, monotonic: () => uptime() * 1_000 };

/** Calls `work` repeatedly with the same pause. The returned function stops that. */
export function repeat({ schedule }: Pick<Clock, 'schedule'>, work: () => void, milliseconds: number): () => void {
  let cancel = schedule(again, milliseconds);
  function again(): void {
    cancel = schedule(again, milliseconds);
    work();
  }
  return () => cancel();
}

/** Resolves after the time in milliseconds, or as soon as the signal is aborted. Never rejects. */
export function sleep({ schedule }: Pick<Clock, 'schedule'>, milliseconds: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    let cancel = () => {};
    signal?.addEventListener('abort', end, { once: true });
    cancel = schedule(end, milliseconds);
  });
}
