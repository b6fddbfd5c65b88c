/** Parses a body that has arrived, after its structure has been counted. */
import { errorMessage } from '../../errors/error-message.ts';
import { formatCount } from '../../image/wording.ts';
import { RequestError } from '../error-bodies.ts';
import type { BodyLimits } from '../limits.ts';
import { couldExceed, findExcess } from './body-scan.ts';

/** `parse` parses JSON as JSON.parse does. @throws RequestError */
export function parseBody(body: Buffer, limits: BodyLimits, parse: (text: string) => unknown): unknown {
  if (body.length === 0) throw new RequestError(400, 'BadRequest', 'the body is empty. Send an AdmissionReview.');
  if (couldExceed(body, limits)) rejectExcess(body, limits);
  try {
    return parse(body.toString('utf8'));
  } catch (error) {
    // The quick check is valid for JSON only.
    rejectExcess(body, limits);
    throw new RequestError(400, 'BadRequest', `the body is not JSON: ${errorMessage(error)}`);
  }
}

/** @throws RequestError if the body exceeds a limit */
function rejectExcess(body: Buffer, limits: BodyLimits): void {
  const excess = findExcess(body, limits);
  if (excess) throw new RequestError(400, 'BadRequest', excessMessages[excess](limits), uidAtStart(body));
}

const excessMessages = {
  depth: ({ depth }: BodyLimits) => `the AdmissionReview is nested too deeply. The maximum is ${depth} levels.`,
  structures: ({ structures }: BodyLimits) =>
    `the AdmissionReview has too many lists, objects and entries. The maximum is ${formatCount(structures)}. Make the object smaller, or split it.`,
};

/**
 * The API server writes the uid first (field order of AdmissionReview and AdmissionRequest, k8s.io/api/admission/v1). So a body that is not
 * read completely still gets an answer whose message the API server passes on.
 */
export function uidAtStart(body: Buffer | undefined): string | undefined {
  return body && start.exec(body.toString('latin1', 0, 200))?.[1];
}

const start = /^\{"kind":"AdmissionReview","apiVersion":"admission\.k8s\.io\/v1","request":\{"uid":"([0-9A-Za-z-]{1,64})"/;
