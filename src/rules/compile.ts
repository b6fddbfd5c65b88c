import { indexRules } from './match.ts';
import { searchNearest } from './nearest.ts';
import type { ParsedDocument, WrittenSetting } from './parse.ts';
import type { RegistryPattern } from './pattern.ts';
import { type Problem, renderOrigin } from './problem.ts';
import type { Rule, RuleSet, RuleSettings } from './ruleset.ts';

export type CompileResult =
  | { readonly ok: true; readonly ruleSet: RuleSet }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Makes one rule set of all documents, or says where they contradict each other or themselves; each problem stands at the later of the
 * two places, in the order given, and names the earlier. `hash` gives a hex digest of at least 12 digits for a text. No documents, or
 * documents without rules, are a rule set too: one that trusts nothing.
 */
export function compileRuleSet(documents: readonly ParsedDocument[], hash: (text: string) => string): CompileResult {
  const problems: Problem[] = [];
  const settings = uniteSettings(documents, problems);
  const written = documents.flatMap(({ rules }) => rules);
  const internal = uniteInternal(written);
  const ordinary = written.filter((rule) => !rule.internal);
  refuseTies(ordinary, problems);

  const internalIndex = indexRules(internal);
  refuseInternalConflicts(ordinary, internalIndex.cover, problems);
  if (problems.length > 0) return { ok: false, problems };

  const index = indexRules(ordinary);
  const rules = [...internal, ...ordinary];
  const ruleSet: RuleSet = {
    revision: hash(JSON.stringify(canonicalForm(settings, rules))).slice(0, 12),
    settings,
    rules,
    exemptions: [],
    overrides: [],
    delegate: [],
    namespaceRules: new Map(),
    sources: documents.map(({ source }) => source),
    settingsAt: () => ({ value: settings }),
    // Internal registries are trusted whatever else is written, so they are asked first.
    match: (reference) => ({ value: internalIndex.match(reference) ?? index.match(reference) }),
    exemptionsFor: () => ({ value: [] }),
    nearest: searchNearest(rules),
  };
  return { ok: true, ruleSet };
}

/**
 * What the rule set says, as JSON: the same for the same rules and settings, whatever the order of documents, comments and spelling.
 * The revision is its hash; the audit log keeps it once for each revision.
 */
export function canonicalRules({ settings, rules }: RuleSet): unknown {
  return canonicalForm(settings, rules);
}

const defaultSettings: RuleSettings = { unconfigured: 'deny', mode: 'enforce', inject: 'all', shortNames: 'docker.io' };

function uniteSettings(documents: readonly ParsedDocument[], problems: Problem[]): RuleSettings {
  const unconfigured = uniteSetting('unconfigured', documents, problems) ?? defaultSettings.unconfigured;
  const mode = uniteSetting('mode', documents, problems) ?? defaultSettings.mode;
  const contact = uniteSetting('contact', documents, problems);
  return { ...defaultSettings, unconfigured, mode, ...(contact !== undefined && { contact }) };
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
    if (first === undefined || value === first.value) continue;
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

function refuseTies(rules: readonly Rule[], problems: Problem[]): void {
  const firstWith = new Map<string, Rule>();
  for (const rule of rules) {
    const key = tieKey(rule.pattern);
    const first = firstWith.get(key);
    if (!first) {
      firstWith.set(key, rule);
      continue;
    }
    const message = `${rule.pattern.text} has a rule already in ${renderOrigin(first.origin)}, and neither is the more specific; keep one, or give one a longer path`;
    problems.push({ code: 'rule-tie', message, origin: rule.origin, related: first.origin });
  }
}

/** Equal host, port and path. The text would not do: it leaves out the port that follows from trust. */
function tieKey({ host, port, path }: RegistryPattern): string {
  return [host.kind, host.kind === 'any' ? '' : host.name, port, ...path].join('/');
}

// A rule inside an internal registry would never be asked. One that merely trusts says nothing else; any other would be believed in vain.
function refuseInternalConflicts(rules: readonly Rule[], cover: (pattern: RegistryPattern) => Rule | undefined, problems: Problem[]): void {
  for (const rule of rules) {
    if (rule.trust && rule.pullSecrets.length === 0 && rule.pushSecret === undefined) continue;
    const internal = cover(rule.pattern);
    if (!internal) continue;
    const vain = rule.trust ? 'never given a secret' : 'always trusted';
    const message = `${rule.pattern.text} is inside the internal registry ${internal.pattern.text} of ${renderOrigin(internal.origin)}, which is ${vain}; remove one of the two`;
    problems.push({ code: 'internal-conflict', message, origin: rule.origin, related: internal.origin });
  }
}

function canonicalForm(settings: RuleSettings, rules: readonly Rule[]): unknown {
  const { unconfigured, mode, contact } = settings;
  const lines = rules.map((rule) => {
    const form = canonicalRule(rule);
    return { form, text: JSON.stringify(form) };
  });
  lines.sort((one, other) => (one.text < other.text ? -1 : one.text > other.text ? 1 : 0));
  return { unconfigured, mode, ...(contact !== undefined && { contact }), rules: lines.map(({ form }) => form) };
}

function canonicalRule({ name, pattern, trust, reason, pullSecrets, pushSecret, internal }: Rule): unknown {
  return {
    registry: pattern.text,
    trust,
    ...(internal && { internal }),
    ...(name !== pattern.text && { name }),
    ...(reason !== undefined && { reason }),
    ...(pullSecrets.length > 0 && { pullSecrets }),
    ...(pushSecret !== undefined && { pushSecret }),
  };
}
