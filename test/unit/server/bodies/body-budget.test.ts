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

describe('when bytes are short, one body ends', () => {
  test('large bodies never take what is reserved for small ones', () => {
    const { budget, body, evicted } = setUp();
    expect(budget.reserve(body('a'), 40)).toBe(true);
    expect(budget.reserve(body('b'), 35)).toBe(true);
    // The newest is as old as the others and smaller, so a larger one is evicted.
    expect(budget.reserve(body('c'), 11)).toBe(true);
    expect(evicted).toEqual(['a']);
    for (const small of ['d', 'e', 'f', 'g']) expect(budget.reserve(body(small), 10)).toBe(true);
    expect(evicted).toEqual(['a']);
  });

  test('what is announced decides whether a body is large, and takes nothing', () => {
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

  test('the one that has kept most for longest, not the one that came last', () => {
    const { budget, body, evicted, wait } = setUp();
    for (let index = 0; index < 10; index += 1) {
      expect(budget.reserve(body(`slow ${index}`), index === 4 ? 10 : 9)).toBe(true);
    }
    wait(1_000);
    expect(budget.reserve(body('quick'), 10)).toBe(true);
    expect(evicted).toEqual(['slow 4']);
  });

  test('what large bodies lack, no small one gives, however slow', () => {
    const { budget, body, evicted, wait } = setUp();
    expect(budget.reserve(body('small'), 10)).toBe(true);
    wait(60_000);
    expect(budget.reserve(body('large'), 40)).toBe(true);
    expect(budget.reserve(body('another'), 36)).toBe(true);
    expect(evicted).toEqual(['large']);
  });

  test('of two with as many bytes the older one', () => {
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

  test('bodies that have arrived stay, and the new one ends', () => {
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

  test('as many end as are needed', () => {
    const { budget, body, evicted, wait } = setUp();
    for (let index = 0; index < 10; index += 1) budget.reserve(body(String(index)), 10);
    wait(5);
    expect(budget.reserve(body('quick'), 10)).toBe(true);
    expect(budget.reserve(body('large', 70), 70)).toBe(false);
    expect(evicted.length).toBe(new Set(evicted).size);
  });
});

test.each([
  ['more than large bodies may have', 80],
  ['more than there is', 500],
])('a body alone is never too much: %s', (_name, bytes) => {
  const { budget, body } = setUp();
  const alone = body('alone');
  expect(budget.reserve(alone, bytes)).toBe(true);
  expect(budget.reserve(alone, bytes)).toBe(true);
  // A small body fits nevertheless, since the large one is evicted for it.
  expect(budget.reserve(body('small'), 1)).toBe(true);
});

test('what is released is free, once', () => {
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

test('the part of large bodies is free too', () => {
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
