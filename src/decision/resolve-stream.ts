/**
 * Resolves a reference to an image stream to its image.
 *
 * OpenShift's builds, image triggers and image stream tags all use the latest image of the tag's history in `status`, and apply the tag's
 * reference policy to it (openshift/library-go pkg/image/imageutil: ResolveLatestTaggedImage; used by openshift-apiserver's build generator
 * and openshift-controller-manager's triggers). The `spec` of the tag has only the image that will be imported next. So it is used only
 * before the first import, while there is no history.
 */
import { formatReference, parseImage } from '../image/reference.ts';
import type { StreamReference } from '../object/object-shape.ts';
import { compareTexts } from '../rules/compare-texts.ts';
import type { Facts, ImageStreamFacts, StreamImage, StreamTag } from './facts.ts';

export type StreamResolution = {
  /** `namespace/stream:tag` or `namespace/stream@digest`. */
  readonly stream: string;
  /**
   * Whether a stream of another namespace than the object's was read. The user may not be allowed to read that stream, so answers must not
   * show what it contains.
   */
  readonly elsewhere?: true;
} & (
  | { readonly kind: 'resolved'; readonly image: string }
  /** `why` is a sentence without the full stop. Undefined where no streams are known at all. */
  | {
      readonly kind: 'unresolved';
      readonly why?: string;
      /** A stream exceeds the memory limit. Its user controls that, so no image may be allowed because of it. */
      readonly tooLarge?: true;
    }
);

type StreamFacts = Pick<Facts, 'imageStream'>;
type MemoFacts = StreamFacts & { readonly memo: StreamMemo };
type KnownStream = ImageStreamFacts & { kind: 'known' };

/** Resolves the reference to the current image. `objectNamespace` is that of the object with the reference. */
export function resolveStream(
  reference: StreamReference,
  objectNamespace: string,
  facts: StreamFacts,
  memo = streamMemo(),
): StreamResolution {
  const namespace = reference.namespace ?? objectNamespace;
  const key = `${reference.kind} ${namespace}/${reference.name}`;
  const resolution = memo.resolved.get(key) ?? resolve(reference, namespace, objectNamespace, facts, memo);
  memo.resolved.set(key, resolution);
  return resolution;
}

function resolve(
  reference: StreamReference,
  namespace: string,
  objectNamespace: string,
  facts: StreamFacts,
  memo: StreamMemo,
): StreamResolution {
  const stream = `${namespace}/${reference.name}`;
  const namespaces = new Set<string>();
  const watched: MemoFacts = {
    memo,
    imageStream(of, name) {
      namespaces.add(of);
      return facts.imageStream(of, name);
    },
  };
  const found = reference.kind === 'ImageStreamTag' ? findTag(reference, namespace, watched) : findImage(reference, namespace, watched);
  namespaces.delete(objectNamespace);
  const common = { stream, ...(namespaces.size > 0 && { elsewhere: true as const }) };
  return 'image' in found ? { kind: 'resolved', ...common, image: qualified(found.image) } : { kind: 'unresolved', ...common, ...found };
}

/**
 * Where the image of a tag comes from that follows another tag or image, before any reference policy. A reference without a stream means the
 * stream of the tag itself. Undefined if the image is not known.
 */
export function originOfFollowed(
  { kind, namespace, name }: StreamReference,
  stream: { readonly namespace: string; readonly name: string },
  facts: StreamFacts,
  memo = streamMemo(),
): string | undefined {
  const own = { namespace: namespace ?? stream.namespace, streamName: stream.name, tagName: name };
  const known = { ...facts, memo };
  const origin = kind === 'ImageStreamTag' ? originOf(followedTag(own), known) : originOfImage(name, own, name, known);
  return 'reference' in origin ? qualified(origin.reference) : undefined;
}

type NotFound = { readonly why?: string; readonly tooLarge?: true };
type Found = { readonly image: string } | NotFound;

