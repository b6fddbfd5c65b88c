/** What of an ImageStream object matters: a stream is large, and most of it is about how it was imported. */
import { isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import type { ImageStreamFacts, StreamImage, StreamTag } from './facts.ts';

/** Nothing is trusted to have its type: what has not is left out. */
export function readImageStream(object: JsonObject): ImageStreamFacts & { kind: 'known' } {
  const repository = textAt(object, ['status', 'dockerImageRepository']);
  const written = new Map(entriesAt(object, ['spec', 'tags']).flatMap((tag) => named(textAt(tag, ['name']), readSpec(tag))));
  const held = new Map(entriesAt(object, ['status', 'tags']).flatMap((tag) => named(textAt(tag, ['tag']), readImages(tag))));
  const tags = [...new Set([...written.keys(), ...held.keys()])].map((name): [string, StreamTag] => {
    const spec = written.get(name);
    return [name, { ...(spec && { spec }), images: held.get(name) ?? [] }];
  });
  return { kind: 'known', ...(repository !== undefined && { repository }), tags: new Map(tags) };
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
