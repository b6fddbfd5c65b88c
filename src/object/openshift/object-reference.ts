/**
 * `from`, `to` and the other references of OpenShift's API: `{kind, name}`, which names an image of a registry where its kind is
 * DockerImage, else an image stream that says later what it holds.
 */
import { quote } from '../../image/problem.ts';
import { isAbsent, isObject, type JsonObject, type Path, renderPath, textAt, valueAt } from '../json.ts';
import type { ImageSlot, MalformedObject } from '../object-shape.ts';
import { nameType, problemAt } from '../pod.ts';
import { readStreamReference } from './stream-reference.ts';

/** What is wrong with the reference at the path; nothing where none is written. */
export function malformedReference(root: JsonObject, path: Path): MalformedObject | undefined {
  const value = valueAt(root, path);
  if (isAbsent(value)) return undefined;
  if (!isObject(value)) return problemAt(path, `must be a reference with kind and name, and is ${nameType(value)}`);
  for (const field of ['kind', 'name']) {
    if (!isAbsent(value[field]) && typeof value[field] !== 'string') {
      return problemAt([...path, field], `must be text, and is ${nameType(value[field])}`);
    }
  }
  return undefined;
}

/** The image that the reference names; undefined where none is written, and for a push into an image stream. */
export function readReference(root: JsonObject, path: Path, action: 'pull' | 'push'): ImageSlot | undefined {
  const reference = valueAt(root, path);
  if (!isObject(reference)) return undefined;
  const kind = textAt(reference, ['kind']);
  const name = textAt(reference, ['name']);
  if (kind === 'DockerImage') {
    const at = [...path, 'name'];
    const content =
      name === undefined || name === ' '
        ? { kind: 'unresolved' as const, why: 'no image is written' }
        : { kind: 'image' as const, text: name };
    return { path: at, holder: renderPath(path), action, content };
  }
  // A push into an image stream goes to the internal registry, with the builder account's own secret.
  if (action === 'push') return undefined;
  const stream = readStreamReference(reference);
  const why = `${kind === 'ImageStreamImage' ? kind : 'ImageStreamTag'} ${quote(name ?? '')} says what it holds when it is used`;
  return { path: [...path, 'name'], holder: renderPath(path), action, content: { kind: 'unresolved', why, ...(stream && { stream }) } };
}
