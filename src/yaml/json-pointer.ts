/** JSON pointers (RFC 6901), by which values of a document are named. */

export function pointerTo(...path: readonly (string | number)[]): string {
  return path.map((step) => `/${escapePointer(String(step))}`).join('');
}

/** One field of a pointer. */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The fields and indexes from the root to the value. */
export function fieldsOfPointer(pointer: string): readonly string[] {
  const fields = pointer.split('/').slice(1);
  return pointer.includes('~') ? fields.map((field) => field.replaceAll('~1', '/').replaceAll('~0', '~')) : fields;
}
