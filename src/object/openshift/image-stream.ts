/**
 * Reads the images of image streams, and of the four kinds that fill them (image.openshift.io). A stream only names images. They run as Pods
 * and Builds, which are evaluated too. Streams are evaluated as well, because an import makes an image available under a name that no rule
 * denies: that of the internal registry. With `referencePolicy: Local` it copies the layers too.
 *
 * Fields read:
 * - ImageStream: `spec.tags[].from`, `spec.dockerImageRepository` (the old way to follow all tags of a repository);
 * - ImageStream, in a request to its subresource `status`: `status.tags[].items[].dockerImageReference`;
 * - ImageStreamTag: `tag.from`;
 * - ImageTag: `spec.from`;
 * - ImageStreamImport: `spec.repository.from` (a whole repository, so without a tag), `spec.images[].from`;
 * - ImageStreamMapping: `image.dockerImageReference`, with which the internal registry reports a push.
 *
 * The API server sets `status`, and `image` of ImageStreamTag and ImageTag. It ignores the values in a request to the object itself. A
 * request to `imagestreams/status` sets `status`, and the `spec` in it is ignored (openshift-apiserver, imagestream strategy.go). Only
 * OpenShift's own roles may send one. But builds and image triggers take the image from there. The other fields of a tag
 * (`importPolicy`, `referencePolicy`, …) are not read, whatever their type: the API server rejects a value such as `insecure: "true"`.
 */
import { isAbsent, type JsonObject, type Path, renderPath, valueAt } from '../json.ts';
import type { ImageSlot, MalformedObject, ReadingContext, ShapeReading } from '../object-shape.ts';
import { everyItem, matchPathPatterns, type PathPattern } from '../path-pattern.ts';
import { nameType, problemAt } from '../pod.ts';
import { malformedReference, readReference } from './object-reference.ts';

export function readImageStream(object: JsonObject, { subresource }: Pick<ReadingContext, 'subresource'> = {}): ShapeReading {
  if (subresource === 'status') {
    return readNames(object, [{ pattern: ['status', 'tags', everyItem, 'items', everyItem, 'dockerImageReference'], as: 'text' }]);
  }
  return readNames(object, [
    { pattern: ['spec', 'tags', everyItem, 'from'], as: 'reference' },
    { pattern: ['spec', 'dockerImageRepository'], as: 'text', everyTag: true },
  ]);
}

export function readImageStreamTag(object: JsonObject): ShapeReading {
  return readNames(object, [{ pattern: ['tag', 'from'], as: 'reference' }]);
}

export function readImageTag(object: JsonObject): ShapeReading {
  return readNames(object, [{ pattern: ['spec', 'from'], as: 'reference' }]);
}

/**
 * `import: false`, which is the default, makes the request a look-up: the API server asks the registry, answers, and stores nothing
 * (openshift-apiserver, imagestreamimport rest.go). `oc new-app` sends those.
 */
export function readImageStreamImport(object: JsonObject): ShapeReading {
  const reading = readNames(object, [
    { pattern: ['spec', 'repository', 'from'], as: 'reference', everyTag: true },
    { pattern: ['spec', 'images', everyItem, 'from'], as: 'reference' },
  ]);
  const imports = valueAt(object, ['spec', 'import']);
  if (reading.kind !== 'shape' || !(isAbsent(imports) || imports === false)) return reading;
  return { kind: 'shape', shape: { kind: 'naming', slots: reading.shape.slots.map((slot) => ({ ...slot, lookupOnly: true })) } };
}

export function readImageStreamMapping(object: JsonObject): ShapeReading {
  return readNames(object, [{ pattern: ['image', 'dockerImageReference'], as: 'text' }]);
}

type NameField = {
  readonly pattern: PathPattern;
  readonly as: 'reference' | 'text';
  /** Whether the field means all tags of a repository. */
  readonly everyTag?: true;
};

function readNames(object: JsonObject, fields: readonly NameField[]): ShapeReading {
  const slots: ImageSlot[] = [];
  const matches = matchPathPatterns(
    object,
    fields.map(({ pattern }) => pattern),
  );
  for (const [index, found] of matches.entries()) {
    if (!found.ok) return malformed(found.problem);
    const { as, everyTag } = fields[index] as NameField;
    for (const path of found.paths) {
      const problem = as === 'reference' ? malformedReference(object, path) : wrongText(object, path);
      if (problem) return malformed(problem);
      const slot = as === 'reference' ? readTagged(object, path) : readText(object, path);
      // openshift/library-go pkg/image/reference: DockerClientDefaults.
      if (slot) slots.push({ ...(everyTag ? withEveryTag(slot) : slot), imported: true });
    }
  }
  return { kind: 'shape', shape: { kind: 'naming', slots } };
}

function withEveryTag(slot: ImageSlot): ImageSlot {
  return slot.content.kind === 'image' ? { ...slot, content: { ...slot.content, openTag: true } } : slot;
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
  return typeof value === 'string' ? undefined : problemAt(path, `must be a string, but is ${nameType(value)}`);
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
