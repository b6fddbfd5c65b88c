/** Components start in order and stop in reverse, also if one of them fails. */
import { expect, test } from 'vitest';
import { group, type LifecycleOptions, runGroups } from '../../../src/app/lifecycle.ts';
import type { Component } from '../../../src/contracts/component.ts';

/** Components that record their calls, and deadlines that pass when the test says so. */
function stage() {
  const events: string[] = [];
  const deadlines = new Set<() => void>();
  const options: LifecycleOptions = {
    onStopFailure: (component, error) => events.push(`${component} failed to stop: ${(error as Error).message}`),
    stopWithinMilliseconds: 5_000,
    clock: {
      schedule(work) {
        deadlines.add(work);
        return () => deadlines.delete(work);
      },
    },
  };
  const component = (name: string, parts: Partial<Component> = {}): Component => ({
    name,
    async start(signal) {
      events.push(`start ${name}`);
      await parts.start?.(signal);
      events.push(`started ${name}`);
    },
    async stop() {
      events.push(`stop ${name}`);
      await parts.stop?.();
    },
  });
  const passDeadlines = () => {
    for (const work of [...deadlines]) work();
  };
  return { events, options, component, passDeadlines, deadlines };
}

const never = () => new Promise<void>(() => undefined);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('groups start in order and stop in reverse, and the components of a group start and stop together', async () => {
  const { events, options, component } = stage();
  const life = runGroups([group('a', component('a1'), component('a2')), group('b', component('b1'))], options);
  await life.started;
  expect(events).toEqual(['start a1', 'start a2', 'started a1', 'started a2', 'start b1', 'started b1']);
  events.length = 0;
  await life.stop();
  expect(events).toEqual(['stop b1', 'stop a1', 'stop a2']);
});

test('a component may lack start or stop, and absent components are skipped', async () => {
  const { events, options, component } = stage();
  const life = runGroups([group('a', undefined, false, { name: 'silent' }, component('a1'))], options);
  await life.started;
  await life.stop();
  expect(events).toEqual(['start a1', 'started a1', 'stop a1']);
});

test('after a failed start, everything that was started is stopped, and nothing else', async () => {
  const { events, options, component } = stage();
  const failing = component('b1', {
    async start() {
      throw new Error('the certificate file is missing');
    },
  });
  const life = runGroups([group('a', component('a1')), group('b', failing, component('b2')), group('c', component('c1'))], options);
  await expect(life.started).rejects.toThrow('the certificate file is missing');
  expect(events.filter((event) => event.startsWith('stop'))).toEqual(['stop b1', 'stop b2', 'stop a1']);
  expect(events).not.toContain('start c1');
});

test('a component that throws on stop does not prevent others from stopping', async () => {
  const { events, options, component } = stage();
  const throwing = component('b1', {
    async stop() {
      throw new Error('a bug');
    },
  });
  const life = runGroups([group('a', component('a1')), group('b', throwing)], options);
  await life.started;
  await life.stop();
  expect(events.slice(-3)).toEqual(['stop b1', 'b1 failed to stop: a bug', 'stop a1']);
});

test('a component that does not stop in time is reported, and the others are stopped', async () => {
  const { events, options, component, passDeadlines, deadlines } = stage();
  const life = runGroups([group('a', component('a1')), group('b', component('b1', { stop: never }))], options);
  await life.started;
  const stopped = life.stop();
  await turn();
  expect(events).not.toContain('stop a1');
  passDeadlines();
  await stopped;
  expect(events.slice(-3)).toEqual(['stop b1', 'b1 failed to stop: did not stop within 5 s', 'stop a1']);
  expect(deadlines.size).toBe(0);
});

test('a stop during the start aborts its signal, and does not wait for a component that ignores it', async () => {
  const { events, options, component } = stage();
  let signalOfB: AbortSignal | undefined;
  const stuck = component('b1', {
    start(signal) {
      signalOfB = signal;
      return never();
    },
  });
  const life = runGroups([group('a', component('a1')), group('b', stuck), group('c', component('c1'))], options);
  await turn();
  await life.stop();
  expect(signalOfB?.aborted).toBe(true);
  expect(events).toEqual(['start a1', 'started a1', 'start b1', 'stop b1', 'stop a1']);
  await expect(life.started).rejects.toThrow('stopped before it had started');
});

test('a second stop waits for the first and stops nothing twice', async () => {
  const { events, options, component } = stage();
  const life = runGroups([group('a', component('a1'))], options);
  await life.started;
  await Promise.all([life.stop(), life.stop()]);
  await life.stop();
  expect(events.filter((event) => event === 'stop a1')).toHaveLength(1);
});
