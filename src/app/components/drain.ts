/** Begins the shutdown of a running server: reports not ready, and keeps answering until callers have found another replica. */

import type { Component } from '../../contracts/component.ts';
import type { LeaderElection } from '../../kube/leader-election.ts';
import { type Clock, sleep } from '../../time/clock.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';
import type { Webhook } from './webhook.ts';

export type DrainOptions = {
  readonly webhook: Pick<Webhook, 'drain' | 'finish'>;
  /** Resigns when the drain begins, so that another replica takes over in time. */
  readonly leader: Pick<LeaderElection, 'stop'> | undefined;
  /** Until callers have found another replica. */
  readonly milliseconds: number;
  /** For the requests that are open after that. */
  readonly finishMilliseconds: number;
  readonly log: Logger;
  readonly clock: Clock;
};

/** Time for open requests, which the API server gives up after the webhook timeout, and two seconds for idle connections. */
export function finishMilliseconds({ webhookPolicy }: Pick<Settings, 'webhookPolicy'>): number {
  return Math.max(10_000, webhookPolicy.timeoutSeconds * 1_000 + 5_000);
}

/** The deadline of the whole shutdown. Closing the listeners takes at most 2 s, and writing the last audit records 6.5 s. */
export function shutdownMilliseconds(settings: Pick<Settings, 'shutdownDelayMilliseconds' | 'webhookPolicy'>): number {
  return settings.shutdownDelayMilliseconds + finishMilliseconds(settings) + 8_500;
}

export type Drain = Component & { isDraining(): boolean };

export function createDrain({ webhook, leader, milliseconds, finishMilliseconds, log, clock }: DrainOptions): Drain {
  let draining = false;
  return {
    name: 'drain',
    stopWithinMilliseconds: milliseconds + finishMilliseconds,
    async stop() {
      draining = true;
      webhook.drain();
      const released = leader?.stop();
      log.info(
        { shutdownDelayMilliseconds: milliseconds },
        'shutting down. This replica is no longer ready, but is still serving requests',
      );
      await sleep(clock, milliseconds);
      await webhook.finish();
      await released;
      log.info({}, 'stopped. All requests have been served');
    },
    isDraining: () => draining,
  };
}
