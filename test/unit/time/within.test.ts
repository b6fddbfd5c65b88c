/** Tests how long a caller waits for work. */
import { expect, test } from 'vitest';
import { systemClock } from '../../../src/time/clock.ts';
import { TooLate, within } from '../../../src/time/within.ts';

const never = () => new Promise<never>(() => {});
const reason = new Error('stopped');

test.each<[string, number, AbortSignal | undefined, unknown]>([
  ['until the time has passed', 1, undefined, expect.any(TooLate)],
  ['until the signal is aborted', 60_000, AbortSignal.timeout(1), expect.objectContaining({ name: 'TimeoutError' })],
  ['not at all if the signal is aborted already', 60_000, AbortSignal.abort(reason), reason],
])('a caller waits %s', async (_until, milliseconds, signal, expected) => {
  await expect(within(systemClock, milliseconds, 'too late', never, signal)).rejects.toEqual(expected);
});

test('work that ends in time returns its result', async () => {
  expect(await within(systemClock, 60_000, 'too late', async () => 'done', new AbortController().signal)).toBe('done');
});
