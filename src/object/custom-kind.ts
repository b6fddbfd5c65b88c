/**
 * Reads the kinds that the operator configures: custom resources with a pod template, pod specs, or image fields.
 *
 * A template gets secrets only if its own list is empty. The list of a custom resource has no merge key, so each `kubectl apply` of the
 * user's file would remove our entries, and we would add them again. In all other cases only the Pods get secrets.
 */
import { quote } from '../image/problem.ts';
import { splitScheme } from '../image/scheme.ts';
import { isAbsent, type JsonObject, type Path, renderPath, valueAt } from './json.ts';
import type { KindRow } from './kinds.ts';
import { type ImageSlot, imageAsWritten, type PodShape, type ShapeReading, type SlotContent } from './object-shape.ts';
import { everyItem, everyValue, matchPathPatterns, type PathPattern } from './path-pattern.ts';
import { nameType, problemAt, readImageField, readPod } from './pod.ts';
import { hasControllerOwner } from './workload.ts';

export type CustomKind = Pick<KindRow, 'group' | 'version' | 'resource' | 'kind'> & {
  /** Path of the pod template, which has `metadata` and `spec`. */
  readonly template?: Path;
  /** Paths of pod specs. Their images are evaluated here, and their pods get the secrets. */
  readonly podSpecs: readonly PathPattern[];
  /** Paths of strings that name an image. */
  readonly images: readonly ImagePath[];
};

export type ImagePath = {
  readonly pattern: PathPattern;
  /** Lower case. The string names an image only after one of these schemes, as in `oci://quay.io/app`. Absent for a string without a scheme. */
  readonly schemes?: readonly string[];
};

export function customKindRow({ group, version, resource, kind, template, podSpecs, images }: CustomKind): KindRow {
  const schemePaths = images.filter(({ schemes }) => schemes).map(({ pattern }) => pattern);
  return {
    group,
    version,
    resource,
    kind,
    entryPoints: [{ resource, operations: ['CREATE', 'UPDATE'] }],
    fields: [...(template ? [template] : []), ...[...podSpecs, ...images.map(({ pattern }) => pattern)].map(beforeWildcards)],
    ...(schemePaths.length > 0 && { schemePaths }),
    read: (object) => {
      const pod = template && !isAbsent(valueAt(object, template)) ? readTemplate(object, template) : undefined;
      if (pod?.kind === 'malformed') return pod;
      const slots = readPatterns(object, podSpecs, images);
      if ('kind' in slots) return slots;
      if (!pod) return { kind: 'shape', shape: { kind: 'naming', slots } };
      return { kind: 'shape', shape: { ...pod.shape, slots: [...pod.shape.slots.map(withoutVariables), ...slots] } };
    },
  };
}

function readTemplate(object: JsonObject, template: Path): ShapeReading<PodShape> {
  const location = { stage: 'template', spec: [...template, 'spec'], metadata: [...template, 'metadata'], partial: true } as const;
  // A controller may compare the template of an object that it created with its own, as a Deployment does with that of a ReplicaSet.
  const reading = readPod(object, location, hasControllerOwner(object) ? 'owned' : undefined);
  return reading.kind === 'shape' ? { kind: 'shape', shape: { ...reading.shape, onlyIntoEmptyList: true } } : reading;
}

function readPatterns(object: JsonObject, podSpecs: readonly PathPattern[], images: readonly ImagePath[]): SlotsReading {
  const slots: ImageSlot[] = [];
  const patterns = [...podSpecs, ...images.map(({ pattern }) => pattern)];
  for (const [index, found] of matchPathPatterns(object, patterns).entries()) {
    if (!found.ok) return { kind: 'malformed', problem: found.problem };
    const image = images[index - podSpecs.length];
    for (const path of found.paths) {
      const reading = image ? readImage(object, path, image) : readPodSpec(object, path);
      if ('kind' in reading) return reading;
      for (const slot of reading) slots.push(pulledByPods(slot));
    }
  }
  return slots;
}

