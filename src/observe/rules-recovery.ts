/** Logs the end of trouble with the rules. */
import type { RuleSet } from '../rules/rule-set.ts';
import type { RuleStore } from '../rules/store/rule-store.ts';
import type { ChangeInForce } from '../rules/store/rules-in-force.ts';

export type RulesRecovery = {
  /** After each event of the rules, those that changed nothing included. */
  update(changes: readonly WatchedChange[]): void;
};

type WatchedChange = Pick<ChangeInForce, 'scope' | 'before' | 'after' | 'problems' | 'alert'>;

export type RulesRecoveryOptions = {
  readonly store: Pick<RuleStore, 'rejected'>;
  readonly inForce: () => RuleSet | undefined;
  readonly log: { info(fields: object, message: string): void };
  /** Whether a line about the namespace's rules may be written now: a tenant could break and repair its rules all the time. */
  readonly mayLog?: (namespace: string) => boolean;
};

/**
 * Tells when nothing of the cluster's rules, or of a namespace's own, is refused or missing any more. The usual mending is to undo the edit:
 * the revision is the one before, so nothing else would say it.
 */
export function createRulesRecovery({ store, inForce, log, mayLog = () => true }: RulesRecoveryOptions): RulesRecovery {
  /** The cluster under the empty name. */
  let affected = new Set<string>();
  /** The cluster's rules were taken away, and stay in force. */
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
      // A new revision has a line of its own.
      if (!rules || changes.some((change) => change.before?.revision !== change.after?.revision)) return;
      for (const name of before) {
        if (affected.has(name) || (name !== cluster && !mayLog(name))) continue;
        log.info(
          { rulesRevision: rules.revision },
          `rules are in force again: nothing of the rules of ${name === cluster ? 'the cluster' : `the namespace ${name}`} is refused or missing any more`,
        );
      }
    },
  };
}

const cluster = '';
