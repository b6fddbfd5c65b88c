/** The labels of namespaces that rules select by. */
import type { NamespaceSelector, RuleSet } from './rule-set.ts';

/**
 * The keys of all labels that can change a result, sorted. Without `kubernetes.io/metadata.name`, which is the name of the namespace. Computed
 * once for each rule set.
 */
export function labelKeysOf(rules: RuleSet): readonly string[] {
  const known = keysOfRules.get(rules);
  if (known) return known;
  const entries = [
    ...rules.rules,
    ...rules.exemptions,
    ...rules.overrides,
    ...rules.deliveredSecrets,
    ...[...rules.namespaceRules.values()].flat(),
  ];
  const keys = new Set(entries.flatMap(({ namespaces }) => keysOf(namespaces)));
  keys.delete('kubernetes.io/metadata.name');
  const sorted = [...keys].sort();
  keysOfRules.set(rules, sorted);
  return sorted;
}

const keysOfRules = new WeakMap<RuleSet, readonly string[]>();

function keysOf(selector: NamespaceSelector | undefined): readonly string[] {
  return selector?.kind === 'labels' ? selector.requirements.map(({ key }) => key) : [];
}
