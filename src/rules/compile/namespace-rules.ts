import type { ParsedDocument } from '../language/parse.ts';
import type { RegistryPattern } from '../language/pattern.ts';
import { type Problem, renderOrigin } from '../language/problem.ts';
import { compareSpecificity, indexRules, type Lookup } from '../match/match.ts';
import { selects } from '../match/namespaces.ts';
import { indexNearestRules } from '../match/nearest.ts';
import type { Answer, NamespaceContext, Rule, RuleSet } from '../rule-set.ts';
import { canonicalList } from './canonical.ts';
import { findRuleTies } from './compile.ts';
import { intersectPatterns, standInFor } from './pattern-overlap.ts';
import { canonicalRule } from './rule-fields.ts';

/** Rules that a namespace has of its own, compiled. They are about that namespace alone, and count only as far as the cluster's rules let them. */
export type NamespaceRuleSet = {
  readonly namespace: string;
  readonly rules: readonly Rule[];
  /** What the rules say, the same whatever their order: a part of the revision. */
  readonly canonical: string;
  /** The most specific of them that holds the reference. */
  match(reference: Lookup): Rule | undefined;
};

export type NamespaceRulesResult =
  | { readonly ok: true; readonly rules: NamespaceRuleSet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** The most rules one namespace may have: what a tenant writes takes memory of everybody's server. */
const mostRules = 200;

/** Makes one set of all documents of a namespace, or says where they contradict each other. */
export function compileNamespaceRules(namespace: string, documents: readonly ParsedDocument[]): NamespaceRulesResult {
  const rules = documents.flatMap((document) => document.rules);
  const problems = [...tooMany(namespace, rules), ...findRuleTies(rules)];
  if (problems.length > 0) return { ok: false, problems };
  const index = indexRules(rules);
  // They have no namespaces of their own to choose from.
  const place: NamespaceContext = { namespace, labels: {} };
  const canonical = JSON.stringify(canonicalList(rules, canonicalRule));
  return { ok: true, rules: { namespace, rules, canonical, match: (reference) => index.match(reference, place).entry } };
}

function tooMany(namespace: string, rules: readonly Rule[]): readonly Problem[] {
  const firstTooMany = rules[mostRules];
  if (!firstTooMany) return [];
  const message = `namespace ${namespace} has ${rules.length} rules of its own, each registry of a list counted; at most ${mostRules} are allowed: write shorter paths or * segments`;
  return [{ code: 'too-many-rules', message, origin: firstTooMany.origin }];
}

/**
 * The cluster's rules together with those that namespaces have of their own; the cluster's part is not compiled again. What the cluster's
 * rules refuse stays refused, and what is internal stays internal. A namespace's own rules can refuse what else would come in, and trust
 * what no rule of the cluster names, inside `delegate` only. Where both trust, the more specific of the two chooses the secret, the
 * namespace's own at equal pattern. `cluster` is a set without rules of namespaces; `hash` as in `compileRuleSet`.
 */
export function withNamespaceRules(cluster: RuleSet, all: ReadonlyMap<string, NamespaceRuleSet>, hash: (text: string) => string): RuleSet {
  const own = new Map([...all].filter(([, { rules }]) => rules.length > 0));
  if (own.size === 0) return cluster;

  const delegated = indexRules(cluster.delegate.map(({ pattern }) => ({ pattern, trust: true })));
  const match: RuleSet['match'] = (reference, place) => {
    const answer = cluster.match(reference, place);
    const rule = own.get(place.namespace)?.match(reference);
    if (!rule) return answer;
    return combine(answer, rule, place, () => delegated.match(reference, place).entry !== undefined);
  };
  const parts = [...own].sort(([one], [other]) => (one < other ? -1 : 1)).map(([namespace, rules]) => [namespace, digestOf(rules, hash)]);
  return {
    ...cluster,
    revision: hash(JSON.stringify([cluster.revision, ...parts])).slice(0, 12),
    namespaceRules: new Map([...own].map(([namespace, { rules }]) => [namespace, rules])),
    match,
    nearest(reference, place) {
      const rules = own.get(place.namespace)?.rules ?? [];
      return indexNearestRules([...cluster.rules, ...rules], match)(reference, place);
    },
  };
}

/** Made once for each set: a change in one namespace must not cost what all namespaces have written. */
const digests = new WeakMap<NamespaceRuleSet, string>();

function digestOf(rules: NamespaceRuleSet, hash: (text: string) => string): string {
  const known = digests.get(rules);
  if (known !== undefined) return known;
  const digest = hash(rules.canonical);
  digests.set(rules, digest);
  return digest;
}

function combine(
  answer: Answer<Rule | undefined>,
  own: Rule,
  place: NamespaceContext,
  isDelegated: () => boolean,
): Answer<Rule | undefined> {
  const ofCluster = answer.value;
  if (ofCluster?.internal || ofCluster?.trust === false) return answer;
  if (!own.trust) return { ...answer, value: own };
  if (!ofCluster) return isDelegated() ? { ...answer, value: own } : answer;
  return winsOver(ofCluster, own, place) ? answer : { ...answer, value: own };
}

/** Whether the cluster's rule is the more specific. That it names the namespace does not count against the namespace itself. */
function winsOver({ pattern, trust }: Rule, own: Rule, place: NamespaceContext): boolean {
  return compareSpecificity({ pattern, trust }, own, place)?.firstWins === true;
}

/** Rules of a namespace compared with rules of the cluster, for one ConfigMap. A million take about a second, in steps between requests. */
const mostComparisons = 1_000_000;

/** How many rules of a namespace are looked at for having no effect. The rest is left: such a rule is harmless, and `regkeeper lint` finds it. */
export function maxRulesLookedUp({ rules, delegate }: Pick<RuleSet, 'rules' | 'delegate'>): number {
  return Math.ceil(mostComparisons / Math.max(1, rules.length + delegate.length));
}

/**
 * Trusting rules of a namespace that have no effect, since nothing they hold is trusted by a rule of the cluster that is not more specific,
 * nor left to namespaces. The labels of the namespace are not known here, so what may have an effect is no problem.
 */
export function findWidening(cluster: RuleSet, { namespace, rules }: Pick<NamespaceRuleSet, 'namespace' | 'rules'>): readonly Problem[] {
  const place: NamespaceContext = { namespace, labels: undefined };
  return rules
    .filter((rule) => rule.trust && !isDelegated(cluster, rule, place) && !choosesSecret(cluster, rule, place))
    .map((rule) => wordWidening(cluster, rule, place));
}

/** Whether some image is in the rule and in a delegated pattern, and named by no rule of the cluster. */
function isDelegated(cluster: RuleSet, rule: Rule, place: NamespaceContext): boolean {
  return cluster.delegate.some(({ pattern }) => {
    const answer = matchCommon(cluster, rule.pattern, pattern, place);
    return answer !== undefined && (answer.value === undefined || answer.unsure !== undefined);
  });
}

/** Whether some image is trusted by a rule of the cluster that is not more specific than the namespace's. */
function choosesSecret(cluster: RuleSet, rule: Rule, place: NamespaceContext): boolean {
  return cluster.rules.some((trusting) => {
    if (!trusting.trust || selects(trusting.namespaces, place) === false) return false;
    // Internal registries are trusted whatever a namespace says of them: a rule that says so too is no attempt at more.
    if (!trusting.internal && winsOver(trusting, rule, place)) return false;
    const answer = matchCommon(cluster, rule.pattern, trusting.pattern, place);
    return answer !== undefined && (answer.value === trusting || answer.unsure !== undefined);
  });
}

/** What the cluster's rules say of everything that two patterns have in common. */
function matchCommon(
  cluster: RuleSet,
  one: RegistryPattern,
  other: RegistryPattern,
  place: NamespaceContext,
): Answer<Rule | undefined> | undefined {
  const common = intersectPatterns(one, other);
  return common && cluster.match(standInFor(common), place);
}

function wordWidening(cluster: RuleSet, rule: Rule, place: NamespaceContext): Problem {
  const { pattern, origin } = rule;
  const ofCluster = cluster.match(standInFor(pattern), place).value;
  if (ofCluster?.trust === false) {
    const message = `${pattern.text} is refused by the cluster's rule ${ofCluster.pattern.text} in ${renderOrigin(ofCluster.origin)}, so trusting it in namespace ${place.namespace} has no effect; remove the rule`;
    return { code: 'namespace-widens', message, origin, related: ofCluster.origin };
  }
  const message = `${pattern.text} is neither trusted nor delegated by the cluster's rules, but for more specific patterns, so trusting it in namespace ${place.namespace} has no effect; remove the rule, write a pattern that the cluster trusts, or ask for this one in the cluster's "delegate"`;
  return { code: 'namespace-widens', message, origin };
}
