/**
 * Which image an image stream stands for.
 *
 * OpenShift's builds, image triggers and image stream tags all take the latest image of the tag's history in `status`, and apply the tag's
 * reference policy to it (openshift/library-go pkg/image/imageutil: ResolveLatestTaggedImage; used by openshift-apiserver's build generator
 * and openshift-controller-manager's triggers). What `spec` says of the tag is only what will be imported next, so it is asked where there
 * is no history yet: it tells before the first import what will come.
 */
import { formatReference, parseImage } from '../image/reference.ts';
import type { StreamReference } from '../object/object-shape.ts';
import { compareTexts } from '../rules/compare-texts.ts';
import type { Facts, ImageStreamFacts, StreamImage, StreamTag } from './facts.ts';

/** `stream` is `namespace/stream:tag` or `namespace/stream@digest`. */
export type StreamResolution =
  | { readonly kind: 'resolved'; readonly stream: string; readonly image: string }
  /** `why` is a sentence without its end; undefined where nobody knows of any streams. */
  | {
      readonly kind: 'unresolved';
      readonly stream: string;
      readonly why?: string;
      /** A stream is too large to be held. Its author chose that, so nothing may pass because of it. */
      readonly tooLarge?: true;
    };

type StreamFacts = Pick<Facts, 'imageStream'>;
type MemoFacts = StreamFacts & { readonly memo: StreamMemo };
type KnownStream = ImageStreamFacts & { kind: 'known' };

/** What the reference stands for now. `home` is the namespace of the object it was found in. */
export function resolveStream(reference: StreamReference, home: string, facts: StreamFacts, memo = streamMemo()): StreamResolution {
  const namespace = reference.namespace ?? home;
  const key = `${reference.kind} ${namespace}/${reference.name}`;
  const resolution =
    memo.resolved.get(key) ?? resolve(reference, namespace, { imageStream: (of, name) => facts.imageStream(of, name), memo });
  memo.resolved.set(key, resolution);
  return resolution;
}

