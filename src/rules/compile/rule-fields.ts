/** Every field of a rule in one table. The revision, audit records, the comparison of rule sets and lint all fold over it. */
import { canonicalSelector } from '../match/namespaces.ts';
import type { Rule } from '../rule-set.ts';
import { usualWarnFrom } from '../trust-end.ts';

/**
 * What a field is for:
 * - `identity`: to which images and namespaces the rule applies. Part of the revision. A comparison names the rule by it.
 * - `effect`: what the rule does. Part of the revision and of the comparison. Two rules do the same only if all of these are equal.
 * - `label`: text about the rule. Part of the revision and of the comparison.
 * - `provenance`: where the rule comes from. Part of neither.
 */
type Role = 'identity' | 'effect' | 'label' | 'provenance';

type RuleField<Value> = {
  readonly role: Role;
  /** The key and the JSON value in the canonical form. An undefined value is left out. Absent if the canonical form has no such key. */
  readonly canonical?: readonly [key: string, form: (value: Value, rule: Rule) => unknown];
  /** The same in a comparison, if it differs from the canonical form. */
  readonly compared?: readonly [key: string, form: (value: Value, rule: Rule) => unknown];
};

/**
 * In the order of the canonical form, whose text is hashed: another order would change the revision of unchanged rules. A value that means
 * the same as no value is left out.
 */
export const ruleFields = {
  pattern: { role: 'identity', canonical: ['registry', ({ text }) => text] },
  trust: { role: 'effect', canonical: ['trust', (trust) => trust] },
  internal: { role: 'effect', canonical: ['internal', (internal) => internal || undefined] },
  name: { role: 'label', canonical: ['name', (name, { pattern }) => (name === pattern.text ? undefined : name)] },
  reason: { role: 'effect', canonical: ['reason', (reason) => reason] },
  until: { role: 'effect', canonical: ['until', (day) => day] },
  warnFrom: {
    role: 'effect',
    canonical: ['warnFrom', (day, { until }) => (until !== undefined && day === usualWarnFrom(until) ? undefined : day)],
  },
  pullSecrets: {
    role: 'effect',
    canonical: ['pullSecrets', (secrets) => (secrets.length > 0 ? secrets : undefined)],
    compared: ['pullSecret', (secrets) => (secrets.length > 1 ? secrets : secrets[0])],
  },
  pushSecret: { role: 'effect', canonical: ['pushSecret', (secret) => secret] },
  onMissingSecret: { role: 'effect', canonical: ['onMissingSecret', (action) => (action === 'warn' ? undefined : action)] },
  namespaces: { role: 'identity', canonical: ['namespaces', (selector) => selector && canonicalSelector(selector)] },
  // Rules of a namespace are hashed separately from the cluster's, by namespace.
  ownerNamespace: { role: 'identity' },
  // Another spelling of `pattern`, which already contains its meaning.
  portWritten: { role: 'provenance' },
  written: { role: 'provenance' },
  origin: { role: 'provenance' },
} satisfies { readonly [Field in keyof Required<Rule>]: RuleField<Rule[Field]> };

const fields = Object.entries(ruleFields) as readonly (readonly [keyof Rule, RuleField<unknown>])[];

/** The rule as plain JSON: equal for rules with the same meaning, wherever they are written. */
export function canonicalRule(rule: Rule): Readonly<Record<string, unknown>> {
  return written(rule, ({ canonical }) => canonical);
}

/** The fields that describe the rule's effect, without those that identify it. Labels come first. */
export function comparedFields(rule: Rule): Readonly<Record<string, unknown>> {
  const of = (role: Role) => written(rule, (field) => (field.role === role ? (field.compared ?? field.canonical) : undefined));
  return { ...of('label'), ...of('effect') };
}

/** Whether two rules have the same effect on an image that both match. */
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

/** For effects: plain values, or lists of texts whose order counts. */
function isSame(one: unknown, other: unknown): boolean {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other;
  return one.length === other.length && one.every((each, index) => each === other[index]);
}
