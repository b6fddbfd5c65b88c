/**
 * Kinds that somebody's settings name: custom resources with pod templates, pod specs, or images by themselves.
 *
 * A template gets its secrets only where it lists none: a custom resource's list has no merge key, so the author's `kubectl apply` would
 * take our entry out each time, and ours would come back each time. Where it lists some, and everywhere else, the Pods get theirs.
 */
import { quote } from '../image/problem.ts';
import { isAbsent, type JsonObject, type Path, renderPath, valueAt } from './json.ts';
import type { KindRow } from './kinds.ts';
import type { ImageSlot, PodShape, ShapeReading } from './object-shape.ts';
import { everyItem, everyValue, matchPathPattern, type PathPattern } from './path-pattern.ts';
import { nameType, problemAt, readImageField, readPod } from './pod.ts';
import { hasControllerOwner } from './workload.ts';

export type ExtraKind = Pick<KindRow, 'group' | 'version' | 'resource' | 'kind'> & {
  /** Of one pod template, metadata and spec. */
  readonly template?: Path;
  /** Of pod specs whose pods are judged here and given their secrets when they come. */
  readonly podSpecs: readonly PathPattern[];
  /** Of texts that name an image. */
  readonly images: readonly PathPattern[];
};

export function extraKindRow({ group, version, resource, kind, template, podSpecs, images }: ExtraKind): KindRow {
  return {
    group,
    version,
    resource,
    kind,
    entryPoints: [{ resource, operations: ['CREATE', 'UPDATE'] }],
    fields: [...(template ? [template] : []), ...[...podSpecs, ...images].map(beforeWildcards)],
    read: (object) => {
      const pod = template && !isAbsent(valueAt(object, template)) ? readTemplate(object, template) : undefined;
      if (pod?.kind === 'malformed') return pod;
      const slots = readPlaces(object, podSpecs, images);
      if (!Array.isArray(slots)) return slots;
      if (!pod) return { kind: 'shape', shape: { kind: 'naming', slots } };
      return { kind: 'shape', shape: { ...pod.shape, slots: [...pod.shape.slots.map(withoutVariables), ...slots] } };
    },
  };
}

function readTemplate(object: JsonObject, template: Path): ShapeReading<PodShape> {
  const place = { stage: 'template', spec: [...template, 'spec'], metadata: [...template, 'metadata'], partial: true } as const;
  // What a controller made of another object may be compared with that one's template, as a ReplicaSet is with its Deployment's.
  const reading = readPod(object, place, hasControllerOwner(object) ? 'owned' : undefined);
  return reading.kind === 'shape' ? { kind: 'shape', shape: { ...reading.shape, onlyIntoEmptyList: true } } : reading;
}

function readPlaces(
  object: JsonObject,
  podSpecs: readonly PathPattern[],
  images: readonly PathPattern[],
): ImageSlot[] | (ShapeReading & { kind: 'malformed' }) {
  const slots: ImageSlot[] = [];
  for (const place of podSpecs) {
    const found = matchPathPattern(object, place);
    if (!found.ok) return { kind: 'malformed', problem: found.problem };
    for (const spec of found.paths) {
      const reading = readPod(object, { stage: 'template', spec, metadata: [], partial: true });
      if (reading.kind === 'malformed') return reading;
      for (const slot of reading.shape.slots) slots.push(pulledByPods(slot));
    }
  }
  for (const place of images) {
    const found = matchPathPattern(object, place);
    if (!found.ok) return { kind: 'malformed', problem: found.problem };
    for (const path of found.paths) {
      const content = readImageField(valueAt(object, path));
      if (!content) return { kind: 'malformed', problem: problemAt(path, `must be text, and is ${nameType(valueAt(object, path))}`) };
      slots.push(pulledByPods({ path, holder: renderPath(path), action: 'pull', content }));
    }
  }
  return slots;
}

function pulledByPods(slot: ImageSlot): ImageSlot {
  return { ...withoutVariables(slot), pulledElsewhere: true };
}

/** `$(params.image)` of Tekton, `{{inputs.parameters.image}}` of Argo: no image's name has such letters, and no Pod may keep them. */
function withoutVariables(slot: ImageSlot): ImageSlot {
  const { content } = slot;
  if (content.kind !== 'image' || !/\$[({]|\{\{/.test(content.text)) return slot;
  return { ...slot, content: { kind: 'unresolved', why: `${quote(content.text)} holds a variable that is filled in later` } };
}

function beforeWildcards(place: PathPattern): Path {
  const end = place.findIndex((step) => typeof step !== 'string');
  return (end < 0 ? place : place.slice(0, end)) as Path;
}

export type ParsedPathPattern = { readonly ok: true; readonly place: PathPattern } | { readonly ok: false; readonly message: string };

/** `spec.steps[*].image`; `[]` is `[*]`, and `*` stands for every value of a map. The message is a predicate. */
export function parsePathPattern(text: string): ParsedPathPattern {
  const place: PathPattern[number][] = [];
  for (const part of text.split('.')) {
    const [, name = '', lists = ''] = /^(\*|[A-Za-z_][A-Za-z0-9_-]*)((?:\[\*?\])*)$/.exec(part) ?? [];
    if (name === '')
      return { ok: false, message: `must be a path such as spec.template or spec.steps[*].image, and ${quote(part)} is no field` };
    place.push(name === '*' ? everyValue : name);
    for (let count = lists.split(']').length - 1; count > 0; count--) place.push(everyItem);
  }
  return place[0] === everyValue
    ? { ok: false, message: 'must begin with a field, such as spec: what it stands for would be any change at all' }
    : { ok: true, place };
}
