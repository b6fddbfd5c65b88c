/** Makes operations of JSON Patch (RFC 6902), the only patch format that the API server accepts from a webhook. */
import type { Path } from '../../object/json.ts';
import { pointerTo } from '../../yaml/json-pointer.ts';

export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Sets a member, whether or not it exists. The parent must exist. */
export function add(path: Path, value: unknown): PatchOperation {
  return { op: 'add', path: pointerTo(...path), value };
}

/** Removes a member, which must exist. */
export function remove(path: Path): PatchOperation {
  return { op: 'remove', path: pointerTo(...path) };
}