function findTag({ name }: StreamReference, namespace: string, facts: MemoFacts): Found {
  const [streamName, tagName] = splitAt(name, ':');
  if (streamName === undefined || tagName === undefined) return { why: `"${name}" is not of the form stream:tag` };
  const stream = facts.imageStream(namespace, streamName);
  if (stream.kind !== 'known') return missing(stream, namespace, streamName);
  const tag = stream.tags.get(tagName);
  if (!tag) return { why: `image stream ${namespace}/${streamName} has no tag "${tagName}" yet` };

  const origin = originOf({ namespace, streamName, tagName }, facts);
  if (!('reference' in origin)) return origin;
  return { image: tag.spec?.local ? throughRegistry(stream, origin, tagName) : origin.reference };
}

/** The newest entry of any tag whose digest begins with the text, with the policy of that tag (openshift-apiserver: latestImageTagEvent). */
function findImage({ name }: StreamReference, namespace: string, facts: MemoFacts): Found {
  const [streamName, digest] = splitAt(name, '@');
  if (streamName === undefined || digest === undefined) return { why: `"${name}" is not of the form stream@digest` };
  const stream = facts.imageStream(namespace, streamName);
  if (stream.kind !== 'known') return missing(stream, namespace, streamName);
  const newest = newestWith(stream, digest, facts.memo);
  if (!newest) return { why: `image stream ${namespace}/${streamName} has no image ${digest}` };
  const { tag, image } = newest;
  return { image: tag.spec?.local ? throughRegistry(stream, image, '') : image.reference };
}

/** `image` is the digest: empty for a tag that is only a reference, and absent before the first import. */
type ImageOrigin = { readonly reference: string; readonly image?: string };

type TagLocation = { readonly namespace: string; readonly streamName: string; readonly tagName: string };

/** Tags that follow each other. Real chains have one or two. Without a limit, one reference could cost as much as a whole stream. */
const longestChain = 32;

/**
 * Where the tag's image was imported from, before any reference policy. A tag that follows another tag has the origin of that tag, whatever
 * the policy of that tag (openshift-apiserver pkg/image/apiserver/registry/imagestream: tagReferenceToTagEvent).
 */
function originOf(start: TagLocation, facts: MemoFacts): ImageOrigin | NotFound {
  let location = start;
  const seen = new Set<string>();
  while (seen.size < longestChain) {
    const { namespace, streamName, tagName } = location;
    const label = `${namespace}/${streamName}:${tagName}`;
    if (seen.has(label)) return { why: `image stream tag ${label} refers to itself` };
    seen.add(label);
    const stream = facts.imageStream(namespace, streamName);
    if (stream.kind !== 'known') return missing(stream, namespace, streamName);
    const tag = stream.tags.get(tagName);
    const [latest] = tag?.images ?? [];
    if (latest) return latest;

    const from = tag?.spec?.from;
    if (!from) return { why: `image stream tag ${label} has no image yet` };
    if (from.kind === 'DockerImage') return { reference: from.name };
    const namespaceOfFrom = from.namespace ?? namespace;
    if (from.kind !== 'ImageStreamTag') return originOfImage(from.name, { ...location, namespace: namespaceOfFrom }, label, facts);
    location = followedTag({ namespace: namespaceOfFrom, streamName, tagName: from.name });
  }
  const { namespace, streamName, tagName } = start;
  return { why: `image stream tag ${namespace}/${streamName}:${tagName} refers to a chain of more than ${longestChain} other tags` };
}

/** A name without a colon is a tag of the same stream. */
function followedTag({ namespace, streamName, tagName: written }: TagLocation): TagLocation {
  const [otherStream, otherTag] = splitAt(written, ':');
  return { namespace, streamName: otherStream ?? streamName, tagName: otherTag ?? written };
}

function originOfImage(name: string, { namespace, streamName }: TagLocation, label: string, facts: MemoFacts) {
  const [otherStream, digest] = splitAt(name, '@');
  const other = facts.imageStream(namespace, otherStream ?? streamName);
  if (other.kind !== 'known') return missing(other, namespace, otherStream ?? streamName);
  return (
    newestWith(other, digest ?? name, facts.memo)?.image ?? { why: `image stream tag ${label} refers to an image that was not imported` }
  );
}

/**
 * Caches results during one decision. An object may name thousands of stream images, and a stream may have thousands of images. Each name is
 * resolved once, and the images of each stream are sorted once.
 */
export type StreamMemo = {
  readonly resolved: Map<string, StreamResolution>;
  readonly sorted: Map<KnownStream, SortedImages>;
};

