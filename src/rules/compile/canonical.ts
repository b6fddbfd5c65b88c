import { canonicalSelector } from '../match/namespaces.ts';
import type { Exemption, NamespaceSelector, Override, RuleSet } from '../rule-set.ts';
import { canonicalRule } from './rule-fields.ts';

/** What a rule set says: the parts that its revision is made of. */
export type Contents = Pick<RuleSet, 'settings' | 'rules' | 'exemptions' | 'overrides' | 'delegate'>;

/**
 * What the rule set says, as JSON: the same for the same rules and settings, whatever the order of documents, comments and spelling.
 * The cluster's revision is the hash of it without the rules of namespaces, which are hashed beside it; the audit log keeps it once for
 * each revision.
 */
export function canonicalRules(ruleSet: RuleSet): unknown {
  const ofNamespaces = [...ruleSet.namespaceRules].filter(([, rules]) => rules.length > 0).sort(([one], [other]) => (one < other ? -1 : 1));
  const own = ofNamespaces.map(([namespace, rules]) => [namespace, canonicalList(rules, canonicalRule)]);
  return { ...canonicalContents(ruleSet), ...(own.length > 0 && { namespaceRules: Object.fromEntries(own) }) };
}

/** The cluster's part. What is not written, or written with its default, is left out where older revisions did not know it. */
export function canonicalContents({ settings, rules, exemptions, overrides, delegate }: Contents): object {
  const { unconfigured, mode, inject, shortNames, contact } = settings;
  return {
    unconfigured,
    mode,
    ...(inject !== 'all' && { inject }),
    ...(shortNames !== 'docker.io' && { shortNames }),
    ...(contact !== undefined && { contact }),
    rules: canonicalList(rules, canonicalRule),
    ...(exemptions.length > 0 && { exemptions: canonicalList(exemptions, canonicalExemption) }),
    ...(overrides.length > 0 && { overrides: canonicalList(overrides, canonicalOverride) }),
    ...(delegate.length > 0 && { delegate: canonicalList(delegate, ({ pattern }) => pattern.text) }),
  };
}

/** Sorted by their text, and without doubles, which say nothing new. */
export function canonicalList<Entry>(entries: readonly Entry[], form: (entry: Entry) => unknown): readonly unknown[] {
  const byText = new Map<string, unknown>();
  for (const entry of entries) {
    const value = form(entry);
    byText.set(JSON.stringify(value), value);
  }
  return [...byText.keys()].sort().map((text) => byText.get(text));
}

function canonicalExemption({ pattern, namespaces, until, reason }: Exemption): unknown {
  return { image: pattern.text, ...canonicalNamespaces(namespaces), until, reason };
}

function canonicalOverride({ namespaces, mode, unconfigured, inject }: Override): unknown {
  return {
    ...canonicalNamespaces(namespaces),
    ...(mode !== undefined && { mode }),
    ...(unconfigured !== undefined && { unconfigured }),
    ...(inject !== undefined && { inject }),
  };
}

function canonicalNamespaces(namespaces: NamespaceSelector | undefined): { readonly namespaces?: unknown } {
  return namespaces ? { namespaces: canonicalSelector(namespaces) } : {};
}
