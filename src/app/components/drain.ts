/** The end of a server that is ready: it stops first, and goes on answering until callers have found another replica. */
import type { LeaderElection } from '../../kube/leader-election.ts';
import { type Clock, sleep } from '../../time/clock.ts';
import type { Component } from '../lifecycle.ts';
import type { Logger } from './outputs.ts';
import type { Webhook } from './webhook.ts';

export type DrainOptions = {
  readonly webhook: Pick<Webhook, 'drain' | 'finish'>;
  /** Stops leading when the drain begins, so that another replica takes over in time. */
  readonly leader: Pick<LeaderElection, 'stop'> | undefined;
  readonly milliseconds: number;
  readonly log: Logger;
  readonly clock: Clock;
};

/** What comes after the drain: two seconds of idle connections, and answers that are under way, each within its five seconds. */
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