export function streamMemo(): StreamMemo {
  return { resolved: new Map(), sorted: new Map() };
}

/** The images of a stream by digest. `newest` has the newest one of each range that was searched, by the indexes of the range. */
type SortedImages = { readonly entries: readonly StreamEntry[]; readonly newest: Map<string, StreamEntry | undefined> };

type StreamEntry = { readonly tag: StreamTag; readonly image: StreamImage; readonly order: number };

/** The digest may be shortened, and the algorithm left out. */
function newestWith(stream: KnownStream, digest: string, memo: StreamMemo): StreamEntry | undefined {
  const sorted = memo.sorted.get(stream) ?? { entries: byDigest(stream), newest: new Map<string, StreamEntry | undefined>() };
  memo.sorted.set(stream, sorted);
  return newestOf([digest, `sha256:${digest}`].flatMap((start) => newestStartingWith(sorted, start) ?? []));
}

/** Thousands of tags may name images by a beginning of the digest that all images have. So the newest one of a range is found once. */
function newestStartingWith({ entries, newest }: SortedImages, start: string): StreamEntry | undefined {
  const [from, to] = rangeStartingWith(entries, start);
  const range = `${from} ${to}`;
  const found = newest.has(range) ? newest.get(range) : newestOf(entries.slice(from, to));
  newest.set(range, found);
  return found;
}

/** The API server writes times as RFC 3339 in UTC, which sort as text. Of entries with the same time, or without one, the first wins. */
function newestOf(entries: readonly StreamEntry[]): StreamEntry | undefined {
  return entries.reduce<StreamEntry | undefined>((newest, each) => {
    const order = compareTexts(each.image.created ?? '', newest?.image.created ?? '');
    return !newest || order > 0 || (order === 0 && each.order < newest.order) ? each : newest;
  }, undefined);
}

function byDigest(stream: KnownStream): readonly StreamEntry[] {
  let order = 0;
  const entries = [...stream.tags.values()].flatMap((tag) => tag.images.map((image) => ({ tag, image, order: order++ })));
  return entries.sort((one, other) => compareTexts(one.image.image, other.image.image));
}

/** The entries whose digests begin with the text: they are adjacent in the sorted list. */
function rangeStartingWith(sorted: readonly StreamEntry[], start: string): readonly [from: number, to: number] {
  const from = firstIndex(0, sorted.length, (index) => compareTexts(sorted[index]?.image.image ?? '', start) >= 0);
  const to = firstIndex(from, sorted.length, (index) => !sorted[index]?.image.image.startsWith(start));
  return [from, to];
}

/** Binary search for the first index from `low` on for which the condition is true. It is then true for all later ones. */
function firstIndex(low: number, high: number, condition: (index: number) => boolean): number {
  let [from, to] = [low, high];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (condition(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/**
 * The image's name in the internal registry. Without an internal registry, `status.dockerImageRepository` is empty, or is the external
 * repository that `spec` names. OpenShift then pulls from the image's origin.
 */
function throughRegistry({ repository }: KnownStream, { image, reference }: ImageOrigin, tagName: string): string {
  if (repository === undefined || image === '' || !parseImage(repository).ok) return reference;
  return image === undefined ? `${repository}:${tagName}` : `${repository}@${image}`;
}

/** A name without a registry is imported from Docker Hub, without a search list (library-go pkg/image/reference: DockerClientDefaults). */
function qualified(image: string): string {
  const parsed = parseImage(image);
  return parsed.ok && !parsed.reference.qualified ? formatReference(parsed.reference) : image;
}

function missing(stream: Exclude<ImageStreamFacts, KnownStream>, namespace: string, name: string): NotFound {
  if (stream.kind === 'too-large')
    return { why: `image stream ${namespace}/${name} cannot be evaluated, because ${stream.why}`, tooLarge: true };
  return stream.kind === 'absent' ? { why: `image stream ${namespace}/${name} does not exist yet` } : {};
}

function splitAt(name: string, separator: string): readonly [string | undefined, string | undefined] {
  const at = name.indexOf(separator);
  return at <= 0 || at === name.length - 1 ? [undefined, undefined] : [name.slice(0, at), name.slice(at + 1)];
}
