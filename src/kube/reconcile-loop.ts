/** Checks that something is as it should be: now and then, and whenever it may have changed. */
import { type Clock, systemClock } from '../time/clock.ts';

export type ReconcileLoopOptions = {
  /** What it rejects with goes to `onFailure`. Then, and for `again`, the next check comes soon, and later each time it fails in a row. */
  readonly reconcile: () => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
  /** The longest time between two checks. */
  readonly resyncMilliseconds: number;
  /** The shortest time between two checks: what two parties keep changing back must not become a storm. */
  readonly minIntervalMilliseconds: number;
  readonly clock?: Pick<Clock, 'schedule'> | undefined;
};

export type ReconcileLoop = {
  /** From now on there are checks: the first at once where one was called for before, otherwise after `everyMilliseconds`. */
  start(): void;
  /** Something may have changed. During a check: another one follows it. */
  requeue(): void;
  /** As `soon`, without the rest between two checks: for what cannot wait, and comes seldom. */
  reconcileNow(): void;
  stop(): void;
};

/** Checks at intervals and on request, one check at a time. */
export function createReconcileLoop({
  reconcile,
  onFailure,
  resyncMilliseconds,
  minIntervalMilliseconds,
  clock: { schedule } = systemClock,
}: ReconcileLoopOptions): ReconcileLoop {
  let state: 'new' | 'idle' | 'resting' | 'checking' | 'stopped' = 'new';
  let requeued = false;
  let urgent = false;
  let failures = 0;
  let cancel = () => {};

  function requeue(): void {
    if (state === 'idle') void run();
    else requeued = true;
  }

  function reconcileNow(): void {
    urgent = state === 'checking';
    if (state === 'resting') {
      cancel();
      state = 'idle';
    }
    requeue();
  }

  async function run(): Promise<void> {
    cancel();
    state = 'checking';
    requeued = false;
    const failed = (await attempt()) === 'requeue';
    if (isStopped()) return;
    failures = failed ? failures + 1 : 0;
    requeued ||= failed;
    state = 'resting';
    if (urgent) return reconcileNow();
    cancel = schedule(endBackoff, Math.min(resyncMilliseconds, minIntervalMilliseconds * 2 ** Math.max(0, failures - 1)));
  }

  async function attempt(): Promise<unknown> {
    try {
      return await reconcile();
    } catch (error) {
      if (!isStopped()) onFailure(error);
      return 'requeue';
    }
  }

  function endBackoff(): void {
    if (isStopped()) return;
    state = 'idle';
    if (requeued) void run();
    else cancel = schedule(requeue, resyncMilliseconds);
  }

  /** Asked as a function, because the state changes while a check is awaited. */
  function isStopped(): boolean {
    return state === 'stopped';
  }

  return {
    start() {
      if (state !== 'new') return;
      state = 'idle';
      if (requeued) void run();
      else cancel = schedule(requeue, resyncMilliseconds);
    },
    requeue,
    reconcileNow,
    stop() {
      state = 'stopped';
      cancel();
    },
  };
}
