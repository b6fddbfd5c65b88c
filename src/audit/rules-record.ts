import { canonicalContents, canonicalList } from '../rules/canonical.ts';
import type { RuleScope } from '../rules/parse.ts';
import { type ClusterObject, type Problem, type RuleSource, renderOrigin } from '../rules/problem.ts';
import { canonicalRule } from '../rules/rule-fields.ts';
import type { RuleSet } from '../rules/ruleset.ts';
import { type AuditedDocument, type AuditedObject, auditSource } from './record.ts';

/**
 * One record for each change of the rules. It carries the rules that have changed, the cluster's or those of one namespace, so that a
 * decision's revision can be looked up.
 */
export type RulesRecord = {
  readonly event: 'rules';
  readonly outcome: 'accepted' | 'refused';
  /** Whose own rules they are; absent for the cluster's. */
  readonly namespace?: string;
  /** What was read: documents, or objects of the cluster that add to them. */
  readonly sources: readonly (AuditedDocument | AuditedObject)[];
  readonly oldRevision?: string;
  /** The revision in force afterwards; absent where none ever was. */
  readonly rulesRevision?: string;
  /** The revision of what is written alone, where the cluster adds to it: the one that commands on the same documents tell. */
  readonly writtenRevision?: string;
  readonly rules?: unknown;
  readonly problems: readonly string[];
};

export type RulesChange = {
  readonly scope: RuleScope;
  readonly sources: readonly (RuleSource | ClusterObject)[];
  readonly before: RuleSet | undefined;
  readonly after: RuleSet | undefined;
  readonly problems: readonly Problem[];
};

export function buildRulesRecord({ scope, sources, before, after, problems }: RulesChange): RulesRecord {
  return {
    event: 'rules',
    outcome: problems.length === 0 ? 'accepted' : 'refused',
    ...(scope.kind === 'namespace' && { namespace: scope.namespace }),
    sources: sources.map(auditSource),
    ...(before && { oldRevision: before.revision }),
    ...(after && { rulesRevision: after.revision }),
    ...(after?.writtenRevision !== undefined && { writtenRevision: after.writtenRevision }),
    ...(after && after.revision !== before?.revision && { rules: rulesOf(scope, after) }),
    problems: problems.map((problem) => `${renderOrigin(problem.origin)}: ${problem.message}`),
  };
}

/** Those of all namespaces in each record would make one tenant's edit cost as much as all tenants wrote. */
function rulesOf(scope: RuleScope, ruleSet: RuleSet): unknown {
  if (scope.kind === 'cluster') return canonicalContents(ruleSet);
  return { namespaceRules: canonicalList(ruleSet.namespaceRules.get(scope.namespace) ?? [], canonicalRule) };
}
