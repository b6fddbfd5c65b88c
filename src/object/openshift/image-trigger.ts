/**
 * Recognizes placeholders that an OpenShift image trigger fills. The template has any short name there, such as the application's own. A
 * controller replaces it with the image of a stream. For a DeploymentConfig `spec.triggers` names the stream. For Deployments, StatefulSets,
 * DaemonSets and CronJobs the annotation `image.openshift.io/triggers` does (openshift-controller-manager, pkg/image/controller/trigger).
 *
 * A placeholder is not evaluated as an image. The user also controls triggers and annotation, but cannot introduce an image with them:
 * - Only a name without a registry is a placeholder. An image with a registry is evaluated in the template as usual.
 * - The trigger's image arrives as an UPDATE by a controller. It names its registry, and is evaluated as an image that this change
 *   introduces.
 * - A placeholder that no trigger fills would run as it is. But a Pod is evaluated with all its images, whatever created it and whatever its
 *   annotations are. So is the ReplicaSet or ReplicationController in between, since no trigger fills those.
 *
 * The only effects are that a denial comes later, and that the template gets no secret for a name that will not be pulled. On a cluster
 * without image streams no controller fills placeholders, so a name is an image there.
 */
import { quote } from '../../image/problem.ts';
import { parseImage } from '../../image/reference.ts';
import { isAbsent, isObject, type JsonObject, type Path, parseJsonText, renderPath, textAt, valueAt } from '../json.ts';
import type { ImageSlot, StreamReference } from '../object-shape.ts';
import { readStreamReference } from './stream-reference.ts';

/** The slots of a DeploymentConfig's template. Those that its triggers fill become unresolved, with the stream that the image comes from. */
export function recognizePlaceholders(object: JsonObject, slots: readonly ImageSlot[]): readonly ImageSlot[] {
  const triggered = containersWithTrigger(object);
  if (triggered.size === 0) return slots;
  return slots.map((slot) => {
    const name = valueAt(object, [...slot.path.slice(0, -1), 'name']);
    return typeof name === 'string' && triggered.has(name) ? asPlaceholder(slot, triggered.get(name)) : slot;
  });
}

/** The same for a kind whose triggers are in an annotation. */
export function recognizeAnnotatedPlaceholders(object: JsonObject, slots: readonly ImageSlot[]): readonly ImageSlot[] {
  const triggered = fieldsWithTrigger(object);
  if (triggered.size === 0) return slots;
  return slots.map((slot) => {
    const field = fieldPathsOf(object, slot.path).find((name) => triggered.has(name));
    return field === undefined ? slot : asPlaceholder(slot, triggered.get(field));
  });
}

export const triggersAnnotation = 'image.openshift.io/triggers';

type Triggered = ReadonlyMap<unknown, StreamReference | undefined>;

/** Container name → stream. */
function containersWithTrigger(object: JsonObject): Triggered {
  const triggers = valueAt(object, ['spec', 'triggers']);
  if (!Array.isArray(triggers)) return new Map();
  return new Map(
    triggers.flatMap((trigger) => {
      const names = valueAt(trigger, ['imageChangeParams', 'containerNames']);
      if (valueAt(trigger, ['type']) !== 'ImageChange' || !Array.isArray(names)) return [];
      const stream = readStreamReference(valueAt(trigger, ['imageChangeParams', 'from']));
      return names.map((name): [unknown, StreamReference | undefined] => [name, stream]);
    }),
  );
}

/**
 * `fieldPath` → stream. The annotation is such as
 * `[{"from":{"kind":"ImageStreamTag","name":"web:1"},"fieldPath":"spec.template.spec.containers[?(@.name==\"web\")].image"}]`.
 */
function fieldsWithTrigger(object: JsonObject): Triggered {
  const triggers = parseJsonText(textAt(object, ['metadata', 'annotations', triggersAnnotation]));
  if (!Array.isArray(triggers)) return new Map();
  return new Map(triggers.filter(isActive).map((trigger) => [valueAt(trigger, ['fieldPath']), streamOf(trigger)]));
}

/** The kind may be omitted, since only ImageStreamTag can trigger. */
function streamOf(trigger: unknown): StreamReference | undefined {
  const from = valueAt(trigger, ['from']);
  return isObject(from) ? readStreamReference({ kind: 'ImageStreamTag', ...from }) : undefined;
}

/**
 * A paused trigger fills nothing. Neither does one whose `paused` is text, since the controller cannot read the annotation then. The console
 * writes `pause` as text, which the controller ignores (openshift/library-go pkg/image/trigger: CalculateAnnotationTriggers).
 */
function isActive(trigger: unknown): boolean {
  const paused = valueAt(trigger, ['paused']);
  return streamOf(trigger)?.kind === 'ImageStreamTag' && (isAbsent(paused) || paused === false);
}

/** The values of `fieldPath` for the `image` of a container: by index, or by name in exactly this spelling (openshift/library-go). */
function fieldPathsOf(object: JsonObject, image: Path): readonly string[] {
  const container = image.slice(0, -1);
  const list = container.slice(0, -1);
  if (image.at(-1) !== 'image' || !['containers', 'initContainers'].includes(String(list.at(-1)))) return [];
  const name = valueAt(object, [...container, 'name']);
  const byName = typeof name === 'string' ? [`${renderPath(list)}[?(@.name=="${name}")].image`] : [];
  return [renderPath(image), ...byName];
}

/** A blank or a placeholder becomes unresolved. Any other slot stays as it is. */
function asPlaceholder(slot: ImageSlot, stream: StreamReference | undefined): ImageSlot {
  const { content, path } = slot;
  if (path.at(-1) !== 'image') return slot;
  const from = stream && { stream };
  if (content.kind === 'unresolved') return { ...slot, content: { ...content, ...from } };
  if (!isPlaceholder(content.text)) return slot;
  return {
    ...slot,
    content: {
      kind: 'unresolved',
      written: content.text,
      why: `${quote(content.text)} is a placeholder that an image trigger replaces`,
      ...from,
    },
  };
}

/** An image that a trigger has filled in names its registry. So does an image that the user chose. */
function isPlaceholder(text: string): boolean {
  const parsed = parseImage(text);
  return parsed.ok && !parsed.reference.qualified;
}
