/** Compiles namespaces' own rules, combines them with the cluster's rules, and finds those that have no effect. */

import { formatCount } from '../../image/wording.ts';
import type { ParsedDocument } from '../language/parse.ts';
import type { RegistryPattern } from '../language/pattern.ts';
import { type Problem, renderOrigin } from '../language/problem.ts';
import { compareSpecificity, indexRules, type Lookup } from '../match/match.ts';
import { selects } from '../match/namespaces.ts';
import { indexNearestRulesOf } from '../match/similar-registries.ts';
import type { Answer, NamespaceContext, Rule, RuleAnswer, RuleSet } from '../rule-set.ts';
import { maxRulesOfNamespace } from '../store/namespace-quota.ts';
import { firstToEnd } from '../trust-end.ts';
import { canonicalList } from './canonical.ts';
import { maxCombinationsOfNamespace, tooManyCombinations } from './combinations.ts';
import { findRuleTies } from './compile.ts';
import { intersectPatterns, representativeOf } from './pattern-overlap.ts';
import { canonicalRule } from './rule-fields.ts';

/** Own rules of one namespace, compiled. They apply in that namespace only, and only as far as the cluster's rules allow. */
export type NamespaceRuleSet = {
  readonly namespace: string;
  readonly rules: readonly Rule[];
  /** The rules as canonical JSON, whatever their order. Its hash is part of the revision. Not kept, since it can be longer than the documents. */
  canonical(): string;
  /** The most specific rule that matches the reference. */
  match(reference: Lookup): Rule | undefined;
};

