/** Which kind keeps its images where. */
import { quote } from '../image/problem.ts';
import { parseImage } from '../image/reference.ts';
import { readBuildConfig } from './build-config.ts';
import { isAbsent, isObject, type JsonObject, type Path, renderPath, valueAt } from './json.ts';
import { nameType, type PodPlace, problemAt, readImageField, readPod } from './pod.ts';
import type { ImageSlot, ObjectReading, PodShape, StreamReference } from './shape.ts';
import { readStreamReference } from './stream-reference.ts';

export type GroupKind = { readonly group: string; readonly kind: string };

/** What the shape of an object depends on beside the object: who asks, and how. */
export type ReadingContext = GroupKind & {
  readonly operation: 'CREATE' | 'UPDATE';
  /** Whether a kubelet asks: only then is a mirror pod a mirror pod. */
  readonly fromKubelet: boolean;
};

/** Reads the images and secret places of one object. Pure: the same object and context give the same shape. */
export function readObject(context: ReadingContext, object: unknown): ObjectReading {
  const kind = kindsWithImages.find((row) => row.group === context.group && row.kind === context.kind);
  if (!kind) return { kind: 'unknown' };
  if (!isObject(object))
    return { kind: 'malformed', problem: problemAt(['object'], `must be a ${context.kind}, and is ${nameType(object)}`) };
  return kind.read(object, context);
}

type KindRow = GroupKind & {
  /** Plural name in URLs and webhook rules. */
  readonly resource: string;
  readonly version: string;
  readonly read: (object: JsonObject, context: ReadingContext) => ObjectReading;
};

export const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** Every kind this version reads; webhook registrations are made of the same rows. */
export const kindsWithImages: readonly KindRow[] = [
  { group: '', version: 'v1', kind: 'Pod', resource: 'pods', read: readBarePod },
  workload('', 'v1', 'PodTemplate', 'podtemplates', ['template']),
  workload('', 'v1', 'ReplicationController', 'replicationcontrollers', ['spec', 'template']),
  workload('apps', 'v1', 'Deployment', 'deployments', ['spec', 'template']),
  workload('apps', 'v1', 'ReplicaSet', 'replicasets', ['spec', 'template']),
  workload('apps', 'v1', 'StatefulSet', 'statefulsets', ['spec', 'template']),
  workload('apps', 'v1', 'DaemonSet', 'daemonsets', ['spec', 'template']),
  workload('batch', 'v1', 'Job', 'jobs', ['spec', 'template']),
  workload('batch', 'v1', 'CronJob', 'cronjobs', ['spec', 'jobTemplate', 'spec', 'template']),
  { group: 'apps.openshift.io', version: 'v1', kind: 'DeploymentConfig', resource: 'deploymentconfigs', read: readDeploymentConfig },
  { group: 'build.openshift.io', version: 'v1', kind: 'BuildConfig', resource: 'buildconfigs', read: readBuildConfig },
];

function readBarePod(object: JsonObject, context: ReadingContext): ObjectReading {
  const mirror = context.fromKubelet && typeof valueAt(object, ['metadata', 'annotations', mirrorAnnotation]) === 'string';
  // imagePullSecrets of a pod cannot change once it exists (kubernetes pkg/apis/core/validation: ValidatePodUpdate).
  const untouchable = mirror ? 'mirror' : context.operation === 'UPDATE' ? 'immutable' : undefined;
  return readPod(object, { stage: 'pod', spec: ['spec'], metadata: ['metadata'] }, untouchable);
}

function workload(group: string, version: string, kind: string, resource: string, template: Path): KindRow {
  const place: PodPlace = { stage: 'template', spec: [...template, 'spec'], metadata: [...template, 'metadata'] };
  return {
    group,
    version,
    kind,
    resource,
    read: (object, context) => {
      // The API lets a ReplicationController stand without a template; there is nothing to judge in it then.
      if (kind === 'ReplicationController' && isAbsent(valueAt(object, template))) return noImages(place);
      return readPod(object, place, untouchableTemplate(object, context));
    },
  };
}

