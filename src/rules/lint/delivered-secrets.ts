/** Warnings about secrets that are delivered to no namespace, or whose copies lack what rules of namespaces expect. */
import { closestSpelling } from '../closest-spelling.ts';
import { covers } from '../compile/pattern-overlap.ts';
import { type Problem, renderOrigin } from '../language/problem.ts';
import { getOrCreate } from '../match/namespace-index.ts';
import { describeSelector, mayOverlap } from '../match/namespaces.ts';
import { secretsOf } from '../rule-secrets.ts';
import type { DeliveredSecret, Rule, RuleSet } from '../rule-set.ts';
import { fewestSteps, mayCompare, type Steps } from './steps.ts';

export function lintDeliveredSecrets({ deliveredSecrets, rules, namespaceRules }: RuleSet): readonly Problem[] {
  if (deliveredSecrets.length === 0) return [];
  const bySecret = new Map<string, Rule[]>();
  for (const rule of rules) for (const name of new Set(secretsOf(rule))) getOrCreate(bySecret, name, () => []).push(rule);
  const own = [...namespaceRules.values()].flat();
  const named = [...bySecret.keys()];
  // For all secrets. If no steps remain, there are no suggestions and no warnings about namespaces.
  const steps: Steps = { left: fewestSteps };
  return deliveredSecrets.flatMap((secret) => {
    const naming = bySecret.get(secret.name) ?? [];
    const unused = unusedSecret(secret, naming, named, steps);
    return unused
      ? [unused]
      : own.filter((rule) => secretsOf(rule).includes(secret.name)).flatMap((rule) => notInCopy(rule, secret, naming));
  });
}

function unusedSecret(
  { name, namespaces, origin }: DeliveredSecret,
  naming: readonly Rule[],
  named: readonly string[],
  steps: Steps,
): Problem | undefined {
  const [first] = naming;
  if (!first) {
    steps.left -= named.length * name.length;
    const near = steps.left < 0 ? undefined : closestSpelling(name, named);
    const fix = near === undefined ? 'Reference it in a rule, or remove the entry.' : `Did you mean ${near}?`;
    return { code: 'unused-secret', message: `no cluster rule references the secret ${name}, so it is never delivered. ${fix}`, origin };
  }
  if (naming.some((rule) => mayUse(rule, namespaces, steps))) return undefined;
  const message = `the secret ${name} is never delivered: no rule that references it applies in ${describeSelector(namespaces)}. Change the namespaces of the entry, or remove it.`;
  return { code: 'unused-secret', message, origin, related: first.origin };
}

/** Assumes that the rule uses the secret if no steps remain to find out. */
function mayUse(rule: Rule, namespaces: DeliveredSecret['namespaces'], steps: Steps): boolean {
  return !mayCompare(rule.namespaces, namespaces, steps) || mayOverlap(rule.namespaces, namespaces);
}

/** A copy has only the credentials that the cluster's rules need. A namespace's rule for other images would get a secret without theirs. */
function notInCopy(rule: Rule, { name, namespaces, origin }: DeliveredSecret, naming: readonly Rule[]): readonly Problem[] {
  const { ownerNamespace = '', pattern } = rule;
  if (!mayOverlap(namespaces, { kind: 'names', names: [ownerNamespace] })) return [];
  if (naming.some((clusterRule) => covers(clusterRule.pattern, pattern))) return [];
  const message = `the rule ${pattern.text} in namespace ${ownerNamespace} references the secret ${name}. It is delivered for cluster rules (${renderOrigin(origin)}), and its copies have no credentials for these images. Use a different secret name in the rule.`;
  return [{ code: 'secret-in-namespace-rule', message, origin: rule.origin, related: origin }];
}
