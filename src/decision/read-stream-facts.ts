/** Reads the facts of an ImageStream object. Most of a stream is details of its imports, which are not needed. */
import { isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import type { ImageStreamFacts, StreamImage, StreamTag } from './facts.ts';

/** Characters of names and references, plus 100 for each tag and each image. That is about the memory in bytes, or half of it. */
export const largestStream = 1024 * 1024;

/** Values of a wrong type are ignored. `too-large` for a stream larger than {@link largestStream}. */
export function readImageStreamFacts(object: JsonObject): KnownStream | (ImageStreamFacts & { kind: 'too-large' }) {
  const facts = readWhole(object);
  return sizeOfStream(facts) > largestStream ? { kind: 'too-large', why: 'it has more than 1 MiB of tags and images' } : facts;
}

/** The size in the unit of {@link largestStream}. */
export function sizeOfStream({ repository = '', tags }: KnownStream): number {
  let size = repository.length;
  for (const [name, { spec, images }] of tags) {
    const { kind = '', namespace = '', name: from = '' } = spec?.from ?? {};
    size += 100 + name.length + kind.length + namespace.length + from.length;
    for (const { image, reference, created = '' } of images) size += 100 + image.length + reference.length + created.length;
  }
  return size;
}

type KnownStream = ImageStreamFacts & { kind: 'known' };

function readWhole(object: JsonObject): KnownStream {
  const repository = textAt(object, ['status', 'dockerImageRepository']);
  const specified = new Map(entriesAt(object, ['spec', 'tags']).flatMap((tag) => named(textAt(tag, ['name']), readSpec(tag))));
  const imported = new Map(entriesAt(object, ['status', 'tags']).flatMap((tag) => named(textAt(tag, ['tag']), readImages(tag))));
  const tags = [...new Set([...specified.keys(), ...imported.keys()])].map((name): [string, StreamTag] => {
    const spec = specified.get(name);
    return [name, { ...(spec && { spec }), images: imported.get(name) ?? [] }];
  });
  const localLookup = valueAt(object, ['spec', 'lookupPolicy', 'local']) === true;
  return { kind: 'known', ...(repository !== undefined && { repository }), ...(localLookup && { localLookup }), tags: new Map(tags) };
}

function readSpec(tag: JsonObject): NonNullable<StreamTag['spec']> {
  const kind = textAt(tag, ['from', 'kind']);
  const name = textAt(tag, ['from', 'name']);
  const namespace = textAt(tag, ['from', 'namespace']);
  return {
    ...(kind !== undefined && name !== undefined && { from: { kind, ...(namespace !== undefined && { namespace }), name } }),
    local: textAt(tag, ['referencePolicy', 'type']) === 'Local',
  };
}

function readImages(tag: JsonObject): readonly StreamImage[] {
  return entriesAt(tag, ['items']).flatMap((item) => {
    const reference = textAt(item, ['dockerImageReference']);
    const created = textAt(item, ['created']);
    if (reference === undefined) return [];
    return [{ image: textAt(item, ['image']) ?? '', reference, ...(created !== undefined && { created }) }];
  });
}

function entriesAt(object: JsonObject, path: readonly string[]): readonly JsonObject[] {
  const list = valueAt(object, path);
  return Array.isArray(list) ? list.filter(isObject) : [];
}

function named<Value>(name: string | undefined, value: Value): readonly [string, Value][] {
  return name === undefined ? [] : [[name, value]];
}
