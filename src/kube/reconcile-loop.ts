/** A reconcile loop: runs at intervals and on request, one run at a time, with backoff after failures. */
import { type Clock, systemClock } from '../time/clock.ts';

export type ReconcileLoopOptions = {
  /**
   * A rejection goes to `onFailure`. After it, and after the result `requeue`, the next run comes soon, with backoff for consecutive
   * failures. The signal is aborted by `stop`.
   */
  readonly reconcile: (signal: AbortSignal) => Promise<unknown>;
  /** Not called for a run that `stop` has aborted. */
  readonly onFailure: (error: unknown) => void;
  /** The longest time between two runs. */
  readonly resyncMilliseconds: number;
  /** The shortest time between two runs. Two writers that keep reverting each other must not cause a fast loop. */
  readonly minIntervalMilliseconds: number;
  readonly clock?: Pick<Clock, 'schedule'> | undefined;
};

export type ReconcileLoop = {
  /** Starts the runs: the first at once if one was requested before, otherwise after `resyncMilliseconds`. */
  start(): void;
  /** Requests a run because something may have changed. During a run, another one follows it. */
  requeue(): void;
  /** Like `requeue`, but without the minimum interval: for what is urgent and rare. */
  reconcileNow(): void;
  /** Aborts a run in progress. Resolves when nothing runs any more. A reconcile must not wait for it. */
  stop(): Promise<void>;
};

/** Runs `reconcile` at intervals and on request, one run at a time. */
export function createReconcileLoop({
  reconcile,
  onFailure,
  resyncMilliseconds,
  minIntervalMilliseconds,
  clock: { schedule } = systemClock,
}: ReconcileLoopOptions): ReconcileLoop {
  let state: 'new' | 'idle' | 'waiting' | 'reconciling' | 'stopped' = 'new';
  let requeued = false;
  let urgent = false;
  let failures = 0;
  let cancel = () => {};
  let running: Promise<void> | undefined;
  const stopping = new AbortController();

  function requeue(): void {
    if (state === 'idle') running = run();
    else requeued = true;
  }

  function reconcileNow(): void {
    urgent = state === 'reconciling';
    if (state === 'waiting') {
      cancel();
      state = 'idle';
    }
    requeue();
  }

  async function run(): Promise<void> {
    cancel();
    state = 'reconciling';
    requeued = false;
    const failed = (await attempt()) === 'requeue';
    if (isStopped()) return;
    failures = failed ? failures + 1 : 0;
    requeued ||= failed;
    state = 'waiting';
    if (urgent) return reconcileNow();
    cancel = schedule(endBackoff, Math.min(resyncMilliseconds, minIntervalMilliseconds * 2 ** Math.max(0, failures - 1)));
  }

  async function attempt(): Promise<unknown> {
    try {
      return await reconcile(stopping.signal);
    } catch (error) {
      if (!isStopped()) onFailure(error);
      return 'requeue';
    }
  }

  function endBackoff(): void {
    if (isStopped()) return;
    becomeIdle();
  }

  function becomeIdle(): void {
    state = 'idle';
    if (requeued) running = run();
    else cancel = schedule(requeue, resyncMilliseconds);
  }

  /** A function, because the state changes while a run is awaited. */
  function isStopped(): boolean {
    return state === 'stopped';
  }

  return {
    start() {
      if (state === 'new') becomeIdle();
    },
    requeue,
    reconcileNow,
    async stop() {
      state = 'stopped';
      cancel();
      stopping.abort();
      await running;
    },
  };
}
