import { type Clock, sleep, systemClock } from '../time/clock.ts';
import { ApiError, type Log } from './api-client.ts';
import { explainApiError } from './explain-api-error.ts';

export type RetryOptions = {
  readonly log: Log;
  /** Where the API server is asked. */
  readonly server?: string | undefined;
  /** What must be granted where the work is forbidden, in a person's words. */
  readonly requiredRole: string;
  readonly pauseMilliseconds?: number;
  readonly clock?: Clock | undefined;
  /** Ends the retries: the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
};

/**
 * Does the work, and does it again while the API server cannot be reached or is not itself yet. A start must outlast that: a Pod that ends
 * instead comes back only after the kubelet's backoff of up to five minutes, in which webhooks that must be asked have nobody to answer.
 * @throws what the work throws for any other reason; of a refusal that lasts, an ApiError that says what to do
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
      const rejected = mayBePermanent(error);
      if (rejected) rejections += 1;
      else if (!isTransient(error)) throw error;
      if (rejections >= 10) throw new ApiError(error.status, error.reason, explainApiError(error, requiredRole), { cause: error });
      progress.failing(error, rejected);
      await sleep(clock, Math.max(pauseMilliseconds, Math.min(error.retryAfterSeconds ?? 0, 10) * 1_000), signal);
    }
  }
}

/** One line for the first of equal failures in a row, and one a minute: whoever looks later must not find silence. */
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
      if (err.reason !== reason) log.warn({ err }, `${err.message}; ${rejected ? 'trying again' : 'waiting for the API server'}`);
      else if (minutes > before && !rejected) {
        const where = server === undefined ? '' : ` ${server}`;
        log.warn({ err }, `the API server${where} has not been reached for ${minutes} min: ${err.message}; ${wrongAddress}`);
      }
      reason = err.reason;
    },
  };
}

const wrongAddress = 'correct the kubeconfig if that is not its address';

/**
 * An API server that has just started refuses for a second or two, until it has read the roles (403) and the keys of the tokens (401), and a
 * proxy in front of it may answer with a page of its own. What lasts longer is a mistake that somebody has to mend.
 *
 * A credential that cannot be had is told at once: a Pod has its token before it starts, and whoever starts us by hand waits at a terminal.
 */
function mayBePermanent({ status, reason }: ApiError): boolean {
  return status === 401 || status === 403 || reason === 'Unreadable';
}

/** A conflict (409) is with another replica, which starts at the same time: the work begins by reading. */
function isTransient({ status, reason }: ApiError): boolean {
  return reason === 'Unreachable' || reason === 'Timeout' || status === 409 || status === 429 || status >= 500;
}
