/**
 * Reads `from`, `to` and the other references of OpenShift's API: `{kind, name}`. A DockerImage names an image in a registry. Other kinds
 * name an image stream, whose image is resolved later.
 */
import { quote } from '../../image/problem.ts';
import { isAbsent, isObject, type JsonObject, type Path, renderPath, textAt, valueAt } from '../json.ts';
import type { ImageSlot, MalformedObject } from '../object-shape.ts';
import { nameType, problemAt } from '../pod.ts';
import { readStreamReference } from './stream-reference.ts';

/** The problem with the reference at the path. Undefined where it is valid or absent. */
export function malformedReference(root: JsonObject, path: Path): MalformedObject | undefined {
  const value = valueAt(root, path);
  if (isAbsent(value)) return undefined;
  if (!isObject(value)) return problemAt(path, `must be a reference with kind and name, but is ${nameType(value)}`);
  for (const field of ['kind', 'name']) {
    if (!isAbsent(value[field]) && typeof value[field] !== 'string') {
      return problemAt([...path, field], `must be a string, but is ${nameType(value[field])}`);
    }
  }
  return undefined;
}

/**
 * The image that the reference in a BuildConfig or BuildRequest names. OpenShift's image policy resolves such a name in the Build, before
 * webhooks see it (openshift/apiserver-library-go, imagepolicy.go: resolveImageReference). In a Build the name is as it will be pulled.
 */
export function readPulledLater(root: JsonObject, path: Path): ImageSlot | undefined {
  const slot = readReference(root, path, 'pull');
  return slot?.content.kind === 'image' ? { ...slot, localLookup: true } : slot;
}

/** The image that the reference names. Undefined where it is absent, and for a push to an image stream. */
export function readReference(root: JsonObject, path: Path, action: 'pull' | 'push'): ImageSlot | undefined {
  const reference = valueAt(root, path);
  if (!isObject(reference)) return undefined;
  const kind = textAt(reference, ['kind']);
  const name = textAt(reference, ['name']);
  if (kind === 'DockerImage') {
    const namePath = [...path, 'name'];
    const content =
      name === undefined || name === ' '
        ? { kind: 'unresolved' as const, why: 'the image is not set' }
        : { kind: 'image' as const, text: name };
    return { path: namePath, displayName: renderPath(path), action, content };
  }
  // A push to an image stream goes to the internal registry, with the builder account's own secret.
  if (action === 'push') return undefined;
  const stream = readStreamReference(reference);
  const why = `${kind === 'ImageStreamImage' ? kind : 'ImageStreamTag'} ${quote(name ?? '')} is resolved only when it is used`;
  return {
    path: [...path, 'name'],
    displayName: renderPath(path),
    action,
    content: { kind: 'unresolved', why, ...(name !== undefined && { written: name }), ...(stream && { stream }) },
  };
}
