/** Polls a condition until a deadline. */
import { setTimeout as pause } from 'node:timers/promises';

export interface WaitOptions {
  readonly deadlineSeconds: number;
  /** The condition in words, which fit after "waited in vain for". */
  readonly what: string;
  /** Called before each try. Returns an Error where the condition can no longer become true, which ends the wait at once. */
  readonly giveUp?: () => Error | undefined;
}

const pauseMs = 50;

/**
 * Retries the condition until it returns something other than undefined, null or false, and returns that value. A condition that throws is
 * retried too. @throws Error at the deadline, with the result or error of the last try
 */
export async function waitFor<T>(
  condition: () => Promise<T | undefined | null | false> | T | undefined | null | false,
  { deadlineSeconds, what, giveUp }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + deadlineSeconds * 1000;
  let lastTry = '';
  do {
    const reason = giveUp?.();
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
