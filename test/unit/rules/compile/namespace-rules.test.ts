/** Tests namespaces' own rules: how they combine with the cluster's, and which have no effect. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalRules } from '../../../../src/rules/compile/canonical.ts';
import {
  compileNamespaceRules,
  findWidening,
  type NamespaceRuleSet,
  withNamespaceRules,
} from '../../../../src/rules/compile/namespace-rules.ts';
import { patternMatches } from '../../../../src/rules/language/pattern.ts';
import type { NamespaceContext, Rule, RuleSet } from '../../../../src/rules/rule-set.ts';
import { runs } from '../../../property.ts';
import {
  anyLookup,
  anyNamespace,
  anyPattern,
  anyRule,
  type BriefRule,
  compiled,
  documentWith,
  inNamespace,
  labels,
  names,
  rule,
  unlabelled,
  untied,
} from '../build.ts';
import { briefly, referenceOf, sha256, shop } from '../documents.ts';

function ofNamespace(rules: readonly Rule[], namespace = 'shop'): NamespaceRuleSet {
  const result = compileNamespaceRules(namespace, [documentWith({ rules, namespace })]);
  if (!result.ok) throw new Error(briefly(result.problems).join('\n'));
  return result.rules;
}

function together(cluster: RuleSet, rules: readonly Rule[], namespace = 'shop'): RuleSet {
  return withNamespaceRules(cluster, new Map([[namespace, ofNamespace(rules, namespace)]]), sha256);
}

type Case = {
  readonly because: string;
  readonly cluster: readonly BriefRule[];
  readonly delegate?: readonly string[];
  readonly own: readonly BriefRule[];
  readonly image?: string;
  readonly where?: NamespaceContext;
  /** Name of the rule that decides. */
  readonly winner: string | undefined;
};

const own = (brief: BriefRule): BriefRule => ({ name: 'own', ...brief });

