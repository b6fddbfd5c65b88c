/** Finds the images of image stream tags that follow other tags. The evaluation leaves them open, because no rule decides on them. */
import type { Facts } from '../decision/facts.ts';
import { originOfFollowed, streamMemo } from '../decision/resolve-stream.ts';
import { subjectOf } from '../evaluate/evaluate-object.ts';
import type { Manifest } from '../evaluate/parse-manifests.ts';
import { parseImage } from '../image/reference.ts';
import { renderPath, valueAt } from '../object/json.ts';
import { readStreamReference } from '../object/openshift/stream-reference.ts';
import { readShape } from './read-shape.ts';

/** Images by the rendered path of their slot, without those that are not known, or not valid. */
export type FollowedTags = ReadonlyMap<string, string>;

/** `defaultNamespace` is that of an object without a namespace. */
export function followedTags(manifest: Manifest, defaultNamespace: string, facts: Pick<Facts, 'imageStream' | 'kinds'>): FollowedTags {
  const images = new Map<string, string>();
  if (!kindsWithTags.has(manifest.kind)) return images;
  const { namespace, name } = subjectOf(manifest, defaultNamespace);
  // An ImageStreamTag or ImageTag has the name STREAM:TAG.
  const stream = { namespace, name: name.replace(/:.*$/s, '') };
  const memo = streamMemo();
  for (const { path, content, imported } of readShape(manifest, facts)?.slots ?? []) {
    if (!imported || content.kind !== 'unresolved') continue;
    const reference = readStreamReference(valueAt(manifest.object, path.slice(0, -1)));
    const image = reference && originOfFollowed(reference, stream, facts, memo);
    if (image !== undefined && parseImage(image).ok) images.set(renderPath(path), image);
  }
  return images;
}

/** Other objects need not be read again. */
const kindsWithTags: ReadonlySet<string> = new Set(['ImageStream', 'ImageStreamTag', 'ImageTag']);
