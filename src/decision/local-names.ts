/**
 * Finds the names in pods and templates that OpenShift replaces with the image of an image stream, and the stream of each.
 *
 * A stream with `lookupPolicy.local` resolves names without a registry and path. The annotation `alpha.image.policy.openshift.io/resolve-names`
 * makes OpenShift resolve all names, whatever their registry and path. If the stream has no such tag yet, the name is replaced with that of
 * the tag in the internal registry (openshift/apiserver-library-go pkg/admission/imagepolicy: imagepolicy.go and accept.go). That happens
 * before webhooks are called, so only objects from files contain such names. A name that a webhook gets is pulled as it is.
 */
import { parseImage } from '../image/reference.ts';
import { isObject, textAt } from '../object/json.ts';
import type { GroupKind, ImageSlot, ObjectShape, PodShape, StreamReference } from '../object/object-shape.ts';
import { hasControllerOwner } from '../object/workload.ts';
import type { Facts } from './facts.ts';
import { resolveStream, streamMemo } from './resolve-stream.ts';

/** The shape with the names that it has when a webhook is called. */
export function withLocalNames(
  shape: ObjectShape,
  { group, kind, object, namespace }: GroupKind & { readonly object: unknown; readonly namespace: string },
  facts: Facts,
): ObjectShape {
  if (shape.kind !== 'pod' || !covered.has(`${group} ${kind}`) || !isObject(object) || hasControllerOwner(object)) return shape;
  const allNames = [shape.metadata, ['metadata']].some((path) => textAt(object, [...path, 'annotations', resolveNames]) === '*');
  const memo = streamMemo();
  const resolve = (slot: ImageSlot): ImageSlot => {
    const stream = isOfPod(slot, shape) ? streamOf(slot, { allNames, namespace, facts }) : undefined;
    if (!stream || slot.content.kind !== 'image') return slot;
    const written = slot.content.text;
    const resolution = resolveStream(stream, namespace, facts, memo);
    if (resolution.kind === 'resolved') return { ...slot, content: { kind: 'image', text: resolution.image } };
    return { ...slot, localLookup: true, content: { kind: 'unresolved', written, why: 'the image stream has no such tag yet', stream } };
  };
  return { ...shape, slots: shape.slots.map(resolve) };
}

/** By default, and no setting of OpenShift changes it (pkg/admission/imagepolicy/apis/imagepolicy/v1/defaults.go). */
const covered = new Set([
  ...[' Pod', ' ReplicationController', 'apps DaemonSet', 'apps Deployment', 'apps ReplicaSet', 'apps StatefulSet', 'batch CronJob'],
  ...['batch Job', 'apps.openshift.io DeploymentConfig', ' DeploymentConfig'],
]);

const resolveNames = 'alpha.image.policy.openshift.io/resolve-names';

/** The image of a custom deployment strategy is not in the pod spec, and is not replaced. Neither is that of a volume. */
function isOfPod({ path }: ImageSlot, { spec }: PodShape): boolean {
  return path.at(-1) === 'image' && spec.every((field, index) => path[index] === field);
}

type Lookup = { readonly allNames?: boolean; readonly namespace: string; readonly facts: Pick<Facts, 'imageStream'> };

/** The tag that OpenShift uses for the name. Undefined where it uses the name itself. */
export function streamOf({ content }: ImageSlot, { allNames = false, namespace, facts }: Lookup): StreamReference | undefined {
  if (content.kind !== 'image' || (!allNames && content.text.includes('/'))) return undefined;
  const parsed = parseImage(content.text);
  if (!parsed.ok || parsed.reference.digest !== undefined) return undefined;
  const { path, tag = 'latest' } = parsed.reference;
  const name = path.at(-1) ?? '';
  const stream = facts.imageStream(namespace, name);
  return stream.kind === 'known' && (allNames || stream.localLookup) ? { kind: 'ImageStreamTag', name: `${name}:${tag}` } : undefined;
}