export type NamespaceRulesResult =
  | { readonly ok: true; readonly rules: NamespaceRuleSet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Compiles all documents of a namespace, or reports where they contradict each other. */
export function compileNamespaceRules(namespace: string, documents: readonly ParsedDocument[]): NamespaceRulesResult {
  const rules = documents.flatMap((document) => document.rules);
  const contradictions = [...tooManyRules(namespace, rules), ...findRuleTies(rules)];
  const problems = contradictions.length > 0 ? contradictions : tooManyCombinations(rules, maxCombinationsOfNamespace);
  if (problems.length > 0) return { ok: false, problems };
  const index = indexRules(rules);
  // Own rules of a namespace cannot select namespaces.
  const context: NamespaceContext = { namespace, labels: {} };
  const canonical = () => JSON.stringify(canonicalList(rules, canonicalRule));
  return { ok: true, rules: { namespace, rules, canonical, match: (reference) => index.match(reference, context).entry } };
}

function tooManyRules(namespace: string, rules: readonly Rule[]): readonly Problem[] {
  const firstTooMany = rules[maxRulesOfNamespace];
  if (!firstTooMany) return [];
  const message = `namespace ${namespace} has ${formatCount(rules.length)} rules. The maximum is ${maxRulesOfNamespace}. Each registry in a list counts as a rule. Use shorter paths or * segments.`;
  return [{ code: 'too-many-rules', message, origin: firstTooMany.origin }];
}

/**
 * Combines the cluster's rules with namespaces' own rules, without compiling the cluster's part again.
 *
 * - What the cluster's rules deny stays denied, and internal registries stay internal.
 * - A namespace's own rules can deny any other image. They can trust images that match no rule of the cluster, inside `delegate` only.
 * - If both trust, the more specific rule chooses the secret. At equal pattern the namespace's rule does. The image is trusted until the
 *   first of the two ends, so that a namespace's rule cannot prolong the trust of the cluster's rule.
 *
 * `cluster` is a rule set without rules of namespaces. `hash` is as in `compileRuleSet`.
 */
export function withNamespaceRules(cluster: RuleSet, all: ReadonlyMap<string, NamespaceRuleSet>, hash: (text: string) => string): RuleSet {
  const own = new Map([...all].filter(([, { rules }]) => rules.length > 0));
  if (own.size === 0) return cluster;

  const delegated = indexRules(cluster.delegate.map(({ pattern }) => ({ pattern, trust: true })));
  const match: RuleSet['match'] = (reference, context) => {
    const answer = cluster.match(reference, context);
    const rule = own.get(context.namespace)?.match(reference);
    if (!rule) return answer;
    return combine(answer, rule, context, () => delegated.match(reference, context).entry !== undefined);
  };
  const parts = [...own].sort(([one], [other]) => (one < other ? -1 : 1)).map(([namespace, rules]) => [namespace, digestOf(rules, hash)]);
  return {
    ...cluster,
    revision: hash(JSON.stringify([cluster.revision, ...parts])).slice(0, 12),
    namespaceRules: new Map([...own].map(([namespace, { rules }]) => [namespace, rules])),
    match,
    nearest: indexNearestRulesOf(cluster.rules, (namespace) => own.get(namespace)?.rules ?? [], match),
  };
}

/** Hashed once for each set, so that a change in one namespace does not hash the rules of all namespaces again. */
const digests = new WeakMap<NamespaceRuleSet, string>();

function digestOf(rules: NamespaceRuleSet, hash: (text: string) => string): string {
  const known = digests.get(rules);
  if (known !== undefined) return known;
  const digest = hash(rules.canonical());
  digests.set(rules, digest);
  return digest;
}

function combine(answer: RuleAnswer, own: Rule, context: NamespaceContext, isDelegated: () => boolean): RuleAnswer {
  const clusterRule = answer.value;
  if (clusterRule?.internal || clusterRule?.trust === false) return answer;
  if (!own.trust) return { ...answer, value: own };
  if (!clusterRule) return isDelegated() ? { ...answer, value: own } : answer;
  if (winsOver(clusterRule, own, context)) return answer;
  const limit = firstToEnd(clusterRule, answer.limit);
  return { ...answer, value: own, ...(limit && { limit }) };
}

/** Whether the cluster's rule is more specific. Its namespace selector does not count against the namespace's own rules. */
function winsOver({ pattern, trust }: Rule, own: Rule, context: NamespaceContext): boolean {
  return compareSpecificity({ pattern, trust }, own, context)?.firstWins === true;
}

/**
 * Comparisons between a namespace's rules and the cluster's rules, for one ConfigMap. A million takes about a second, in steps between
 * requests.
 */
const maxComparisons = 1_000_000;

/**
 * How many rules of a namespace are checked for having an effect. The rest is skipped: a rule without effect is harmless, and `regkeeper
 * lint` finds it.
 */
export function maxRulesChecked({ rules, delegate }: Pick<RuleSet, 'rules' | 'delegate'>): number {
  return Math.ceil(maxComparisons / Math.max(1, rules.length + delegate.length));
}

/**
 * Trusting rules of a namespace that have no effect: no trusting rule of the cluster matches any of their images without being more
 * specific, and none of their images is delegated. The labels of the namespace are unknown here, so a rule that may have an effect is not
 * reported.
 */
export function findWidening(cluster: RuleSet, { namespace, rules }: Pick<NamespaceRuleSet, 'namespace' | 'rules'>): readonly Problem[] {
  const context: NamespaceContext = { namespace, labels: undefined };
  return rules
    .filter((rule) => rule.trust && !isDelegated(cluster, rule, context) && !choosesSecret(cluster, rule, context))
    .map((rule) => wideningProblem(cluster, rule, context));
}

/** Whether some image matches the rule and a delegated pattern, but no rule of the cluster. */
function isDelegated(cluster: RuleSet, rule: Rule, context: NamespaceContext): boolean {
  return cluster.delegate.some(({ pattern }) => {
    const answer = matchCommon(cluster, rule.pattern, pattern, context);
    return answer !== undefined && (answer.value === undefined || answer.unsure !== undefined);
  });
}

/** Whether some image is trusted by a rule of the cluster that is not more specific than the namespace's rule. */
function choosesSecret(cluster: RuleSet, rule: Rule, context: NamespaceContext): boolean {
  return cluster.rules.some((trusting) => {
    if (!trusting.trust || selects(trusting.namespaces, context) === false) return false;
    // Internal registries are trusted in any case. A rule that trusts them too does not try to widen anything.
    if (!trusting.internal && winsOver(trusting, rule, context)) return false;
    const answer = matchCommon(cluster, rule.pattern, trusting.pattern, context);
    return answer !== undefined && (answer.value === trusting || answer.unsure !== undefined);
  });
}

/** The cluster's result for all images that match both patterns. */
function matchCommon(
  cluster: RuleSet,
  one: RegistryPattern,
  other: RegistryPattern,
  context: NamespaceContext,
): Answer<Rule | undefined> | undefined {
  const common = intersectPatterns(one, other);
  return common && cluster.match(representativeOf(common), context);
}

function wideningProblem(cluster: RuleSet, rule: Rule, context: NamespaceContext): Problem {
  const { pattern, origin } = rule;
  const clusterRule = cluster.match(representativeOf(pattern), context).value;
  if (clusterRule?.trust === false) {
    const message = `${pattern.text} is denied by the cluster rule ${clusterRule.pattern.text} in ${renderOrigin(clusterRule.origin)}, so trusting it in namespace ${context.namespace} has no effect. Remove the rule.`;
    return { code: 'namespace-rule-without-effect', message, origin, related: clusterRule.origin };
  }
  const message = `${pattern.text} is neither trusted nor delegated by the cluster rules, except for more specific patterns. Trusting it in namespace ${context.namespace} has no effect. Remove the rule, use a pattern that the cluster rules trust, or ask an administrator to delegate this one.`;
  return { code: 'namespace-rule-without-effect', message, origin };
}
