import { setTimeout as pause } from 'node:timers/promises';
import { ApiError, type Log } from './api.ts';

/**
 * Does the work, and does it again while the API server cannot be reached or is not itself yet. A start must outlast that: a Pod that ends
 * instead comes back only after the kubelet's backoff of up to five minutes, in which webhooks that must be asked have nobody to answer.
 * @throws what the work throws for any other reason
 */
export async function whenReached<T>(log: Log, work: () => Promise<T>, pauseMilliseconds = 1_000): Promise<T> {
  let told: string | undefined;
  for (let refusals = 0; ; ) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mayBeMeant(error)) refusals += 1;
      else if (!mayPass(error)) throw error;
      if (refusals >= 10) throw error;
      if (told !== error.reason) log.warn({ err: error }, `${error.message}; waiting for the API server`);
      told = error.reason;
      await pause(Math.max(pauseMilliseconds, Math.min(error.retryAfterSeconds ?? 0, 10) * 1_000));
    }
  }
}

/**
 * An API server that has just started refuses for a second or two, until it has read the roles (403) and the keys of the tokens (401), and a
 * proxy in front of it may answer with a page of its own. What lasts longer is a mistake that somebody has to mend.
 *
 * A credential that cannot be had is told at once: a Pod has its token before it starts, and whoever starts us by hand waits at a terminal.
 */
function mayBeMeant({ status, reason }: ApiError): boolean {
  return status === 401 || status === 403 || reason === 'Unreadable';
}

/** A conflict (409) is with another replica, which starts at the same time: the work begins by reading. */
function mayPass({ status, reason }: ApiError): boolean {
  return reason === 'Unreachable' || reason === 'Timeout' || status === 409 || status === 429 || status >= 500;
}
