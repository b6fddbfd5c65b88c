/** Reads references to image streams: ObjectReferences of kind ImageStreamTag or ImageStreamImage, in BuildConfigs, triggers and streams. */
import { textAt } from '../json.ts';
import type { StreamReference } from '../object-shape.ts';

/** Undefined for anything else, such as a DockerImage. */
export function readStreamReference(reference: unknown): StreamReference | undefined {
  const kind = textAt(reference, ['kind']);
  const name = textAt(reference, ['name']);
  if ((kind !== 'ImageStreamTag' && kind !== 'ImageStreamImage') || name === undefined) return undefined;
  const namespace = textAt(reference, ['namespace']);
  return { kind, ...(namespace !== undefined && { namespace }), name };
}
