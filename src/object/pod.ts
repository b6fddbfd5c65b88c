/**
 * Reads the images and pull secrets of pods and pod templates.
 *
 * Fields read: `spec.{containers,initContainers,ephemeralContainers}[].image`, `spec.volumes[].image.reference`, `spec.imagePullSecrets`,
 * `spec.serviceAccountName` (and its old name `serviceAccount`), `metadata.annotations`.
 */
import { quote } from '../image/problem.ts';
import { noPodMark, readPodMark } from './injection-mark.ts';
import { isAbsent, isObject, type JsonObject, type Path, renderPath, textAt, valueAt } from './json.ts';
import type { ImageSlot, MalformedObject, PodShape, ShapeReading, SlotContent } from './object-shape.ts';
import { withoutUserSupplied } from './user-supplied.ts';

export type PodLocation = {
  readonly stage: 'pod' | 'template';
  readonly spec: Path;
  readonly metadata: Path;
  /** True for a custom resource, whose controller may add the containers. */
  readonly partial?: true;
};

/** The service account of a pod spec, as the API server determines it: `serviceAccount` is the deprecated alias. */
export function serviceAccountOf(spec: unknown): string {
  return textAt(spec, ['serviceAccountName']) ?? textAt(spec, ['serviceAccount']) ?? 'default';
}

export function readPod(root: JsonObject, location: PodLocation, readOnlyBecause?: PodShape['readOnlyBecause']): ShapeReading<PodShape> {
  const spec = valueAt(root, location.spec);
  if (!isObject(spec)) return malformed(location.spec, `must be a pod spec, but is ${nameType(spec)}`);
  const metadata = metadataProblem(root, location.metadata);
  if (metadata) return { kind: 'malformed', problem: metadata };

  const slots: ImageSlot[] = [];
  for (const list of containerLists) {
    const problem = readContainers(spec, location.spec, location.partial ? { ...list, required: false } : list, slots);
    if (problem) return { kind: 'malformed', problem };
  }
  const problem = readImageVolumes(spec, location.spec, slots);
  if (problem) return { kind: 'malformed', problem };

  const pullSecrets = readPullSecrets(spec, location.spec);
  if (!Array.isArray(pullSecrets)) return { kind: 'malformed', problem: pullSecrets };
  for (const field of ['serviceAccountName', 'serviceAccount']) {
    const name = spec[field];
    if (!isAbsent(name) && typeof name !== 'string')
      return malformed([...location.spec, field], `must be a string, but is ${nameType(name)}`);
  }

  return {
    kind: 'shape',
    shape: {
      kind: 'pod',
      stage: location.stage,
      slots,
      spec: location.spec,
      metadata: location.metadata,
      serviceAccount: serviceAccountOf(spec),
      pullSecrets,
      // Only with its own metadata: in an object with many specs, each would read the annotations of the object again.
      mark: location.metadata.length === 0 ? noPodMark : withoutUserSupplied(readPodMark(root, location.metadata), root, location),
      ...(readOnlyBecause && { readOnlyBecause }),
    },
  };
}

/** Finds metadata that the patch of our annotation could not apply to. Such a patch would fail the request. */
export function metadataProblem(root: JsonObject, path: Path): MalformedObject | undefined {
  const metadata = valueAt(root, path);
  if (isAbsent(metadata) || isObject(metadata)) return undefined;
  return problemAt(path, `must be an object's metadata, but is ${nameType(metadata)}`);
}

/** The content of an `image:` field. Undefined for a wrong type. A blank name is valid in templates, for an image trigger to fill. */
export function readImageField(value: unknown): SlotContent | undefined {
  if (isAbsent(value)) return { kind: 'unresolved', why: 'the image field is not set' };
  if (typeof value !== 'string') return undefined;
  if (value === '' || value === ' ') return { kind: 'unresolved', why: 'the image field is blank' };
  return { kind: 'image', text: value };
}

type ContainerList = { readonly field: string; readonly noun: string; readonly required: boolean };

const containerLists: readonly ContainerList[] = [
  { field: 'containers', noun: 'container', required: true },
  { field: 'initContainers', noun: 'init container', required: false },
  { field: 'ephemeralContainers', noun: 'ephemeral container', required: false },
];

function readContainers(spec: JsonObject, at: Path, list: ContainerList, slots: ImageSlot[]): MalformedObject | undefined {
  const path = [...at, list.field];
  const containers = spec[list.field];
  if (isAbsent(containers) && !list.required) return undefined;
  if (!Array.isArray(containers)) return problemAt(path, `must be a list of containers, but is ${nameType(containers)}`);
  if (list.required && containers.length === 0) return problemAt(path, 'must contain at least one container');
  for (const [index, container] of containers.entries()) {
    if (!isObject(container)) return problemAt([...path, index], `must be a container, but is ${nameType(container)}`);
    const content = readImageField(container.image);
    if (!content) return problemAt([...path, index, 'image'], `must be a string, but is ${nameType(container.image)}`);
    const name = textAt(container, ['name']) ?? String(index);
    slots.push({ path: [...path, index, 'image'], displayName: `${list.noun} ${quote(name)}`, action: 'pull', content });
  }
  return undefined;
}

function readImageVolumes(spec: JsonObject, at: Path, slots: ImageSlot[]): MalformedObject | undefined {
  const path = [...at, 'volumes'];
  const volumes = spec.volumes;
  if (isAbsent(volumes)) return undefined;
  if (!Array.isArray(volumes)) return problemAt(path, `must be a list of volumes, but is ${nameType(volumes)}`);
  for (const [index, volume] of volumes.entries()) {
    if (!isObject(volume)) return problemAt([...path, index], `must be a volume, but is ${nameType(volume)}`);
    if (isAbsent(volume.image)) continue;
    if (!isObject(volume.image)) return problemAt([...path, index, 'image'], `must be an image volume, but is ${nameType(volume.image)}`);
    const content = readImageField(volume.image.reference);
    if (!content) return problemAt([...path, index, 'image', 'reference'], `must be a string, but is ${nameType(volume.image.reference)}`);
    const name = textAt(volume, ['name']) ?? String(index);
    slots.push({ path: [...path, index, 'image', 'reference'], displayName: `image volume ${quote(name)}`, action: 'pull', content });
  }
  return undefined;
}

/** An entry that is null or has no name is valid. Its name is undefined. */
function readPullSecrets(spec: JsonObject, at: Path): (string | undefined)[] | MalformedObject {
  const path = [...at, 'imagePullSecrets'];
  const secrets = spec.imagePullSecrets;
  if (isAbsent(secrets)) return [];
  if (!Array.isArray(secrets)) return problemAt(path, `must be a list of references, but is ${nameType(secrets)}`);
  const names: (string | undefined)[] = [];
  for (const [index, secret] of secrets.entries()) {
    if (!isAbsent(secret) && !isObject(secret))
      return problemAt([...path, index], `must be a reference with a name, but is ${nameType(secret)}`);
    names.push(textAt(secret, ['name']));
  }
  return names;
}

function malformed(path: Path, message: string): ShapeReading<PodShape> {
  return { kind: 'malformed', problem: problemAt(path, message) };
}

/** `message` is a predicate, to follow the path of the field. */
export function problemAt(path: Path, message: string): MalformedObject {
  return { path: renderPath(path), message };
}

export function nameType(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  // The manifest reader returns large integers as bigint, since JSON.parse would round them.
  if (typeof value === 'bigint') return 'a number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
