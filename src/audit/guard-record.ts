/** One record for each review of a rules ConfigMap: who wanted to change the rules, and what came of it. */
import type { ReviewRequest } from '../admission/review.ts';

export type GuardRecord = {
  readonly event: 'rules-review';
  readonly uid: string;
  readonly user: string;
  readonly groups: readonly string[];
  readonly operation: string;
  readonly dryRun: boolean;
  /** namespace/name; without name on CREATE with generateName. */
  readonly configMap: string;
  /** `error`: nothing was found out, and the API server asks again or goes on without us. */
  readonly outcome: 'accepted' | 'refused' | 'error';
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  readonly durationMicroseconds: number;
};

export type GuardConclusion = Pick<GuardRecord, 'outcome' | 'problems' | 'warnings'>;

export type GuardEvent = GuardConclusion & { readonly request: ReviewRequest; readonly durationMicroseconds: number };

export function buildGuardRecord({ request, outcome, problems, warnings, durationMicroseconds }: GuardEvent): GuardRecord {
  const { uid, user, groups, operation, dryRun, namespace, name } = request;
  return {
    event: 'rules-review',
    uid,
    user,
    groups,
    operation,
    dryRun,
    configMap: `${namespace}/${name}`,
    outcome,
    problems,
    warnings,
    durationMicroseconds,
  };
}
