/** Answers in the API server's own shapes, so that their messages reach the user. */
import type { FastifyReply } from 'fastify';
import { type AdmissionAnswer, errored } from '../admission/response.ts';

/** A request that cannot be evaluated, for a reason that its sender can be told. */
export class RequestError extends Error {
  readonly statusCode: number;
  readonly reason: string;
  /** Where the request's uid could be read: then the answer can carry it. */
  readonly uid: string | undefined;

  constructor(statusCode: number, reason: string, message: string, uid?: string) {
    super(message);
    this.statusCode = statusCode;
    this.reason = reason;
    this.uid = uid;
  }
}

/** The API server repeats a request that is answered so, within the webhook's timeout. */
export function sendRetryLater(reply: FastifyReply, message: string) {
  reply.header('retry-after', '1');
  return sendError(reply, 503, 'ServiceUnavailable', `regkeeper: ${message}. Try again in a moment.`);
}

export function internalError(uid: string): AdmissionAnswer {
  return errored(
    uid,
    500,
    'InternalError',
    `regkeeper failed to evaluate this request, so it was denied. The error is in its log, with uid ${uid}.`,
  );
}

/** An HTTP refusal as a meta/v1 Status. */
export function sendError(reply: FastifyReply, code: number, reason: string, message: string) {
  reply.code(code);
  return { apiVersion: 'v1', kind: 'Status', status: 'Failure', code, reason, message };
}
