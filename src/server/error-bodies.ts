/** Error answers in the format of the API server, so that their messages reach the user. */
import type { FastifyReply } from 'fastify';
import { type AdmissionAnswer, errored } from '../admission/response.ts';

/** A request that cannot be evaluated, with a reason for its sender. */
export class RequestError extends Error {
  readonly statusCode: number;
  readonly reason: string;
  /** The request's uid if it could be read. Then an admission response can be sent. */
  readonly uid: string | undefined;

  constructor(statusCode: number, reason: string, message: string, uid?: string) {
    super(message);
    this.statusCode = statusCode;
    this.reason = reason;
    this.uid = uid;
  }
}

/** The API server retries requests with this answer within the webhook's timeout. */
export function sendRetryLater(reply: FastifyReply, message: string) {
  reply.header('retry-after', '1');
  return sendError(reply, 503, 'ServiceUnavailable', `regkeeper: ${message}. Try again shortly.`);
}

export function internalError(uid: string): AdmissionAnswer {
  return errored(
    uid,
    500,
    'InternalError',
    `regkeeper failed to evaluate this request, so the request was denied. For the error, search the regkeeper log for uid ${uid}.`,
  );
}

/** An HTTP error as a meta/v1 Status. */
export function sendError(reply: FastifyReply, code: number, reason: string, message: string) {
  reply.code(code);
  return { apiVersion: 'v1', kind: 'Status', status: 'Failure', code, reason, message };
}
