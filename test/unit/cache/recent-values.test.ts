import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ownText, RecentValues } from '../../../src/cache/recent-values.ts';

const limits = { entries: 3, size: 100, largest: 50 };

describe('recent values', () => {
  test('are found by key', () => {
    const values = new RecentValues<number>(limits);
    values.set('a', 1);
    values.set('__proto__', 2);
    expect([values.get('a'), values.get('__proto__'), values.get('constructor')]).toEqual([1, 2, undefined]);
  });

  test('stay while they are used, and others are dropped', () => {
    const values = new RecentValues<number>(limits);
    values.set('used', 0);
    values.set('unused', 0);
    for (let each = 0; each < 20; each += 1) {
      values.set(String(each), each);
      expect(values.get('used')).toBe(0);
    }
    expect(values.get('unused')).toBeUndefined();
  });

  test('with long keys are not kept', () => {
    const values = new RecentValues<number>(limits);
    values.set('x'.repeat(51), 1);
    expect(values.count).toBe(0);
  });

  test('never exceed the limits, whatever is used', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ maxLength: 60 }), fc.boolean()), { maxLength: 200 }), (steps) => {
        const values = new RecentValues<string>(limits);
        for (const [key, write] of steps) {
          if (write) values.set(key, `value of ${key}`);
          else expect([undefined, `value of ${key}`]).toContain(values.get(key));
          expect(values.count).toBeLessThanOrEqual(2 * limits.entries);
        }
      }),
    );
  });
});

test('a copied string is equal to the original', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(ownText(text)).toBe(text);
    }),
  );
  expect(ownText('\ud800')).toBe('\ud800');
});
