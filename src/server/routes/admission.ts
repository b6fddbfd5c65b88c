/** `/mutate` and `/validate`: evaluates an AdmissionReview, and records and counts the answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type AdmissionAnswer, allowed, renderAnswer } from '../../admission/response.ts';
import { changeOf, decodeReview, type ReviewRequest, type Webhook } from '../../admission/review.ts';
import { decide } from '../../decision/decide.ts';
import type { Decision } from '../../decision/decision.ts';
import type { EvaluatedWith } from '../../observe/audit/circumstances.ts';
import { type AuditedEvent, buildAuditRecord, countDecision } from '../../observe/audit/decision-record.ts';
import type { Clock } from '../../time/clock.ts';
import { answerUndecodable } from '../answer-errors.ts';
import { internalError, sendRetryLater } from '../error-bodies.ts';
import { traceparentOf } from '../traceparent.ts';
import type { ExpectedFailure, WebhookCollaborators } from '../webhook-collaborators.ts';

export function answerAdmissionReview(
  webhook: Webhook,
  request: FastifyRequest,
  reply: FastifyReply,
  collaborators: WebhookCollaborators,
  clock: Clock,
) {
  const started = clock.monotonic();
  const review = decodeReview(request.body);
  if (!review.ok) return answerUndecodable(review, reply, collaborators);

  const audit = (conclusion: Pick<AuditedEvent, 'decision' | 'evaluatedWith' | 'failure'>) => {
    const durationMicroseconds = Math.round((clock.monotonic() - started) * 1_000);
    const event = {
      webhook,
      callerAuthenticated: request.callerAuthenticated,
      ...traceparentOf(request),
      request: review.request,
      ...conclusion,
      durationMicroseconds,
    };
    const record = buildAuditRecord(event);
    collaborators.audit(record, countDecision(event, record));
  };
  try {
    const evaluation = evaluate(webhook, review.request, request.callerAuthenticated, collaborators);
    if (evaluation.reason) collaborators.failed(evaluation.reason);
    audit(evaluation);
    return evaluation.answer ?? sendRetryLater(reply, evaluation.failure);
  } catch (error) {
    // A bug denies the request, in HTTP 200 with the uid. After an HTTP 500, the API server would show its own message instead.
    collaborators.reportBug(error, review.request.uid);
    audit({ decision: undefined, failure: 'internal error' });
    return internalError(review.request.uid);
  }
}

type Evaluation =
  | {
      readonly answer: AdmissionAnswer;
      readonly decision: Decision | undefined;
      readonly evaluatedWith?: EvaluatedWith;
      readonly failure?: never;
      readonly reason?: ExpectedFailure | undefined;
    }
  | { readonly answer?: never; readonly decision: Decision | undefined; readonly failure: string; readonly reason: ExpectedFailure };

function evaluate(webhook: Webhook, request: ReviewRequest, callerAuthenticated: boolean, collaborators: WebhookCollaborators): Evaluation {
  const change = changeOf(request, { hideStreamContents: !callerAuthenticated });
  if (!change) return { answer: allowed(request.uid), decision: undefined };
  const rules = collaborators.rules(request.namespace);
  if (!rules) return { decision: undefined, failure: 'no rules are loaded yet', reason: 'not-ready' };
  const facts = collaborators.facts();
  if (!facts) return { decision: undefined, failure: 'the caches have not synced yet', reason: 'not-ready' };

  const decision = decide(change, rules, facts, { withReport: webhook === 'validate' });
  if (decision.kind === 'not-yet') return { decision, failure: decision.message, reason: 'stale-cache' };
  const answer = renderAnswer(webhook, request, decision, rules);
  collaborators.answered?.({ webhook, callerAuthenticated, request, decision, rules });
  return { answer, decision, evaluatedWith: { rules, facts }, reason: failureReasons[decision.kind] };
}

const failureReasons = { decided: undefined, malformed: 'unreadable', 'unknown-kind': 'unknown-kind' } as const;
