/** The one clock of the server: what time it is, how much has passed, and what happens later. Tests pass their own. */
import { uptime } from 'node:os';

export type Clock = {
  /** Epoch milliseconds. The machine's clock may be set, so this measures no duration. */
  now(): number;
  /** Milliseconds that only go forward, from an arbitrary start. */
  monotonic(): number;
  /** Calls `work` once after the time, in milliseconds; the returned function cancels the call. Keeps no process from ending. */
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

/** Its monotonic time goes on while the machine is suspended, unlike `performance.now()`; the resolution is 10 ms. */
export const suspendAwareClock: Clock = { ...systemClock, monotonic: () => uptime() * 1_000 };

/** Calls `work` again and again, each time after the same pause; the returned function ends that. */
export function repeat({ schedule }: Pick<Clock, 'schedule'>, work: () => void, milliseconds: number): () => void {
  let cancel = schedule(again, milliseconds);
  function again(): void {
    cancel = schedule(again, milliseconds);
    work();
  }
  return () => cancel();
}

/** Resolves after the time, or as soon as the signal is aborted; never rejects. */
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
