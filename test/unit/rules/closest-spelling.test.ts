/** Tests the suggestion of a known word for a misspelt one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { closestSpelling, countTypingErrors } from '../../../src/rules/closest-spelling.ts';

describe('typing errors between two words', () => {
  test.each([
    { from: 'quay.io', to: 'quay.io', slips: 0 },
    { from: 'quay.io', to: 'qay.io', slips: 1 },
    { from: 'quay.io', to: 'quuay.io', slips: 1 },
    { from: 'quay.io', to: 'kuay.io', slips: 1 },
    { from: 'quay.io', to: 'qauy.io', slips: 1 },
    { from: 'quay.io', to: 'qauy.oi', slips: 2 },
    { from: 'quay.io', to: 'ghcr.io', slips: 3 },
    { from: '', to: 'a', slips: 1 },
    { from: 'registry', to: 'x', slips: 3 },
  ])('$from and $to: $slips, where three means more than two', ({ from, to, slips }) => {
    expect(countTypingErrors(from, to, 2)).toBe(slips);
  });

  test('agree with the count without a limit', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
    fc.assert(
      fc.property(
        word,
        word,
        fc.nat(4),
        (from, to, limit) => countTypingErrors(from, to, limit) === Math.min(slowSlips(from, to), limit + 1),
      ),
    );
  });
});

describe('the closest spelling', () => {
  test.each([
    { word: 'pullsecret', near: 'pullSecret' },
    { word: 'pullSecrets', near: 'pullSecret' },
    { word: 'pushsecert', near: 'pushSecret' },
    { word: 'namespaces', near: undefined },
    { word: 'x', near: undefined },
    { word: 'nam', near: 'name' },
  ])('of $word is $near', ({ word, near }) => {
    expect(closestSpelling(word, ['name', 'registry', 'pullSecret', 'pushSecret'])).toBe(near);
  });
});

function slowSlips(from: string, to: string): number {
  if (from === '' || to === '') return from.length + to.length;
  const choices = [
    slowSlips(from.slice(1), to) + 1,
    slowSlips(from, to.slice(1)) + 1,
    slowSlips(from.slice(1), to.slice(1)) + (from[0] === to[0] ? 0 : 1),
  ];
  if (from.length > 1 && to.length > 1 && from[0] === to[1] && from[1] === to[0]) choices.push(slowSlips(from.slice(2), to.slice(2)) + 1);
  return Math.min(...choices);
}
