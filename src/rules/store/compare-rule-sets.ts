/** Compares two rule sets by meaning, for `regkeeper diff`. */
import { comparedFields } from '../compile/rule-fields.ts';
import { renderDuration } from '../language/duration.ts';
import type { Origin } from '../language/problem.ts';
import { renderSelector } from '../match/namespaces.ts';
import type { NamespaceSelector, Rule, RuleSet } from '../rule-set.ts';

/** One difference between two rule sets. */
export type RuleChange = {
  readonly kind: 'setting' | 'rule' | 'exemption' | 'override' | 'delegate' | 'secret';
  /** The subject of the change: the name of a setting, or a pattern with its namespaces. */
  readonly about: string;
  /** The old and the new value, with the written fields only. Absent if there is none. */
  readonly before?: ComparedValue;
  readonly after?: ComparedValue;
};

/** Fields as plain data. */
export type ComparedValue = { readonly fields: Readonly<Record<string, unknown>>; readonly origin?: Origin };

/** Differences in meaning, ignoring order, spelling and the distribution over documents. Sorted by kind, then by subject. */
export function compareRuleSets(before: RuleSet, after: RuleSet): readonly RuleChange[] {
  const [old, now] = [Map.groupBy(statements(before), keyOf), Map.groupBy(statements(after), keyOf)];
  const keys = [...new Set([...old.keys(), ...now.keys()])].sort();
  return kinds.flatMap((kind) =>
    keys.filter((key) => key.startsWith(`${kind} `)).flatMap((key) => compareStatements(old.get(key) ?? [], now.get(key) ?? [])),
  );
}

type Statement = Pick<RuleChange, 'kind' | 'about'> & { readonly value: ComparedValue };

const kinds: readonly RuleChange['kind'][] = ['setting', 'rule', 'exemption', 'override', 'delegate', 'secret'];

function keyOf({ kind, about }: Statement): string {
  return `${kind} ${about}`;
}

function statements(rules: RuleSet): readonly Statement[] {
  const own = [...rules.namespaceRules.values()].flat();
  return [
    ...Object.entries(rules.settings).map(
      ([name, value]): Statement => ({ kind: 'setting', about: name, value: { fields: { [name]: value } } }),
    ),
    ...[...rules.rules, ...own].map(ruleStatement),
    ...rules.exemptions.map(({ pattern, namespaces, until, reason, origin }): Statement => {
      return { kind: 'exemption', about: about(pattern.text, namespaces), value: { fields: { until, reason }, origin } };
    }),
    ...rules.overrides.map(({ namespaces, origin, ...fields }): Statement => {
      return { kind: 'override', about: `for ${renderSelector(namespaces)}`, value: { fields, origin } };
    }),
    ...rules.delegate.map(({ pattern, origin }): Statement => ({ kind: 'delegate', about: pattern.text, value: { fields: {}, origin } })),
    ...rules.deliveredSecrets.map(({ name, source, namespaces, deliver, retainSeconds, origin }): Statement => {
      const retain = deliver === 'onDemand' ? { retain: renderDuration(retainSeconds) } : {};
      return {
        kind: 'secret',
        about: name,
        value: { fields: { source, namespaces: renderSelector(namespaces), deliver, ...retain }, origin },
      };
    }),
  ];
}

function ruleStatement(rule: Rule): Statement {
  const { pattern, namespaces, ownerNamespace, origin } = rule;
  const of = ownerNamespace === undefined ? '' : ` (rules in namespace ${ownerNamespace})`;
  return { kind: 'rule', about: about(pattern.text, namespaces) + of, value: { fields: comparedFields(rule), origin } };
}

function about(pattern: string, namespaces: NamespaceSelector | undefined): string {
  return namespaces ? `${pattern} for ${renderSelector(namespaces)}` : pattern;
}

/** Statements on both sides are no change. The remaining old and new ones are paired in order, each pair being one changed entry. */
function compareStatements(old: readonly Statement[], now: readonly Statement[]): readonly RuleChange[] {
  const [removed, added] = [without(old, now), without(now, old)];
  return Array.from({ length: Math.max(removed.length, added.length) }, (_, index): RuleChange => {
    const [before, after] = [removed[index], added[index]];
    const { kind, about: subject } = (after ?? before) as Statement;
    return { kind, about: subject, ...(before && { before: before.value }), ...(after && { after: after.value }) };
  });
}

function without(statements: readonly Statement[], others: readonly Statement[]): readonly Statement[] {
  const text = ({ value }: Statement) => JSON.stringify(value.fields);
  const known = new Set(others.map(text));
  return statements.filter((statement) => !known.has(text(statement)));
}
