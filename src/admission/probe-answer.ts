/** Answers regkeeper's own dry-run request, which proves that the API server reaches the webhook. */
import { textAt } from '../object/json.ts';
import { type AdmissionAnswer, allowed, encodeBase64 } from './response.ts';
import type { ReviewRequest } from './review.ts';

/** The dry run sets the annotation to any value and expects `probeArrived` in the answer. */
export const probeAnnotation = 'regkeeper.io/probe';
export const probeArrived = 'arrived';

/** Changes the probe annotation in the answer, so that the sender sees that the request passed through this webhook. */
export function renderProbeAnswer({ uid, object }: ReviewRequest): AdmissionAnswer {
  const answer = allowed(uid);
  if (textAt(object, ['metadata', 'annotations', probeAnnotation]) === undefined) return answer;
  const path = `/metadata/annotations/${probeAnnotation.replaceAll('/', '~1')}`;
  const patch = encodeBase64(JSON.stringify([{ op: 'replace', path, value: probeArrived }]));
  return { ...answer, response: { ...answer.response, patchType: 'JSONPatch', patch } };
}
