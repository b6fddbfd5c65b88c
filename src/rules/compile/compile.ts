import type { ParsedDocument, WrittenSetting } from '../language/parse.ts';
import type { RegistryPattern } from '../language/pattern.ts';
import { type Problem, renderOrigin } from '../language/problem.ts';
import { indexExemptions } from '../match/exemptions.ts';
import { indexRules, type RuleIndex } from '../match/match.ts';
import { commonName, renderSelector, type Term } from '../match/namespaces.ts';
import { indexNearestRules } from '../match/nearest.ts';
import { findOverrideTies, indexOverrides } from '../match/overrides.ts';
import type { NamespaceContext, Rule, RuleSet, RuleSettings } from '../rule-set.ts';
import { canonicalContents } from './canonical.ts';
import { standInFor } from './pattern-overlap.ts';
import { findTies, type Tie } from './ties.ts';

export type CompileResult =
  | { readonly ok: true; readonly ruleSet: RuleSet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Makes one rule set of all documents of the cluster, or says where they contradict each other or themselves; each problem stands at the
 * later of the two places, in the order given, and names the earlier. `hash` gives a hex digest of at least 12 digits for a text. No
 * documents, or documents without rules, are a rule set too: one that trusts nothing.
 */
export function compileRuleSet(documents: readonly ParsedDocument[], hash: (text: string) => string): CompileResult {
  const problems: Problem[] = [];
  const settings = uniteSettings(documents, problems);
  const written = documents.flatMap(({ rules }) => rules);
  const exemptions = documents.flatMap((document) => document.exemptions);
  const overrides = documents.flatMap((document) => document.overrides);
  const delegate = documents.flatMap((document) => document.delegate);
  const internal = uniteInternal(written);
  const ordinary = written.filter((rule) => !rule.internal);
  problems.push(...findRuleTies(ordinary), ...findOverrideTies(overrides));

  const internalIndex = indexRules(internal);
  refuseInternalConflicts(ordinary, internalIndex, problems);
  if (problems.length > 0) return { ok: false, problems };

  const index = indexRules(ordinary);
  const rules = [...internal, ...ordinary];
  const match: RuleSet['match'] = (reference, place) => {
    // Internal registries are trusted whatever else is written, so they are asked first.
    const inside = internal.length > 0 ? internalIndex.match(reference, place).entry : undefined;
    if (inside) return { value: inside };
    const { entry, unsure } = index.match(reference, place);
    return unsure ? { value: entry, unsure: unsure.origin } : { value: entry };
  };
  const contents = { settings, rules, exemptions, overrides, delegate };
  const ruleSet: RuleSet = {
    ...contents,
    shortNamesWritten: documents.some((document) => document.settings.shortNames !== undefined),
    revision: hash(JSON.stringify(canonicalContents(contents))).slice(0, 12),
    namespaceRules: new Map(),
    sources: documents.map(({ source }) => source),
    settingsAt: indexOverrides(settings, overrides),
    match,
    exemptionsFor: indexExemptions(exemptions),
    nearest: indexNearestRules(rules, match),
  };
  return { ok: true, ruleSet };
}

const defaultSettings: RuleSettings = { unconfigured: 'deny', mode: 'enforce', inject: 'all', shortNames: 'docker.io' };

function uniteSettings(documents: readonly ParsedDocument[], problems: Problem[]): RuleSettings {
  const unconfigured = uniteSetting('unconfigured', documents, problems) ?? defaultSettings.unconfigured;
  const mode = uniteSetting('mode', documents, problems) ?? defaultSettings.mode;
  const inject = uniteSetting('inject', documents, problems) ?? defaultSettings.inject;
  const shortNames = uniteSetting('shortNames', documents, problems) ?? defaultSettings.shortNames;
  const contact = uniteSetting('contact', documents, problems);
  return { unconfigured, mode, inject, shortNames, ...(contact !== undefined && { contact }) };
}

function uniteSetting<Name extends keyof ParsedDocument['settings']>(
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
    // A list of hosts is compared by what it says, order included: it is searched in that order.
    if (first === undefined || JSON.stringify(value) === JSON.stringify(first.value)) continue;
    const message = `${name} is ${JSON.stringify(value)} here and ${JSON.stringify(first.value)} in ${renderOrigin(first.origin)}; write it in one place`;
    problems.push({ code: 'setting-conflict', message, origin, related: first.origin });
  }
  return first?.value;
}

function uniteInternal(rules: readonly Rule[]): readonly Rule[] {
  const byText = new Map<string, Rule>();
  for (const rule of rules) if (rule.internal && !byText.has(rule.pattern.text)) byText.set(rule.pattern.text, rule);
  return [...byText.values()];
}

