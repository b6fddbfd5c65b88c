import { setTimeout as pause } from 'node:timers/promises';

export interface WaitOptions {
  readonly deadlineSeconds: number;
  /** What is waited for, as it fits after "waited in vain for". */
  readonly what: string;
  /** Asked before each try: an Error ends the waiting at once, because the condition cannot come true any more. */
  readonly hopeless?: () => Error | undefined;
}

const pauseMs = 50;

/**
 * Tries the condition again and again until it gives something other than undefined, null or false, and returns that.
 * A condition that throws is tried again too. Throws an Error at the deadline, with what the last try gave or threw.
 */
export async function waitFor<T>(
  condition: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  { deadlineSeconds, what, hopeless }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + deadlineSeconds * 1000;
  let lastTry = '';
  do {
    const reason = hopeless?.();
    if (reason) throw reason;
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value;
      lastTry = `the last try gave ${value}`;
    } catch (error) {
      lastTry = `the last try failed: ${error instanceof Error ? error.message : error}`;
    }
    await pause(pauseMs);
  } while (performance.now() < deadline);
  throw new Error(`waited ${deadlineSeconds} s in vain for ${what}; ${lastTry}`);
}
