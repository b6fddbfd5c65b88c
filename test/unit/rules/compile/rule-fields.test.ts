/** Tests that the revision, the comparison and lint notice a change in every field of a rule. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ruleFields, sameEffect } from '../../../../src/rules/compile/rule-fields.ts';
import { lintRules } from '../../../../src/rules/lint/lint.ts';
import type { Rule } from '../../../../src/rules/rule-set.ts';
import { compareRuleSets } from '../../../../src/rules/store/compare-rule-sets.ts';
import { compiled, names, nextOrigin, patternOf, rule } from '../build.ts';

/** Values of each field, each with a different meaning. */
const values = {
  pattern: [patternOf('a.io/x'), patternOf('a.io/y'), patternOf('a.io:5000/x')],
  trust: [true, false],
  internal: [false, true],
  name: ['a.io/x', 'team-a', 'team-b'],
  reason: [undefined, 'unsupported', 'insecure'],
  until: [undefined, '2027-03-31', '2028-02-29'],
  warnFrom: [undefined, '2027-01-01', '2027-02-01'],
  pullSecrets: [[], ['one'], ['two'], ['one', 'two'], ['two', 'one']],
  pushSecret: [undefined, 'push', 'other'],
  onMissingSecret: ['warn', 'deny', 'ignore'],
  namespaces: [undefined, names('a'), names('b'), { kind: 'labels', requirements: [{ key: 'a', operator: 'Exists', values: [] }] }],
  ownerNamespace: [undefined, 'shop', 'bank'],
  portWritten: [undefined, true],
  written: [undefined, 'index.docker.io'],
  origin: [nextOrigin(), nextOrigin(), nextOrigin('other.yaml')],
} satisfies { readonly [Field in keyof Required<Rule>]: readonly Rule[Field][] };

const fields = Object.keys(values) as (keyof Rule)[];
const namesOf = (role: string) => fields.filter((field) => ruleFields[field].role === role);

/** A rule, and the same rule with another value in one field. */
function pairsFor(field: keyof Rule): fc.Arbitrary<readonly [Rule, Rule]> {
  return fc
    .tuple(
      fc.record({
        reason: fc.constantFrom(...values.reason),
        until: fc.constantFrom(...values.until),
        pullSecrets: fc.constantFrom(...values.pullSecrets),
        pushSecret: fc.constantFrom(...values.pushSecret),
        onMissingSecret: fc.constantFrom(...values.onMissingSecret),
      }),
      fc.shuffledSubarray([...(values[field] as readonly unknown[])], { minLength: 2, maxLength: 2 }),
    )
    .map(([rest, [one, other]]) => {
      const common = rule({ registry: 'a.io/x', ...rest } as Parameters<typeof rule>[0]);
      return [withField(common, field, one), withField(common, field, other)];
    });
}

/** A field with an undefined value is left out, as the parser does. */
function withField(base: Rule, field: keyof Rule, value: unknown): Rule {
  const { [field]: _replaced, ...rest } = base;
  return { ...rest, ...(value !== undefined && { [field]: value }) } as Rule;
}

const alone = (only: Rule) => compiled({ rules: [only] });

describe('a rule that differs in one field', () => {
  test('the table knows every field of a rule, each with a role', () => {
    expect(Object.keys(ruleFields).sort()).toEqual([...fields].sort());
    expect(new Set(fields.map((field) => ruleFields[field].role))).toEqual(new Set(['identity', 'effect', 'label', 'provenance']));
  });

  // Written twice on purpose: the tests below follow the table, and would accept an effect that became a label.
  test('these fields are the effect of a rule', () => {
    expect(namesOf('effect').sort()).toEqual([
      'internal',
      'onMissingSecret',
      'pullSecrets',
      'pushSecret',
      'reason',
      'trust',
      'until',
      'warnFrom',
    ]);
  });

  // The owner namespace decides in which namespace's list a rule is, and each list is hashed separately: namespace-rules.test.ts.
  test.each(fields.filter((field) => ruleFields[field].role !== 'provenance' && field !== 'ownerNamespace'))(
    '%s: another revision',
    (field) => {
      fc.assert(
        fc.property(pairsFor(field), ([one, other]) => {
          expect(alone(one).revision).not.toBe(alone(other).revision);
        }),
      );
    },
  );

  test.each(fields.filter((field) => ruleFields[field].role !== 'provenance'))('%s: a difference in a comparison', (field) => {
    fc.assert(
      fc.property(pairsFor(field), ([one, other]) => {
        const found = compareRuleSets(alone(one), alone(other));
        expect(found.length).toBeGreaterThan(0);
        // One change of one rule, unless the rule now applies to something else.
        if (ruleFields[field].role !== 'identity') expect(found).toHaveLength(1);
      }),
    );
  });

  test.each(namesOf('provenance'))('%s: the same revision, and no difference', (field) => {
    fc.assert(
      fc.property(pairsFor(field), ([one, other]) => {
        expect(alone(one).revision).toBe(alone(other).revision);
        expect(compareRuleSets(alone(one), alone(other))).toEqual([]);
      }),
    );
  });

  test.each(fields)('%s: the same effect exactly if it is not part of the effect', (field) => {
    fc.assert(
      fc.property(pairsFor(field), ([one, other]) => {
        expect(sameEffect(one, other)).toBe(ruleFields[field].role !== 'effect');
      }),
    );
  });

  // Lint ignores internal registries.
  test.each(namesOf('effect').filter((field) => field !== 'internal'))('%s: not redundant within a broader rule', (field) => {
    fc.assert(
      fc.property(pairsFor(field), ([one, other]) => {
        const broader = { ...one, pattern: patternOf('a.io', one.trust), origin: nextOrigin() };
        const codes = (inner: Rule) => lintRules(compiled({ rules: [broader, inner] }), '2026-11-21').map(({ code }) => code);
        expect(codes({ ...one, origin: nextOrigin() })).toContain('rule-redundant');
        expect(codes({ ...other, origin: nextOrigin() })).not.toContain('rule-redundant');
      }),
    );
  });
});
