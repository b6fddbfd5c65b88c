import type { RuleSet } from '../rule-set.ts';

/**
 * Names of the secrets that the cluster's rules give, sorted, each once. Not those in rules of namespaces: a tenant's would be one more
 * right over the whole cluster for each.
 */
export function namedSecrets({ rules }: Pick<RuleSet, 'rules'>): readonly string[] {
  const names = rules.flatMap(({ pullSecrets, pushSecret }) => (pushSecret === undefined ? pullSecrets : [...pullSecrets, pushSecret]));
  return [...new Set(names)].sort();
}