/** Why a template must stay as its writer sent it. */
function untouchableTemplate(object: JsonObject, context: ReadingContext): PodShape['untouchable'] | undefined {
  // A Deployment finds its ReplicaSet by comparing templates: one that we changed would never be found, and made anew without end.
  // The same holds for DeploymentConfig → ReplicationController. A CronJob's Job already carries what its template carries.
  if (copiesOfOwners.has(context.kind) && hasControllerOwner(object)) return 'owned';
  // A Job's template is immutable (kubernetes pkg/apis/batch/validation: ValidateJobUpdate).
  if (context.kind === 'Job' && context.operation === 'UPDATE') return 'immutable';
  return undefined;
}

const copiesOfOwners = new Set(['ReplicaSet', 'ReplicationController', 'Job']);

function hasControllerOwner(object: JsonObject): boolean {
  const owners = valueAt(object, ['metadata', 'ownerReferences']);
  return Array.isArray(owners) && owners.some((owner) => isObject(owner) && owner.controller === true);
}

function readDeploymentConfig(object: JsonObject, context: ReadingContext): ObjectReading {
  const place: PodPlace = { stage: 'template', spec: ['spec', 'template', 'spec'], metadata: ['spec', 'template', 'metadata'] };
  const reading = isAbsent(valueAt(object, ['spec', 'template']))
    ? noImages(place)
    : readPod(object, place, untouchableTemplate(object, context));
  if (reading.kind !== 'shape') return reading;
  const triggered = triggeredContainers(object);
  const slots = reading.shape.slots.map((slot) => awaitTrigger(slot, object, triggered));

  // The image of a custom deployment strategy runs in the deployer pod, which comes by the Pod door: judged here, given its secret there.
  const custom = ['spec', 'strategy', 'customParams', 'image'];
  const image = valueAt(object, custom);
  if (isAbsent(image) || image === '') return { kind: 'shape', shape: { ...reading.shape, slots } };
  const content = readImageField(image);
  if (!content) return { kind: 'malformed', problem: problemAt(custom, `must be text, and is ${nameType(image)}`) };
  const slot: ImageSlot = { path: custom, holder: renderPath(custom), action: 'pull', content, pulledElsewhere: true };
  return { kind: 'shape', shape: { ...reading.shape, slots: [...slots, slot] } };
}

/**
 * The containers into which an image trigger puts the image, by name, with the stream it takes it from. Templates of OpenShift write any
 * short name there, such as the application's own; nothing is deployed before it is replaced, and what replaces it is judged at the
 * ReplicationController and the Pod.
 */
function triggeredContainers(object: JsonObject): ReadonlyMap<unknown, StreamReference | undefined> {
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

/** A blank or a placeholder in a triggered container stands for what the trigger puts there; any other slot is what it is. */
function awaitTrigger(slot: ImageSlot, object: JsonObject, triggered: ReadonlyMap<unknown, StreamReference | undefined>): ImageSlot {
  const { path, content } = slot;
  if (path.at(-1) !== 'image') return slot;
  const name = valueAt(object, [...path.slice(0, -1), 'name']);
  if (typeof name !== 'string' || !triggered.has(name)) return slot;
  const stream = triggered.get(name);
  if (content.kind === 'unresolved') return { ...slot, content: { ...content, ...(stream && { stream }) } };
  if (!isPlaceholder(content.text)) return slot;
  const why = `${quote(content.text)} is a placeholder that an image trigger fills`;
  return { ...slot, content: { kind: 'unresolved', why, ...(stream && { stream }) } };
}

/** What a trigger has put in names its registry; so does an image that the author means. */
function isPlaceholder(text: string): boolean {
  const parsed = parseImage(text);
  return parsed.ok && !parsed.reference.qualified;
}

function noImages(place: PodPlace): ObjectReading {
  const shape: PodShape = {
    kind: 'pod',
    stage: place.stage,
    slots: [],
    spec: place.spec,
    metadata: place.metadata,
    serviceAccount: 'default',
    pullSecrets: [],
    mark: { rules: [], serviceAccount: [] },
    untouchable: 'owned',
  };
  return { kind: 'shape', shape };
}
