/** Kinds of custom resources that a command is given in files. */
import { Option } from 'commander';
import type { Kinds } from '../../object/kinds.ts';
import { settingTable } from '../../settings/table.ts';
import type { Terminal } from '../terminal.ts';

export function extraKindsOption(): Option {
  return new Option('--extra-kinds <files...>', settingTable.extraKinds.description);
}

/** Tells problems on standard error. Undefined where there are some: what is not read would not be judged. */
export async function readExtraKindsOption(files: readonly string[] | undefined, terminal: Terminal): Promise<Kinds | undefined> {
  // Loaded only when it is asked for, as all that commands need.
  const { loadExtraKinds } = await import('../../loading/extra-kinds.ts');
  const loaded = await loadExtraKinds(files ?? []);
  if (loaded.ok) return loaded.kinds;
  for (const problem of loaded.problems) terminal.err(`${problem}\n`);
  return undefined;
}
