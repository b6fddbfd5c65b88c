/** Begins the shutdown of a running server: reports not ready, and keeps answering until callers have found another replica. */
import type { LeaderElection } from '../../kube/leader-election.ts';
import { type Clock, sleep } from '../../time/clock.ts';
import type { Component } from '../lifecycle.ts';
import type { Logger } from './outputs.ts';
import type { Webhook } from './webhook.ts';

export type DrainOptions = {
  readonly webhook: Pick<Webhook, 'drain' | 'finish'>;
  /** Resigns when the drain begins, so that another replica takes over in time. */
  readonly leader: Pick<LeaderElection, 'stop'> | undefined;
  readonly milliseconds: number;
  readonly log: Logger;
  readonly clock: Clock;
};

/** Time for the rest of the shutdown: two seconds for idle connections, and five for each request that is still open. */
const finishMilliseconds = 10_000;

export type Drain = Component & { isDraining(): boolean };

export function createDrain({ webhook, leader, milliseconds, log, clock }: DrainOptions): Drain {
  let draining = false;
  return {
    name: 'drain',
    stopWithinMilliseconds: milliseconds + finishMilliseconds,
    async stop() {
      draining = true;
      webhook.drain();
      const released = leader?.stop();
      log.info({ drainMilliseconds: milliseconds }, 'shutting down: not ready any more, still answering');
      await sleep(clock, milliseconds);
      await webhook.finish();
      await released;
      log.info({}, 'stopped: every request was answered');
    },
    isDraining: () => draining,
  };
}
