/**
 * Reads the images of image streams, and of the four kinds that fill them (image.openshift.io). A stream only names images. They run as Pods
 * and Builds, which are evaluated too. Streams are evaluated as well, because an import makes an image available under a name that no rule
 * denies: that of the internal registry. With `referencePolicy: Local` it copies the layers too.
 *
 * Fields read:
 * - ImageStream: `spec.tags[].from`, `spec.dockerImageRepository` (the old way to follow all tags of a repository);
 * - ImageStreamTag: `tag.from`;
 * - ImageTag: `spec.from`;
 * - ImageStreamImport: `spec.repository.from` (a whole repository, so without a tag), `spec.images[].from`;
 * - ImageStreamMapping: `image.dockerImageReference`, with which the internal registry reports a push.
 *
 * The API server sets `status`, and `image` of ImageStreamTag and ImageTag. It ignores the values in a request. The other fields of a tag
 * (`importPolicy`, `referencePolicy`, …) are not read, whatever their type: the API server rejects a value such as `insecure: "true"`.
 */
import { type JsonObject, type Path, renderPath, valueAt } from '../json.ts';
import type { ImageSlot, MalformedObject, ShapeReading } from '../object-shape.ts';
import { everyItem, matchPathPattern, type PathPattern } from '../path-pattern.ts';
import { nameType, problemAt } from '../pod.ts';
import { malformedReference, readReference } from './object-reference.ts';

export function readImageStream(object: JsonObject): ShapeReading {
  return readNames(object, [
    { pattern: ['spec', 'tags', everyItem, 'from'], as: 'reference' },
    { pattern: ['spec', 'dockerImageRepository'], as: 'text' },
  ]);
}

export function readImageStreamTag(object: JsonObject): ShapeReading {
  return readNames(object, [{ pattern: ['tag', 'from'], as: 'reference' }]);
}

export function readImageTag(object: JsonObject): ShapeReading {
  return readNames(object, [{ pattern: ['spec', 'from'], as: 'reference' }]);
}

export function readImageStreamImport(object: JsonObject): ShapeReading {
  return readNames(object, [
    { pattern: ['spec', 'repository', 'from'], as: 'reference' },
    { pattern: ['spec', 'images', everyItem, 'from'], as: 'reference' },
  ]);
}

export function readImageStreamMapping(object: JsonObject): ShapeReading {
  return readNames(object, [{ pattern: ['image', 'dockerImageReference'], as: 'text' }]);
}

type NameField = { readonly pattern: PathPattern; readonly as: 'reference' | 'text' };

function readNames(object: JsonObject, fields: readonly NameField[]): ShapeReading {
  const slots: ImageSlot[] = [];
  for (const { pattern, as } of fields) {
    const found = matchPathPattern(object, pattern);
    if (!found.ok) return malformed(found.problem);
    for (const path of found.paths) {
      const problem = as === 'reference' ? malformedReference(object, path) : wrongText(object, path);
      if (problem) return malformed(problem);
      const slot = as === 'reference' ? readTagged(object, path) : readText(object, path);
      // openshift/library-go pkg/image/reference: DockerClientDefaults.
      if (slot) slots.push({ ...slot, imported: true });
    }
  }
  return { kind: 'shape', shape: { kind: 'naming', slots } };
}

/**
 * A tag that follows another tag, or names an image of a stream, introduces no image: that image was evaluated when it was imported. It is
 * not resolved here: a name without a stream means this stream, which is not stored yet.
 */
function readTagged(object: JsonObject, path: Path): ImageSlot | undefined {
  const slot = readReference(object, path, 'pull');
  if (slot?.content.kind !== 'unresolved') return slot;
  const { stream: _stream, ...content } = slot.content;
  return { ...slot, content };
}

function wrongText(object: JsonObject, path: Path): MalformedObject | undefined {
  const value = valueAt(object, path);
  return typeof value === 'string' ? undefined : problemAt(path, `must be text, but is ${nameType(value)}`);
}

/** The API writes an empty string where no image is set. */
function readText(object: JsonObject, path: Path): ImageSlot | undefined {
  const value = valueAt(object, path);
  if (typeof value !== 'string' || value === '') return undefined;
  return { path, displayName: renderPath(path), action: 'pull', content: { kind: 'image', text: value } };
}

function malformed(problem: MalformedObject): ShapeReading {
  return { kind: 'malformed', problem };
}
