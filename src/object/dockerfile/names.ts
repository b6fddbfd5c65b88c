/** Finds the image names in the flags of Dockerfile instructions, before any variable is expanded. */
import type { Instruction } from './lines.ts';

/** The values of the flags that begin with the prefix, such as `--from=`. */
export function flagsOf({ flags }: Instruction, prefix: string): readonly string[] {
  return flags.flatMap((flag) => (flag.startsWith(prefix) ? [flag.slice(prefix.length)] : []));
}

/** As buildah reads a mount: each comma-separated field that begins with `from=`. */
export function fieldsOfMount(mount: string): readonly string[] {
  return mount.split(',').flatMap((field) => (field.startsWith('from=') ? [field.slice('from='.length)] : []));
}

/** As BuildKit reads a mount: a CSV record with case-insensitive keys, `type=bind,from=IMAGE` (frontend/dockerfile/instructions). */
export function csvFieldsOfMount(mount: string): readonly string[] {
  return mount.split(',').flatMap((field) => {
    const text = field.trim().replace(/^"/, '').trimStart();
    return /^from=/i.test(text) ? text.slice('from='.length).replace(/"$/, '') : [];
  });
}
