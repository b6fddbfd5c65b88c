/** Tests namespace selectors: names, globs, labels, ranks and overlaps. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalSelector,
  commonName,
  mayOverlap,
  nameMatches,
  rankIn,
  renderSelector,
  selects,
} from '../../../../src/rules/match/namespaces.ts';
import type { NamespaceSelector } from '../../../../src/rules/rule-set.ts';
import { runs } from '../../../property.ts';
import { anyNamespace, anySelector, inNamespace, labels, names, unlabelled } from '../build.ts';

describe('names of namespaces', () => {
  test.each([
    { name: 'team-a', matches: ['team-a'], not: ['team-ab', 'team', 'xteam-a', ''] },
    { name: 'team-*', matches: ['team-', 'team-a', 'team-a-b'], not: ['team', 'xteam-a'] },
    { name: '*-dev', matches: ['-dev', 'a-dev', 'a-dev-dev'], not: ['dev', 'a-dev-x'] },
    { name: 'a*b*c', matches: ['abc', 'axbxc', 'abcbc', 'abbc'], not: ['ac', 'acb', 'abcx', 'ab'] },
    { name: 'ab*ba', matches: ['abba', 'abxba'], not: ['aba'] },
    { name: 'a*bc*c', matches: ['abcc', 'axbcxc'], not: ['abc'] },
    { name: '*', matches: ['', 'a'], not: [] },
    { name: 'a**b', matches: ['ab', 'axb'], not: ['a'] },
    { name: 'a.b', matches: ['a.b'], not: ['axb'] },
  ])('$name matches $matches and not $not', ({ name, matches, not }) => {
    expect(matches.filter((namespace) => !nameMatches(name, namespace))).toEqual([]);
    expect(not.filter((namespace) => nameMatches(name, namespace))).toEqual([]);
  });

  test('match like a regular expression, for any glob', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
    fc.assert(
      fc.property(text, name, (glob, namespace) => {
        expect(nameMatches(glob, namespace)).toBe(new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(namespace));
      }),
      runs(1000),
    );
  });

  test('take no longer for many stars than for few', () => {
    expect(nameMatches(`${'*a'.repeat(5000)}*b`, 'a'.repeat(100_000))).toBe(false);
  });
});

describe('labels of namespaces', () => {
  test.each([
    { selector: 'team=a', matches: [{ team: 'a' }, { team: 'a', tier: 'x' }], not: [{}, { team: 'b' }, { tier: 'a' }] },
    { selector: 'team in a b', matches: [{ team: 'b' }], not: [{ team: 'c' }, {}] },
    { selector: 'team notin a b', matches: [{ team: 'c' }, {}], not: [{ team: 'a' }] },
    { selector: 'team', matches: [{ team: '' }], not: [{}] },
    { selector: '!team', matches: [{}, { tier: 'a' }], not: [{ team: '' }] },
    { selector: 'constructor', matches: [{ constructor: 'a' }], not: [{}] },
  ])('$selector matches $matches and not $not', ({ selector, matches, not }) => {
    const answer = (ofNamespace: object) => selects(labels(selector), inNamespace('shop', ofNamespace as Record<string, string>));
    expect(matches.filter((each) => answer(each) !== true)).toEqual([]);
    expect(not.filter((each) => answer(each) !== false)).toEqual([]);
  });

  test('must all match', () => {
    expect(selects(labels('team=a', '!legacy'), inNamespace('shop', { team: 'a' }))).toBe(true);
    expect(selects(labels('team=a', '!legacy'), inNamespace('shop', { team: 'a', legacy: '' }))).toBe(false);
  });

  test('leave the result open if they are unknown and matter', () => {
    expect(selects(labels('team=a'), unlabelled('shop'))).toBe('unknown');
    expect(selects(labels('!team'), unlabelled('shop'))).toBe('unknown');
    expect(selects(names('shop'), unlabelled('shop'))).toBe(true);
    expect(selects(names('team-*'), unlabelled('shop'))).toBe(false);
    expect(selects(undefined, unlabelled('shop'))).toBe(true);
  });

  test('include the name, which is always known', () => {
    expect(selects(labels('kubernetes.io/metadata.name=shop'), unlabelled('shop'))).toBe(true);
    expect(selects(labels('kubernetes.io/metadata.name=shop'), inNamespace('shop'))).toBe(true);
    expect(selects(labels('kubernetes.io/metadata.name=shop', 'team=a'), unlabelled('till'))).toBe(false);
    expect(selects(labels('kubernetes.io/metadata.name=shop', 'team=a'), unlabelled('shop'))).toBe('unknown');
  });
});

describe('the more specific selector', () => {
  const shop = inNamespace('team-a', { team: 'a', tier: 'x' });
  test.each([
    { because: 'an exact name before a glob', first: names('team-a'), second: names('team-*') },
    { because: 'an exact name in a list', first: names('x', 'team-a'), second: names('team-*') },
    { because: 'a longer glob before a shorter', first: names('team-*'), second: names('*-a') },
    { because: 'literal characters count, not stars', first: names('t*m-*'), second: names('te*') },
    { because: 'any glob before labels', first: names('*'), second: labels('team=a', 'tier=x') },
    { because: 'more requirements before fewer', first: labels('team=a', 'tier=x'), second: labels('team=a') },
    { because: 'labels before none', first: labels('!legacy'), second: undefined },
  ])('$because', ({ first, second }) => {
    expect(rankIn(first, shop)).toBeGreaterThan(rankIn(second, shop) ?? Number.NaN);
  });

  test('has no rank if it does not match', () => {
    expect(rankIn(names('other'), shop)).toBeUndefined();
    expect(rankIn(names('other', '*'), shop)).toBe(rankIn(names('*'), shop));
  });

  test('does not become more specific by a duplicate requirement', () => {
    expect(rankIn(labels('team=a', 'team=a'), shop)).toBe(rankIn(labels('team=a'), shop));
  });
});

describe('two selectors overlap', () => {
  test.each([
    { one: names('a'), other: names('a'), overlap: true },
    { one: names('a'), other: names('b'), overlap: false },
    { one: names('team-*'), other: names('*-dev'), overlap: true },
    { one: names('team-*'), other: names('tear-*'), overlap: false },
    { one: names('*-dev'), other: names('*-prd'), overlap: false },
    { one: names('a*b'), other: names('a*c*b'), overlap: true },
    { one: names('ab*'), other: names('*ab'), overlap: true },
    { one: names('a', 'b'), other: names('b', 'c'), overlap: true },
    { one: names('a'), other: labels('team=a'), overlap: true },
    { one: labels('team=a'), other: labels('tier=b'), overlap: true },
    { one: labels('team=a'), other: labels('team=b'), overlap: false },
    { one: labels('team in a b'), other: labels('team in b c'), overlap: true },
    { one: labels('team in a b'), other: labels('team notin a b'), overlap: false },
    { one: labels('team in a b'), other: labels('team notin a'), overlap: true },
    { one: labels('team'), other: labels('!team'), overlap: false },
    { one: labels('team=a'), other: labels('!team'), overlap: false },
    { one: labels('team notin a'), other: labels('!team'), overlap: true },
    { one: labels('team notin a'), other: labels('team notin b'), overlap: true },
    { one: labels('team=a', 'tier=x'), other: labels('team=a', 'tier=y'), overlap: false },
    { one: undefined, other: labels('team=a'), overlap: true },
  ])('$one and $other: $overlap', ({ one, other, overlap }) => {
    expect(mayOverlap(one, other)).toBe(overlap);
    expect(mayOverlap(other, one)).toBe(overlap);
  });

  test('if both select the same namespace', () => {
    fc.assert(
      fc.property(anySelector, anySelector, anyNamespace, (one, other, somewhere) => {
        if (selects(one, somewhere) === true && selects(other, somewhere) === true) expect(mayOverlap(one, other)).toBe(true);
      }),
      runs(2000),
    );
  });

  test('and globs match one of them', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 6 });
    const every = Array.from({ length: 8 }, (_, length) => namesOfLength(length)).flat();
    fc.assert(
      fc.property(glob, glob, (one, other) => {
        const name = commonName(one, other);
        if (name !== undefined) expect(nameMatches(one, name) && nameMatches(other, name)).toBe(true);
        else expect(every.filter((each) => nameMatches(one, each) && nameMatches(other, each))).toEqual([]);
      }),
      runs(500),
    );
  });
});

describe('a selector as text', () => {
  test.each([
    { selector: undefined, says: 'all namespaces' },
    { selector: names('shop'), says: 'namespace shop' },
    { selector: names('team-*'), says: 'namespaces team-*' },
    { selector: names('b', 'a', 'b'), says: 'namespaces a, b' },
    {
      selector: labels('tier in b a', '!legacy', 'team=a', 'x notin c', 'y notin b a', 'z'),
      says: 'namespaces with !legacy,team=a,tier in (a, b),x!=c,y notin (a, b),z',
    },
  ])('$says', ({ selector, says }) => {
    expect(renderSelector(selector)).toBe(says);
  });

  test('is equal for equal selectors, and different for different ones', () => {
    const reversed = (selector: NamespaceSelector): NamespaceSelector =>
      selector.kind === 'names'
        ? names(...selector.names.toReversed())
        : {
            kind: 'labels',
            requirements: selector.requirements.toReversed().map((each) => ({ ...each, values: each.values.toReversed() })),
          };
    fc.assert(
      fc.property(anySelector, anySelector, anyNamespace, (one, other, somewhere) => {
        fc.pre(one !== undefined && other !== undefined);
        expect(canonicalSelector(reversed(one))).toEqual(canonicalSelector(one));
        if (JSON.stringify(canonicalSelector(one)) === JSON.stringify(canonicalSelector(other))) {
          expect(selects(one, somewhere)).toBe(selects(other, somewhere));
        }
      }),
    );
  });
});

function namesOfLength(length: number): readonly string[] {
  return Array.from({ length: 2 ** length }, (_, bits) =>
    bits.toString(2).padStart(length, '0').replaceAll('0', 'a').replaceAll('1', 'b').slice(0, length),
  );
}
