/** Stores the rules in force that namespaces write for themselves. */
import { compileNamespaceRules, type NamespaceRuleSet, type NamespaceRulesResult } from '../compile/namespace-rules.ts';
import type { ParsedDocument } from '../language/parse.ts';

/** Namespaces' own rules that are in force. All bundles of a namespace form one set, which applies in that namespace only. */
export type NamespaceRuleStore = {
  readonly rules: ReadonlyMap<string, NamespaceRuleSet>;
  /** Compiles the namespace's rules with this bundle in place of its earlier version. A contradiction is reported in this bundle. */
  compileWith(namespace: string, id: string, documents: readonly ParsedDocument[]): NamespaceRulesResult;
  /** Stores a bundle with the result of `compileWith`. */
  put(id: string, documents: readonly ParsedDocument[], rules: NamespaceRuleSet): void;
  /**
   * Removes a bundle's rules immediately. A namespace without rules is evaluated by the cluster's rules alone. Returns whether the bundle
   * was stored.
   */
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
        // Removing documents from a set without contradictions cannot create one.
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
