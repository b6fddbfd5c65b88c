/** `/guard`: reviews rules ConfigMaps before they are stored. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { allowed } from '../../admission/response.ts';
import { decodeReview, type ReviewRequest } from '../../admission/review.ts';
import {
  beginRulesReviewRecord,
  type ReviewCaller,
  type RulesReviewConclusion,
  type RulesReviewEnd,
  type RulesReviewRecord,
} from '../../observe/audit/rules-review-record.ts';
import type { Clock } from '../../time/clock.ts';
import { answerUndecodable } from '../answer-errors.ts';
import { releaseBody } from '../bodies/read-bodies.ts';
import { sendError, sendRetryLater } from '../error-bodies.ts';
import type { RulesReview, RulesReviewer } from '../rules-reviewer.ts';
import { traceparentOf } from '../traceparent.ts';
import type { WebhookCollaborators } from '../webhook-collaborators.ts';

/** A review may wait for seconds. A parsed body needs up to twenty times its bytes, so nothing of it may be kept meanwhile. */
export function answerRulesReview(request: FastifyRequest, reply: FastifyReply, collaborators: WebhookCollaborators, clock: Clock) {
  const { rulesReview } = collaborators;
  const started = clock.monotonic();
  const review = decodeReview(request.body);
  if (!review.ok) return answerUndecodable(review, reply, collaborators);
  const { uid } = review.request;
  if (!rulesReview) return allowed(uid);

  const { record, reviewing } = startReview(rulesReview.review, review.request, {
    callerAuthenticated: request.callerAuthenticated,
    ...traceparentOf(request),
  });
  releaseBody(request);
  const audit = (conclusion: RulesReviewConclusion) => {
    const durationMicroseconds = Math.round((clock.monotonic() - started) * 1_000);
    rulesReview.audit(record({ ...conclusion, durationMicroseconds }));
  };
  return concludeReview({ uid, reviewing, audit }, reply, collaborators);
}

/** Neither of the results keeps the request in memory. */
function startReview(
  review: RulesReviewer,
  request: ReviewRequest,
  caller: ReviewCaller,
): { record: (end: RulesReviewEnd) => RulesReviewRecord; reviewing: Promise<RulesReview> } {
  const record = beginRulesReviewRecord(request, caller);
  try {
    return { record, reviewing: review(request, caller.callerAuthenticated) };
  } catch (error) {
    return { record, reviewing: Promise.reject(error) };
  }
}

type Reviewing = { readonly uid: string; readonly reviewing: Promise<RulesReview>; audit(conclusion: RulesReviewConclusion): void };

async function concludeReview({ uid, reviewing, audit }: Reviewing, reply: FastifyReply, collaborators: WebhookCollaborators) {
  try {
    const { answer, problems, warnings } = await reviewing;
    audit({ outcome: answer === undefined ? 'error' : answer.response.allowed ? 'accepted' : 'rejected', problems, warnings });
    if (answer) return answer;
    collaborators.failed('overload');
    return sendRetryLater(reply, problems.join('; '));
  } catch (error) {
    collaborators.reportBug(error, uid);
    audit({ outcome: 'error', problems: ['internal error'], warnings: [] });
    // A bug allows the ConfigMap (failurePolicy Ignore). A denial would also block the fix of the rules, and bad rules are still rejected
    // when they are loaded.
    return sendError(
      reply,
      500,
      'InternalError',
      `regkeeper failed to review these rules. For the error, search the regkeeper log for uid ${uid}.`,
    );
  }
}
