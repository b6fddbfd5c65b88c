/** `/probe`: proves that the API server can reach this server. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { renderProbeAnswer } from '../../admission/probe-answer.ts';
import { decodeReview } from '../../admission/review.ts';
import { answerUndecodable } from '../answer-errors.ts';
import type { WebhookCollaborators } from '../webhook-collaborators.ts';

export function answerProbeReview(request: FastifyRequest, reply: FastifyReply, collaborators: WebhookCollaborators) {
  const review = decodeReview(request.body);
  return review.ok ? renderProbeAnswer(review.request) : answerUndecodable(review, reply, collaborators);
}
