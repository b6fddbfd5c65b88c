/** Warnings and hints on rules that compile but probably do not mean what their author intends. */
import { listOf } from '../../image/wording.ts';
import { covers, coversWithPath, intersectPatterns, shortestPath } from '../compile/pattern-overlap.ts';
import { sameEffect } from '../compile/rule-fields.ts';
import type { RegistryPattern } from '../language/pattern.ts';
import { type Problem, type ProblemCode, renderOrigin } from '../language/problem.ts';
import { compareRanked, type RankedPattern } from '../match/match.ts';
import { describeSelector, isGlob, matchesEveryName, mayOverlap, namesCover, termsOf } from '../match/namespaces.ts';
import { indexPatterns, type PatternIndex } from '../match/pattern-index.ts';
import type { Mode, NamespaceSelector, Override, Rule, RuleSet, Unconfigured } from '../rule-set.ts';
import { daysBetween, trustPhase, usualNoticeDays } from '../trust-end.ts';
import { lintDeliveredSecrets } from './delivered-secrets.ts';
import { lintAliases } from './short-name-aliases.ts';
import { fewestSteps, mayCompare, type Steps } from './steps.ts';
import { lintPatterns } from './unlikely-patterns.ts';

/**
 * Warnings on rules that compile but probably are not meant so, in the order of documents and positions. `today` is a day in UTC,
 * `2026-11-21`. The cost is nearly linear in the number of rules: each rule is compared with a bounded number of overlapping rules. If a
 * rule overlaps with more, it may get no warning.
 */
export function lintRules(ruleSet: RuleSet, today: string): readonly Problem[] {
  const warnings = [
    ...ruleSet.exemptions.filter(({ until }) => until < today).map(expiredExemption),
    ...lintEnds(ruleSet, today),
    ...looseningGlobs(ruleSet),
    ...lintOverlaps(ruleSet.rules, today),
    ...lintPatterns(ruleSet),
    ...lintAliases(ruleSet, today),
    ...lintDeliveredSecrets(ruleSet),
  ];
  return sortByOrigin(warnings, ruleSet);
}

function expiredExemption({ pattern, until, origin }: RuleSet['exemptions'][number]): Problem {
  const message = `the exemption for ${pattern.text} expired on ${until}, so it has no effect. Remove it, or set a later date.`;
  return { code: 'exemption-expired', message, origin };
}

/** Rules whose trust has ended or ends soon, also those of namespaces. */
function lintEnds({ rules, namespaceRules }: RuleSet, today: string): readonly Problem[] {
  return [...rules, ...[...namespaceRules.values()].flat()].flatMap(({ pattern, until, origin, ...rule }): readonly Problem[] => {
    if (until === undefined) return [];
    if (trustPhase({ until, ...rule }, today) === 'ended') {
      const message = `${pattern.text} was trusted only until ${until}, so its images are denied. Replace "until" with "trust: false", or set a later date.`;
      return [{ code: 'rule-ended', message, origin }];
    }
    const days = daysBetween(today, until);
    if (days > usualNoticeDays) return [];
    const when = days === 0 ? 'today' : days === 1 ? 'tomorrow' : `${days} days from now`;
    const message = `${pattern.text} is trusted until ${until} (${when}). After that, its images will be denied. Replace images that are still in use, or set a later date.`;
    return [{ code: 'rule-ending', message, origin }];
  });
}

/**
 * A user who may create namespaces chooses their names. On OpenShift all users may create projects, within limits, but only administrators
 * set labels.
 */
function looseningGlobs({ rules, exemptions, overrides, deliveredSecrets, settings }: RuleSet): Problem[] {
  const warned = new Set<NamespaceSelector>();
  const warn = ({ origin, namespaces }: { origin: Problem['origin']; namespaces?: NamespaceSelector }, what: string): Problem[] => {
    const globs = globsOf(namespaces);
    // A rule with several registries has one selector for all of them.
    if (!namespaces || globs.length === 0 || warned.has(namespaces)) return [];
    warned.add(namespaces);
    const message = `${what} for namespaces named ${listOf(globs, 'or')}, but users who can create namespaces can choose such a name. Select by labels that only administrators can set: namespaces: {matchLabels: {...}}.`;
    return [{ code: 'loosening-glob', message, origin }];
  };
  return [
    ...rules.filter(({ trust }) => trust).flatMap((rule) => warn(rule, `${rule.pattern.text} is trusted`)),
    ...exemptions.flatMap((exemption) => warn(exemption, `${exemption.pattern.text} is exempted`)),
    ...overrides.flatMap((override) => {
      const loosened = loosenings(override, settings);
      return loosened.length > 0 ? warn(override, `${loosened.join(' and ')} ${loosened.length === 1 ? 'is' : 'are'} set`) : [];
    }),
    ...deliveredSecrets.flatMap((secret) => warn(secret, `the secret ${secret.name} is delivered`)),
  ];
}

/** A glob of stars alone matches every namespace, so choosing a name gains nothing. */
function globsOf(namespaces: NamespaceSelector | undefined): readonly string[] {
  return namespaces?.kind === 'names' ? namespaces.names.filter((name) => isGlob(name) && /[^*]/.test(name)) : [];
}