type SlotsReading = readonly ImageSlot[] | (ShapeReading & { readonly kind: 'malformed' });

function readPodSpec(object: JsonObject, spec: Path): SlotsReading {
  const reading = readPod(object, { stage: 'template', spec, metadata: [], partial: true });
  return reading.kind === 'malformed' ? reading : reading.shape.slots;
}

function readImage(object: JsonObject, path: Path, { schemes }: ImagePath): SlotsReading {
  const value = valueAt(object, path);
  const field = readImageField(value);
  if (!field) return { kind: 'malformed', problem: problemAt(path, `must be a string, but is ${nameType(value)}`) };
  const content = schemes ? withoutScheme(field, schemes) : field;
  return content ? [{ path, displayName: renderPath(path), action: 'pull', content }] : [];
}

/**
 * Undefined for a text without one of the schemes, which names no image. Letter case and white space before the scheme do not hide an image,
 * because the controller may ignore them. A text with white space keeps its scheme, and is invalid.
 */
function withoutScheme(content: SlotContent, schemes: readonly string[]): SlotContent | undefined {
  if (content.kind !== 'image') return undefined;
  const found = splitScheme(content.text.trimStart());
  if (!found || !schemes.includes(found.scheme.slice(0, -'://'.length).toLowerCase())) return undefined;
  return content.text.startsWith(found.scheme) ? { kind: 'image', text: found.name, scheme: found.scheme } : content;
}

function pulledByPods(slot: ImageSlot): ImageSlot {
  return { ...withoutVariables(slot), pulledElsewhere: true };
}

/** A repository, and the beginning of its tag or digest. Without a slash it could be a registry, and the variable its port and repository. */
const fixedRepository = /^([^/]+\/(?:[^/]*\/)*[^/:@]+)[:@][^/]*$/;

/** `$(params.image)` of Tekton, `{{inputs.parameters.image}}` of Argo: no image name has these characters, and a Pod with them is denied. */
function withoutVariables(slot: ImageSlot): ImageSlot {
  const { content } = slot;
  if (content.kind !== 'image') return slot;
  const start = content.text.search(/\$[({]|\{\{/);
  if (start < 0) return slot;
  const [, repository] = fixedRepository.exec(content.text.slice(0, start)) ?? [];
  if (repository !== undefined) return { ...slot, content: { ...content, text: repository, openTag: true } };
  const written = imageAsWritten(content);
  return { ...slot, content: { kind: 'unresolved', written, why: `${quote(written)} contains a variable that is replaced later` } };
}

function beforeWildcards(pattern: PathPattern): Path {
  const end = pattern.findIndex((step) => typeof step !== 'string');
  return (end < 0 ? pattern : pattern.slice(0, end)) as Path;
}

export type ParsedPathPattern = { readonly ok: true; readonly pattern: PathPattern } | { readonly ok: false; readonly message: string };

/** Parses a path such as `spec.steps[*].image`. `[]` equals `[*]`, and `*` matches every value of a map. The message is a predicate. */
export function parsePathPattern(text: string): ParsedPathPattern {
  const pattern: PathPattern[number][] = [];
  for (const part of text.split('.')) {
    const [, name = '', lists = ''] = /^(\*|[A-Za-z_][A-Za-z0-9_-]*)((?:\[\*?\])*)$/.exec(part) ?? [];
    if (name === '')
      return { ok: false, message: `must be a path such as spec.template or spec.steps[*].image, but ${quote(part)} is not a field name` };
    pattern.push(name === '*' ? everyValue : name);
    for (let count = lists.split(']').length - 1; count > 0; count--) pattern.push(everyItem);
  }
  return pattern[0] === everyValue
    ? { ok: false, message: 'must start with a field such as spec, because otherwise it would match every change' }
    : { ok: true, pattern };
}
