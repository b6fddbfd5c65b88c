/** Tests when a reconcile loop runs. */
import { expect, test } from 'vitest';
import { createReconcileLoop } from '../../../src/kube/reconcile-loop.ts';

/** A loop that counts its runs, on a clock that the test advances with `pass`. `finish` ends the present run. */
function checking() {
  const counted = { checks: 0 };
  let timers: { work: () => void; cancelled: boolean }[] = [];
  let finish = Promise.withResolvers<undefined>();
  const checks = createReconcileLoop({
    reconcile: () => {
      counted.checks += 1;
      finish = Promise.withResolvers<undefined>();
      return finish.promise;
    },
    onFailure: () => undefined,
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 5_000,
    clock: {
      schedule(work) {
        const timer = { work, cancelled: false };
        timers.push(timer);
        return () => {
          timer.cancelled = true;
        };
      },
    },
  });
  checks.start();
  return {
    checks,
    count: () => counted.checks,
    finish: async () => {
      finish.resolve(undefined);
      await new Promise((resolve) => setImmediate(resolve));
    },
    pass: () => {
      const due = timers.filter(({ cancelled }) => !cancelled);
      timers = [];
      for (const { work } of due) work();
    },
  };
}

test('a requeue soon after a run waits for the minimum interval, reconcileNow does not', async () => {
  const { checks, count, finish, pass } = checking();
  checks.requeue();
  await finish();
  checks.requeue();
  expect(count()).toBe(1);
  pass();
  expect(count()).toBe(2);
  await finish();
  checks.reconcileNow();
  expect(count()).toBe(3);
});

test('reconcileNow during a run causes another run right after it, once', async () => {
  const { checks, count, finish, pass } = checking();
  checks.requeue();
  checks.reconcileNow();
  expect(count()).toBe(1);
  await finish();
  expect(count()).toBe(2);
  await finish();
  expect(count()).toBe(2);
  checks.requeue();
  expect(count()).toBe(2);
  pass();
  expect(count()).toBe(3);
});

test('there is no run after stop', async () => {
  const { checks, count, finish, pass } = checking();
  checks.requeue();
  const stopped = checks.stop();
  await finish();
  await stopped;
  checks.reconcileNow();
  pass();
  expect(count()).toBe(1);
});

test('stop aborts a run in progress, waits for its end, and does not report it as a failure', async () => {
  const ended: string[] = [];
  const loop = createReconcileLoop({
    reconcile: async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      ended.push('run');
      signal.throwIfAborted();
    },
    onFailure: () => ended.push('failure'),
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 5_000,
  });
  loop.requeue();
  loop.start();
  await loop.stop();
  expect(ended).toEqual(['run']);
});

test('stop before the start, or a second time, waits for nothing', async () => {
  const { checks } = checking();
  await checks.stop();
  await checks.stop();
});

test('there is no run before the start, and then an immediate one if a requeue came meanwhile', () => {
  let checks = 0;
  const clock = { schedule: () => () => undefined };
  const check = async () => void checks++;
  const loop = createReconcileLoop({
    reconcile: check,
    onFailure: () => undefined,
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 5_000,
    clock,
  });
  loop.requeue();
  loop.reconcileNow();
  expect(checks).toBe(0);
  loop.start();
  expect(checks).toBe(1);
});
