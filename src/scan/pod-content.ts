/** What the engine reads of a Pod, as a key: Pods with equal keys in one namespace have equal results. */
import { createHash } from 'node:crypto';
import { isAbsent, type JsonObject, renderPath, textAt, valueAt } from '../object/json.ts';
import { type Kinds, readObject } from '../object/kinds.ts';
import { controllerOf } from '../object/owner.ts';
import { mirrorAnnotation } from '../object/workload.ts';

/**
 * The images and not the label `pod-template-hash` identify a template. Anyone who may create Pods can write any label, and images of a
 * running Pod can change.
 */
export function podContent(pod: JsonObject, user: string, kinds: Kinds): string {
  const context = { group: '', kind: 'Pod', operation: 'CREATE', fromKubelet: user.startsWith(nodePrefix) } as const;
  const reading = readObject(context, pod, kinds);
  if (reading.kind !== 'shape' || reading.shape.kind !== 'pod') return hash(reading);
  const { slots, pullSecrets, serviceAccount, mark, readOnlyBecause = '' } = reading.shape;
  const images = slots.map(({ path, content }) => [renderPath(path), content]);
  return hash([images, pullSecrets.map((name) => name ?? ''), serviceAccount, mark, readOnlyBecause]);
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64');
}

const nodePrefix = 'system:node:';

/**
 * Who would create the Pod again. A kubelet creates the mirror Pods of its static Pods, and their owner is the Node. No other Pod matters
 * who creates it.
 */
export function creatorOf(pod: JsonObject): string {
  const isMirror = !isAbsent(valueAt(pod, ['metadata', 'annotations', mirrorAnnotation])) && controllerOf(pod)?.kind === 'Node';
  return isMirror ? `${nodePrefix}${textAt(pod, ['spec', 'nodeName']) ?? ''}` : 'controller';
}

/** Whether the Pod will not run any more. */
export function isOver(pod: JsonObject): boolean {
  const phase = valueAt(pod, ['status', 'phase']);
  return phase === 'Succeeded' || phase === 'Failed' || !isAbsent(valueAt(pod, ['metadata', 'deletionTimestamp']));
}
