/** The drain reports not ready first, and finishes after the drain time. */
import { expect, test } from 'vitest';
import { createDrain } from '../../../../src/app/components/drain.ts';
import type { Logger } from '../../../../src/app/components/outputs.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { manualClock } from '../../server/clock.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function draining() {
  const events: string[] = [];
  const clock = manualClock();
  const log = recordingLog();
  const released = Promise.withResolvers<void>();
  const leader = {
    stop() {
      events.push('leads no more');
      return released.promise;
    },
  };
  const webhook = {
    drain: () => void events.push('answers end their connections'),
    async finish() {
      events.push('takes no new connection');
    },
  };
  const drain = createDrain({ webhook, leader, milliseconds: 10_000, finishMilliseconds: 10_000, log: log as unknown as Logger, clock });
  return { events, clock, log, released, drain };
}

test('the replica is unready and no longer the leader from the beginning, and keeps responding during the drain time', async () => {
  const { events, clock, log, released, drain } = draining();
  expect(drain.isDraining()).toBe(false);
  const stopped = drain.stop?.();
  expect(drain.isDraining()).toBe(true);
  clock.pass(9_999);
  await turn();
  expect(events).toEqual(['answers end their connections', 'leads no more']);
  clock.pass(1);
  await turn();
  expect(events.at(-1)).toBe('takes no new connection');
  expect(log.lines.map(({ message }) => message)).toEqual([
    'shutting down. This replica is no longer ready, but is still serving requests',
  ]);
  released.resolve();
  await stopped;
  expect(log.lines.at(-1)?.message).toBe('stopped. All requests have been served');
});

test('its own deadline is after the drain time', () => {
  const { drain } = draining();
  expect(drain.stopWithinMilliseconds).toBeGreaterThan(10_000 + 5_000);
});
