/** The answer to our own dry run, by which regkeeper proves that the API server reaches it. */
import { textAt } from '../object/json.ts';
import { type AdmissionAnswer, allowed, encodeBase64 } from './response.ts';
import type { ReviewRequest } from './review.ts';

/** The dry run writes it with any value, and reads `probeArrived` from the answer. */
export const probeAnnotation = 'regkeeper.io/probe';
export const isReachabilityProbe = 'arrived';

/** Marks the object that came with the annotation, so that the sender sees in the API server's answer that it was here. */
export function renderProbeAnswer({ uid, object }: ReviewRequest): AdmissionAnswer {
  const answer = allowed(uid);
  if (textAt(object, ['metadata', 'annotations', probeAnnotation]) === undefined) return answer;
  const path = `/metadata/annotations/${probeAnnotation.replaceAll('/', '~1')}`;
  const patch = encodeBase64(JSON.stringify([{ op: 'replace', path, value: isReachabilityProbe }]));
  return { ...answer, response: { ...answer.response, patchType: 'JSONPatch', patch } };
}
