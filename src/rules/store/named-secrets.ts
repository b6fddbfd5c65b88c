/** Lists the secrets that the cluster's rules name, for RBAC. */
import { secretsOf } from '../rule-secrets.ts';
import type { RuleSet } from '../rule-set.ts';

/**
 * The names of all secrets in the cluster's rules, sorted, without duplicates. Rules of namespaces are left out: each name in them would be
 * one more permission in the whole cluster, chosen by a tenant.
 */
export function namedSecrets({ rules }: Pick<RuleSet, 'rules'>): readonly string[] {
  return [...new Set(rules.flatMap((rule) => secretsOf(rule)))].sort();
}
