/** Answers requests that cannot be evaluated: a body that is not an AdmissionReview or exceeds a limit, an unknown path, a bug. */
import type { Server } from 'node:https';
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { errored } from '../admission/response.ts';
import type { DecodedReview } from '../admission/review.ts';
import { Overloaded, TooSlow } from './bodies/body-errors.ts';
import { RequestError, sendError, sendRetryLater } from './error-bodies.ts';
import type { WebhookCollaborators } from './webhook-collaborators.ts';

type Reports = Pick<WebhookCollaborators, 'failed' | 'reportBug'>;

export function answerErrors(app: FastifyInstance<Server>, collaborators: Reports, isDraining: () => boolean): void {
  app.setNotFoundHandler((request, reply) =>
    reply.send(
      sendError(
        reply,
        404,
        'NotFound',
        `${request.method} ${request.url.slice(0, 200)} does not exist. Use POST /mutate, /validate or /guard.`,
      ),
    ),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    // Fastify closes the connection after every error of a body. That is only needed if more of the body may arrive, and if the server is
    // overloaded, so that the retry reaches another replica.
    if (request.raw.complete && !isDraining() && !(error instanceof Overloaded)) reply.removeHeader('connection');
    const code = error.statusCode ?? 500;
    if (code >= 500 && !(error instanceof Overloaded)) {
      collaborators.reportBug(error, undefined);
      return reply.send(
        sendError(reply, 500, 'InternalError', 'regkeeper failed to read this request. For the error, see the regkeeper log.'),
      );
    }
    collaborators.failed(error instanceof Overloaded ? 'overload' : error instanceof TooSlow ? 'too-slow' : 'unreadable');
    if (error instanceof Overloaded) return reply.send(sendRetryLater(reply, error.message));
    if (!(error instanceof RequestError)) return reply.send(sendError(reply, code, reasonOf(code), messageOf(error)));
    const { uid, reason, message } = error;
    // The API server always shows the message of an admission response to its user, but not always that of an HTTP status.
    if (uid !== undefined) return reply.code(200).send(errored(uid, code, reason, `regkeeper: ${message}`));
    return reply.send(sendError(reply, code, reason, message));
  });
}

function reasonOf(code: number): string {
  return code === 415 ? 'UnsupportedMediaType' : 'BadRequest';
}

function messageOf(error: FastifyError): string {
  return error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' ? 'the content type must be application/json' : error.message;
}

export function answerUndecodable(review: DecodedReview & { ok: false }, reply: FastifyReply, collaborators: Reports) {
  collaborators.failed('unreadable');
  if (review.uid !== undefined)
    return errored(review.uid, 400, 'BadRequest', `regkeeper cannot read this AdmissionReview: ${review.message}`);
  return sendError(reply, 400, 'BadRequest', review.message);
}
