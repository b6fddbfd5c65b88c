import { compileNamespaceRules, type NamespaceRuleSet, type NamespaceRulesResult } from '../compile/namespace-rules.ts';
import type { ParsedDocument } from '../language/parse.ts';

/** The rules in force that namespaces have of their own. Several bundles of one namespace form one set; nothing goes beyond its namespace. */
export type NamespaceRuleStore = {
  readonly rules: ReadonlyMap<string, NamespaceRuleSet>;
  /** What the bundle would make of its namespace's rules, in place of its own earlier version; a contradiction is reported in it. */
  compileWith(namespace: string, id: string, documents: readonly ParsedDocument[]): NamespaceRulesResult;
  /** Takes a bundle over, with what `compileWith` made of it. */
  put(id: string, documents: readonly ParsedDocument[], rules: NamespaceRuleSet): void;
  /** Its rules are gone at once: a namespace without any is judged by the cluster's alone. Says whether there were some. */
  drop(id: string): boolean;
};

export function createNamespaceRuleStore(): NamespaceRuleStore {
  const documentsOf = new Map<string, Map<string, readonly ParsedDocument[]>>();
  const rules = new Map<string, NamespaceRuleSet>();

  return {
    rules,
    compileWith(namespace, id, documents) {
      const others = [...(documentsOf.get(namespace) ?? [])].filter(([other]) => other !== id).flatMap(([, written]) => written);
      return compileNamespaceRules(namespace, [...others, ...documents]);
    },
    put(id, documents, compiled) {
      const { namespace } = compiled;
      const bundles = documentsOf.get(namespace) ?? new Map<string, readonly ParsedDocument[]>();
      documentsOf.set(namespace, bundles.set(id, documents));
      rules.set(namespace, compiled);
    },
    drop(id) {
      for (const [namespace, bundles] of documentsOf) {
        if (!bundles.delete(id)) continue;
        const compiled = compileNamespaceRules(namespace, [...bundles.values()].flat());
        // A set that was good without contradiction stays so with less in it.
        if (bundles.size > 0 && compiled.ok) rules.set(namespace, compiled.rules);
        else {
          documentsOf.delete(namespace);
          rules.delete(namespace);
        }
        return true;
      }
      return false;
    },
  };
}