function resolve(reference: StreamReference, namespace: string, facts: MemoFacts): StreamResolution {
  const label = `${namespace}/${reference.name}`;
  const found = reference.kind === 'ImageStreamTag' ? findTag(reference, namespace, facts) : findImage(reference, namespace, facts);
  return 'image' in found
    ? { kind: 'resolved', stream: label, image: qualified(found.image) }
    : { kind: 'unresolved', stream: label, ...found };
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

/** The newest entry of the stream whose digest begins so, in any tag, with that tag's policy (openshift-apiserver: latestImageTagEvent). */
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

/** `image` is its digest, empty for a tag that is only a reference; absent before the first import. */
type ImageOrigin = { readonly reference: string; readonly image?: string };

type TagPlace = { readonly namespace: string; readonly streamName: string; readonly tagName: string };

/** Tags that are followed, one to the next; people write one or two. More would make one reference cost as much as a whole stream. */
const longestChain = 32;

/**
 * Where the tag's image comes from, before any policy: one that follows another takes over what that one was imported from, whatever its
 * policy (openshift-apiserver pkg/image/apiserver/registry/imagestream: tagReferenceToTagEvent).
 */
function originOf(start: TagPlace, facts: MemoFacts): ImageOrigin | NotFound {
  let place = start;
  const seen = new Set<string>();
  while (seen.size < longestChain) {
    const { namespace, streamName, tagName } = place;
    const label = `${namespace}/${streamName}:${tagName}`;
    if (seen.has(label)) return { why: `image stream tag ${label} follows itself` };
    seen.add(label);
    const stream = facts.imageStream(namespace, streamName);
    if (stream.kind !== 'known') return missing(stream, namespace, streamName);
    const tag = stream.tags.get(tagName);
    const [latest] = tag?.images ?? [];
    if (latest) return latest;

    const from = tag?.spec?.from;
    if (!from) return { why: `image stream tag ${label} holds no image yet` };
    if (from.kind === 'DockerImage') return { reference: from.name };
    const namespaceOfFrom = from.namespace ?? namespace;
    if (from.kind !== 'ImageStreamTag') return originOfImage(from.name, { ...place, namespace: namespaceOfFrom }, label, facts);
    // A name without a colon is a tag of the same stream.
    const [otherStream, otherTag] = splitAt(from.name, ':');
    place = { namespace: namespaceOfFrom, streamName: otherStream ?? streamName, tagName: otherTag ?? from.name };
  }
  const { namespace, streamName, tagName } = start;
  return { why: `image stream tag ${namespace}/${streamName}:${tagName} follows more than ${longestChain} others` };
}

function originOfImage(name: string, { namespace, streamName }: TagPlace, label: string, facts: MemoFacts) {
  const [otherStream, digest] = splitAt(name, '@');
  const other = facts.imageStream(namespace, otherStream ?? streamName);
  if (other.kind !== 'known') return missing(other, namespace, otherStream ?? streamName);
  return (
    newestWith(other, digest ?? name, facts.memo)?.image ?? { why: `image stream tag ${label} names an image that nobody has imported` }
  );
}

/**
 * What was found in the course of one decision: an object may name thousands of images of streams, and a stream may hold thousands. Each name
 * is looked up once, and what a stream holds is sorted once.
 */
export type StreamMemo = {
  readonly resolved: Map<string, StreamResolution>;
  readonly held: Map<KnownStream, readonly Held[]>;
};

export function streamMemo(): StreamMemo {
  return { resolved: new Map(), held: new Map() };
}

type Held = { readonly tag: StreamTag; readonly image: StreamImage; readonly order: number };

/** The digest may be shortened, and the algorithm left out. */
function newestWith(stream: KnownStream, digest: string, memo: StreamMemo): Held | undefined {
  const held = memo.held.get(stream) ?? byDigest(stream);
  memo.held.set(stream, held);
  const matching = [digest, `sha256:${digest}`].flatMap((start) => startingWith(held, start));
  // RFC 3339 in UTC, as the API server writes it, sorts as text. Of entries with the same time, or without one, the first wins.
  return matching.reduce<Held | undefined>((newest, each) => {
    const order = compareTexts(each.image.created ?? '', newest?.image.created ?? '');
    return !newest || order > 0 || (order === 0 && each.order < newest.order) ? each : newest;
  }, undefined);
}

function byDigest(stream: KnownStream): readonly Held[] {
  let order = 0;
  const held = [...stream.tags.values()].flatMap((tag) => tag.images.map((image) => ({ tag, image, order: order++ })));
  return held.sort((one, other) => compareTexts(one.image.image, other.image.image));
}

/** By halves, since the list is sorted. */
function startingWith(sorted: readonly Held[], start: string): readonly Held[] {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareTexts(sorted[middle]?.image.image ?? '', start) < 0) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < sorted.length && sorted[end]?.image.image.startsWith(start)) end++;
  return sorted.slice(low, end);
}

/**
 * The internal registry's own name for it. Without such a registry `status.dockerImageRepository` is empty, or the external repository
 * that `spec` names, and OpenShift pulls from where the image comes from.
 */
function throughRegistry({ repository }: KnownStream, { image, reference }: ImageOrigin, tagName: string): string {
  if (repository === undefined || image === '' || !parseImage(repository).ok) return reference;
  return image === undefined ? `${repository}:${tagName}` : `${repository}@${image}`;
}

/** Streams know no search list: what names no registry is imported from Docker Hub (library-go pkg/image/reference: DockerClientDefaults). */
function qualified(image: string): string {
  const parsed = parseImage(image);
  return parsed.ok && !parsed.reference.qualified ? formatReference(parsed.reference) : image;
}

function missing(stream: Exclude<ImageStreamFacts, KnownStream>, namespace: string, name: string): NotFound {
  if (stream.kind === 'too-large')
    return { why: `image stream ${namespace}/${name} cannot be evaluated, because ${stream.why}`, tooLarge: true };
  return stream.kind === 'absent' ? { why: `there is no image stream ${namespace}/${name} yet` } : {};
}

function splitAt(name: string, separator: string): readonly [string | undefined, string | undefined] {
  const at = name.indexOf(separator);
  return at <= 0 || at === name.length - 1 ? [undefined, undefined] : [name.slice(0, at), name.slice(at + 1)];
}
