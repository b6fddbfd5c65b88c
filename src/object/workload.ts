/** Workloads: kinds that keep a pod template, and the controllers' rules about who may write to it. */

import { isAbsent, isObject, type JsonObject, type Path, renderPath, valueAt } from './json.ts';
import type { ImageSlot, PodShape, ReadingContext, ShapeReading } from './object-shape.ts';
import { markAnnotatedTriggers, markTriggeredSlots } from './openshift/image-trigger.ts';
import { nameType, type PodLocation, problemAt, readImageField, readPod } from './pod.ts';

export const mirrorAnnotation = 'kubernetes.io/config.mirror';

export function readBarePod(object: JsonObject, context: ReadingContext): ShapeReading {
  const mirror = context.fromKubelet && typeof valueAt(object, ['metadata', 'annotations', mirrorAnnotation]) === 'string';
  // imagePullSecrets of a pod cannot change once it exists (kubernetes pkg/apis/core/validation: ValidatePodUpdate).
  const untouchable = mirror ? 'mirror' : context.operation === 'UPDATE' ? 'immutable' : undefined;
  return readPod(object, { stage: 'pod', spec: ['spec'], metadata: ['metadata'] }, untouchable);
}

/** A reader of the kind that keeps its pod template at this path. */
export function templateAt(template: Path): (object: JsonObject, context: ReadingContext) => ShapeReading {
  const place: PodLocation = { stage: 'template', spec: [...template, 'spec'], metadata: [...template, 'metadata'] };
  return (object, context) => {
    // The API lets a ReplicationController stand without a template; there is nothing to judge in it then.
    if (context.kind === 'ReplicationController' && isAbsent(valueAt(object, template))) return noImages(place);
    const reading = readPod(object, place, untouchableTemplate(object, context));
    if (reading.kind !== 'shape' || !triggeredByAnnotation.has(context.kind)) return reading;
    return { kind: 'shape', shape: { ...reading.shape, slots: markAnnotatedTriggers(object, reading.shape.slots) } };
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

export function hasControllerOwner(object: JsonObject): boolean {
  const owners = valueAt(object, ['metadata', 'ownerReferences']);
  return Array.isArray(owners) && owners.some((owner) => isObject(owner) && owner.controller === true);
}

const triggeredByAnnotation = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob']);

/**
 * Of a DeploymentConfig, beside its template, `spec.strategy.customParams.image` names an image. The hooks of `rollingParams` and
 * `recreateParams` name none of their own: `execNewPod.containerName` runs the image of a container of the template again, and `tagImages`
 * gives it a tag of a stream (`to`). `triggers[].imageChangeParams.lastTriggeredImage` is what a controller has put into the template.
 */
export function readDeploymentConfig(object: JsonObject, context: ReadingContext): ShapeReading {
  const place: PodLocation = { stage: 'template', spec: ['spec', 'template', 'spec'], metadata: ['spec', 'template', 'metadata'] };
  const reading = isAbsent(valueAt(object, ['spec', 'template']))
    ? noImages(place)
    : readPod(object, place, untouchableTemplate(object, context));
  if (reading.kind !== 'shape') return reading;
  const slots = markTriggeredSlots(object, reading.shape.slots);

  // The image of a custom deployment strategy runs in the deployer pod, which comes by the Pod door: judged here, given its secret there.
  const custom = ['spec', 'strategy', 'customParams', 'image'];
  const image = valueAt(object, custom);
  if (isAbsent(image) || image === '') return { kind: 'shape', shape: { ...reading.shape, slots } };
  const content = readImageField(image);
  if (!content) return { kind: 'malformed', problem: problemAt(custom, `must be text, and is ${nameType(image)}`) };
  const slot: ImageSlot = { path: custom, holder: renderPath(custom), action: 'pull', content, pulledElsewhere: true };
  return { kind: 'shape', shape: { ...reading.shape, slots: [...slots, slot] } };
}

function noImages(place: PodLocation): ShapeReading<PodShape> {
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
