/** The CPU allowance of each name: a burst, and then a share of the time. */
import { expect, test } from 'vitest';
import { createCpuAllowance } from '../../../src/loading/cpu-allowance.ts';

test('an initial amount is available immediately, then a share of the elapsed time, separately for each name', () => {
  let now = 0;
  const allowance = createCpuAllowance({ burst: 1_000, share: 0.2, now: () => now });
  allowance.use('a', 999);
  expect(allowance.has('a')).toBe(true);
  allowance.use('a', 501);
  expect([allowance.has('a'), allowance.has('b')]).toEqual([false, true]);
  now = 2_500;
  expect(allowance.has('a')).toBe(false);
  now = 2_501;
  expect(allowance.has('a')).toBe(true);
});
