/** Checks that something is as it should be: now and then, and whenever it may have changed. */
import { type Clock, systemClock } from '../time/clock.ts';

export type ReconcileLoopOptions = {
  /** What it rejects with goes to `onFailure`. Then, and for `again`, the next check comes soon, and later each time it fails in a row. */
  readonly check: () => Promise<unknown>;
  readonly onFailure: (error: unknown) => void;
  /** The longest time between two checks. */
  readonly everyMilliseconds: number;
  /** The shortest time between two checks: what two parties keep changing back must not become a storm. */
  readonly apartMilliseconds: number;
  readonly clock?: Pick<Clock, 'schedule'> | undefined;
};

export type ReconcileLoop = {
  /** Something may have changed. During a check: another one follows it. */
  soon(): void;
  /** As `soon`, without the rest between two checks: for what cannot wait, and comes seldom. */
  now(): void;
  close(): void;
};

/** Checks now and then, and whenever told to, one check at a time. The first one comes after `everyMilliseconds`, or when told to. */
export function createReconcileLoop({
  check,
  onFailure,
  everyMilliseconds,
  apartMilliseconds,
  clock: { schedule } = systemClock,
}: ReconcileLoopOptions): ReconcileLoop {
  let state: 'idle' | 'resting' | 'checking' | 'closed' = 'idle';
  let wanted = false;
  let urgent = false;
  let failures = 0;
  let cancel = schedule(soon, everyMilliseconds);

  function soon(): void {
    if (state === 'idle') void run();
    else wanted = true;
  }

  function now(): void {
    urgent = state === 'checking';
    if (state === 'resting') {
      cancel();
      state = 'idle';
    }
    soon();
  }

  async function run(): Promise<void> {
    cancel();
    state = 'checking';
    wanted = false;
    const failed = (await attempt()) === 'again';
    if (isClosed()) return;
    failures = failed ? failures + 1 : 0;
    wanted ||= failed;
    state = 'resting';
    if (urgent) return now();
    cancel = schedule(rested, Math.min(everyMilliseconds, apartMilliseconds * 2 ** Math.max(0, failures - 1)));
  }

  async function attempt(): Promise<unknown> {
    try {
      return await check();
    } catch (error) {
      if (!isClosed()) onFailure(error);
      return 'again';
    }
  }

  function rested(): void {
    if (isClosed()) return;
    state = 'idle';
    if (wanted) void run();
    else cancel = schedule(soon, everyMilliseconds);
  }

  /** Asked as a function, because the state changes while a check is awaited. */
  function isClosed(): boolean {
    return state === 'closed';
  }

  return {
    soon,
    now,
    close() {
      state = 'closed';
      cancel();
    },
  };
}
