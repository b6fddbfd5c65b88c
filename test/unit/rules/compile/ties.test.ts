/** Tests the search for ties against the definition of a tie. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileRuleSet } from '../../../../src/rules/compile/compile.ts';
import { findTies } from '../../../../src/rules/compile/ties.ts';
import { mayOverlap, termsOf } from '../../../../src/rules/match/namespaces.ts';
import type { NamespaceSelector } from '../../../../src/rules/rule-set.ts';
import { runs } from '../../../property.ts';
import { anySelector, documentWith, labels, names, override, problemsWith, rule } from '../build.ts';
import { sha256 } from '../documents.ts';

describe('rules with the same pattern tie', () => {
  test.each<{ because: string; one?: NamespaceSelector; other?: NamespaceSelector; says: RegExp }>([
    {
      because: 'both for all namespaces',
      says: /neither rule is more specific\. Remove one, or give one a longer path or different namespaces\./,
    },
    {
      because: 'for one name',
      one: names('team-a', 'shop'),
      other: names('shop', 'till'),
      says: /already has a rule for namespace shop in a\.yaml:.*\. Remove one, or remove shop from the namespaces of one\./,
    },
    {
      because: 'for globs of equal length that match the same name',
      one: names('team-*'),
      other: names('*-prod'),
      says: /already has a rule for namespaces team-\* in a\.yaml:.*\. Both match namespace team-prod\. Remove one, or use a longer namespace pattern/,
    },
    {
      because: 'for an equal number of labels, which a namespace may have together',
      one: labels('team=a'),
      other: labels('tier=x'),
      says: /already has a rule for namespaces with team=a in a\.yaml:.*\. A namespace can have the labels of both\. Remove one, or require a different label/,
    },
    { because: 'for the same labels in another order', one: labels('team=a', '!x'), other: labels('!x', 'team=a'), says: /rule-tie/ },
  ])('$because', ({ one, other, says }) => {
    const first = rule({ registry: 'reg.io', file: 'a.yaml', ...(one && { namespaces: one }) });
    const second = rule({ registry: 'reg.io', file: 'b.yaml', ...(other && { namespaces: other }) });
    expect(problemsWith({ rules: [first] }, { rules: [second] })).toEqual([expect.stringMatching(says)]);
    const compiled = compileRuleSet([documentWith({ rules: [first, second] })], sha256);
    expect(compiled).toMatchObject({ ok: false, problems: [{ origin: second.origin, related: first.origin }] });
  });

  test.each<{ because: string; one?: NamespaceSelector; other?: NamespaceSelector }>([
    { because: 'one for all, one for some', other: names('shop') },
    { because: 'different names', one: names('a', 'b'), other: names('c') },
    { because: 'a name and a glob that matches it', one: names('team-a'), other: names('team-*') },
    { because: 'globs of equal length without a common name', one: names('a-*'), other: names('b-*') },
    { because: 'a longer and a shorter glob', one: names('team-a-*'), other: names('team-*') },
    { because: 'labels and names', one: labels('team=a'), other: names('*') },
    { because: 'labels that exclude each other', one: labels('team=a'), other: labels('team=b') },
    { because: 'fewer and more labels', one: labels('team=a'), other: labels('team=a', 'tier=x') },
  ])('but not $because', ({ one, other }) => {
    const rules = [one, other].map((namespaces) => rule({ registry: 'reg.io', ...(namespaces && { namespaces }) }));
    expect(problemsWith({ rules })).toEqual([]);
  });
});

test('every tie is found, and nothing else', () => {
  const entries = fc.array(
    anySelector.map((namespaces) => ({ ...(namespaces && { namespaces }) })),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(entries, (list) => {
      const tied = [...list.keys()].filter((order) =>
        list.slice(0, order).some((earlier) => tie(earlier.namespaces, list[order]?.namespaces)),
      );
      const found = findTies(list);
      expect(found.map(({ later }) => later.order)).toEqual(tied);
      for (const { later, earlier } of found) {
        expect(earlier.order).toBeLessThan(later.order);
        expect(tie(list[earlier.order]?.namespaces, list[later.order]?.namespaces)).toBe(true);
      }
    }),
    runs(2000),
  );
});

/** The definition: equal rank, and a namespace that both may match. */
function tie(one: NamespaceSelector | undefined, other: NamespaceSelector | undefined): boolean {
  return termsOf(one).some((term) =>
    termsOf(other).some((another) => term.rank === another.rank && mayOverlap(alone(term), alone(another))),
  );
}

function alone(term: ReturnType<typeof termsOf>[number]): NamespaceSelector | undefined {
  if (term.kind === 'labels') return { kind: 'labels', requirements: term.requirements };
  return term.kind === 'everywhere' ? undefined : names(term.kind === 'name' ? term.name : term.glob);
}

describe('overrides tie', () => {
  test('if they set different values of the same setting for a namespace that both can select', () => {
    const one = override(labels('tier=sandbox'), { mode: 'audit' }, 'a.yaml');
    const other = override(labels('team=a'), { mode: 'warn', inject: 'off' }, 'b.yaml');
    expect(problemsWith({ overrides: [one] }, { overrides: [other] })).toEqual([
      expect.stringMatching(
        /^override-tie mode is warn here for namespaces with team=a, but audit for namespaces with tier=sandbox in a\.yaml:.*Set mode in one/,
      ),
    ]);
  });

  test.each([
    { because: 'the same value', one: override(labels('a=b'), { mode: 'audit' }), other: override(labels('c=d'), { mode: 'audit' }) },
    { because: 'different settings', one: override(labels('a=b'), { mode: 'audit' }), other: override(labels('c=d'), { inject: 'off' }) },
    { because: 'one more specific', one: override(labels('a=b'), { mode: 'audit' }), other: override(names('x'), { mode: 'warn' }) },
    { because: 'no namespace in both', one: override(names('x'), { mode: 'audit' }), other: override(names('y'), { mode: 'warn' }) },
  ])('but not with $because', ({ one, other }) => {
    expect(problemsWith({ overrides: [one, other] })).toEqual([]);
  });
});
