/** Reads Pods and workloads, kinds with a pod template, and determines whether their template may be written to. */

import { isAbsent, isObject, type JsonObject, type Path, renderPath, valueAt } from './json.ts';
import type { ImageSlot, PodShape, ReadingContext, ShapeReading } from './object-shape.ts';
import { recognizeAnnotatedPlaceholders, recognizePlaceholders } from './openshift/image-trigger.ts';
import { nameType, type PodLocation, problemAt, readImageField, readPod } from './pod.ts';

export const mirrorAnnotation = 'kubernetes.io/config.mirror';

export function readBarePod(object: JsonObject, context: ReadingContext): ShapeReading {
  const mirror = context.fromKubelet && typeof valueAt(object, ['metadata', 'annotations', mirrorAnnotation]) === 'string';
  // The imagePullSecrets of an existing pod cannot change (kubernetes pkg/apis/core/validation: ValidatePodUpdate).
  const readOnlyBecause = mirror ? 'mirror' : context.operation === 'UPDATE' ? 'immutable' : undefined;
  return readPod(object, { stage: 'pod', spec: ['spec'], metadata: ['metadata'] }, readOnlyBecause);
}

/** Returns a reader for a kind with its pod template at the path. */
export function templateAt(template: Path): (object: JsonObject, context: ReadingContext) => ShapeReading {
  const location: PodLocation = { stage: 'template', spec: [...template, 'spec'], metadata: [...template, 'metadata'] };
  return (object, context) => {
    // The API accepts a ReplicationController without a template. Such an object has no images.
    if (context.kind === 'ReplicationController' && isAbsent(valueAt(object, template))) return noImages(location);
    const reading = readPod(object, location, readOnlyTemplate(object, context));
    if (reading.kind !== 'shape' || !triggeredByAnnotation.has(context.kind) || context.imageTriggers === false) return reading;
    return { kind: 'shape', shape: { ...reading.shape, slots: recognizeAnnotatedPlaceholders(object, reading.shape.slots) } };
  };
}

/** Why a template must not be written to. Undefined if it may. */
function readOnlyTemplate(object: JsonObject, context: ReadingContext): PodShape['readOnlyBecause'] | undefined {
  // A Deployment finds its ReplicaSet by comparing templates. It would not find one that we changed, and would recreate it endlessly.
  // The same applies to DeploymentConfig and ReplicationController. A CronJob's Job has the secrets of the CronJob's template already.
  if (copiesOfOwners.has(context.kind) && hasControllerOwner(object)) return 'owned';
  // A Job's template is immutable (kubernetes pkg/apis/batch/validation: ValidateJobUpdate).
  if (context.kind === 'Job' && context.operation === 'UPDATE') return 'immutable';
  return undefined;
}

export const copiesOfOwners = new Set(['ReplicaSet', 'ReplicationController', 'Job']);

export function hasControllerOwner(object: JsonObject): boolean {
  const owners = valueAt(object, ['metadata', 'ownerReferences']);
  return Array.isArray(owners) && owners.some((owner) => isObject(owner) && owner.controller === true);
}

const triggeredByAnnotation = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob']);

/**
 * A DeploymentConfig names images in its template and in `spec.strategy.customParams.image`. The hooks of `rollingParams` and
 * `recreateParams` name no other images: `execNewPod.containerName` runs the image of a container of the template, and `tagImages` tags that
 * image in a stream (`to`). `triggers[].imageChangeParams.lastTriggeredImage` is the image that a controller has put into the template.
 */
export function readDeploymentConfig(object: JsonObject, context: ReadingContext): ShapeReading {
  const location: PodLocation = { stage: 'template', spec: ['spec', 'template', 'spec'], metadata: ['spec', 'template', 'metadata'] };
  const reading = isAbsent(valueAt(object, ['spec', 'template']))
    ? noImages(location)
    : readPod(object, location, readOnlyTemplate(object, context));
  if (reading.kind !== 'shape') return reading;
  const slots = context.imageTriggers === false ? reading.shape.slots : recognizePlaceholders(object, reading.shape.slots);

  // The image of a custom deployment strategy runs in the deployer pod. It is evaluated here, and the secret is injected into that pod.
  const custom = ['spec', 'strategy', 'customParams', 'image'];
  const image = valueAt(object, custom);
  if (isAbsent(image) || image === '') return { kind: 'shape', shape: { ...reading.shape, slots } };
  const content = readImageField(image);
  if (!content) return { kind: 'malformed', problem: problemAt(custom, `must be a string, but is ${nameType(image)}`) };
  const slot: ImageSlot = { path: custom, displayName: renderPath(custom), action: 'pull', content, pulledElsewhere: true };
  return { kind: 'shape', shape: { ...reading.shape, slots: [...slots, slot] } };
}

function noImages({ stage, spec, metadata }: PodLocation): ShapeReading<PodShape> {
  const shape: PodShape = {
    kind: 'pod',
    stage,
    slots: [],
    spec,
    metadata,
    serviceAccount: 'default',
    pullSecrets: [],
    mark: { rules: [], serviceAccount: [] },
    readOnlyBecause: 'owned',
  };
  return { kind: 'shape', shape };
}
