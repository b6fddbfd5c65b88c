/**
 * Places that an image trigger of OpenShift fills. Templates there write any short name, such as the application's own, and a controller
 * puts the image of a stream in its place: for a DeploymentConfig as its `spec.triggers` say, for Deployments, StatefulSets, DaemonSets and
 * CronJobs as the annotation `image.openshift.io/triggers` says (openshift-controller-manager, pkg/image/controller/trigger).
 *
 * A placeholder counts as no image yet. Its author writes trigger and annotation too, and brings nothing in by that:
 * - only a name without a registry is a placeholder, so an image that is meant, wherever it comes from, is judged in the template as ever;
 * - what the trigger puts in comes as an UPDATE of a controller, names its registry and is judged as an image that this change introduces;
 * - what no trigger fills would run as it stands, and a Pod is judged with all its images whatever made it, annotations or not. So is the
 *   ReplicaSet or ReplicationController on the way, since no trigger fills those.
 * What the author gains is that a refusal comes later, and that the template gets no secret for a name that nobody means to pull.
 */
import { quote } from '../../image/problem.ts';
import { parseImage } from '../../image/reference.ts';
import { isObject, type JsonObject, type Path, parseJsonText, renderPath, textAt, valueAt } from '../json.ts';
import type { ImageSlot, StreamReference } from '../object-shape.ts';
import { readStreamReference } from './stream-reference.ts';

/** The slots of a DeploymentConfig's template: what its triggers fill as what it is, with the stream that they take it from. */
export function markTriggeredSlots(object: JsonObject, slots: readonly ImageSlot[]): readonly ImageSlot[] {
  const triggered = containersWithTrigger(object);
  if (triggered.size === 0) return slots;
  return slots.map((slot) => {
    const name = valueAt(object, [...slot.path.slice(0, -1), 'name']);
    return typeof name === 'string' && triggered.has(name) ? awaitFilling(slot, triggered.get(name)) : slot;
  });
}

/** The same, of a kind that is triggered by annotation. */
export function markAnnotatedTriggers(object: JsonObject, slots: readonly ImageSlot[]): readonly ImageSlot[] {
  const triggered = fieldsWithTrigger(object);
  if (triggered.size === 0) return slots;
  return slots.map((slot) => {
    const field = namesOfField(object, slot.path).find((name) => triggered.has(name));
    return field === undefined ? slot : awaitFilling(slot, triggered.get(field));
  });
}

export const triggersAnnotation = 'image.openshift.io/triggers';

type Triggered = ReadonlyMap<unknown, StreamReference | undefined>;

/** By the container's name. */
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

/** By `fieldPath`: `[{"from":{"kind":"ImageStreamTag","name":"web:1"},"fieldPath":"spec.template.spec.containers[?(@.name==\"web\")].image"}]` */
function fieldsWithTrigger(object: JsonObject): Triggered {
  const triggers = parseJsonText(textAt(object, ['metadata', 'annotations', triggersAnnotation]));
  if (!Array.isArray(triggers)) return new Map();
  return new Map(triggers.filter(isAtWork).map((trigger) => [valueAt(trigger, ['fieldPath']), streamOf(trigger)]));
}

/** The kind may be left out, since there is only one that triggers. */
function streamOf(trigger: unknown): StreamReference | undefined {
  const from = valueAt(trigger, ['from']);
  return isObject(from) ? readStreamReference({ kind: 'ImageStreamTag', ...from }) : undefined;
}

/** A paused one, written as a boolean or, as the console does, as text, fills nothing. */
function isAtWork(trigger: unknown): boolean {
  const paused = valueAt(trigger, ['paused']);
  return streamOf(trigger)?.kind === 'ImageStreamTag' && paused !== true && paused !== 'true';
}

/** How such a trigger can name the `image` of a container: by position, or by name in exactly this spelling (openshift/library-go). */
function namesOfField(object: JsonObject, image: Path): readonly string[] {
  const container = image.slice(0, -1);
  const list = container.slice(0, -1);
  if (image.at(-1) !== 'image' || !['containers', 'initContainers'].includes(String(list.at(-1)))) return [];
  const name = valueAt(object, [...container, 'name']);
  const byName = typeof name === 'string' ? [`${renderPath(list)}[?(@.name=="${name}")].image`] : [];
  return [renderPath(image), ...byName];
}

/** A blank or a placeholder stands for what the trigger puts there; any other slot is what it is. */
function awaitFilling(slot: ImageSlot, stream: StreamReference | undefined): ImageSlot {
  const { content, path } = slot;
  if (path.at(-1) !== 'image') return slot;
  const from = stream && { stream };
  if (content.kind === 'unresolved') return { ...slot, content: { ...content, ...from } };
  if (!isPlaceholder(content.text)) return slot;
  return { ...slot, content: { kind: 'unresolved', why: `${quote(content.text)} is a placeholder that an image trigger fills`, ...from } };
}

/** What a trigger has put in names its registry; so does an image that the author means. */
function isPlaceholder(text: string): boolean {
  const parsed = parseImage(text);
  return parsed.ok && !parsed.reference.qualified;
}
