/** The interfaces that the routes need from the rest of the program. */
import type { AnsweredRequest } from '../admission/response.ts';
import type { Facts } from '../decision/facts.ts';
import type { AuditRecord, CountedDecision } from '../observe/audit/decision-record.ts';
import type { RequestFailure } from '../observe/audit/failure.ts';
import type { RulesReviewRecord } from '../observe/audit/rules-review-record.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { RulesReviewer } from './rules-reviewer.ts';

export type WebhookCollaborators = {
  /** The rules in force for a namespace. Undefined until they have been read. */
  rules(namespace: string): RuleSet | undefined;
  /** Undefined until the informers have synced. */
  facts(): Facts | undefined;
  /** `counted` has all images and secrets of the decision. The record may leave some out. */
  audit(record: AuditRecord, counted: CountedDecision): void;
  /** A request was evaluated. Must not throw. */
  answered?(answered: AnsweredRequest): void;
  /** Undefined if rules do not come from ConfigMaps. */
  readonly rulesReview?: { readonly review: RulesReviewer; audit(record: RulesReviewRecord): void } | undefined;
  reportBug(error: unknown, uid: string | undefined): void;
  /** A request could not be evaluated. Bugs are only reported by `reportBug`. */
  failed(failure: ExpectedFailure): void;
};

/** Why a request could not be evaluated, other than by a bug. */
export type ExpectedFailure = Exclude<RequestFailure, 'bug'>;
