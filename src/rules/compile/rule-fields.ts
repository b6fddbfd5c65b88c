/** Every field of a rule in one table. The revision, the comparison of rule sets and lint all fold over it. */
import { canonicalSelector } from '../match/namespaces.ts';
import type { Rule } from '../rule-set.ts';

/**
 * What a field is:
 * - `identity`: which images and namespaces the rule is about. Part of the revision; a comparison names the rule by it.
 * - `effect`: what the rule does. Part of the revision and of the comparison; two rules do the same only if all of these are equal.
 * - `label`: words about the rule. Part of the revision and of the comparison.
 * - `provenance`: where the rule comes from. Part of neither.
 */
type Role = 'identity' | 'effect' | 'label' | 'provenance';

type RuleField<Value> = {
  readonly role: Role;
  /** The key and the JSON value in the canonical form; an undefined value is left out. Absent where the canonical form has no such key. */
  readonly canonical?: readonly [key: string, form: (value: Value, rule: Rule) => unknown];
  /** The same in a comparison, where it differs from the canonical form. */
  readonly compared?: readonly [key: string, form: (value: Value, rule: Rule) => unknown];
};

/**
 * In the order of the canonical form, whose text is hashed: another order would give the same rules another revision.
 * A value that means the same as no value is left out.
 */
export const ruleFields = {
  pattern: { role: 'identity', canonical: ['registry', ({ text }) => text] },
  trust: { role: 'effect', canonical: ['trust', (trust) => trust] },
  internal: { role: 'effect', canonical: ['internal', (internal) => internal || undefined] },
  name: { role: 'label', canonical: ['name', (name, { pattern }) => (name === pattern.text ? undefined : name)] },
  reason: { role: 'effect', canonical: ['reason', (reason) => reason] },
  pullSecrets: {
    role: 'effect',
    canonical: ['pullSecrets', (secrets) => (secrets.length > 0 ? secrets : undefined)],
    compared: ['pullSecret', (secrets) => (secrets.length > 1 ? secrets : secrets[0])],
  },
  pushSecret: { role: 'effect', canonical: ['pushSecret', (secret) => secret] },
  onMissingSecret: { role: 'effect', canonical: ['onMissingSecret', (action) => (action === 'warn' ? undefined : action)] },
  namespaces: { role: 'identity', canonical: ['namespaces', (selector) => selector && canonicalSelector(selector)] },
  // Rules of a namespace are hashed apart from the cluster's, by namespace.
  owner: { role: 'identity' },
  // Another spelling of `pattern`, which already says what it means.
  portWritten: { role: 'provenance' },
  origin: { role: 'provenance' },
} satisfies { readonly [Field in keyof Required<Rule>]: RuleField<Rule[Field]> };

const fields = Object.entries(ruleFields) as readonly (readonly [keyof Rule, RuleField<unknown>])[];

/** The rule as plain JSON: equal for rules that say the same, wherever they are written. */
export function canonicalRule(rule: Rule): Readonly<Record<string, unknown>> {
  return written(rule, ({ canonical }) => canonical);
}

/** What the rule says about its images, without what identifies it: names first. */
export function comparedFields(rule: Rule): Readonly<Record<string, unknown>> {
  const of = (role: Role) => written(rule, (field) => (field.role === role ? (field.compared ?? field.canonical) : undefined));
  return { ...of('label'), ...of('effect') };
}

/** Whether two rules do the same to an image that both match. */
export function sameEffect(one: Rule, other: Rule): boolean {
  return fields.every(([name, { role }]) => role !== 'effect' || isSame(one[name], other[name]));
}

function written(rule: Rule, formOf: (field: RuleField<unknown>) => RuleField<unknown>['canonical']): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, field] of fields) {
    const form = formOf(field);
    if (!form) continue;
    const value = form[1](rule[name], rule);
    if (value !== undefined) result[form[0]] = value;
  }
  return result;
}

/** Of effects: plain values, or lists of texts in which the order counts. */
function isSame(one: unknown, other: unknown): boolean {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other;
  return one.length === other.length && one.every((each, index) => each === other[index]);
}
