/** The canonical JSON of a rule set, from which its revision is hashed. */
import { canonicalSelector } from '../match/namespaces.ts';
import type { DeliveredSecret, Exemption, NamespaceSelector, Override, RuleSet } from '../rule-set.ts';
import { canonicalRule } from './rule-fields.ts';

/** The parts of a rule set that make up its revision. */
export type RuleSetContents = Pick<RuleSet, 'settings' | 'rules' | 'exemptions' | 'overrides' | 'delegate' | 'deliveredSecrets'>;

/**
 * The rule set as JSON. Equal rules and settings give equal JSON, whatever the order of documents, comments and spelling. The cluster's
 * revision is the hash of this without the rules of namespaces, which are hashed separately. The audit log keeps the JSON once for each
 * revision.
 */
export function canonicalRules(ruleSet: RuleSet): unknown {
  const namespaceEntries = [...ruleSet.namespaceRules]
    .filter(([, rules]) => rules.length > 0)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  const own = namespaceEntries.map(([namespace, rules]) => [namespace, canonicalList(rules, canonicalRule)]);
  return { ...canonicalContents(ruleSet), ...(own.length > 0 && { namespaceRules: Object.fromEntries(own) }) };
}

/**
 * The cluster's part. Fields that older versions did not have are left out if they are absent or have their default value, so that old
 * revisions stay the same.
 */
export function canonicalContents({ settings, rules, exemptions, overrides, delegate, deliveredSecrets }: RuleSetContents): object {
  const { unconfigured, mode, inject, shortNames, contact, helpUrl } = settings;
  return {
    unconfigured,
    mode,
    ...(inject !== 'all' && { inject }),
    ...(shortNames !== 'docker.io' && { shortNames }),
    ...(contact !== undefined && { contact }),
    ...(helpUrl !== undefined && { helpUrl }),
    rules: canonicalList(rules, canonicalRule),
    ...(exemptions.length > 0 && { exemptions: canonicalList(exemptions, canonicalExemption) }),
    ...(overrides.length > 0 && { overrides: canonicalList(overrides, canonicalOverride) }),
    ...(delegate.length > 0 && { delegate: canonicalList(delegate, ({ pattern }) => pattern.text) }),
    ...(deliveredSecrets.length > 0 && { secrets: canonicalList(deliveredSecrets, canonicalDeliveredSecret) }),
  };
}

/** Sorted by their JSON text, without duplicates, which do not change the meaning. */
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

/** Defaults are written too: no older version has this field. */
export function canonicalDeliveredSecret({ name, source, namespaces, deliver, retainSeconds }: DeliveredSecret): object {
  return { name, source, ...canonicalNamespaces(namespaces), deliver, ...(deliver === 'onDemand' && { retainSeconds }) };
}

function canonicalNamespaces(namespaces: NamespaceSelector | undefined): { readonly namespaces?: unknown } {
  return namespaces ? { namespaces: canonicalSelector(namespaces) } : {};
}
