import { comparedFields } from '../compile/rule-fields.ts';
import type { Origin } from '../language/problem.ts';
import { renderSelector } from '../match/namespaces.ts';
import type { NamespaceSelector, Rule, RuleSet } from '../rule-set.ts';

/** One thing that two rule sets say differently. */
export type RuleChange = {
  readonly kind: 'setting' | 'rule' | 'exemption' | 'override' | 'delegate';
  /** What it is about, in words: a setting's name, a pattern with its namespaces. */
  readonly about: string;
  /** What was said of it, and what is said now: the written fields alone. Absent where nothing is. */
  readonly before?: ComparedValue;
  readonly after?: ComparedValue;
};

/** Fields of plain data. */
export type ComparedValue = { readonly fields: Readonly<Record<string, unknown>>; readonly origin?: Origin };

/** What the sets say, apart from order, spelling and how it is spread over documents. In the order of kinds, then of what it is about. */
export function compareRuleSets(before: RuleSet, after: RuleSet): readonly RuleChange[] {
  const [old, now] = [Map.groupBy(statements(before), keyOf), Map.groupBy(statements(after), keyOf)];
  const keys = [...new Set([...old.keys(), ...now.keys()])].sort();
  return kinds.flatMap((kind) =>
    keys.filter((key) => key.startsWith(`${kind} `)).flatMap((key) => compareStatements(old.get(key) ?? [], now.get(key) ?? [])),
  );
}

type Statement = Pick<RuleChange, 'kind' | 'about'> & { readonly said: ComparedValue };

const kinds: readonly RuleChange['kind'][] = ['setting', 'rule', 'exemption', 'override', 'delegate'];

function keyOf({ kind, about }: Statement): string {
  return `${kind} ${about}`;
}

function statements(rules: RuleSet): readonly Statement[] {
  const own = [...rules.namespaceRules.values()].flat();
  return [
    ...Object.entries(rules.settings).map(
      ([name, value]): Statement => ({ kind: 'setting', about: name, said: { fields: { [name]: value } } }),
    ),
    ...[...rules.rules, ...own].map(sayRule),
    ...rules.exemptions.map(({ pattern, namespaces, until, reason, origin }): Statement => {
      return { kind: 'exemption', about: about(pattern.text, namespaces), said: { fields: { until, reason }, origin } };
    }),
    ...rules.overrides.map(({ namespaces, origin, ...fields }): Statement => {
      return { kind: 'override', about: `for ${renderSelector(namespaces)}`, said: { fields, origin } };
    }),
    ...rules.delegate.map(({ pattern, origin }): Statement => ({ kind: 'delegate', about: pattern.text, said: { fields: {}, origin } })),
  ];
}

function sayRule(rule: Rule): Statement {
  const { pattern, namespaces, owner, origin } = rule;
  const of = owner === undefined ? '' : ` of namespace ${owner} itself`;
  return { kind: 'rule', about: about(pattern.text, namespaces) + of, said: { fields: comparedFields(rule), origin } };
}

function about(pattern: string, namespaces: NamespaceSelector | undefined): string {
  return namespaces ? `${pattern} for ${renderSelector(namespaces)}` : pattern;
}

/** What is said on both sides is no change; of the rest one is taken for the other's new version, as far as there are as many. */
function compareStatements(old: readonly Statement[], now: readonly Statement[]): readonly RuleChange[] {
  const [gone, come] = [without(old, now), without(now, old)];
  return Array.from({ length: Math.max(gone.length, come.length) }, (_, index): RuleChange => {
    const [before, after] = [gone[index], come[index]];
    const { kind, about: subject } = (after ?? before) as Statement;
    return { kind, about: subject, ...(before && { before: before.said }), ...(after && { after: after.said }) };
  });
}

function without(statements: readonly Statement[], others: readonly Statement[]): readonly Statement[] {
  const text = ({ said }: Statement) => JSON.stringify(said.fields);
  const known = new Set(others.map(text));
  return statements.filter((statement) => !known.has(text(statement)));
}
