import { describe, expect, test } from 'vitest';
import { type BodyReservation, createBodyBudget } from '../../../src/server/body-budget.ts';

/** A budget of 100 bytes, 25 of them for bodies of at most 10, and a clock that is set. */
function setUp() {
  let at = 0;
  const evicted: string[] = [];
  const budget = createBodyBudget({ total: 100, reserved: 25, small: 10 }, () => at);
  const body = (name: string, announced = 0): BodyReservation => ({ announced, since: at, evict: () => evicted.push(name) });
  return { budget, body, evicted, wait: (milliseconds: number) => (at += milliseconds) };
}

describe('when bytes are short, one body ends', () => {
  test('large bodies never take what is reserved for small ones', () => {
    const { budget, body, evicted } = setUp();
    expect(budget.take(body('a'), 40)).toBe(true);
    expect(budget.take(body('b'), 35)).toBe(true);
    // The newest is as old as the others, and smaller: it could only push out a larger one.
    expect(budget.take(body('c'), 11)).toBe(true);
    expect(evicted).toEqual(['a']);
    for (const small of ['d', 'e', 'f', 'g']) expect(budget.take(body(small), 10)).toBe(true);
    expect(evicted).toEqual(['a']);
  });

  test('what is announced decides whether a body is large, and takes nothing', () => {
    const { budget, body, evicted } = setUp();
    const announced = body('announced', 1_000);
    expect(budget.take(announced, 1)).toBe(true);
    expect(budget.take(body('b'), 75)).toBe(false);
    expect(evicted).toEqual([]);
  });

  test('a small body that grows counts as large from then on, with all its bytes', () => {
    const { budget, body, evicted } = setUp();
    const grows = body('grows');
    const other = body('other');
    expect(budget.take(grows, 10)).toBe(true);
    expect(budget.take(other, 70)).toBe(true);
    expect(budget.take(grows, 1)).toBe(true);
    expect(evicted).toEqual(['other']);
  });

  test('the one that has kept most for longest, not the one that came last', () => {
    const { budget, body, evicted, wait } = setUp();
    for (let index = 0; index < 10; index += 1) {
      expect(budget.take(body(`slow ${index}`), index === 4 ? 10 : 9)).toBe(true);
    }
    wait(1_000);
    expect(budget.take(body('quick'), 10)).toBe(true);
    expect(evicted).toEqual(['slow 4']);
  });

  test('what large bodies lack, no small one gives, however slow', () => {
    const { budget, body, evicted, wait } = setUp();
    expect(budget.take(body('small'), 10)).toBe(true);
    wait(60_000);
    expect(budget.take(body('large'), 40)).toBe(true);
    expect(budget.take(body('another'), 36)).toBe(true);
    expect(evicted).toEqual(['large']);
  });

  test('of two with as many bytes the older one', () => {
    const { budget, body, evicted, wait } = setUp();
    budget.take(body('older'), 37);
    wait(10);
    budget.take(body('younger'), 38);
    wait(1_000);
    budget.take(body('quick'), 30);
    expect(evicted).toEqual(['younger']);
    budget.take(body('quick'), 20);
    expect(evicted).toEqual(['younger', 'older']);
  });

  test('bodies that have arrived stay, and the new one ends', () => {
    const { budget, body, evicted, wait } = setUp();
    const arrived = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((index) => body(`arrived ${index}`));
    for (const each of arrived) {
      budget.take(each, 10);
      budget.arrived(each);
    }
    wait(1_000);
    const late = body('late');
    expect(budget.take(late, 5)).toBe(false);
    expect(evicted).toEqual([]);
    budget.release(arrived[0] as BodyReservation);
    expect(budget.take(late, 5)).toBe(true);
  });

  test('as many end as are needed', () => {
    const { budget, body, evicted, wait } = setUp();
    for (let index = 0; index < 10; index += 1) budget.take(body(String(index)), 10);
    wait(5);
    expect(budget.take(body('quick'), 10)).toBe(true);
    expect(budget.take(body('large', 70), 70)).toBe(false);
    expect(evicted.length).toBe(new Set(evicted).size);
  });
});

test.each([
  ['more than large bodies may have', 80],
  ['more than there is', 500],
])('a body alone is never too much: %s', (_name, bytes) => {
  const { budget, body } = setUp();
  const alone = body('alone');
  expect(budget.take(alone, bytes)).toBe(true);
  expect(budget.take(alone, bytes)).toBe(true);
  // Beside it there is room again, since it is the one that ends.
  expect(budget.take(body('small'), 1)).toBe(true);
});

test('what is released is free, once', () => {
  const { budget, body, evicted } = setUp();
  const [one, other] = [body('one'), body('other')];
  budget.take(one, 50);
  budget.take(other, 20);
  budget.release(one);
  budget.release(one);
  for (let index = 0; index < 8; index += 1) expect(budget.take(body(`small ${index}`), 10)).toBe(true);
  expect(evicted).toEqual([]);
  expect(budget.take(body('one more'), 10)).toBe(true);
  expect(evicted).toEqual(['other']);
});

test('the part of large bodies is free too', () => {
  const { budget, body } = setUp();
  const [one, other] = [body('one'), body('other')];
  budget.take(one, 50);
  budget.take(other, 20);
  budget.release(one);
  budget.release(other);
  const third = body('third');
  const fourth = body('fourth');
  expect([budget.take(third, 35), budget.take(fourth, 40)]).toEqual([true, true]);
});