const modeStrictness: Readonly<Record<Mode, number>> = { audit: 0, warn: 1, enforce: 2 };
const unconfiguredStrictness: Readonly<Record<Unconfigured, number>> = { allow: 0, warn: 1, deny: 2 };

function loosenings({ mode, unconfigured }: Override, settings: RuleSet['settings']): readonly string[] {
  const loosensMode = mode !== undefined && modeStrictness[mode] < modeStrictness[settings.mode];
  const loosensUnconfigured =
    unconfigured !== undefined && unconfiguredStrictness[unconfigured] < unconfiguredStrictness[settings.unconfigured];
  return [...(loosensMode ? [`mode: ${mode}`] : []), ...(loosensUnconfigured ? [`unconfigured: ${unconfigured}`] : [])];
}

/** Enough for any number of rules that have ten names or labels each, since a rule is compared with some 300 others at most. */
const stepsPerRule = 10_000;

/** Rules that have no effect, or less than their author expects, because of overlapping rules. */
function lintOverlaps(all: readonly Rule[], today: string): Problem[] {
  const steps: Steps = { left: Math.max(fewestSteps, stepsPerRule * all.length) };
  const internal = indexPatterns(all.filter((rule) => rule.internal));
  const rules = all.filter((rule) => !rule.internal);
  const index = indexPatterns(rules);
  return rules.flatMap((rule) => {
    if (steps.left < 0) return [];
    const warnings = lintRule(rule);
    return steps.left < 0 ? [] : warnings;
  });

  function lintRule(rule: Rule): readonly Problem[] {
    const ineffective = insideInternal(rule, internal) ?? neverApplies(rule) ?? shadowed(rule, index, steps);
    if (ineffective) return [ineffective];
    return [redundant(rule, index, steps), rule.trust ? undefined : overruled(rule, index, today, steps)].filter(
      (warning) => warning !== undefined,
    );
  }
}

/** With a secret, or denying, the rule would not compile. A rule that only trusts repeats what applies anyway. */
function insideInternal(rule: Rule, internal: PatternIndex): Problem | undefined {
  const cover = [...internal.covering(rule.pattern, rule.namespaces, { above: true })].find(({ pattern }) => covers(pattern, rule.pattern));
  if (!cover) return undefined;
  const message = `${rule.pattern.text} is inside the internal registry ${cover.pattern.text} in ${renderOrigin(cover.origin)}, which is always trusted. Remove the rule.`;
  return warning('rule-redundant', rule, message, cover);
}

function neverApplies(rule: Rule): Problem | undefined {
  // A selector that does not overlap with itself matches nothing.
  if (!rule.namespaces || mayOverlap(rule.namespaces, rule.namespaces)) return undefined;
  const message = `${rule.pattern.text} never applies: the label requirements in "${describeSelector(rule.namespaces)}" contradict each other. Change the requirements, or remove the rule.`;
  return { code: 'shadowed-rule', message, origin: rule.origin };
}

/** Whether one other rule matches everything that this rule matches, where this rule applies, and is more specific. */
function shadowed(rule: Rule, index: PatternIndex, steps: Steps): Problem | undefined {
  for (const other of index.covering(rule.pattern, rule.namespaces, { shortest: shortestPath(rule.pattern) })) {
    if (other === rule || !coversWithPath(other.pattern, rule.pattern) || !selectorCovers(other.namespaces, rule.namespaces, steps))
      continue;
    if (!outranksEverywhere(other, rule)) continue;
    const message = `${rule.pattern.text} never applies: ${describe(other)} matches all its images and is more specific. Remove one of the two, or give this one a longer path.`;
    return warning('shadowed-rule', rule, message, other);
  }
  return undefined;
}

/**
 * Whether every image in every namespace would be decided the same without the rule: by the next rule that matches all its images, and by
 * all rules between the two.
 */
function redundant(rule: Rule, index: PatternIndex, steps: Steps): Problem | undefined {
  const replaces = (other: Rule) =>
    other !== rule &&
    sameEffect(rule, other) &&
    outranks(rule, other) &&
    covers(other.pattern, rule.pattern) &&
    selectorCovers(other.namespaces, rule.namespaces, steps);
  // Usually there is none, and the rules between need no comparison.
  if (![...index.covering(rule.pattern, rule.namespaces, { above: true })].some(replaces)) return undefined;
  for (const group of index.behind(rule)) {
    const different = group.filter((other) => !sameEffect(rule, other) && overlap(rule, other, steps) && outranks(rule, other));
    const [next] = group.filter((other) => replaces(other) && !different.some((between) => outranks(between, other)));
    if (next) {
      const message = `${rule.pattern.text} has the same effect as ${describe(next)}, which matches all its images. Remove the rule for ${rule.pattern.text}, or change its effect.`;
      return warning('rule-redundant', rule, message, next);
    }
    if (different.length > 0) return undefined;
  }
  return undefined;
}

