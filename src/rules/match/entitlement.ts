/** Decides which secrets with delivery a namespace may have. Only the cluster's rules count, so nothing that a tenant writes widens it. */
import { representativeOf } from '../compile/pattern-overlap.ts';
import type { Origin } from '../language/problem.ts';
import { secretsOf } from '../rule-secrets.ts';
import type { Answer, DeliveredSecret, NamespaceContext, Rule, RuleSet } from '../rule-set.ts';
import { selects } from './namespaces.ts';

export type EntitledNamespace = NamespaceContext & {
  /** The webhooks do not see the namespace, so rules do not apply there. */
  readonly excluded?: boolean;
};

/** A cluster rule that names a secret, and what for. At least one of the two is true. */
export type NamingRule = { readonly rule: Rule; readonly pull: boolean; readonly push: boolean };

/** Whether a copy of the secret may exist in the namespace. False if the namespace's labels are unknown and could change the answer. */
export function isEntitled(ruleSet: RuleSet, secret: string, namespace: EntitledNamespace): boolean {
  return entitledSecret(ruleSet, secret, namespace) !== undefined;
}

/** The entry of `secrets` that lets a copy exist in the namespace. Undefined if none does. */
export function entitledSecret(ruleSet: RuleSet, secret: string, namespace: EntitledNamespace): DeliveredSecret | undefined {
  return entitlement(ruleSet, secret, namespace).value;
}

/** The same, with an origin that selects by unknown labels where these could entitle the namespace. */
export function entitlement(ruleSet: RuleSet, secret: string, namespace: EntitledNamespace): Answer<DeliveredSecret | undefined> {
  const entry = namespace.excluded ? undefined : deliveredSecret(ruleSet, secret);
  const selected = entry !== undefined && selects(entry.namespaces, namespace);
  if (entry === undefined || selected === false) return { value: undefined };
  let unsure: Origin | undefined;
  for (const { rule } of namingRules(ruleSet, secret)) {
    const decides = decidesIn(ruleSet, rule, namespace);
    if (decides.value) return selected === true ? { value: entry } : { value: undefined, unsure: entry.origin };
    unsure ??= decides.unsure;
  }
  return unsure ? { value: undefined, unsure } : { value: undefined };
}

/** The same for one namespace, with each secret computed once. A large object may need one secret for thousands of images. */
export function entitlementsOf(ruleSet: RuleSet, namespace: EntitledNamespace): (secret: string) => ReturnType<typeof entitlement> {
  const known = new Map<string, ReturnType<typeof entitlement>>();
  return (secret) => {
    const answer = known.get(secret) ?? entitlement(ruleSet, secret, namespace);
    known.set(secret, answer);
    return answer;
  };
}

/** The entry of `secrets` with this name, whatever the namespace. */
export function deliveredSecret({ deliveredSecrets }: Pick<RuleSet, 'deliveredSecrets'>, secret: string): DeliveredSecret | undefined {
  return cached(entriesByName, deliveredSecrets, () => new Map(deliveredSecrets.map((entry) => [entry.name, entry]))).get(secret);
}

/**
 * The cluster's rules whose credentials a copy in the namespace must contain: those that name the secret and decide for some image there.
 * A rule whose trust has ended counts, since Pods that run already still pull their images.
 */
export function rulesNaming(ruleSet: RuleSet, secret: string, namespace: NamespaceContext): readonly NamingRule[] {
  return namingRules(ruleSet, secret).filter(({ rule }) => decidesIn(ruleSet, rule, namespace).value);
}

/**
 * Whether the rule decides for the images of its pattern that have no more specific one. A rule that applies in the namespace does not
 * decide there if another one with the same pattern is for fewer namespaces, or if the registry is internal.
 */
function decidesIn(ruleSet: RuleSet, rule: Rule, namespace: NamespaceContext): Answer<boolean> {
  const selected = selects(rule.namespaces, namespace);
  if (selected === false) return { value: false };
  const { value: winner, unsure = rule.origin } = ruleSet.matchCluster(representativeOf(rule.pattern), namespace);
  if (selected === true && winner === rule) return { value: true };
  return namespace.labels ? { value: false } : { value: false, unsure };
}

const entriesByName = new WeakMap<readonly DeliveredSecret[], ReadonlyMap<string, DeliveredSecret>>();
const rulesBySecret = new WeakMap<readonly Rule[], ReadonlyMap<string, readonly NamingRule[]>>();

/** The lists are the same objects in all rule sets that differ only in rules of namespaces, so that most changes build no map. */
function cached<Key extends object, Value>(cache: WeakMap<Key, Value>, key: Key, create: () => Value): Value {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const value = create();
  cache.set(key, value);
  return value;
}

function namingRules({ rules }: RuleSet, secret: string): readonly NamingRule[] {
  return cached(rulesBySecret, rules, () => groupBySecret(rules)).get(secret) ?? [];
}

function groupBySecret(rules: readonly Rule[]): ReadonlyMap<string, readonly NamingRule[]> {
  const bySecret = new Map<string, NamingRule[]>();
  for (const rule of rules) {
    const { pullSecrets, pushSecret } = rule;
    const pulls = new Set(pullSecrets);
    for (const name of new Set(secretsOf(rule))) {
      const naming = { rule, pull: pulls.has(name), push: pushSecret === name };
      const known = bySecret.get(name);
      if (known) known.push(naming);
      else bySecret.set(name, [naming]);
    }
  }
  return bySecret;
}
