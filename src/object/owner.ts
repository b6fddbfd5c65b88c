/** Reads the owner that controls an object. */
import { isObject, textAt, valueAt } from './json.ts';

export type Owner = { readonly kind: string; readonly name: string };

/** The entry of `ownerReferences` with `controller: true`. An object has at most one. */
export function controllerOf(object: unknown): Owner | undefined {
  const owners = valueAt(object, ['metadata', 'ownerReferences']);
  const owner = Array.isArray(owners) ? owners.find((candidate) => isObject(candidate) && candidate.controller === true) : undefined;
  const kind = textAt(owner, ['kind']);
  const name = textAt(owner, ['name']);
  return kind !== undefined && name !== undefined ? { kind, name } : undefined;
}
