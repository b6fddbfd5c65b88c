/** Reads the trace context of a request, which the API server sends to webhooks if its tracing is on. */
import type { FastifyRequest } from 'fastify';

/**
 * The `traceparent` header as in W3C Trace Context: version, trace id, parent id and flags, 55 characters in all. The version `ff` and ids
 * of zeros are invalid. An invalid value is ignored, since anyone who reaches the port can send one.
 */
const valid = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export function traceparentOf({ headers }: Pick<FastifyRequest, 'headers'>): { readonly traceparent?: string } {
  const { traceparent } = headers;
  return typeof traceparent === 'string' && valid.test(traceparent) ? { traceparent } : {};
}
