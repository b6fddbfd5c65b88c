import { isAbsent, isObject, type JsonObject, type Path, valueAt } from '../../object/json.ts';
import { injectedAnnotation } from '../../object/mark.ts';
import { add, type PatchOperation, remove } from './patch.ts';

/** Sets or removes our annotation, making the objects it stands in where they are missing; nothing to do gives no operation. */
export function annotate(root: JsonObject, metadata: Path, text: string | undefined): readonly PatchOperation[] {
  const annotations = [...metadata, 'annotations'];
  const current = valueAt(root, [...annotations, injectedAnnotation]);
  if (text === undefined) return current === undefined ? [] : [remove([...annotations, injectedAnnotation])];
  if (current === text) return [];
  if (isObject(valueAt(root, annotations))) return [add([...annotations, injectedAnnotation], text)];
  if (!isAbsent(valueAt(root, metadata))) return [add(annotations, { [injectedAnnotation]: text })];
  return [add(metadata, { annotations: { [injectedAnnotation]: text } })];
}
