import { expect, test } from 'vitest';
import { repeat, sleep } from '../../../src/time/clock.ts';
import { TooLate, within } from '../../../src/time/within.ts';
import { manualClock } from '../server/clock.ts';

const never = () => new Promise<never>(() => undefined);

test('repeated work runs after each pause, until it is cancelled', () => {
  const clock = manualClock();
  let runs = 0;
  const end = repeat(clock, () => void runs++, 100);
  clock.pass(99);
  expect(runs).toBe(0);
  for (let passed = 0; passed < 3; passed += 1) clock.pass(100);
  expect(runs).toBe(3);
  end();
  clock.pass(1_000);
  expect(runs).toBe(3);
});

test('work that cancels its own repetition does not run again', () => {
  const clock = manualClock();
  let runs = 0;
  const end = repeat(clock, () => ++runs === 2 && end(), 100);
  for (let passed = 0; passed < 5; passed += 1) clock.pass(100);
  expect(runs).toBe(2);
});

test('a sleep ends after its time, or with its signal', async () => {
  const clock = manualClock();
  const whole = sleep(clock, 1_000);
  clock.pass(1_000);
  await whole;
  const giveUp = new AbortController();
  const cut = sleep(clock, 1_000, giveUp.signal);
  giveUp.abort();
  await cut;
  await sleep(clock, 1_000, giveUp.signal);
});

test('work that ends in time returns its result or its failure', async () => {
  const clock = manualClock();
  expect(await within(clock, 1_000, 'late', async () => 'done')).toBe('done');
  await expect(within(clock, 1_000, 'late', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
});

test('work that does not end in time is a timeout, and its later failure is ignored', async () => {
  const clock = manualClock();
  const late = expect(within(clock, 1_000, 'no answer within 1 s', never)).rejects.toThrow(new TooLate('no answer within 1 s'));
  clock.pass(1_000);
  await late;
  const work = Promise.withResolvers<void>();
  const forgotten = expect(within(clock, 1_000, 'late', () => work.promise)).rejects.toThrow(TooLate);
  clock.pass(1_000);
  await forgotten;
  work.reject(new Error('nobody waits for it any more'));
  await new Promise((resolve) => setImmediate(resolve));
});
