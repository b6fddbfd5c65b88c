/** Makes the JSON patch of one of our annotations. */
import { isAbsent, isObject, type JsonObject, type Path, valueAt } from '../../object/json.ts';
import { pointerTo } from '../../yaml/json-pointer.ts';
import { add, type PatchOperation, remove } from './patch.ts';

/**
 * Returns the patch that sets or removes an annotation, and creates the objects around it if needed. Empty if nothing changes. `before` are
 * the operations that are applied first.
 */
export function annotate(
  root: JsonObject,
  metadata: Path,
  annotation: string,
  text: string | undefined,
  before: readonly PatchOperation[] = [],
): readonly PatchOperation[] {
  const annotations = [...metadata, 'annotations'];
  const current = valueAt(root, [...annotations, annotation]);
  if (text === undefined) return current === undefined ? [] : [remove([...annotations, annotation])];
  if (current === text) return [];
  if (isObject(valueAt(root, annotations))) return [add([...annotations, annotation], text)];
  const created = [metadata, annotations].map((path) => pointerTo(...path));
  if (before.some(({ path }) => created.includes(path))) return [add([...annotations, annotation], text)];
  if (!isAbsent(valueAt(root, metadata))) return [add(annotations, { [annotation]: text })];
  return [add(metadata, { annotations: { [annotation]: text } })];
}
