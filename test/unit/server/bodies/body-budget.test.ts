/** The budget for bytes of bodies, and which body is evicted. */
import { describe, expect, test } from 'vitest';
import { type BodyReservation, createBodyBudget } from '../../../../src/server/bodies/body-budget.ts';

/** A budget of 100 bytes, 25 of them for bodies of at most 10, and a clock that the test sets. */
function setUp() {
  let at = 0;
  const evicted: string[] = [];
  const budget = createBodyBudget({ total: 100, reserved: 25, small: 10 }, () => at);
  const body = (name: string, announced = 0): BodyReservation => ({ announced, since: at, evict: () => evicted.push(name) });
  return { budget, body, evicted, wait: (milliseconds: number) => (at += milliseconds) };
}

describe('when bytes run short, one body is evicted', () => {
  test('large bodies never use what is reserved for small ones', () => {
    const { budget, body, evicted } = setUp();
    expect(budget.reserve(body('a'), 40)).toBe(true);
    expect(budget.reserve(body('b'), 35)).toBe(true);
    // The newest is as old as the others and smaller, so a larger one is evicted.
    expect(budget.reserve(body('c'), 11)).toBe(true);
    expect(evicted).toEqual(['a']);
    for (const small of ['d', 'e', 'f', 'g']) expect(budget.reserve(body(small), 10)).toBe(true);
    expect(evicted).toEqual(['a']);
  });

  test('the announced length decides whether a body is large, and reserves nothing', () => {
    const { budget, body, evicted } = setUp();
    const announced = body('announced', 1_000);
    expect(budget.reserve(announced, 1)).toBe(true);
    expect(budget.reserve(body('b'), 75)).toBe(false);
    expect(evicted).toEqual([]);
  });

  test('a small body that grows counts as large from then on, with all its bytes', () => {
    const { budget, body, evicted } = setUp();
    const grows = body('grows');
    const other = body('other');
    expect(budget.reserve(grows, 10)).toBe(true);
    expect(budget.reserve(other, 70)).toBe(true);
    expect(budget.reserve(grows, 1)).toBe(true);
    expect(evicted).toEqual(['other']);
  });

  test('the one that has kept the most bytes for the longest time, not the one that came last', () => {
    const { budget, body, evicted, wait } = setUp();
    for (let index = 0; index < 10; index += 1) {
      expect(budget.reserve(body(`slow ${index}`), index === 4 ? 10 : 9)).toBe(true);
    }
    wait(1_000);
    expect(budget.reserve(body('quick'), 10)).toBe(true);
    expect(evicted).toEqual(['slow 4']);
  });

  test('small bodies are not evicted for large ones, however slow they are', () => {
    const { budget, body, evicted, wait } = setUp();
    expect(budget.reserve(body('small'), 10)).toBe(true);
    wait(60_000);
    expect(budget.reserve(body('large'), 40)).toBe(true);
    expect(budget.reserve(body('another'), 36)).toBe(true);
    expect(evicted).toEqual(['large']);
  });

  test('of two with as many bytes, the older one', () => {
    const { budget, body, evicted, wait } = setUp();
    budget.reserve(body('older'), 37);
    wait(10);
    budget.reserve(body('younger'), 38);
    wait(1_000);
    budget.reserve(body('quick'), 30);
    expect(evicted).toEqual(['younger']);
    budget.reserve(body('quick'), 20);
    expect(evicted).toEqual(['younger', 'older']);
  });

  test('bodies that have arrived stay, and the new one is rejected', () => {
    const { budget, body, evicted, wait } = setUp();
    const arrived = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((index) => body(`arrived ${index}`));
    for (const each of arrived) {
      budget.reserve(each, 10);
      budget.arrived(each);
    }
    wait(1_000);
    const late = body('late');
    expect(budget.reserve(late, 5)).toBe(false);
    expect(evicted).toEqual([]);
    budget.release(arrived[0] as BodyReservation);
    expect(budget.reserve(late, 5)).toBe(true);
  });

  test('as many as needed', () => {
    const { budget, body, evicted, wait } = setUp();
    for (let index = 0; index < 10; index += 1) budget.reserve(body(String(index)), 10);
    wait(5);
    expect(budget.reserve(body('quick'), 10)).toBe(true);
    expect(budget.reserve(body('large', 70), 70)).toBe(false);
    expect(evicted.length).toBe(new Set(evicted).size);
  });
});

test.each([
  ['more than the limit for large bodies', 80],
  ['more than the total limit', 500],
])('a single body is never too large: %s', (_name, bytes) => {
  const { budget, body } = setUp();
  const alone = body('alone');
  expect(budget.reserve(alone, bytes)).toBe(true);
  expect(budget.reserve(alone, bytes)).toBe(true);
  // A small body fits nevertheless, since the large one is evicted for it.
  expect(budget.reserve(body('small'), 1)).toBe(true);
});

test('released bytes are free, once', () => {
  const { budget, body, evicted } = setUp();
  const [one, other] = [body('one'), body('other')];
  budget.reserve(one, 50);
  budget.reserve(other, 20);
  budget.release(one);
  budget.release(one);
  for (let index = 0; index < 8; index += 1) expect(budget.reserve(body(`small ${index}`), 10)).toBe(true);
  expect(evicted).toEqual([]);
  expect(budget.reserve(body('one more'), 10)).toBe(true);
  expect(evicted).toEqual(['other']);
});

test('the share of large bodies is freed too', () => {
  const { budget, body } = setUp();
  const [one, other] = [body('one'), body('other')];
  budget.reserve(one, 50);
  budget.reserve(other, 20);
  budget.release(one);
  budget.release(other);
  const third = body('third');
  const fourth = body('fourth');
  expect([budget.reserve(third, 35), budget.reserve(fourth, 40)]).toEqual([true, true]);
});
