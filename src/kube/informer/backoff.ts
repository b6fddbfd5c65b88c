/** What an informer does after each attempt to list and watch: resume or list again, at once or after a delay. */
import { ApiError } from '../api-client.ts';
import { isExpired, mayRejectVersion, mustRelist } from './failures.ts';

/** How an attempt ended. */
export type AttemptResult = {
  readonly failure?: Error;
  /** Whether the stream brought anything. */
  readonly progressed: boolean;
  /** Whether the stream was open for at least a second. */
  readonly lasted: boolean;
};

export type NextAttempt = { readonly needsList: boolean; readonly delayMilliseconds: number };

/** The result is a function to call after each attempt. `resumable` is whether the attempt knew a resourceVersion to resume at. */
export function createRetryPolicy(random: () => number): (result: AttemptResult, resumable: boolean) => NextAttempt {
  let failures = 0;
  /** Consecutive streams that had events and ended within a second. */
  let brief = 0;
  /** How often in a row the server rejected a watch at the present resourceVersion. */
  let rejections = 0;

  return ({ failure, progressed, lasted }, resumable) => {
    rejections = resumable && !progressed && mayRejectVersion(failure) ? rejections + 1 : 0;
    // A server restored from a backup rejects the old resourceVersion for ever, because it is in the future (Timeout, 504). Where list is
    // allowed but watch is not, this is at least a slow poll.
    const needsList = (failure !== undefined && mustRelist(failure)) || rejections >= 5;
    if (needsList) rejections = 0;
    brief = progressed && !lasted ? brief + 1 : 0;
    // Something that ends each stream after its first event, for instance a proxy, must not cause a fast loop. One such end is routine.
    if (progressed && (!failure || isExpired(failure))) failures = Math.max(0, Math.min(brief - 1, 2));
    else failures = progressed ? 1 : failures + 1;
    return { needsList, delayMilliseconds: failures > 0 ? backoffAfter(failures, failure, random) : 0 };
  };
}

/**
 * Milliseconds of exponential backoff with jitter: 0.2 to 0.4 s, doubled with each consecutive failure up to 10 s, and at least the
 * server's Retry-After. The maximum is low because requests wait for what is read here.
 */
export function backoffAfter(failures: number, failure: Error | undefined, random: () => number): number {
  const ceiling = Math.min(10_000, 400 * 2 ** (failures - 1));
  const retryAfter = failure instanceof ApiError ? (failure.retryAfterSeconds ?? 0) * 1_000 : 0;
  return Math.max(ceiling / 2 + (random() * ceiling) / 2, Math.min(retryAfter, 300_000));
}
