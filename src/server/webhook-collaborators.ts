/** What the routes need from the rest of the program. */
import type { Facts } from '../decision/facts.ts';
import type { RequestFailure } from '../observe/audit/failure.ts';
import type { AuditRecord, CountedDecision } from '../observe/audit/record.ts';
import type { RulesReviewRecord } from '../observe/audit/rules-review-record.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import type { RulesReviewer } from './rules-review.ts';

export type WebhookCollaborators = {
  /** The rules in force for a namespace; undefined until they have been read. */
  rules(namespace: string): RuleSet | undefined;
  /** Undefined until the watches have synced. */
  facts(): Facts | undefined;
  /** `counted` are all images and secrets of the decision; the record shows only so many. */
  audit(record: AuditRecord, counted: CountedDecision): void;
  /** Undefined where rules do not come from ConfigMaps. */
  readonly rulesReview?: { readonly review: RulesReviewer; audit(record: RulesReviewRecord): void } | undefined;
  reportBug(error: unknown, uid: string | undefined): void;
  /** A request got no judgement. Bugs are told by `reportBug` alone. */
  failed(failure: ExpectedFailure): void;
};

/** Why a request got no judgement. */
export type ExpectedFailure = Exclude<RequestFailure, 'bug'>;