/** Rules with equal host, port and path that may apply in one namespace, neither more specifically; each problem stands at the later one. */
export function findRuleTies(rules: readonly Rule[]): readonly Problem[] {
  const ties = [
    ...[...Map.groupBy(rules, ({ pattern }) => tieKey(pattern)).values()].flatMap((alike) => findTies(alike)),
    ...findContradictions(rules),
  ];
  const order = new Map(ties.length > 0 ? rules.map((rule, index) => [rule, index]) : []);
  const orderOf = ({ later: { entry } }: Tie<Rule>) => order.get(entry) ?? 0;
  return ties.sort((one, other) => orderOf(one) - orderOf(other)).map(wordTie);
}

/** Equal host, port and path. The text would not do: it leaves out the port that follows from trust. */
function tieKey({ host, port, path }: RegistryPattern): string {
  return [host.kind, host.kind === 'any' ? '' : host.name, port, ...path].join('/');
}

/**
 * What one rule trusts and another refuses in the same words, without a port. The refusal is about every port, so the default port that is
 * trusted would win, and the refusal mean nothing where it matters: nobody has written that. Who writes `:443` has.
 */
function findContradictions(rules: readonly Rule[]): readonly Tie<Rule>[] {
  const unwritten = rules.filter(({ trust, pattern, portWritten }) => !portWritten && pattern.port === (trust ? 'default' : 'any'));
  const refused = new Set(unwritten.filter(({ trust }) => !trust).map(({ pattern }) => pattern.text));
  const disputed = Map.groupBy(
    unwritten.filter(({ pattern }) => refused.has(pattern.text)),
    ({ pattern }) => pattern.text,
  );
  return [...disputed.values()].flatMap((alike) => findTies(alike, (one, other) => one.trust !== other.trust));
}

function wordTie({ later, earlier }: Tie<Rule>): Problem {
  const { pattern, origin } = later.entry;
  const other = earlier.entry;
  if (other.trust !== later.entry.trust && other.pattern.port !== pattern.port) {
    const [here, there] = later.entry.trust ? ['trusted', 'refused'] : ['refused', 'trusted'];
    const message =
      `${pattern.text} is ${here} here, and ${there} ${forWhom(earlier.term)}in ${renderOrigin(other.origin)}, and neither is the more specific` +
      `${example(later.term, earlier.term)}; keep one, or ${otherFix(later.term)}, or write the port that shall be trusted, as in ${withPort(pattern)}`;
    return { code: 'rule-tie', message, origin, related: other.origin };
  }
  const message =
    `${pattern.text} has a rule ${forWhom(earlier.term)}already in ${renderOrigin(other.origin)}, and neither is the more specific` +
    `${example(later.term, earlier.term)}; keep one, or ${otherFix(later.term)}`;
  return { code: 'rule-tie', message, origin, related: other.origin };
}

function withPort({ text }: RegistryPattern): string {
  return text.replace(/^[^/]*/, '$&:443');
}

function forWhom(term: Term): string {
  switch (term.kind) {
    case 'everywhere':
      return '';
    case 'name':
      return `for namespace ${term.name} `;
    case 'glob':
      return `for namespaces ${term.glob} `;
    case 'labels':
      return `for ${renderSelector({ kind: 'labels', requirements: term.requirements })} `;
  }
}

function example(later: Term, earlier: Term): string {
  if (later.kind === 'labels') return ': a namespace may have the labels of both';
  if (later.kind !== 'glob' || earlier.kind !== 'glob') return '';
  const name = commonName(later.glob, earlier.glob);
  return name ? `: both hold a namespace ${name}` : '';
}

function otherFix(term: Term): string {
  switch (term.kind) {
    case 'everywhere':
      return 'give one a longer path or namespaces of its own';
    case 'name':
      return `take ${term.name} out of the namespaces of one`;
    case 'glob':
      return 'write one glob longer, or the names in full';
    case 'labels':
      return 'ask for one label more in one of them, or in one for the absence of what the other asks for';
  }
}

// A rule inside an internal registry would never be asked. One that merely trusts says nothing else; any other would be believed in vain.
function refuseInternalConflicts(rules: readonly Rule[], internalIndex: RuleIndex<Rule>, problems: Problem[]): void {
  for (const rule of rules) {
    if (rule.trust && rule.pullSecrets.length === 0 && rule.pushSecret === undefined) continue;
    const internal = internalIndex.match(standInFor(rule.pattern), anyPlace).entry;
    if (!internal) continue;
    const vain = rule.trust ? 'never given a secret' : 'always trusted';
    const message = `${rule.pattern.text} is inside the internal registry ${internal.pattern.text} of ${renderOrigin(internal.origin)}, which is ${vain}; remove one of the two`;
    problems.push({ code: 'internal-conflict', message, origin: rule.origin, related: internal.origin });
  }
}

/** Internal registries are the same in every namespace. */
const anyPlace: NamespaceContext = { namespace: '', labels: {} };
