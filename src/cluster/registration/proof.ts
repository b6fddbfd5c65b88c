/** Whether the API server is known to reach regkeeper. Failed proofs are retried with exponential backoff. */
import type { Clock } from '../../time/clock.ts';
import { isInService, type LiveConfiguration } from './live-configuration.ts';

export type Proof = {
  /**
   * Records which configurations the API server calls. They need no proof. If one of them is emptied later, it is filled again without
   * another proof.
   */
  observe(live: readonly LiveConfiguration[]): void;
  /** Whether the API server is known to reach regkeeper. Starts a proof if none is running. One proof counts for both configurations. */
  isProven(mutating: LiveConfiguration | undefined): Promise<boolean>;
  stop(): void;
};

/** A Pod that has just started is not yet an endpoint of its Service, and the installation is waiting. Doubled after each failed proof. */
const initialBackoff = 250;
const maxBackoff = 5_000;

/** `onRetry` is called when a failed proof may be retried. */
export function createProof(
  prove: ((mutating: LiveConfiguration) => Promise<boolean>) | undefined,
  { schedule }: Pick<Clock, 'schedule'>,
  onRetry: () => void,
): Proof {
  /** Uids of configurations. */
  let proven = new Set<string | undefined>();
  let current: Promise<boolean> | 'later' | undefined;
  let failures = 0;
  let cancelRetry = () => {};

  async function proveNow(mutating: LiveConfiguration | undefined): Promise<boolean> {
    let succeeded = false;
    try {
      succeeded = mutating !== undefined && (await prove?.(mutating)) === true;
    } finally {
      current = succeeded ? undefined : 'later';
      if (succeeded) {
        failures = 0;
        proven.add(mutating?.metadata.uid);
      } else retryLater();
    }
    return succeeded;
  }

  function retryLater(): void {
    const delay = Math.min(maxBackoff, initialBackoff * 2 ** failures);
    failures += 1;
    cancelRetry = schedule(() => {
      current = undefined;
      onRetry();
    }, delay);
  }

  return {
    observe(live) {
      const kept = live.filter((each) => isInService(each) || proven.has(each.metadata.uid));
      proven = new Set(kept.map(({ metadata }) => metadata.uid));
    },
    async isProven(mutating) {
      if (!prove || proven.size > 0) return true;
      if (current === 'later') return false;
      current ??= proveNow(mutating);
      return await current;
    },
    stop: () => cancelRetry(),
  };
}
