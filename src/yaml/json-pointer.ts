/** Builds and splits JSON pointers (RFC 6901), which name the values of a document. */

/** `('rules', 2)` becomes `/rules/2`. Without arguments it is the pointer to the root, `''`. */
export function pointerTo(...path: readonly (string | number)[]): string {
  return path.map((step) => `/${escapePointer(String(step))}`).join('');
}

/** Escapes one field name for a pointer. */
export function escapePointer(name: string): string {
  return name.includes('~') || name.includes('/') ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name;
}

/** The unescaped field names and indexes from the root to the value. */
export function fieldsOfPointer(pointer: string): readonly string[] {
  const fields = pointer.split('/').slice(1);
  return pointer.includes('~') ? fields.map((field) => field.replaceAll('~1', '/').replaceAll('~0', '~')) : fields;
}