/** Whether a trusting rule with a wildcard allows some images of a denied pattern. */
function overruled(denying: Rule, index: PatternIndex, today: string, steps: Steps): Problem | undefined {
  for (const rule of index.crossing(denying)) {
    if (!rule.trust || trustPhase(rule, today) === 'ended' || !outranks(rule, denying) || !overlap(rule, denying, steps)) continue;
    const both = intersectPatterns(rule.pattern, denying.pattern);
    if (!both || isDeniedByNarrowerRule(both, rule, index, steps)) continue;
    const image = sampleImage(both);
    const message = `the rule that denies ${denying.pattern.text} does not apply to images such as ${image}: ${describe(rule)} is more specific and allows them. Deny them with a more specific pattern, or narrow the rule that allows them.`;
    return warning('denial-overridden', denying, message, rule);
  }
  return undefined;
}

/** Whether a more specific rule denies the images that both rules match. */
function isDeniedByNarrowerRule(both: Omit<RegistryPattern, 'text'>, trusting: Rule, index: PatternIndex, steps: Steps): boolean {
  for (const other of index.covering(both, trusting.namespaces)) {
    const denies = !other.trust && covers(other.pattern, both) && selectorCovers(other.namespaces, trusting.namespaces, steps);
    if (denies && outranksEverywhere(other, trusting)) return true;
  }
  return false;
}

function warning(code: ProblemCode, rule: Rule, message: string, other: Rule): Problem {
  return { code, message, origin: rule.origin, related: other.origin };
}

function describe({ pattern, trust, namespaces, origin }: Rule): string {
  const selector = namespaces ? ` for ${describeSelector(namespaces)}` : '';
  return `the rule ${trust ? 'for' : 'that denies'} ${pattern.text}${selector} in ${renderOrigin(origin)}`;
}

function overlap(one: Rule, other: Rule, steps: Steps): boolean {
  if (intersectPatterns(one.pattern, other.pattern) === undefined) return false;
  return mayCompare(one.namespaces, other.namespaces, steps) && mayOverlap(one.namespaces, other.namespaces);
}

/**
 * Whether the first rule wins for some image in some namespace that both match. With a list of names it may be more specific for one name
 * and less for another.
 */
function outranks(one: Rule, other: Rule): boolean {
  return compareRanked(ranked(one, 'highest'), ranked(other, 'lowest'))?.firstWins === true;
}

function outranksEverywhere(one: Rule, other: Rule): boolean {
  return compareRanked(ranked(one, 'lowest'), ranked(other, 'highest'))?.firstWins === true;
}

type Ranks = { readonly lowest: number; readonly highest: number };

function ranked({ pattern, trust, namespaces }: Rule, which: keyof Ranks): RankedPattern {
  return { pattern, trust, namespaceRank: namespaces ? ranksOf(namespaces)[which] : 0 };
}

/** The lowest and the highest rank of a selector's terms. */
function ranksOf(namespaces: NamespaceSelector): Ranks {
  const known = knownRanks.get(namespaces);
  if (known) return known;
  const found = termsOf(namespaces).map(({ rank }) => rank);
  const ranks = { lowest: found.reduce((one, other) => Math.min(one, other)), highest: found.reduce((one, other) => Math.max(one, other)) };
  knownRanks.set(namespaces, ranks);
  return ranks;
}

const knownRanks = new WeakMap<NamespaceSelector, Ranks>();

/** Whether the first selector certainly matches every namespace that the second matches. Not all such pairs are found. */
function selectorCovers(one: NamespaceSelector | undefined, other: NamespaceSelector | undefined, steps: Steps): boolean {
  if (!one) return true;
  if (!mayCompare(one, other, steps)) return false;
  if (one.kind === 'names' && matchesEveryName(one)) return true;
  if (!other || one.kind !== other.kind) return false;
  if (one.kind === 'names' && other.kind === 'names') return namesCover(one, other);
  if (one.kind === 'names' || other.kind === 'names') return false;
  const requirementsOfOther = new Set(other.requirements.map((requirement) => JSON.stringify(requirement)));
  return one.requirements.every((requirement) => requirementsOfOther.has(JSON.stringify(requirement)));
}

/** An example image name of the pattern, with `any` for every `*`. */
function sampleImage({ host, port, path }: Omit<RegistryPattern, 'text'>): string {
  const name = host.kind === 'any' ? 'any.example.com' : host.kind === 'suffix' ? `any.${host.name}` : host.name;
  // With one segment it would be read as an official image of Docker Hub.
  const length = Math.max(path.length, name === 'docker.io' && typeof port !== 'number' ? 2 : 1);
  const segments = Array.from({ length }, (_, index) => (path[index] ?? '*').replace('*', 'any'));
  return [typeof port === 'number' ? `${name}:${port}` : name, ...segments].join('/');
}

function sortByOrigin(warnings: readonly Problem[], { sources }: RuleSet): readonly Problem[] {
  const order = new Map(sources.map((source, index) => [JSON.stringify(source), index]));
  const at = ({ origin }: Problem) => order.get(JSON.stringify(origin.source)) ?? 0;
  return warnings.toSorted(
    (one, other) => at(one) - at(other) || one.origin.line - other.origin.line || one.origin.column - other.origin.column,
  );
}