describe("a namespace's own rules", () => {
  test.each<Case>([
    {
      because: 'deny what the cluster trusts',
      cluster: [{ registry: 'reg.io' }],
      own: [own({ registry: 'reg.io', trust: false })],
      winner: 'own',
    },
    { because: 'deny what the cluster does not configure', cluster: [], own: [own({ registry: 'reg.io', trust: false })], winner: 'own' },
    {
      because: 'cannot trust what the cluster denies',
      cluster: [{ registry: 'reg.io', trust: false }],
      own: [own({ registry: 'reg.io/team/app' })],
      winner: 'reg.io',
    },
    {
      because: 'cannot trust what the cluster denies, even if it delegates',
      cluster: [{ registry: 'reg.io/team', trust: false }],
      delegate: ['reg.io'],
      own: [own({ registry: 'reg.io/team/app' })],
      winner: 'reg.io/team',
    },
    {
      because: 'cannot replace a denial with their own',
      cluster: [{ registry: 'reg.io', trust: false }],
      own: [own({ registry: 'reg.io/team', trust: false })],
      winner: 'reg.io',
    },
    { because: 'cannot trust what the cluster does not configure', cluster: [], own: [own({ registry: 'reg.io' })], winner: undefined },
    {
      because: 'trust it if the cluster delegates it',
      cluster: [],
      delegate: ['reg.io/team'],
      own: [own({ registry: 'reg.io' })],
      winner: 'own',
    },
    {
      because: 'do not trust anything next to what is delegated',
      cluster: [],
      delegate: ['reg.io/other', 'reg.io:5000/team'],
      own: [own({ registry: 'reg.io' })],
      winner: undefined,
    },
    {
      because: 'determine the secret if they are more specific',
      cluster: [{ registry: 'reg.io' }],
      own: [own({ registry: 'reg.io/team', pullSecrets: ['mine'] })],
      winner: 'own',
    },
    {
      because: 'determine the secret at the same pattern',
      cluster: [{ registry: 'reg.io/team', namespaces: names('shop') }],
      own: [own({ registry: 'reg.io/team', pullSecrets: ['mine'] })],
      winner: 'own',
    },
    {
      because: 'do not determine it if the cluster is more specific',
      cluster: [{ registry: 'reg.io/team/app' }],
      own: [own({ registry: 'reg.io/team' })],
      winner: 'reg.io/team/app',
    },
    {
      because: 'deny even if the cluster is more specific',
      cluster: [{ registry: 'reg.io/team/app' }],
      own: [own({ registry: 'reg.io', trust: false })],
      winner: 'own',
    },
    {
      because: 'are compared with each other first',
      cluster: [{ registry: 'reg.io' }],
      own: [own({ registry: 'reg.io', trust: false }), own({ registry: 'reg.io/team', name: 'but this' })],
      winner: 'but this',
    },
    {
      because: 'do not affect an internal registry',
      cluster: [{ registry: 'reg.io', internal: true, name: 'internal' }],
      own: [own({ registry: 'reg.io', trust: false })],
      winner: 'internal',
    },
    {
      because: 'do not affect other namespaces',
      cluster: [{ registry: 'reg.io' }],
      own: [own({ registry: 'reg.io', trust: false })],
      where: inNamespace('till'),
      winner: 'reg.io',
    },
  ])('$because', ({ cluster, delegate = [], own: rules, image = 'reg.io/team/app', where = shop, winner }) => {
    const ruleSet = together(compiled({ rules: cluster.map(rule), delegate }), rules.map(rule));
    expect(ruleSet.match(referenceOf(image), where).value?.name).toBe(winner);
  });

  test('leave the result as uncertain as it was', () => {
    const byLabels = rule({ registry: 'reg.io', namespaces: labels('team=a') });
    const ruleSet = together(compiled({ rules: [byLabels], delegate: ['reg.io'] }), [rule({ registry: 'reg.io/team', name: 'own' })]);
    const answer = ruleSet.match(referenceOf('reg.io/team/app'), unlabelled('shop'));
    expect([answer.value?.name, answer.unsure]).toEqual(['own', byLabels.origin]);
  });

  test('are suggested to blocked users, if they apply', () => {
    const cluster = compiled({ rules: [rule({ registry: 'reg.io/a' }), rule({ registry: 'reg.io/b' })], delegate: ['reg.io/c'] });
    const ruleSet = together(cluster, [
      rule({ registry: 'reg.io/b', trust: false }),
      rule({ registry: 'reg.io/c', name: 'own' }),
      rule({ registry: 'reg.io/d', name: 'in vain' }),
    ]);
    expect(ruleSet.nearest(referenceOf('reg.io/x'), shop).map(({ name }) => name)).toEqual(['reg.io/a', 'own']);
    expect(ruleSet.nearest(referenceOf('reg.io/x'), inNamespace('till')).map(({ name }) => name)).toEqual(['reg.io/a', 'reg.io/b']);
  });
});

describe("a namespace's rules never allow more", () => {
  const cluster = fc
    .record({ rules: fc.array(anyRule, { maxLength: 8 }), delegate: fc.array(anyPattern, { maxLength: 2 }) })
    .map(({ rules, delegate }) => ({ ...documentWith({ delegate }), rules: untied(rules) }));
  const ownRules = fc.array(fc.record({ registry: anyPattern, trust: fc.boolean() }).map(rule), { maxLength: 6 }).map(untied);
  const strictness = (value: Rule | undefined) => (value === undefined ? 1 : value.trust ? 0 : 2);

  test('except from unconfigured to trusted, if the cluster delegates', () => {
    fc.assert(
      fc.property(cluster, ownRules, anyLookup, anyNamespace, (document, rules, reference, somewhere) => {
        const before = compiled(document);
        const after = together(before, rules, somewhere.namespace);
        for (const where of [somewhere, unlabelled(somewhere.namespace)]) {
          const [without, within] = [before.match(reference, where).value, after.match(reference, where).value];
          const mayTrust = without === undefined && before.delegate.some(({ pattern }) => patternMatches(pattern, reference));
          if (!mayTrust) expect(strictness(within)).toBeGreaterThanOrEqual(strictness(without));
          if (without?.trust === false) expect(within).toBe(without);
        }
        const elsewhere = { ...somewhere, namespace: `${somewhere.namespace}-else` };
        expect(after.match(reference, elsewhere)).toEqual(before.match(reference, elsewhere));
      }),
      runs(2000),
    );
  });

  test('and those without effect never decide', () => {
    fc.assert(
      fc.property(cluster, ownRules, fc.array(anyLookup, { maxLength: 20 }), anyNamespace, (document, rules, references, somewhere) => {
        const before = compiled(document);
        const idle = findWidening(before, ofNamespace(rules, somewhere.namespace)).map(({ origin }) => origin);
        const after = together(before, rules, somewhere.namespace);
        for (const reference of references) {
          const decided = after.match(reference, somewhere).value;
          if (decided) expect(idle).not.toContain(decided.origin);
        }
      }),
      runs(1000),
    );
  });
});

