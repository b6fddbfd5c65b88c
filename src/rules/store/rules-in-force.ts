/** The rules in force: the rules of the store combined with what the platform adds. One value with one change event. */
import type { RuleScope } from '../language/parse.ts';
import type { ClusterObject, Problem, RuleSource } from '../language/problem.ts';
import type { RuleSet } from '../rule-set.ts';
import { type Platform, type PlatformRules, withPlatform } from './add-platform-rules.ts';
import type { RuleStore, RulesChange } from './rule-store.ts';

export type RulesInForce = {
  /** Undefined while `written` is. */
  current(): RuleSet | undefined;
  /** The rules of the store, without what the platform adds. */
  written(): RuleSet | undefined;
  /** Calls `listener` after each change, in the order in which listeners were added. The returned function removes it. */
  onChange(listener: (event: RulesEvent) => void): () => void;
  /** The store has accepted or rejected documents. `current` already returns the result. */
  documentsChanged(changes: readonly RulesChange[]): void;
  /** Replaces the cluster's own registries and the meaning of short names on it. */
  platformChanged(platform: Platform): void;
};

/** The cause of a change: documents were accepted or rejected (the rules may still be the same), or the platform changed. */
export type RulesEvent = { readonly cause: 'documents' | 'platform'; readonly changes: readonly ChangeInForce[] };

/** A `RulesChange` with the rules that are in force on this cluster. */
export type ChangeInForce = {
  readonly scope: RuleScope;
  readonly sources: readonly (RuleSource | ClusterObject)[];
  readonly before: RuleSet | undefined;
  readonly after: RuleSet | undefined;
  /** Rules without effect on this cluster. A function, because it examines every rule. */
  readonly conflicts: () => readonly Problem[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly alert?: string;
};

/** At first the platform adds nothing. `hash` as in `compileRuleSet`. */
export function createRulesInForce(store: Pick<RuleStore, 'written'>, hash: (text: string) => string): RulesInForce {
  const onPlatform = createRulesOnPlatform(hash);
  const listeners = new Set<(event: RulesEvent) => void>();
  const publish = (event: RulesEvent) => {
    const errors: unknown[] = [];
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        errors.push(error);
      }
    }
    // A bug of one subscriber must not keep the others from the change.
    if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors, 'several subscribers failed');
  };
  const inForce = (written: RuleSet | undefined) => written && onPlatform.apply(written).ruleSet;
  return {
    current: () => inForce(store.written()),
    written: store.written,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    documentsChanged(changes) {
      publish({ cause: 'documents', changes: changes.map((change) => changeOnPlatform(change, onPlatform)) });
    },
    platformChanged(platform) {
      const written = store.written();
      const before = inForce(written);
      if (!onPlatform.change(platform) || !written || !before) return;
      const after = onPlatform.apply(written);
      if (after.ruleSet.revision !== before.revision) publish({ cause: 'platform', changes: [changeOfPlatform(before, after)] });
    },
  };
}

/** The changes of the cluster's own documents. Empty for a change of the platform, and for rules of namespaces. */
export function clusterDocumentChanges({ cause, changes }: RulesEvent): readonly ChangeInForce[] {
  return cause === 'documents' ? changes.filter(({ scope }) => scope.kind === 'cluster') : [];
}

type RulesOnPlatform = {
  /** The rule set in force on this cluster for the written one. */
  apply(written: RuleSet): PlatformRules;
  /** Sets the current platform. Returns false if it is unchanged. */
  change(platform: Platform): boolean;
};

/** Adds nothing until `change` is called. The result for each rule set is computed once per platform. */
function createRulesOnPlatform(hash: (text: string) => string): RulesOnPlatform {
  let platform: Platform = { internalRegistries: [] };
  let appliedRules = new WeakMap<RuleSet, PlatformRules>();
  return {
    apply(written) {
      const known = appliedRules.get(written);
      if (known) return known;
      const applied = withPlatform(written, platform, hash);
      appliedRules.set(written, applied);
      return applied;
    },
    change(next) {
      if (JSON.stringify(next) === JSON.stringify(platform)) return false;
      platform = next;
      appliedRules = new WeakMap();
      return true;
    },
  };
}

function changeOnPlatform({ id: _id, ...change }: RulesChange, onPlatform: RulesOnPlatform): ChangeInForce {
  const before = change.before && onPlatform.apply(change.before).ruleSet;
  const after = change.after && onPlatform.apply(change.after);
  return { ...change, before, after: after?.ruleSet, conflicts: () => after?.conflicts() ?? [] };
}

function changeOfPlatform(before: RuleSet, { ruleSet: after, conflicts }: PlatformRules): ChangeInForce {
  const origins = [...before.rules, ...after.rules].map(({ origin }) => origin.source);
  const objects = new Map(origins.flatMap((source) => (source.kind === 'cluster' ? [[source.object, source] as const] : [])));
  return { scope: { kind: 'cluster' }, sources: [...objects.values()], before, after, conflicts, problems: [], warnings: [] };
}
