/** Where the instructions of a Dockerfile name images, before any variable is expanded. */
import type { Instruction } from './lines.ts';

/** What stands behind the prefix in the flags that begin with it, such as `--from=`. */
export function flagsOf({ flags }: Instruction, prefix: string): readonly string[] {
  return flags.flatMap((flag) => (flag.startsWith(prefix) ? [flag.slice(prefix.length)] : []));
}

/** As buildah reads a mount: `from=` at the beginning of what stands between commas. */
export function fieldsOfMount(mount: string): readonly string[] {
  return mount.split(',').flatMap((field) => (field.startsWith('from=') ? [field.slice('from='.length)] : []));
}

/** As BuildKit reads it: `type=bind,from=IMAGE,target=/x` is one CSV record whose keys know no case (frontend/dockerfile/instructions). */
export function csvFieldsOfMount(mount: string): readonly string[] {
  return mount.split(',').flatMap((field) => {
    const text = field.trim().replace(/^"/, '').trimStart();
    return /^from=/i.test(text) ? text.slice('from='.length).replace(/"$/, '') : [];
  });
}
