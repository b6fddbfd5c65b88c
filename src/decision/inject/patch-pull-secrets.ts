/** Makes the JSON patch of a plan of pull secrets. */

import { injectedAnnotation, type PodMark, renderPodMark } from '../../object/injection-mark.ts';
import { isAbsent, type JsonObject, type Path, sameJson, textAt, valueAt } from '../../object/json.ts';
import type { PodShape } from '../../object/object-shape.ts';
import type { ChangeRequest } from '../decision.ts';
import { annotate } from './annotate.ts';
import { add, type PatchOperation, remove } from './patch.ts';
import type { PullSecretPlan, WritePlan } from './plan-pull-secrets.ts';

export type WritablePlan = Exclude<PullSecretPlan, { readonly kind: 'not-yet' }>;

export function patchPullSecrets(
  plan: WritablePlan,
  { object, oldObject }: Pick<ChangeRequest, 'object' | 'oldObject'>,
  { spec, metadata }: Pick<PodShape, 'spec' | 'metadata'>,
): readonly PatchOperation[] {
  const root = object as JsonObject;
  const list = [...spec, 'imagePullSecrets'];
  switch (plan.kind) {
    case 'unchanged':
      return [];
    case 'restore': {
      const mark = textOrUndefined(valueAt(oldObject, [...metadata, 'annotations', injectedAnnotation]));
      return [...restoreList(root, list, valueAt(oldObject, list)), ...annotate(root, metadata, injectedAnnotation, mark)];
    }
    case 'write':
      return [...changeList(root, list, plan), ...annotate(root, metadata, injectedAnnotation, renderMark(plan.mark))];
  }
}

function textOrUndefined(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function restoreList(root: JsonObject, list: Path, before: unknown): readonly PatchOperation[] {
  if (sameJson(before, valueAt(root, list))) return [];
  return [isAbsent(before) ? remove(list) : add(list, before)];
}

function changeList(root: JsonObject, list: Path, { removed, added }: WritePlan): readonly PatchOperation[] {
  const current = valueAt(root, list);
  const entries = added.map(({ secret }) => ({ name: secret }));
  if (!Array.isArray(current)) return entries.length > 0 ? [add(list, entries)] : [];
  if (removed.size === 0) return entries.map((entry) => add([...list, '-'], entry));
  // One operation, since for each removal from a list the API server copies the list.
  const remaining = [...current.filter((entry) => !removed.has(textAt(entry, ['name']) ?? '')), ...entries];
  return [remaining.length > 0 ? add(list, remaining) : remove(list)];
}

/** An empty mark has no annotation. */
function renderMark(mark: PodMark): string | undefined {
  return mark.rules.length + mark.serviceAccount.length > 0 ? renderPodMark(mark) : undefined;
}
