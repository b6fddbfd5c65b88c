/** Work of several names in turn. */
import { expect, test } from 'vitest';
import { createRoundRobin } from '../../../src/loading/round-robin.ts';

test('one task of each name in turn, and those of one name in order', async () => {
  const turns = createRoundRobin();
  const done: string[] = [];
  const piece = (name: string, number: number) => turns.run(name, async () => void done.push(`${name}${number}`));
  await Promise.all([piece('a', 1), piece('a', 2), piece('a', 3), piece('b', 1), piece('b', 2), piece('c', 1)]);
  expect(done).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2']);
});

test('a failure is reported to its caller only, and the following tasks run', async () => {
  const turns = createRoundRobin();
  const failing = turns.run('a', () => Promise.reject(new Error('a bug')));
  const next = turns.run('a', async () => 'next');
  await expect(failing).rejects.toThrow('a bug');
  expect(await next).toBe('next');
  expect(await turns.run('b', async () => 'later')).toBe('later');
});
