/** Logs when rules that were rejected or missing are valid again. */
import type { Log } from '../contracts/log.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { RuleStore } from '../rules/store/rule-store.ts';
import type { ChangeInForce } from '../rules/store/rules-in-force.ts';

export type RulesRecovery = {
  /** Call it after each event of the rules, including those that changed nothing. */
  update(changes: readonly WatchedChange[]): void;
};

type WatchedChange = Pick<ChangeInForce, 'scope' | 'before' | 'after' | 'problems' | 'alert'>;

export type RulesRecoveryOptions = {
  readonly store: Pick<RuleStore, 'rejected'>;
  readonly inForce: () => RuleSet | undefined;
  readonly log: Pick<Log, 'info'>;
  /** Whether a line about the namespace's rules may be logged now. A tenant could break and fix its rules at any rate. */
  readonly mayLog?: (namespace: string) => boolean;
};

/**
 * Logs when no rules of the cluster, or of a namespace, are rejected or missing any more. The usual fix is to undo the edit, which restores
 * the previous revision, so no other line would report it.
 */
export function createRulesRecovery({ store, inForce, log, mayLog = () => true }: RulesRecoveryOptions): RulesRecovery {
  /** Namespaces with rejected rules. The cluster has the empty name. */
  let affected = new Set<string>();
  /** The cluster's rules were deleted, and stay in force. */
  let alerted = false;
  return {
    update(changes) {
      const before = affected;
      for (const { alert, problems } of changes.filter(({ scope }) => scope.kind === 'cluster')) {
        if (alert !== undefined) alerted = true;
        else if (problems.length === 0) alerted = false;
      }
      affected = new Set([
        ...store.rejected().map(({ scope }) => (scope.kind === 'namespace' ? scope.namespace : cluster)),
        ...(alerted ? [cluster] : []),
      ]);
      const rules = inForce();
      // A new revision is logged in a separate line.
      if (!rules || changes.some((change) => change.before?.revision !== change.after?.revision)) return;
      for (const name of before) {
        if (affected.has(name) || (name !== cluster && !mayLog(name))) continue;
        log.info(
          { rulesRevision: rules.revision },
          `the rules of ${name === cluster ? 'the cluster' : `namespace ${name}`} are valid and complete again`,
        );
      }
    },
  };
}

const cluster = '';
