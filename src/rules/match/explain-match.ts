/** Explains which rules match an image, and why only one of them decides. */
import type { ImageReference } from '../../image/reference.ts';
import { countOf } from '../../image/wording.ts';
import { patternMatches, renderHost } from '../language/pattern.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rule-set.ts';
import { compareSpecificity } from './match.ts';
import { renderSelector, selects } from './namespaces.ts';

/** A rule whose pattern matches an image, and why it does not decide. */
export type RuleCandidate = {
  readonly rule: Rule;
  /** Whether the rule's namespaces match, as far as they are known. */
  readonly applies: boolean | 'unknown';
  /** A predicate on the rule: `has a path of 1 segment (less specific than …)`. Absent for the rule that decides. */
  readonly lost?: string;
};

/**
 * All rules whose pattern matches the image: first the rule that decides, then other rules that apply in the namespace, the more specific
 * first, then the rest. `winner` is the rule that decides, if it is not the most specific one (see `RuleAnswer.limit`). Meant for
 * explanations, not for decisions: the cost grows with the number of rules.
 */
export function explainMatch(
  rules: RuleSet,
  reference: ImageReference,
  context: NamespaceContext,
  winner = rules.match(reference, context).value,
): readonly RuleCandidate[] {
  const own = rules.namespaceRules.get(context.namespace) ?? [];
  return [...rules.rules, ...own]
    .filter(({ pattern }) => patternMatches(pattern, reference))
    .map((rule): RuleCandidate => {
      const applies = selects(rule.namespaces, context);
      return rule === winner ? { rule, applies } : { rule, applies, lost: whyLost(rule, applies, winner, context) };
    })
    .sort((one, other) => sortGroup(one, winner) - sortGroup(other, winner) || bySpecificity(one.rule, other.rule, context));
}

function sortGroup({ rule, applies }: RuleCandidate, winner: Rule | undefined): number {
  if (rule === winner) return 0;
  return applies === true ? 1 : applies === 'unknown' ? 2 : 3;
}

function bySpecificity(one: Rule, other: Rule, context: NamespaceContext): number {
  if (one.internal !== other.internal) return one.internal ? -1 : 1;
  const comparison = compareSpecificity(one, other, context);
  return comparison ? (comparison.firstWins ? -1 : 1) : 0;
}

function whyLost(rule: Rule, applies: RuleCandidate['applies'], winner: Rule | undefined, context: NamespaceContext): string {
  const selector = renderSelector(rule.namespaces);
  if (applies === false) return `applies to ${selector}, not to namespace "${context.namespace}"`;
  if (applies === 'unknown' && (rule.trust || !winner))
    return `applies to ${selector}, but the labels of namespace "${context.namespace}" are unknown`;
  if (!winner) return 'is a namespace rule, and the cluster rules do not delegate this image';
  if (winner.internal) return 'has no effect, because internal registries are always trusted';
  if (rule.ownerNamespace !== undefined && winner.ownerNamespace === undefined) {
    if (!winner.trust) return 'is a namespace rule, and cannot trust what the cluster rules deny';
    const isOutranked = compareSpecificity(winner, rule, context)?.firstWins === true;
    if (winner.until !== undefined && !isOutranked) return 'is a namespace rule, and the until date of the cluster rule is earlier';
  }
  if (winner.ownerNamespace !== undefined && rule.ownerNamespace === undefined) {
    if (!winner.trust) return 'is a cluster rule, and a namespace rule denies the image';
    const first = compareSpecificity(winner, { pattern: rule.pattern, trust: rule.trust }, context);
    if (!first) return 'is a cluster rule, and a namespace rule with the same pattern takes precedence';
  }
  return lessSpecific(rule, winner, context);
}

function lessSpecific(rule: Rule, winner: Rule, context: NamespaceContext): string {
  const than = winner.pattern;
  switch (compareSpecificity(winner, rule, context)?.by) {
    case 'host':
      return `has the host ${renderHost(rule.pattern.host)} (less specific than ${renderHost(than.host)})`;
    case 'port':
      return `trusts every port (less specific than ${than.port === 'any' ? 'a rule that denies' : 'one port'})`;
    case 'path':
      return differentPath(rule, winner);
    case 'namespaces':
      return `applies to ${renderSelector(rule.namespaces)} (less specific than ${renderSelector(winner.namespaces)})`;
    case 'every port':
      return 'denies every port (less specific than a rule for one port)';
    case undefined:
      return 'is as specific as the other rule';
  }
}

function differentPath({ pattern: { path } }: Rule, winner: Rule): string {
  const longer = winner.pattern.path;
  if (path.length !== longer.length)
    return `has ${path.length === 0 ? 'no path' : `a path of ${countOf(path.length, 'segment')}`} (less specific than ${countOf(longer.length, 'segment')})`;
  const different = path.findIndex((segment, index) => segment !== longer[index]);
  return `has * in its path (less specific than "${longer[different]}")`;
}
