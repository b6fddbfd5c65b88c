import { canonicalRules } from '../rules/canonical.ts';
import { type Problem, type RuleSource, renderOrigin } from '../rules/problem.ts';
import type { RuleSet } from '../rules/ruleset.ts';
import { auditSource } from './record.ts';

/** One record for each change of the rules; the first record of a revision carries the rules themselves, so that a decision's revision can be looked up. */
export type RulesRecord = {
  readonly event: 'rules';
  readonly outcome: 'accepted' | 'refused';
  /** The documents that were read. */
  readonly sources: readonly ({ readonly configMap: string; readonly key: string } | { readonly file: string })[];
  readonly oldRevision?: string;
  /** The revision in force afterwards; absent where none ever was. */
  readonly rulesRevision?: string;
  readonly rules?: unknown;
  readonly problems: readonly string[];
};

export type RulesChange = {
  readonly sources: readonly RuleSource[];
  readonly before: RuleSet | undefined;
  readonly after: RuleSet | undefined;
  readonly problems: readonly Problem[];
};

export function buildRulesRecord({ sources, before, after, problems }: RulesChange): RulesRecord {
  return {
    event: 'rules',
    outcome: problems.length === 0 ? 'accepted' : 'refused',
    sources: sources.map(auditSource),
    ...(before && { oldRevision: before.revision }),
    ...(after && { rulesRevision: after.revision }),
    ...(after && after.revision !== before?.revision && { rules: canonicalRules(after) }),
    problems: problems.map((problem) => `${renderOrigin(problem.origin)}: ${problem.message}`),
  };
}
