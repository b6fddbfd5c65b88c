/**
 * Image streams and the four kinds by which they are filled, of image.openshift.io. A stream only names images; they run as Pods and Builds,
 * which are judged then. Judged here too, because importing brings an image's name, and with `referencePolicy: Local` its layers, into the
 * cluster under a name that no rule refuses: the internal registry's.
 *
 * Fields read: ImageStream `spec.tags[].from`, `spec.dockerImageRepository` (the old way to follow all tags of a repository); ImageStreamTag
 * `tag.from`; ImageTag `spec.from`; ImageStreamImport `spec.repository.from` (a whole repository, so without a tag), `spec.images[].from`;
 * ImageStreamMapping `image.dockerImageReference`, by which the internal registry reports a push.
 *
 * `status`, and `image` of ImageStreamTag and ImageTag, are what the API server found; it ignores what a request says there. What else a tag
 * says (`importPolicy`, `referencePolicy`, …) is not looked at, whatever its type: `insecure: "true"` is the API server's to refuse.
 */
import { type JsonObject, type Path, renderPath, valueAt } from '../json.ts';
import type { ImageSlot, MalformedObject, ShapeReading } from '../object-shape.ts';
import { everyItem, matchPathPattern, type PathPattern } from '../path-pattern.ts';
import { nameType, problemAt } from '../pod.ts';
import { malformedReference, readReference } from './object-reference.ts';

export function readImageStream(object: JsonObject): ShapeReading {
  return readNames(object, [
    { place: ['spec', 'tags', everyItem, 'from'], as: 'reference' },
    { place: ['spec', 'dockerImageRepository'], as: 'text' },
  ]);
}

export function readImageStreamTag(object: JsonObject): ShapeReading {
  return readNames(object, [{ place: ['tag', 'from'], as: 'reference' }]);
}

export function readImageTag(object: JsonObject): ShapeReading {
  return readNames(object, [{ place: ['spec', 'from'], as: 'reference' }]);
}

export function readImageStreamImport(object: JsonObject): ShapeReading {
  return readNames(object, [
    { place: ['spec', 'repository', 'from'], as: 'reference' },
    { place: ['spec', 'images', everyItem, 'from'], as: 'reference' },
  ]);
}

export function readImageStreamMapping(object: JsonObject): ShapeReading {
  return readNames(object, [{ place: ['image', 'dockerImageReference'], as: 'text' }]);
}

type Named = { readonly place: PathPattern; readonly as: 'reference' | 'text' };

function readNames(object: JsonObject, named: readonly Named[]): ShapeReading {
  const slots: ImageSlot[] = [];
  for (const { place, as } of named) {
    const found = matchPathPattern(object, place);
    if (!found.ok) return malformed(found.problem);
    for (const path of found.paths) {
      const problem = as === 'reference' ? malformedReference(object, path) : misshapenText(object, path);
      if (problem) return malformed(problem);
      const slot = as === 'reference' ? readTagged(object, path) : readText(object, path);
      // openshift/library-go pkg/image/reference: DockerClientDefaults.
      if (slot) slots.push({ ...slot, imported: true });
    }
  }
  return { kind: 'shape', shape: { kind: 'naming', slots } };
}

/**
 * A tag that follows another, or an image that some stream has, brings nothing in that was not judged when it got there. Which one that is,
 * is not asked here: a name without a stream means this very stream, which is only about to be written.
 */
function readTagged(object: JsonObject, path: Path): ImageSlot | undefined {
  const slot = readReference(object, path, 'pull');
  return slot?.content.kind === 'unresolved' ? { ...slot, content: { kind: 'unresolved', why: slot.content.why } } : slot;
}

function misshapenText(object: JsonObject, path: Path): MalformedObject | undefined {
  const value = valueAt(object, path);
  return typeof value === 'string' ? undefined : problemAt(path, `must be text, and is ${nameType(value)}`);
}

/** An empty text is what the API writes where there is none. */
function readText(object: JsonObject, path: Path): ImageSlot | undefined {
  const value = valueAt(object, path);
  if (typeof value !== 'string' || value === '') return undefined;
  return { path, holder: renderPath(path), action: 'pull', content: { kind: 'image', text: value } };
}

function malformed(problem: MalformedObject): ShapeReading {
  return { kind: 'malformed', problem };
}
