/** Reads the owner that controls an object. */
import { isObject, textAt, valueAt } from './json.ts';

export type Owner = { readonly kind: string; readonly name: string };

/** An owner with what identifies it among all objects that have ever existed. */
export type OwnerReference = Owner & { readonly apiVersion: string; readonly uid: string };

/** The entry of `ownerReferences` with `controller: true`. An object has at most one. */
export function controllerOf(object: unknown): Owner | undefined {
  const owner = controllerEntry(object);
  const kind = textAt(owner, ['kind']);
  const name = textAt(owner, ['name']);
  return kind !== undefined && name !== undefined ? { kind, name } : undefined;
}

/** The same entry with all its fields. Undefined if one is missing, which no API server accepts. */
export function controllerReferenceOf(object: unknown): OwnerReference | undefined {
  const owner = controllerOf(object);
  const apiVersion = textAt(controllerEntry(object), ['apiVersion']);
  const uid = textAt(controllerEntry(object), ['uid']);
  return owner && apiVersion !== undefined && uid !== undefined ? { ...owner, apiVersion, uid } : undefined;
}

function controllerEntry(object: unknown): unknown {
  const owners = valueAt(object, ['metadata', 'ownerReferences']);
  return Array.isArray(owners) ? owners.find((candidate) => isObject(candidate) && candidate.controller === true) : undefined;
}
