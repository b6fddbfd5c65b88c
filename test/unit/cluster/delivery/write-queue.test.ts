/** Tests when copies are written: at once, at a limited rate, or after a backoff. */
import { describe, expect, test } from 'vitest';
import { createWriteQueue, type WriteLimits } from '../../../../src/cluster/delivery/write-queue.ts';
import { virtualClock } from './virtual-clock.ts';

type Result = 'written' | 'nothing' | 'retry';

function start({
  limits = {},
  result = () => 'nothing' as Result,
  takes = 0,
}: {
  limits?: Partial<WriteLimits>;
  result?: (key: string) => Result;
  takes?: number;
} = {}) {
  const clock = virtualClock();
  const turns: { key: string; at: number }[] = [];
  let most = 0;
  let writing = 0;
  const queue = createWriteQueue({
    clock,
    random: () => 0.5,
    limits,
    async write(key) {
      turns.push({ key, at: clock.monotonic() });
      writing += 1;
      most = Math.max(most, writing);
      if (takes > 0) await new Promise<void>((resolve) => clock.schedule(resolve, takes));
      writing -= 1;
      return result(key);
    },
  });
  return { queue, clock, turns, keys: () => turns.map(({ key }) => key), most: () => most };
}

describe('the write queue', () => {
  test('writes an urgent key immediately', async () => {
    const { queue, turns, clock } = start();
    queue.add('a', 'urgent');
    await clock.advance(0);
    expect(turns).toEqual([{ key: 'a', at: 0 }]);
  });

  test('writes 1,000 keys in bulk within 30 seconds, and not all at once', async () => {
    const { queue, turns, clock } = start();
    for (let index = 0; index < 1_000; index += 1) queue.add(`${index}`, 'bulk');
    await clock.advance(1_000);
    expect(turns.length).toBeGreaterThan(20);
    expect(turns.length).toBeLessThan(100);
    await clock.advance(29_000);
    expect(turns).toHaveLength(1_000);
    expect(queue.size).toBe(0);
  });

  test('writes an urgent key before waiting ones', async () => {
    const { queue, keys, clock } = start({ limits: { bulkRate: 1 } });
    for (const key of ['a', 'b', 'c']) queue.add(key, 'bulk');
    queue.add('d', 'urgent');
    await clock.advance(10);
    expect(keys()).toEqual(['a', 'd']);
  });

  test('makes a waiting key urgent', async () => {
    const { queue, keys, clock } = start({ limits: { bulkRate: 1 } });
    for (const key of ['a', 'b', 'c']) queue.add(key, 'bulk');
    queue.add('c', 'urgent');
    await clock.advance(10);
    expect(keys()).toEqual(['a', 'c']);
    await clock.advance(10_000);
    expect(keys()).toEqual(['a', 'c', 'b']);
  });

  test('limits how many keys are written concurrently, and leaves room for urgent ones', async () => {
    const { queue, keys, most, clock } = start({ limits: { concurrent: 4, bulkRate: 1_000 }, takes: 1_000 });
    for (let index = 0; index < 10; index += 1) queue.add(`bulk-${index}`, 'bulk');
    queue.add('urgent', 'urgent');
    await clock.advance(100);
    expect(keys()).toEqual(['bulk-0', 'bulk-1', 'urgent']);
    await clock.advance(10_000);
    expect(most()).toBe(3);
  });

  test('writes a key again if it is added during its write', async () => {
    const { queue, keys, clock } = start({ takes: 100 });
    queue.add('a', 'urgent');
    await clock.advance(50);
    queue.add('a', 'bulk');
    queue.add('a', 'bulk');
    await clock.advance(1_000);
    expect(keys()).toEqual(['a', 'a']);
  });

  test('retries a failed write with a back-off of at most a minute', async () => {
    const { queue, turns, clock } = start({ result: () => 'retry' });
    queue.add('a', 'urgent');
    await clock.advance(400_000);
    const pauses = turns.slice(1).map(({ at }, index) => at - (turns[index]?.at ?? 0));
    expect(pauses.slice(0, 9)).toEqual([375, 750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000]);
  });

  test('does not shorten the back-off when the key is added again', async () => {
    const { queue, turns, clock } = start({ result: () => 'retry' });
    queue.add('a', 'urgent');
    await clock.advance(10);
    for (let index = 0; index < 100; index += 1) queue.add('a', 'urgent');
    await clock.advance(300);
    expect(turns).toHaveLength(1);
  });

  test('waits longer each time a copy is changed by another writer', async () => {
    const { queue, turns, clock } = start({ result: () => 'written' });
    for (let second = 0; second < 600; second += 1) {
      queue.add('a', 'urgent');
      await clock.advance(1_000);
    }
    expect(turns.length).toBeLessThan(20);
    expect(turns.slice(0, 4).map(({ at }) => at)).toEqual([0, 1_000, 2_000, 3_000]);
  });

  test('resets this wait after ten minutes without a write', async () => {
    const { queue, turns, clock } = start({ result: () => 'written' });
    for (let index = 0; index < 6; index += 1) {
      queue.add('a', 'urgent');
      await clock.advance(5_000);
    }
    await clock.advance(600_000);
    const before = turns.length;
    queue.add('a', 'urgent');
    await clock.advance(1);
    expect(turns).toHaveLength(before + 1);
  });

  test('drops waiting keys when it is stopped, and waits for writes in progress', async () => {
    const { queue, keys, clock } = start({ limits: { bulkRate: 1 }, takes: 100 });
    for (const key of ['a', 'b']) queue.add(key, 'bulk');
    await clock.advance(10);
    let stopped = false;
    void queue.stop().then(() => {
      stopped = true;
    });
    await clock.advance(10);
    expect(stopped).toBe(false);
    await clock.advance(10_000);
    expect(stopped).toBe(true);
    queue.add('c', 'urgent');
    await clock.advance(10_000);
    expect(keys()).toEqual(['a']);
  });
});
