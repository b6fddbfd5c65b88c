/** Retries work at the start of the process while the API server is unreachable or not ready. */

import type { Log } from '../contracts/log.ts';
import { type Clock, sleep, systemClock } from '../time/clock.ts';
import { ApiError } from './api-client.ts';
import { explainApiError } from './explain-api-error.ts';

export type RetryOptions = {
  readonly log: Log;
  /** The address of the API server, for messages. */
  readonly server?: string | undefined;
  /** The role to grant where the work is forbidden, as a phrase for messages. */
  readonly requiredRole: string;
  readonly pauseMilliseconds?: number;
  readonly clock?: Clock | undefined;
  /** Ends the retries. The promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
};

/**
 * Does the work, and retries it while the API server is unreachable or starting. A Pod that exits instead is restarted only after the
 * kubelet's backoff of up to five minutes. In that time no one answers the webhooks.
 * @throws what the work throws for any other reason; for a permanent rejection, an ApiError whose message says what to do
 */
export async function retryUntilReachable<T>(options: RetryOptions, work: () => Promise<T>): Promise<T> {
  const { requiredRole, pauseMilliseconds = 1_000, clock = systemClock, signal } = options;
  const progress = createProgressLog(options);
  for (let rejections = 0; ; ) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // At the end of the process its connections are closed, which is not an error of the API server.
      signal?.throwIfAborted();
      const rejected = mayBePermanent(error);
      if (rejected) rejections += 1;
      else if (!isTransient(error)) throw error;
      if (rejections >= 10) throw new ApiError(error.status, error.reason, explainApiError(error, requiredRole), { cause: error });
      progress.failing(error, rejected);
      await sleep(clock, Math.max(pauseMilliseconds, Math.min(error.retryAfterSeconds ?? 0, 10) * 1_000), signal);
    }
  }
}

/** Logs the first of several equal failures in a row, and then one line a minute, so that a later reader of the log sees the state. */
function createProgressLog({ log, server, clock: { monotonic } = systemClock }: RetryOptions): {
  failing(error: ApiError, rejected: boolean): void;
} {
  const since = monotonic();
  let reason: string | undefined;
  let minutes = 0;
  return {
    failing(err, rejected) {
      const before = minutes;
      minutes = Math.floor((monotonic() - since) / 60_000);
      if (err.reason !== reason) log.warn({ err }, `${err.message}. ${rejected ? 'Retrying' : 'Waiting for the API server'}`);
      else if (minutes > before && !rejected) {
        const where = server === undefined ? '' : ` ${server}`;
        log.warn({ err }, `the API server${where} has been unreachable for ${minutes} min: ${err.message}. ${wrongAddress}`);
      }
      reason = err.reason;
    },
  };
}

const wrongAddress = 'If this is not its address, correct the kubeconfig';

/**
 * An API server that has just started rejects requests for a second or two, until it has read the roles (403) and the keys of the tokens
 * (401). A proxy in front of it may answer with its own error page. What lasts longer is a mistake to fix.
 * A credential that cannot be obtained is reported at once. A Pod has its token before it starts, and a user who starts regkeeper manually
 * is waiting at a terminal.
 */
function mayBePermanent({ status, reason }: ApiError): boolean {
  return status === 401 || status === 403 || reason === 'Unreadable';
}

/** A conflict (409) is with another replica that starts at the same time. The retry begins with a read. */
function isTransient({ status, reason }: ApiError): boolean {
  return reason === 'Unreachable' || reason === 'Timeout' || status === 409 || status === 429 || status >= 500;
}
