/** The option --custom-kinds: kinds of custom resources from files. */
import { Option } from 'commander';
import type { Kinds } from '../../object/kinds.ts';
import type { Terminal } from '../terminal.ts';

export function customKindsOption(description = 'load files that declare custom resources with images'): Option {
  return new Option('--custom-kinds <files...>', description);
}

/** Prints problems on standard error and returns undefined if there are any, because objects of an unread kind would not be evaluated. */
export async function readCustomKindsOption(files: readonly string[] | undefined, terminal: Terminal): Promise<Kinds | undefined> {
  // Imported on demand, to keep the start of other commands short.
  const { loadCustomKinds } = await import('../../loading/custom-kinds.ts');
  const loaded = await loadCustomKinds(files ?? []);
  if (loaded.ok) return loaded.kinds;
  for (const problem of loaded.problems) terminal.err(`regkeeper: --custom-kinds: ${problem}\n`);
  return undefined;
}
