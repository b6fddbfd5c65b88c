/** Finds the rules that the author of a denied image probably meant. */
import { dockerHub } from '../../image/docker-hub.ts';
import type { ImageReference } from '../../image/reference.ts';
import { countTypingErrors } from '../closest-spelling.ts';
import { compareTexts } from '../compare-texts.ts';
import { representativeOf } from '../compile/pattern-overlap.ts';
import { hostMatches } from '../language/pattern.ts';
import type { NamespaceContext, Rule, RuleSet } from '../rule-set.ts';
import { firstToEnd } from '../trust-end.ts';
import { rankIn, selects } from './namespaces.ts';
import { isSharedRegistry, registrableDomain } from './registry-owner.ts';

/** A denial message has room for a few proposals only. */
const maxProposals = 3;

/**
 * Returns a function that proposes rules for an image that no rule trusts. It proposes trusting rules of the namespace and internal
 * registries, and only if `match` trusts what they match. A proposed pattern differs from the image in one thing only, and never leads to
 * the registry of another owner (see registry-owner.ts):
 * - an organization on Docker Hub instead of the official image of that name
 * - a missing or another port
 * - the last segment of its path
 * - one typing error in the host, within the registrable domain
 *
 * They come in the order of this list. A rule for every host is never proposed, and each pattern at most once. The cost grows with the
 * number of rules, so this is for denials only. A rule whose trust ends is never proposed.
 */
export function indexNearestRules(rules: readonly Rule[], match: RuleSet['match']): RuleSet['nearest'] {
  const proposable = rules.filter(({ trust, until, pattern }) => trust && until === undefined && pattern.host.kind !== 'any');
  return (reference, context) => {
    const near: { rule: Rule; distance: readonly number[] }[] = [];
    const domain = registrableDomain(reference.host);
    for (const rule of proposable) {
      const distance = distanceTo(rule, reference, domain);
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

/** The same, where namespaces have their own rules. */
export function indexNearestRulesOf(
  cluster: readonly Rule[],
  rulesOf: (namespace: string) => readonly Rule[],
  match: RuleSet['match'],
): RuleSet['nearest'] {
  let ofCluster: RuleSet['nearest'] | undefined;
  return (reference, context) => {
    const own = rulesOf(context.namespace);
    if (own.length > 0) return indexNearestRules([...cluster, ...own], match)(reference, context);
    // At the first denial, since rules change more often where namespaces have their own.
    ofCluster ??= indexNearestRules(cluster, match);
    return ofCluster(reference, context);
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
  const { value, limit } = match(representativeOf({ ...pattern, port }), context);
  return value?.trust === true && firstToEnd(value, limit) === undefined;
}

/**
 * Whether the pattern is an organization on Docker Hub with the name of the official image: `docker.io/nginx` for `nginx`. The author of the
 * rule or of the image probably took one for the other.
 */
export function isNamesakeOf({ host, path }: Rule['pattern'], reference: ImageReference): boolean {
  const [library, image, ...more] = reference.path;
  if (reference.host !== dockerHub || reference.port !== undefined || library !== 'library' || more.length > 0) return false;
  return host.kind === 'exact' && host.name === dockerHub && path.length === 1 && path[0] === image;
}

/** Sort keys: what differs, wildcard host, path segments that match, most first. Undefined if more than one thing differs. */
function distanceTo({ pattern }: Rule, reference: ImageReference, domain: string | undefined): readonly number[] | undefined {
  if (isNamesakeOf(pattern, reference)) return [-1, 0, 0];
  const { host, port, path } = reference;
  const common = commonSegments(pattern.path, path);
  const different = {
    port: pattern.port !== 'any' && pattern.port !== (port ?? 'default'),
    path: common < pattern.path.length,
    host: !hostMatches(pattern.host, host),
  };
  if (Number(different.port) + Number(different.path) + Number(different.host) !== 1) return undefined;
  if (different.host && (domain === undefined || !isMisspelledHost(pattern.host, host, domain))) return undefined;
  if (different.path && !isSiblingPath(pattern.path, common, host)) return undefined;
  return [different.port ? 0 : different.path ? 1 : 2, pattern.host.kind === 'exact' ? 0 : 1, -common];
}

/** On a shared registry, another first segment is another owner. */
function isSiblingPath(pattern: readonly string[], common: number, host: string): boolean {
  return common === pattern.length - 1 && (common > 0 || !isSharedRegistry(host));
}

/** `domain` is the registrable domain of the written host. What is cheap to find out comes first. */
function isMisspelledHost(host: Rule['pattern']['host'], written: string, domain: string): boolean {
  if (host.kind !== 'exact' || Math.abs(host.name.length - written.length) > 1 || !host.name.endsWith(domain)) return false;
  return registrableDomain(host.name) === domain && countTypingErrors(written, host.name, 1) === 1;
}

function commonSegments(pattern: readonly string[], path: readonly string[]): number {
  const different = pattern.findIndex((segment, index) => segment !== '*' && segment !== path[index]);
  return different < 0 ? pattern.length : different;
}

function compareDistances(one: readonly number[], other: readonly number[]): number {
  const different = one.findIndex((value, index) => value !== other[index]);
  return different < 0 ? 0 : (one[different] ?? 0) - (other[different] ?? 0);
}
