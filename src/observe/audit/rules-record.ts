/** Builds the audit record of a change of the rules. */
import { canonicalContents, canonicalList } from '../../rules/compile/canonical.ts';
import { canonicalRule } from '../../rules/compile/rule-fields.ts';
import type { RuleScope } from '../../rules/language/parse.ts';
import { type ClusterObject, type Problem, type RuleSource, renderOrigin } from '../../rules/language/problem.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { type AuditedDocument, type AuditedObject, auditSource } from './audited-rule.ts';
import { budgets, Cutter, omitted } from './record-limits.ts';

/** Has the changed rules, of the cluster or of one namespace, so that the revision of a decision can be looked up. */
export type RulesRecord = {
  readonly event: 'rules';
  readonly outcome: 'accepted' | 'rejected';
  /** The namespace of the rules. Absent for the cluster's rules. */
  readonly namespace?: string;
  /** What was read: documents, or cluster objects that add rules. */
  readonly sources: readonly (AuditedDocument | AuditedObject)[];
  /** How many entries of the previous list are not shown. The same for the other lists. */
  readonly sourcesOmitted?: number;
  readonly oldRevision?: string;
  /** The revision in force afterwards. Absent if there has never been one. */
  readonly rulesRevision?: string;
  /**
   * The revision of the documents without the rules that the cluster adds, if it adds any. Commands on the same documents show this
   * revision.
   */
  readonly writtenRevision?: string;
  readonly rules?: unknown;
  readonly problems: readonly string[];
  readonly problemsOmitted?: number;
  /** A text was cut, or not everything of a list is shown. */
  readonly truncated?: true;
};

export type RecordedRulesChange = {
  readonly scope: RuleScope;
  readonly sources: readonly (RuleSource | ClusterObject)[];
  readonly before: RuleSet | undefined;
  readonly after: RuleSet | undefined;
  readonly problems: readonly Problem[];
};

/**
 * At most `maxBytes` of record-limits.ts as a line of JSON for the rules of a namespace. The cluster's rules are never cut, since decisions refer
 * to them by revision and only a policy owner can write them.
 */
export function buildRulesRecord(change: RecordedRulesChange): RulesRecord {
  const { scope, before, after } = change;
  const cutter = new Cutter();
  const sources = cutter.list(
    change.sources.slice(0, budgets.sources.count).map((source) => auditSource(source, (text) => cutter.text(text))),
    budgets.sources,
  );
  const problems = cutter.texts(
    change.problems.slice(0, budgets.problems.count).map((problem) => `${renderOrigin(problem.origin)}: ${problem.message}`),
    budgets.problems,
  );
  if (sources.length < change.sources.length || problems.length < change.problems.length) cutter.cut = true;
  const record = {
    event: 'rules' as const,
    outcome: change.problems.length === 0 ? ('accepted' as const) : ('rejected' as const),
    ...(scope.kind === 'namespace' && { namespace: cutter.text(scope.namespace) }),
    sources,
    ...omitted('sourcesOmitted', change.sources, sources),
    ...(before && { oldRevision: before.revision }),
    ...(after && { rulesRevision: after.revision }),
    ...(after?.writtenRevision !== undefined && { writtenRevision: after.writtenRevision }),
    ...(after && after.revision !== before?.revision && { rules: rulesOf(scope, after, cutter) }),
    problems,
    ...omitted('problemsOmitted', change.problems, problems),
  };
  return cutter.cut ? { ...record, truncated: true } : record;
}

/**
 * Only the changed namespace's rules: with those of all namespaces, the cost of one tenant's edit would depend on what all tenants wrote.
 */
function rulesOf(scope: RuleScope, ruleSet: RuleSet, cutter: Cutter): unknown {
  if (scope.kind === 'cluster') return canonicalContents(ruleSet);
  const all = canonicalList(ruleSet.namespaceRules.get(scope.namespace) ?? [], canonicalRule);
  const namespaceRules = cutter.list(all, budgets.namespaceRules);
  return { namespaceRules, ...omitted('namespaceRulesOmitted', all, namespaceRules) };
}