describe('a trusting rule allows more than the cluster for', () => {
  test.each<{ because: string; cluster: readonly BriefRule[]; delegate?: readonly string[]; own: string; says: RegExp }>([
    { because: 'unconfigured registries', cluster: [], own: 'reg.io', says: /reg\.io is neither trusted nor delegated/ },
    {
      because: 'registries that the cluster denies',
      cluster: [{ registry: 'reg.io', trust: false }],
      own: 'reg.io/team',
      says: /reg\.io\/team is denied by the cluster rule reg\.io in rules\.yaml:/,
    },
    {
      because: 'registries that the cluster denies, although it trusts and delegates what surrounds them',
      cluster: [{ registry: 'reg.io' }, { registry: 'reg.io/team', trust: false }],
      delegate: ['*'],
      own: 'reg.io/team/app',
      says: /denied by the cluster rule/,
    },
    {
      because: 'everything, if the cluster is more specific',
      cluster: [{ registry: 'reg.io' }],
      own: '*',
      says: /except for more specific patterns/,
    },
    { because: 'a different port', cluster: [{ registry: 'reg.io' }], delegate: ['reg.io'], own: 'reg.io:5000', says: /neither trusted/ },
    {
      because: 'registries that are trusted in other namespaces',
      cluster: [{ registry: 'reg.io', namespaces: names('till') }],
      own: 'reg.io',
      says: /neither trusted/,
    },
    {
      because: 'registries that are delegated but already configured',
      cluster: [{ registry: 'reg.io/team', trust: false }],
      delegate: ['reg.io/team'],
      own: 'reg.io',
      says: /neither trusted/,
    },
  ])('$because', ({ cluster, delegate = [], own: registry, says }) => {
    const trusting = rule({ registry });
    const problems = findWidening(compiled({ rules: cluster.map(rule), delegate }), ofNamespace([trusting]));
    expect(problems).toMatchObject([
      { code: 'namespace-rule-without-effect', origin: trusting.origin, message: expect.stringMatching(says) },
    ]);
  });

  test.each<{ because: string; cluster: readonly BriefRule[]; delegate?: readonly string[]; own: BriefRule }>([
    { because: 'it denies', cluster: [], own: { registry: 'reg.io', trust: false } },
    { because: 'the cluster trusts the same', cluster: [{ registry: 'reg.io' }], own: { registry: 'reg.io' } },
    { because: 'the cluster trusts a wider pattern', cluster: [{ registry: '*.io' }], own: { registry: 'reg.io/team' } },
    { because: 'the cluster trusts a part that is less specific', cluster: [{ registry: '*/team' }], own: { registry: 'reg.io' } },
    { because: 'the cluster delegates a part', cluster: [], delegate: ['reg.io/team'], own: { registry: '*' } },
    {
      because: 'the cluster denies only a part',
      cluster: [{ registry: 'reg.io' }, { registry: 'reg.io/evil', trust: false }],
      own: { registry: 'reg.io' },
    },
    {
      because: 'the labels may make it trusted',
      cluster: [{ registry: 'reg.io', namespaces: labels('team=a') }],
      own: { registry: 'reg.io' },
    },
    {
      because: 'the labels may make it not denied',
      cluster: [{ registry: 'reg.io' }, { registry: 'reg.io', trust: false, namespaces: labels('team=a') }],
      own: { registry: 'reg.io' },
    },
    { because: 'it is internal', cluster: [{ registry: 'reg.io', internal: true }], own: { registry: 'reg.io/team' } },
  ])('but not if $because', ({ cluster, delegate = [], own: brief }) => {
    expect(findWidening(compiled({ rules: cluster.map(rule), delegate }), ofNamespace([rule(brief)]))).toEqual([]);
  });
});

