/** Compiles all documents of the cluster into one rule set, or reports where they contradict each other. */

import { formatCount } from '../../image/wording.ts';
import type { ParsedDocument, WrittenSetting } from '../language/parse.ts';
import type { RegistryPattern } from '../language/pattern.ts';
import { type Problem, renderOrigin } from '../language/problem.ts';
import { indexExemptions } from '../match/exemptions.ts';
import { indexRules } from '../match/match.ts';
import { commonName, describeSelector, type Term } from '../match/namespaces.ts';
import { findOverrideTies, indexOverrides } from '../match/overrides.ts';
import { indexNearestRules } from '../match/similar-registries.ts';
import type { DeliveredSecret, Override, Rule, RuleSet, RuleSettings } from '../rule-set.ts';
import { canonicalContents } from './canonical.ts';
import { maxCombinations, tooManyCombinations } from './combinations.ts';
import { indexInternal } from './internal-rules.ts';
import { findTies, newTieBudget, type Tie, type TieBudget } from './ties.ts';

export type CompileResult =
  | { readonly ok: true; readonly ruleSet: RuleSet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Compiles all documents of the cluster into one rule set, or reports where they contradict each other or themselves. A problem has the
 * position of the later of the two entries, in the order of `documents`, and names the earlier one. `hash` returns a hex digest of at least
 * 12 digits. Documents without rules, or no documents, give a rule set that trusts nothing.
 */
export function compileRuleSet(documents: readonly ParsedDocument[], hash: (text: string) => string): CompileResult {
  const problems: Problem[] = [];
  const settings = mergeSettings(documents, problems);
  const written = documents.flatMap(({ rules }) => rules);
  const exemptions = documents.flatMap((document) => document.exemptions);
  const overrides = documents.flatMap((document) => document.overrides);
  const delegate = documents.flatMap((document) => document.delegate);
  const deliveredSecrets = documents.flatMap((document) => document.deliveredSecrets);
  // First of all, because everything else multiplies the lists.
  const combinations = tooManyCombinations([...written, ...exemptions], maxCombinations);
  if (combinations.length > 0) return { ok: false, problems: combinations };
  const internal = mergeInternal(written);
  const ordinary = written.filter((rule) => !rule.internal);
  const budget = newTieBudget();
  problems.push(...findRuleTies(ordinary, budget), ...findOverrideTies(overrides, budget), ...findSecretProblems(deliveredSecrets));
  problems.push(...tooManySelectors([...ordinary, ...overrides], budget));

  const internalIndex = indexRules(internal);
  problems.push(...findInternalConflicts(ordinary, internal));
  if (problems.length > 0) return { ok: false, problems };

  const index = indexRules(ordinary);
  const rules = [...internal, ...ordinary];
  const match: RuleSet['match'] = (reference, context) => {
    // Internal registries are trusted whatever other rules say, so they are matched first.
    const internalRule = internal.length > 0 ? internalIndex.match(reference, context).entry : undefined;
    if (internalRule) return { value: internalRule };
    const { entry, unsure, limit } = index.match(reference, context);
    return unsure ? { value: entry, unsure: unsure.origin, ...(limit && { limit }) } : { value: entry };
  };
  const contents = { settings, rules, exemptions, overrides, delegate, deliveredSecrets };
  const ruleSet: RuleSet = {
    ...contents,
    shortNamesWritten: documents.some((document) => document.settings.shortNames !== undefined),
    revision: hash(JSON.stringify(canonicalContents(contents))).slice(0, 12),
    namespaceRules: new Map(),
    sources: documents.map(({ source }) => source),
    settingsAt: indexOverrides(settings, overrides),
    match,
    matchCluster: match,
    exemptionsFor: indexExemptions(exemptions),
    nearest: indexNearestRules(rules, match),
  };
  return { ok: true, ruleSet };
}

const defaultSettings: RuleSettings = { unconfigured: 'deny', mode: 'enforce', inject: 'all', shortNames: 'docker.io' };

function mergeSettings(documents: readonly ParsedDocument[], problems: Problem[]): RuleSettings {
  const unconfigured = mergeSetting('unconfigured', documents, problems) ?? defaultSettings.unconfigured;
  const mode = mergeSetting('mode', documents, problems) ?? defaultSettings.mode;
  const inject = mergeSetting('inject', documents, problems) ?? defaultSettings.inject;
  const shortNames = mergeSetting('shortNames', documents, problems) ?? defaultSettings.shortNames;
  const contact = mergeSetting('contact', documents, problems);
  const helpUrl = mergeSetting('helpUrl', documents, problems);
  return {
    unconfigured,
    mode,
    inject,
    shortNames,
    ...(contact !== undefined && { contact }),
    ...(helpUrl !== undefined && { helpUrl }),
  };
}

function mergeSetting<Name extends keyof ParsedDocument['settings']>(
  name: Name,
  documents: readonly ParsedDocument[],
  problems: Problem[],
): RuleSettings[Name] | undefined {
  const written = documents.flatMap(({ settings }): WrittenSetting<RuleSettings[Name]>[] => {
    const setting = settings[name] as WrittenSetting<RuleSettings[Name]> | undefined;
    return setting ? [setting] : [];
  });
  const [first, ...others] = written;
  for (const { value, origin } of others) {
    // Lists of hosts are compared including their order, since they are searched in that order.
    if (first === undefined || JSON.stringify(value) === JSON.stringify(first.value)) continue;
    const message = `${name} is ${JSON.stringify(value)} here, but ${JSON.stringify(first.value)} in ${renderOrigin(first.origin)}. Set it in one place.`;
    problems.push({ code: 'setting-conflict', message, origin, related: first.origin });
  }
  return first?.value;
}

function mergeInternal(rules: readonly Rule[]): readonly Rule[] {
  const byText = new Map<string, Rule>();
  for (const rule of rules) if (rule.internal && !byText.has(rule.pattern.text)) byText.set(rule.pattern.text, rule);
  return [...byText.values()];
}

/**
 * Rules with equal host, port and path that may apply in one namespace, neither more specific than the other. Each problem has the position
 * of the later rule.
 */
export function findRuleTies(rules: readonly Rule[], budget = newTieBudget()): readonly Problem[] {
  const ties = [
    ...[...Map.groupBy(rules, ({ pattern }) => tieKey(pattern)).values()].flatMap((alike) => findTies(alike, undefined, budget)),
    ...findContradictions(rules, budget),
  ];
  const order = new Map(ties.length > 0 ? rules.map((rule, index) => [rule, index]) : []);
  const orderOf = ({ later: { entry } }: Tie<Rule>) => order.get(entry) ?? 0;
  return ties.sort((one, other) => orderOf(one) - orderOf(other)).map(tieProblem);
}

/** Equal host, port and path. The pattern's text cannot be used, since it omits the port that follows from trust. */
function tieKey({ host, port, path }: RegistryPattern): string {
  return [host.kind, host.kind === 'any' ? '' : host.name, port, ...path].join('/');
}

/**
 * Pairs in which one rule trusts and another denies the same text without a port. The denial applies to every port, so the trusted default
 * port would win over it. The denial would have no effect on the port that matters, which no author intends. An author who writes `:443`
 * does intend it.
 */
function findContradictions(rules: readonly Rule[], budget: TieBudget): readonly Tie<Rule>[] {
  const unwritten = rules.filter(({ trust, pattern, portWritten }) => !portWritten && pattern.port === (trust ? 'default' : 'any'));
  const untrustedTexts = new Set(unwritten.filter(({ trust }) => !trust).map(({ pattern }) => pattern.text));
  const contradictory = Map.groupBy(
    unwritten.filter(({ pattern }) => untrustedTexts.has(pattern.text)),
    ({ pattern }) => pattern.text,
  );
  return [...contradictory.values()].flatMap((alike) => findTies(alike, (one, other) => one.trust !== other.trust, budget));
}

/** Not all ties were found. The position is that of the last selector, which may be any of them. */
function tooManySelectors(entries: readonly (Rule | Override)[], { comparisons }: TieBudget): readonly Problem[] {
  const last = comparisons < 0 ? entries.findLast(({ namespaces }) => namespaces !== undefined) : undefined;
  if (!last) return [];
  const message =
    'the rules have too many namespace selectors that must be compared with each other. Select by labels with one common key, or list the names of namespaces in one rule.';
  return [{ code: 'too-many-selectors', message, origin: last.origin }];
}

function tieProblem({ later, earlier }: Tie<Rule>): Problem {
  const { pattern, origin } = later.entry;
  const other = earlier.entry;
  if (other.trust !== later.entry.trust && other.pattern.port !== pattern.port) {
    const [here, there] = later.entry.trust ? ['trusted', 'denied'] : ['denied', 'trusted'];
    const message =
      `${pattern.text} is ${here} here, but ${there} ${describeScope(earlier.term)}in ${renderOrigin(other.origin)}, and neither rule is more specific.` +
      `${describeOverlap(later.term, earlier.term)} Remove one, or ${alternativeFix(later.term)}, or add the port to the rule that trusts: ${withPort(pattern)}.`;
    return { code: 'rule-tie', message, origin, related: other.origin };
  }
  const { written } = later.entry;
  const differ = written !== other.written;
  const subject = written !== undefined && differ ? `${written} (the same as ${pattern.text})` : (written ?? pattern.text);
  const place = `${renderOrigin(other.origin)}${other.written !== undefined && differ ? ` (${other.written})` : ''}`;
  const message =
    `${subject} already has a rule ${describeScope(earlier.term)}in ${place}, and neither rule is more specific.` +
    `${describeOverlap(later.term, earlier.term)} Remove one, or ${alternativeFix(later.term)}.`;
  return { code: 'rule-tie', message, origin, related: other.origin };
}

function withPort({ text }: RegistryPattern): string {
  return text.replace(/^[^/]*/, '$&:443');
}

function describeScope(term: Term): string {
  switch (term.kind) {
    case 'everywhere':
      return '';
    case 'name':
      return `for namespace ${term.name} `;
    case 'glob':
      return `for namespaces ${term.glob} `;
    case 'labels':
      return `for ${describeSelector({ kind: 'labels', requirements: term.requirements })} `;
  }
}

function describeOverlap(later: Term, earlier: Term): string {
  if (later.kind === 'labels') return ' A namespace can have the labels of both.';
  if (later.kind !== 'glob' || earlier.kind !== 'glob') return '';
  const name = commonName(later.glob, earlier.glob);
  return name ? ` Both match namespace ${name}.` : '';
}

function alternativeFix(term: Term): string {
  switch (term.kind) {
    case 'everywhere':
      return 'give one a longer path or different namespaces';
    case 'name':
      return `remove ${term.name} from the namespaces of one`;
    case 'glob':
      return 'use a longer namespace pattern in one, or the full names';
    case 'labels':
      return 'require a different label in one, or exclude the labels of the other';
  }
}

function findSecretProblems(secrets: readonly DeliveredSecret[]): readonly Problem[] {
  return [...findSecretTies(secrets), ...tooManySecrets(secrets)];
}

/** Entries with equal names. Two of them could name different sources for one namespace. Each problem has the position of the later entry. */
function findSecretTies(secrets: readonly DeliveredSecret[]): readonly Problem[] {
  const firsts = new Map<string, DeliveredSecret>();
  return secrets.flatMap((secret): readonly Problem[] => {
    const first = firsts.get(secret.name);
    if (!first) {
      firsts.set(secret.name, secret);
      return [];
    }
    const message = `the secret ${secret.name} already has an entry in ${renderOrigin(first.origin)}. Remove one, or list the namespaces of both in one entry.`;
    return [{ code: 'secret-tie', message, origin: secret.origin, related: first.origin }];
  });
}

/** Each name costs `regkeeper deliver` two watches, and as many in the server. */
const maxSecrets = 250;

function tooManySecrets(secrets: readonly DeliveredSecret[]): readonly Problem[] {
  const firstTooMany = secrets[maxSecrets];
  if (!firstTooMany) return [];
  const message = `secrets has ${formatCount(secrets.length)} entries. The maximum is ${maxSecrets}. Use one secret for several registries.`;
  return [{ code: 'too-many-secrets', message, origin: firstTooMany.origin }];
}

/** A rule inside an internal registry never decides, although its author expects it to. */
function findInternalConflicts(rules: readonly Rule[], internalRules: readonly Rule[]): readonly Problem[] {
  const conflictOf = indexInternal(internalRules);
  return rules.flatMap((rule): readonly Problem[] => {
    const conflict = conflictOf(rule);
    if (!conflict) return [];
    const { internal, effect, otherFix } = conflict;
    const treatment = effect === 'secret' ? 'never gets a secret' : 'is always trusted';
    const fix = otherFix === undefined ? 'Remove one of the two' : `Remove one of the two, or ${otherFix}`;
    const message = `${rule.pattern.text} is inside the internal registry ${internal.pattern.text} in ${renderOrigin(internal.origin)}, which ${treatment}. ${fix}.`;
    return [{ code: 'internal-conflict', message, origin: rule.origin, related: internal.origin }];
  });
}
