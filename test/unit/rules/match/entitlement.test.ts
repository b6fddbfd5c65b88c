/** Tests which namespaces may have a copy of a secret, and for which rules. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileNamespaceRules, withNamespaceRules } from '../../../../src/rules/compile/namespace-rules.ts';
import { entitledSecret, isEntitled, rulesNaming } from '../../../../src/rules/match/entitlement.ts';
import type { RuleSet } from '../../../../src/rules/rule-set.ts';
import { withPlatform } from '../../../../src/rules/store/add-platform-rules.ts';
import { runs } from '../../../property.ts';
import { anyNamespace, anyRule, compiled, deliveredSecret, documentWith, inNamespace, rule, unlabelled, untied } from '../build.ts';
import { ruleSetOf, sha256 } from '../documents.ts';

const everywhere = 'secrets: [{name: s, source: src, namespaces: "*"}]';
const inProd = 'secrets: [{name: s, source: src, namespaces: {matchLabels: {tier: prod}}}]';
const trusting = 'rules: [{registry: reg.io, pullSecret: s}]';
const prod = inNamespace('shop', { tier: 'prod' });
const shop = inNamespace('shop');

describe('a namespace may have a copy if a cluster rule and the entry both apply', () => {
  test.each([
    { because: 'both apply', rules: [trusting, everywhere], namespace: shop, entitled: true },
    { because: 'the labels match', rules: [trusting, inProd], namespace: prod, entitled: true },
    { because: 'the labels differ', rules: [trusting, inProd], namespace: shop, entitled: false },
    { because: 'the labels are unknown', rules: [trusting, inProd], namespace: unlabelled('shop'), entitled: false },
    { because: 'unknown labels do not matter', rules: [trusting, everywhere], namespace: unlabelled('shop'), entitled: true },
    { because: 'the webhooks do not intercept it', rules: [trusting, everywhere], namespace: { ...shop, excluded: true }, entitled: false },
    { because: 'the secret has no entry', rules: [trusting], namespace: shop, entitled: false },
    { because: 'no rule uses the secret', rules: ['rules: [{registry: reg.io}]', everywhere], namespace: shop, entitled: false },
    {
      because: 'the secret is for pushing',
      rules: ['rules: [{registry: reg.io, pushSecret: s}]', everywhere],
      namespace: shop,
      entitled: true,
    },
    {
      because: 'the rule is for another namespace',
      rules: ['rules: [{registry: reg.io, namespaces: other, pullSecret: s}]', everywhere],
      namespace: shop,
      entitled: false,
    },
    {
      because: 'the rule selects by unknown labels',
      rules: ['rules: [{registry: reg.io, namespaces: {matchLabels: {tier: prod}}, pullSecret: s}]', everywhere],
      namespace: unlabelled('shop'),
      entitled: false,
    },
    {
      because: 'a rule of the namespace uses another secret',
      rules: ['rules: [{registry: reg.io, pullSecret: s}, {registry: reg.io, namespaces: shop, pullSecret: t}]', everywhere],
      namespace: shop,
      entitled: false,
    },
    {
      because: 'the registry is denied there on every port',
      rules: ['rules: [{registry: reg.io, pullSecret: s}, {registry: reg.io, namespaces: shop, trust: false}]', everywhere],
      namespace: shop,
      entitled: false,
    },
    {
      because: 'only part of the registry is denied there',
      rules: ['rules: [{registry: reg.io, pullSecret: s}, {registry: reg.io/evil, namespaces: shop, trust: false}]', everywhere],
      namespace: shop,
      entitled: true,
    },
    {
      because: 'unknown labels may deny the registry',
      rules: [
        'rules: [{registry: reg.io, pullSecret: s}, {registry: reg.io, namespaces: {matchLabels: {a: b}}, trust: false}]',
        everywhere,
      ],
      namespace: unlabelled('shop'),
      entitled: false,
    },
    {
      because: 'the trust has ended',
      rules: ['rules: [{registry: reg.io, pullSecret: s, until: 2020-01-01}]', everywhere],
      namespace: shop,
      entitled: true,
    },
  ])('$because: $entitled', ({ rules, namespace, entitled }) => {
    const ruleSet = ruleSetOf(...rules);
    expect(isEntitled(ruleSet, 's', namespace)).toBe(entitled);
    expect(entitledSecret(ruleSet, 's', namespace)?.source).toBe(entitled ? 'src' : undefined);
  });
});

describe("a namespace's own rules", () => {
  test('namespace rules never entitle a namespace to a secret', () => {
    const own = [rule({ registry: 'reg.io/team', pullSecrets: ['s'], ownerNamespace: 'shop' })];
    const ruleSet = withOwnRules(
      ruleSetOf('delegate: [reg.io]\nrules: [{registry: other.io, namespaces: x, pullSecret: s}]', everywhere),
      own,
    );
    expect(ruleSet.namespaceRules.get('shop')).toHaveLength(1);
    expect(isEntitled(ruleSet, 's', shop)).toBe(false);
    expect(rulesNaming(ruleSet, 's', shop)).toEqual([]);
  });

  test('do not add to the rules for which a copy has credentials', () => {
    const own = [rule({ registry: 'quay.io/team', pullSecrets: ['s'], ownerNamespace: 'shop' })];
    const ruleSet = withOwnRules(ruleSetOf(`delegate: [quay.io]\n${trusting}`, everywhere), own);
    expect(rulesNaming(ruleSet, 's', shop).map((naming) => naming.rule.pattern.text)).toEqual(['reg.io']);
  });

  test('do not end an entitlement either', () => {
    const own = [rule({ registry: 'reg.io', pullSecrets: ['mine'], ownerNamespace: 'shop' })];
    expect(isEntitled(withOwnRules(ruleSetOf(trusting, everywhere), own), 's', shop)).toBe(true);
  });
});

test("the cluster's own registry, which never gets a secret, entitles nothing", () => {
  const platform = { internalRegistries: [{ registry: 'reg.io', object: 'images.config.openshift.io/cluster' }] };
  const { ruleSet } = withPlatform(ruleSetOf(trusting, everywhere), platform, sha256);
  expect(isEntitled(ruleSet, 's', shop)).toBe(false);
  expect(isEntitled(ruleSetOf(trusting, everywhere), 's', shop)).toBe(true);
});

test('the rules for a copy are those that use the secret and decide in the namespace, each with its use', () => {
  const ruleSet = ruleSetOf(`
rules:
- {registry: a.io, pullSecret: [t, s]}
- {registry: b.io, pushSecret: s}
- {registry: c.io, pullSecret: s, pushSecret: s}
- {registry: d.io, pullSecret: t}
- {registry: e.io, namespaces: other, pullSecret: s}
- {registry: f.io, pullSecret: s}
- {registry: f.io, namespaces: shop}
`);
  const found = rulesNaming(ruleSet, 's', shop).map(({ rule: { pattern }, ...use }) => ({ pattern: pattern.text, ...use }));
  expect(found).toEqual([
    { pattern: 'a.io', pull: true, push: false },
    { pattern: 'b.io', pull: false, push: true },
    { pattern: 'c.io', pull: true, push: true },
  ]);
});

test('in every namespace, exactly the secrets of cluster rules that decide about an image are entitled', () => {
  const anySecret = fc.constantFrom('s', 't');
  const anySecretRule = fc.record({ rule: anyRule, secret: fc.option(anySecret, { nil: undefined }) }).map(({ rule: each, secret }) => ({
    ...each,
    pullSecrets: each.trust && secret !== undefined ? [secret] : [],
  }));
  fc.assert(
    fc.property(
      fc.array(anySecretRule, { maxLength: 6 }),
      fc.array(anySecretRule, { maxLength: 3 }),
      anyNamespace,
      (cluster, own, place) => {
        const rules = untied(cluster);
        const deliveredSecrets = [deliveredSecret('s'), deliveredSecret('t')];
        const written = compiled({ rules, deliveredSecrets });
        const ownRules = own.map(({ namespaces: _, ...each }) => ({ ...each, ownerNamespace: place.namespace }));
        const ruleSet = withOwnRules(written, untied(ownRules), place.namespace);
        for (const secret of ['s', 't']) {
          expect(isEntitled(ruleSet, secret, place)).toBe(isEntitled(written, secret, place));
          const naming = rulesNaming(ruleSet, secret, place);
          expect(isEntitled(ruleSet, secret, place)).toBe(naming.length > 0);
          for (const { rule: each } of naming) expect(rules).toContain(each);
        }
      },
    ),
    runs(150),
  );
});

function withOwnRules(cluster: RuleSet, rules: Parameters<typeof documentWith>[0]['rules'], namespace = 'shop'): RuleSet {
  const own = compileNamespaceRules(namespace, [documentWith({ rules: rules ?? [], namespace })]);
  if (!own.ok) throw new Error(own.problems.map(({ message }) => message).join());
  return withNamespaceRules(cluster, new Map([[namespace, own.rules]]), sha256);
}
