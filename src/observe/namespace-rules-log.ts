/** Logs changes of the rules of namespaces, at a limited rate whatever a tenant writes, and merges them for audit records. */

import type { Log } from '../contracts/log.ts';
import { type Problem, renderOrigin } from '../rules/language/problem.ts';
import type { RecordedRulesChange } from './audit/rules-record.ts';

export type NamespaceRulesLog = {
  /**
   * Logs one line for each namespace with problems or warnings, and one for the rules in force. Each is logged at most every ten seconds.
   */
  write(changes: readonly LoggedChange[]): void;
  /** Whether another line about the namespace may be logged now. If so, it counts as logged. */
  mayLog(namespace: string): boolean;
};

export type LoggedChange = Pick<RecordedRulesChange, 'scope' | 'before' | 'after' | 'problems'> & { readonly warnings: readonly Problem[] };

const intervalMilliseconds = 10_000;
/** Number of namespaces whose last line is remembered. Beyond it the oldest is forgotten. */
const maxRemembered = 1_000;

export function createNamespaceRulesLog(log: Pick<Log, 'info' | 'warn'>, now: () => number): NamespaceRulesLog {
  const last = new Map<string, { readonly at: number; unlogged: number }>();

  /** How many lines of this kind were skipped since the last one. Undefined if this one must be skipped too. */
  function countUnlogged(kind: string): number | undefined {
    const before = last.get(kind);
    if (before && now() - before.at < intervalMilliseconds) {
      before.unlogged += 1;
      return undefined;
    }
    last.delete(kind);
    last.set(kind, { at: now(), unlogged: 0 });
    const [oldest] = last.keys();
    if (last.size > maxRemembered && oldest !== undefined) last.delete(oldest);
    return before?.unlogged ?? 0;
  }

  function writeAbout(namespace: string, changes: readonly LoggedChange[]): void {
    const problems = changes.flatMap((change) => change.problems);
    const warnings = changes.flatMap((change) => change.warnings);
    const [first] = problems.length > 0 ? problems : warnings;
    if (!first) return;
    const unlogged = countUnlogged(`namespace ${namespace}`);
    if (unlogged === undefined) return;
    const { code, origin, message } = first;
    const others = problems.length > 0 ? problems.length - 1 : warnings.length - 1;
    const what = problems.length > 0 ? 'rejected' : 'accepted with a warning';
    const more = others > 0 ? ` (and ${others} more)` : '';
    const consequence = problems.length > 0 ? '. The last valid version, if any, remains in effect' : '';
    const fields = { code, ...origin, namespace, ...(unlogged > 0 && { unlogged }) };
    log.warn(
      fields,
      `rules in namespace ${namespace} ${what}: ${renderOrigin(origin)}: ${message.replace(/\.$/, '')}${more}${consequence}`,
    );
  }

  return {
    mayLog: (namespace) => countUnlogged(`recovery of ${namespace}`) !== undefined,
    write(changes) {
      for (const [namespace, ofNamespace] of byNamespace(changes)) writeAbout(namespace, ofNamespace);
      const [{ before, after } = { before: undefined, after: undefined }] = changes;
      if (!after || after.revision === before?.revision) return;
      const unlogged = countUnlogged('in effect');
      if (unlogged === undefined) return;
      const { revision, rules, settings, namespaceRules } = after;
      const { mode, unconfigured } = settings;
      const fields = { rulesRevision: revision, rules: rules.length, mode, unconfigured, namespacesWithRules: namespaceRules.size };
      log.info({ ...fields, ...(unlogged > 0 && { unlogged }) }, 'rules are in effect');
    },
  };
}

/**
 * Merges the simultaneous changes of one namespace's bundles into one accepted and one rejected change. Each becomes one audit record,
 * whose size `buildRulesRecord` limits.
 */
export function mergeChanges<Change extends RecordedRulesChange>(changes: readonly Change[]): readonly Change[] {
  return [...byNamespace(changes).values()].flatMap((ofNamespace) =>
    [ofNamespace.filter(({ problems }) => problems.length === 0), ofNamespace.filter(({ problems }) => problems.length > 0)].flatMap(
      (alike) => {
        const [first] = alike;
        if (!first) return [];
        return [{ ...first, sources: alike.flatMap(({ sources }) => sources), problems: alike.flatMap(({ problems }) => problems) }];
      },
    ),
  );
}

function byNamespace<Change extends Pick<RecordedRulesChange, 'scope'>>(
  changes: readonly Change[],
): ReadonlyMap<string, readonly Change[]> {
  return Map.groupBy(changes, ({ scope }) => (scope.kind === 'namespace' ? scope.namespace : ''));
}
