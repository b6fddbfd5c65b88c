/** Finds the rules that the author of a denied image probably meant. */
import type { ImageReference } from '../../image/reference.ts';
import { compareTexts } from '../compare-texts.ts';
import { representativeOf } from '../compile/pattern-overlap.ts';
import { countTypingErrors, maxTypingErrors } from '../language/closest-spelling.ts';
import { hostMatches } from '../language/pattern.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rule-set.ts';
import { rankIn, selects } from './namespaces.ts';

/** A denial message has room for a few proposals only. */
const maxProposals = 3;

/**
 * Returns a function that proposes rules for an image that no rule trusts. It proposes trusting, non-internal rules of the namespace, and
 * only if `match` trusts what they match. Rules for the same host come first: the same port before another port, then the longest common
 * path. Rules for a similar host follow. A rule for every host is never proposed, and each pattern at most once. The cost grows with the
 * number of rules, so this is for denials only.
 */
export function indexNearestRules(rules: readonly Rule[], match: RuleSet['match']): RuleSet['nearest'] {
  const proposable = rules.filter(({ trust, internal, pattern }) => trust && !internal && pattern.host.kind !== 'any');
  return (reference, context) => {
    const near: { rule: Rule; distance: readonly number[] }[] = [];
    for (const rule of proposable) {
      const distance = distanceTo(rule, reference);
      if (distance && selects(rule.namespaces, context) === true) near.push({ rule, distance });
    }
    near.sort(
      (one, other) =>
        compareDistances(one.distance, other.distance) ||
        compareTexts(one.rule.pattern.text, other.rule.pattern.text) ||
        rankOf(other.rule, context) - rankOf(one.rule, context),
    );
    return firstProposals(
      near.map(({ rule }) => rule),
      ({ pattern }) => trustsPattern(match, pattern, reference, context),
    );
  };
}

function firstProposals(near: readonly Rule[], isGood: (rule: Rule) => boolean): readonly Rule[] {
  const proposals = new Map<string, Rule>();
  for (const rule of near) {
    if (proposals.size === maxProposals) break;
    if (!proposals.has(rule.pattern.text) && isGood(rule)) proposals.set(rule.pattern.text, rule);
  }
  return [...proposals.values()];
}

function rankOf({ namespaces }: Rule, context: NamespaceContext): number {
  return rankIn(namespaces, context) ?? 0;
}

/** If the pattern matches every port, the proposal keeps the port of the image. */
function trustsPattern(match: RuleSet['match'], pattern: Rule['pattern'], reference: ImageReference, context: NamespaceContext): boolean {
  const port = pattern.port === 'any' ? (reference.port ?? 'default') : pattern.port;
  return match(representativeOf({ ...pattern, port }), context).value?.trust === true;
}

/** Sort keys: typing errors in the host, wildcard host, another port, path segments that differ. Undefined if the hosts are not similar. */
function distanceTo({ pattern }: Rule, { host, port, path }: ImageReference): readonly number[] | undefined {
  const typos = hostTypos(pattern.host, host);
  if (typos === undefined) return undefined;
  const samePort = pattern.port === 'any' || pattern.port === (port ?? 'default');
  const common = commonSegments(pattern.path, path);
  return [typos, pattern.host.kind === 'exact' ? 0 : 1, samePort ? 0 : 1, pattern.path.length - common, -common];
}

function hostTypos(host: Rule['pattern']['host'], name: string): number | undefined {
  if (hostMatches(host, name)) return 0;
  if (host.kind !== 'exact') return undefined;
  const limit = maxTypingErrors(host.name);
  const typos = countTypingErrors(name, host.name, limit);
  return typos <= limit ? typos : undefined;
}

function commonSegments(pattern: readonly string[], path: readonly string[]): number {
  const different = pattern.findIndex((segment, index) => segment !== '*' && segment !== path[index]);
  return different < 0 ? pattern.length : different;
}

function compareDistances(one: readonly number[], other: readonly number[]): number {
  const different = one.findIndex((value, index) => value !== other[index]);
  return different < 0 ? 0 : (one[different] ?? 0) - (other[different] ?? 0);
}
