/** Reads the shape of a manifest as the evaluation does, for what its result does not show. */
import type { Facts } from '../decision/facts.ts';
import type { Manifest } from '../evaluate/parse-manifests.ts';
import { groupOf } from '../evaluate/platform-kinds.ts';
import { readObject } from '../object/kinds.ts';
import type { ObjectShape } from '../object/object-shape.ts';

/** Undefined if the object cannot be evaluated. */
export function readShape({ apiVersion, kind, object }: Manifest, { kinds }: Pick<Facts, 'kinds'>): ObjectShape | undefined {
  const reading = readObject({ group: groupOf(apiVersion), kind, operation: 'CREATE', fromKubelet: false }, object, kinds);
  return reading.kind === 'shape' ? reading.shape : undefined;
}
