/** Reads the owner that controls an object. */
import { isObject, textAt, valueAt } from './json.ts';

export type Owner = { readonly kind: string; readonly name: string };
/** `apiVersion` is empty if it is not written, which the API server does not accept. */
export type OwnerReference = Owner & { readonly apiVersion: string };

/** The entry of `ownerReferences` with `controller: true`. An object has at most one. */
export function controllerOf(object: unknown): Owner | undefined {
  const reference = controllerReference(object);
  return reference && { kind: reference.kind, name: reference.name };
}

/** The same with the API of the owner. */
export function controllerReference(object: unknown): OwnerReference | undefined {
  const owners = valueAt(object, ['metadata', 'ownerReferences']);
  const owner = Array.isArray(owners) ? owners.find((candidate) => isObject(candidate) && candidate.controller === true) : undefined;
  const kind = textAt(owner, ['kind']);
  const name = textAt(owner, ['name']);
  return kind !== undefined && name !== undefined ? { apiVersion: textAt(owner, ['apiVersion']) ?? '', kind, name } : undefined;
}
