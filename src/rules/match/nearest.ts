import type { ImageReference } from '../../image/reference.ts';
import { compareTexts } from '../compare-texts.ts';
import { standInFor } from '../compile/pattern-overlap.ts';
import { countTypingErrors, maxTypingErrors } from '../language/closest-spelling.ts';
import { hostMatches } from '../language/pattern.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rule-set.ts';
import { rankIn, selects } from './namespaces.ts';

/** How many are proposed: a denial has room for a few, and more would not help. */
const mostProposed = 3;

/**
 * Prepares the search for what a person probably meant whose image no rule trusts. Only trusted rules of the namespace that are not
 * internal are proposed, and only where `match` trusts what they hold: first those for the same host, on the same port before another, with
 * the longest common path first; then those of a host spelt nearly so. A rule for every host is no proposal, and no pattern is proposed
 * twice. The cost grows with the number of rules, which is well for refusals only.
 */
export function indexNearestRules(rules: readonly Rule[], match: RuleSet['match']): RuleSet['nearest'] {
  const proposable = rules.filter(({ trust, internal, pattern }) => trust && !internal && pattern.host.kind !== 'any');
  return (reference, place) => {
    const near: { rule: Rule; distance: readonly number[] }[] = [];
    for (const rule of proposable) {
      const distance = distanceTo(rule, reference);
      if (distance && selects(rule.namespaces, place) === true) near.push({ rule, distance });
    }
    near.sort(
      (one, other) =>
        compareDistances(one.distance, other.distance) ||
        compareTexts(one.rule.pattern.text, other.rule.pattern.text) ||
        rankOf(other.rule, place) - rankOf(one.rule, place),
    );
    return firstProposals(
      near.map(({ rule }) => rule),
      ({ pattern }) => trustsPattern(match, pattern, reference, place),
    );
  };
}

function firstProposals(near: readonly Rule[], isGood: (rule: Rule) => boolean): readonly Rule[] {
  const proposals = new Map<string, Rule>();
  for (const rule of near) {
    if (proposals.size === mostProposed) break;
    if (!proposals.has(rule.pattern.text) && isGood(rule)) proposals.set(rule.pattern.text, rule);
  }
  return [...proposals.values()];
}

function rankOf({ namespaces }: Rule, place: NamespaceContext): number {
  return rankIn(namespaces, place) ?? 0;
}

/** Where a pattern takes every port, the person keeps theirs. */
function trustsPattern(match: RuleSet['match'], pattern: Rule['pattern'], reference: ImageReference, place: NamespaceContext): boolean {
  const port = pattern.port === 'any' ? (reference.port ?? 'default') : pattern.port;
  return match(standInFor({ ...pattern, port }), place).value?.trust === true;
}

/** Slips in the host, then: a wildcard host, another port, path segments that differ. Nothing when the host is another one altogether. */
function distanceTo({ pattern }: Rule, { host, port, path }: ImageReference): readonly number[] | undefined {
  const slips = hostSlips(pattern.host, host);
  if (slips === undefined) return undefined;
  const samePort = pattern.port === 'any' || pattern.port === (port ?? 'default');
  const common = commonSegments(pattern.path, path);
  return [slips, pattern.host.kind === 'exact' ? 0 : 1, samePort ? 0 : 1, pattern.path.length - common, -common];
}

function hostSlips(host: Rule['pattern']['host'], name: string): number | undefined {
  if (hostMatches(host, name)) return 0;
  if (host.kind !== 'exact') return undefined;
  const limit = maxTypingErrors(host.name);
  const slips = countTypingErrors(name, host.name, limit);
  return slips <= limit ? slips : undefined;
}

function commonSegments(pattern: readonly string[], path: readonly string[]): number {
  const different = pattern.findIndex((segment, index) => segment !== '*' && segment !== path[index]);
  return different < 0 ? pattern.length : different;
}

function compareDistances(one: readonly number[], other: readonly number[]): number {
  const different = one.findIndex((value, index) => value !== other[index]);
  return different < 0 ? 0 : (one[different] ?? 0) - (other[different] ?? 0);
}
