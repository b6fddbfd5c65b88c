/** Reports each change of the rules in force: in the log, in audit records, and in metrics. */
import type { ImmediateComponent } from '../contracts/component.ts';
import type { Log } from '../contracts/log.ts';
import type { Problem } from '../rules/language/problem.ts';
import { renderOrigin } from '../rules/language/problem.ts';
import type { RuleStore } from '../rules/store/rule-store.ts';
import type { ChangeInForce, RulesEvent, RulesInForce } from '../rules/store/rules-in-force.ts';
import type { Clock } from '../time/clock.ts';
import { buildRulesRecord } from './audit/rules-record.ts';
import type { AuditLog } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { createNamespaceRulesLog, mergeChanges } from './namespace-rules-log.ts';
import { createRulesRecovery } from './rules-recovery.ts';

export type RulesReporterOptions = {
  readonly rules: RulesInForce;
  readonly store: Pick<RuleStore, 'missing' | 'rejected'>;
  readonly log: Omit<Log, 'debug'>;
  readonly auditLog: AuditLog;
  readonly metrics: Pick<Metrics, 'rulesInForce' | 'namespaceRules'>;
  readonly clock: Pick<Clock, 'now'>;
};

export function createRulesReporter({ rules, store, log, auditLog, metrics, clock }: RulesReporterOptions): ImmediateComponent {
  const namespaceRulesLog = createNamespaceRulesLog(log, clock.now);
  const recovery = createRulesRecovery({ store, inForce: rules.current, log, mayLog: namespaceRulesLog.mayLog });
  let unsubscribe = () => {};

  function report({ cause, changes }: RulesEvent): void {
    const ofCluster = changes.filter(({ scope }) => scope.kind === 'cluster');
    const ofNamespaces = changes.filter(({ scope }) => scope.kind === 'namespace');
    if (ofCluster.length > 0) reportClusterChanges(ofCluster);
    for (const change of mergeChanges(ofNamespaces)) auditLog.write(buildRulesRecord(change));
    namespaceRulesLog.write(ofNamespaces);
    const inForce = rules.current();
    if (inForce) metrics.rulesInForce(inForce);
    if (cause === 'platform') return;
    recovery.update(changes);
    for (const { problems } of ofNamespaces) metrics.namespaceRules(problems.length === 0 ? 'accepted' : 'rejected');
  }

  /**
   * Logs one line for each problem and warning of a change, and one for the rules in force afterwards. Writes one audit record for each
   * change.
   */
  function reportClusterChanges(changes: readonly ChangeInForce[]): void {
    for (const change of changes) {
      auditLog.write(buildRulesRecord(change));
      for (const { code, origin, message } of change.problems)
        log.error(
          { code, ...origin },
          `rules rejected: ${renderOrigin(origin)}: ${message} The last valid version, if any, remains in effect`,
        );
      for (const warning of change.warnings) log.warn(...lineOf(warning));
      if (change.alert !== undefined) log.error({}, change.alert);
    }
    const [first] = changes;
    if (first) reportInForce(first);
    const missing = store.missing();
    if (missing !== undefined) log.error({}, `not ready: ${missing}`);
  }

  function reportInForce({ before, after, conflicts }: ChangeInForce): void {
    if (!after || after.revision === before?.revision) return;
    const { revision, settings, namespaceRules } = after;
    const { mode, unconfigured } = settings;
    const ofNamespaces = namespaceRules.size > 0 && { namespacesWithRules: namespaceRules.size };
    log.info({ rulesRevision: revision, rules: after.rules.length, mode, unconfigured, ...ofNamespaces }, 'rules are in effect');
    for (const conflict of conflicts()) log.error(...lineOf(conflict));
  }

  return {
    name: 'rules reporter',
    start() {
      unsubscribe = rules.onChange(report);
    },
    stop: () => unsubscribe(),
  };
}

function lineOf({ code, origin, message }: Problem): [fields: object, message: string] {
  return [{ code, ...origin }, `${renderOrigin(origin)}: ${message}`];
}
