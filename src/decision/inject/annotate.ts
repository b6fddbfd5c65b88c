/** Makes the JSON patch of our annotation, the mark. */

import { injectedAnnotation } from '../../object/injection-mark.ts';
import { isAbsent, isObject, type JsonObject, type Path, valueAt } from '../../object/json.ts';
import { add, type PatchOperation, remove } from './patch.ts';

/** Returns the patch that sets or removes our annotation, and creates the objects around it if needed. Empty if nothing changes. */
export function annotate(root: JsonObject, metadata: Path, text: string | undefined): readonly PatchOperation[] {
  const annotations = [...metadata, 'annotations'];
  const current = valueAt(root, [...annotations, injectedAnnotation]);
  if (text === undefined) return current === undefined ? [] : [remove([...annotations, injectedAnnotation])];
  if (current === text) return [];
  if (isObject(valueAt(root, annotations))) return [add([...annotations, injectedAnnotation], text)];
  if (!isAbsent(valueAt(root, metadata))) return [add(annotations, { [injectedAnnotation]: text })];
  return [add(metadata, { annotations: { [injectedAnnotation]: text } })];
}
