/** JSON Patch (RFC 6902), the only patch the API server takes from a webhook. */
import type { Path } from '../../object/json.ts';

export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** `add` sets a member whether or not it was there, so it always applies as long as the parent exists. */
export function add(path: Path, value: unknown): PatchOperation {
  return { op: 'add', path: pointer(path), value };
}

/** Applies only where the member exists: callers remove what they have read. */
export function remove(path: Path): PatchOperation {
  return { op: 'remove', path: pointer(path) };
}

/** RFC 6901. */
function pointer(path: Path): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
