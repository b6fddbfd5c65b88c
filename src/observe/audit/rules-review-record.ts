/** Builds the audit record of a review of a rules ConfigMap: who wanted to change the rules, and the result. */
import type { ReviewRequest } from '../../admission/review.ts';
import { budgets, Cutter, omitted } from './record-limits.ts';

export type RulesReviewRecord = {
  readonly event: 'rules-review';
  readonly uid: string;
  /** As in the record of a decision. */
  readonly traceparent?: string;
  /** As in the record of a decision. */
  readonly callerAuthenticated: boolean;
  readonly user: string;
  readonly groups: readonly string[];
  /** How many entries of the previous list are not shown. The same for the other lists. */
  readonly groupsOmitted?: number;
  readonly operation: string;
  readonly dryRun: boolean;
  /** namespace/name, without a name on CREATE with generateName. */
  readonly configMap: string;
  /** `error`: there was no result, and the API server retries or continues without regkeeper. */
  readonly outcome: 'accepted' | 'rejected' | 'error';
  readonly problems: readonly string[];
  readonly problemsOmitted?: number;
  readonly warnings: readonly string[];
  readonly warningsOmitted?: number;
  readonly durationMicroseconds: number;
  /** A text was cut, or not everything of a list is shown. */
  readonly truncated?: true;
};

export type RulesReviewConclusion = Pick<RulesReviewRecord, 'outcome' | 'problems' | 'warnings'>;

export type RulesReviewEnd = RulesReviewConclusion & { readonly durationMicroseconds: number };

/** What the record shows of the HTTP request. */
export type ReviewCaller = Pick<RulesReviewRecord, 'callerAuthenticated' | 'traceparent'>;

/**
 * Begins the record of a review that ends later. The returned function keeps nothing of the request in memory. Its record has at most
 * `maxBytes` of record-limits.ts as a line of JSON, whatever the request contains.
 */
export function beginRulesReviewRecord(request: ReviewRequest, caller: ReviewCaller): (end: RulesReviewEnd) => RulesReviewRecord {
  const start = copyOf(startOf(request, caller));
  return ({ outcome, durationMicroseconds, ...found }) => {
    const cutter = new Cutter();
    const problems = cutter.texts(found.problems, budgets.problems);
    const warnings = cutter.texts(found.warnings, budgets.warnings);
    const { truncated, ...head } = start;
    return {
      ...head,
      outcome,
      problems,
      ...omitted('problemsOmitted', found.problems, problems),
      warnings,
      ...omitted('warningsOmitted', found.warnings, warnings),
      durationMicroseconds,
      ...((truncated || cutter.cut) && { truncated: true }),
    };
  };
}

function startOf(request: ReviewRequest, { callerAuthenticated, traceparent }: ReviewCaller) {
  const cutter = new Cutter();
  const { operation, dryRun, namespace, name } = request;
  const groups = cutter.texts(request.groups, budgets.groups);
  const start = {
    event: 'rules-review' as const,
    uid: cutter.text(request.uid),
    ...(traceparent !== undefined && { traceparent }),
    callerAuthenticated,
    user: cutter.text(request.user),
    groups,
    ...omitted('groupsOmitted', request.groups, groups),
    operation,
    dryRun,
    configMap: cutter.text(`${namespace}/${name}`),
  };
  return { ...start, truncated: cutter.cut };
}

/** In V8 a prefix of a long string keeps the whole string in memory. */
function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