describe('the documents of a namespace', () => {
  const document = (rules: readonly Rule[]) => documentWith({ rules, namespace: 'shop' });

  test('are merged, and rejected if they tie', () => {
    const [one, other] = [rule({ registry: 'reg.io', file: 'a.yaml' }), rule({ registry: 'reg.io', file: 'b.yaml' })];
    expect(compileNamespaceRules('shop', [document([one]), document([other])])).toMatchObject({
      ok: false,
      problems: [{ code: 'rule-tie', origin: other.origin, related: one.origin }],
    });
    expect(compileNamespaceRules('shop', [document([one]), document([rule({ registry: 'reg.io/x' })])]).ok).toBe(true);
  });

  test('have at most 200 rules in total', () => {
    const many = Array.from({ length: 201 }, (_, index) => rule({ registry: `reg.io/r${index}` }));
    expect(compileNamespaceRules('shop', [document(many.slice(0, 100)), document(many.slice(100, 200))]).ok).toBe(true);
    expect(compileNamespaceRules('shop', [document(many.slice(0, 100)), document(many.slice(100))])).toMatchObject({
      ok: false,
      problems: [{ code: 'too-many-rules', origin: many[200]?.origin, message: expect.stringContaining('has 201 rules') }],
    });
  });
});

test('lists of secrets in the rules of a namespace may multiply to 20,000', () => {
  const rules = (secrets: number) => {
    const pullSecrets = Array.from({ length: secrets }, (_, index) => `s${index}`);
    return Array.from({ length: 200 }, (_, index) => ({ ...rule({ registry: `reg.io/x${index}` }), pullSecrets }));
  };
  const compile = (secrets: number) => compileNamespaceRules('shop', [documentWith({ rules: rules(secrets), namespace: 'shop' })]);
  expect(compile(100).ok).toBe(true);
  expect(compile(101)).toMatchObject({ problems: [{ code: 'too-many-combinations' }] });
});

describe('the revision', () => {
  const cluster = compiled({ rules: [rule({ registry: 'reg.io' })] });
  const sets = (...all: readonly NamespaceRuleSet[]) => new Map(all.map((each) => [each.namespace, each]));
  const a = () => ofNamespace([rule({ registry: 'reg.io/a' }), rule({ registry: 'reg.io/b', trust: false })], 'a');
  const b = () => ofNamespace([rule({ registry: 'reg.io/b' })], 'b');
  const revisionOf = (...all: readonly NamespaceRuleSet[]) => withNamespaceRules(cluster, sets(...all), sha256).revision;

  test("is the cluster's if no namespace has rules", () => {
    expect(revisionOf()).toBe(cluster.revision);
    expect(revisionOf(ofNamespace([]))).toBe(cluster.revision);
  });

  test('is the same in any order', () => {
    const backwards = ofNamespace([rule({ registry: 'reg.io/b', trust: false }), rule({ registry: 'reg.io/a' })], 'a');
    expect(revisionOf(b(), backwards)).toBe(revisionOf(a(), b()));
    expect(revisionOf(a())).toMatch(/^[0-9a-f]{12}$/);
  });

  test('changes with every namespace and every rule', () => {
    const revisions = [revisionOf(), revisionOf(a()), revisionOf(b()), revisionOf(a(), b()), revisionOf(ofNamespace(b().rules, 'c'))];
    expect(new Set(revisions).size).toBe(revisions.length);
  });

  test('can be looked up', () => {
    const ruleSet = withNamespaceRules(cluster, sets(b(), a()), sha256);
    expect(canonicalRules(ruleSet)).toEqual({
      ...(canonicalRules(cluster) as object),
      namespaceRules: {
        a: [
          { registry: 'reg.io/a', trust: true },
          { registry: 'reg.io/b', trust: false },
        ],
        b: [{ registry: 'reg.io/b', trust: true }],
      },
    });
    expect([...ruleSet.namespaceRules.keys()].sort()).toEqual(['a', 'b']);
    expect(ruleSet.rules).toBe(cluster.rules);
  });
});
