/** Facts of image streams for tests. */
import type { Facts, ImageStreamFacts, StreamImage, StreamTag } from '../../../src/decision/facts.ts';
import { unwatched } from './changes.ts';

type WrittenTag = {
  readonly from?: { readonly kind: string; readonly namespace?: string; readonly name: string };
  readonly local?: boolean;
  /** Newest first. */
  readonly images?: readonly StreamImage[];
};
type WrittenStream = { readonly repository?: string; readonly localLookup?: true; readonly tags: Readonly<Record<string, WrittenTag>> };

/** Facts of the streams by `namespace/name`. Any other stream is absent. */
export function streams(known: Readonly<Record<string, WrittenStream>>, facts: Facts = unwatched): Facts {
  return {
    ...facts,
    imageStream: (namespace, name): ImageStreamFacts => {
      const stream = known[`${namespace}/${name}`];
      if (!stream) return { kind: 'absent' };
      const tags = new Map(Object.entries(stream.tags).map(([tag, written]) => [tag, tagFacts(written)]));
      const { tags: _tags, ...more } = stream;
      return { kind: 'known', ...more, tags };
    },
  };
}

function tagFacts({ from, local, images = [] }: WrittenTag): StreamTag {
  const written = from !== undefined || local !== undefined;
  return { ...(written && { spec: { ...(from && { from }), local: local === true } }), images };
}
