/** The kinds that the process knows: those of Kubernetes and OpenShift, and those of the files of --custom-kinds. */
import { loadCustomKinds } from '../../loading/custom-kinds.ts';
import type { Kinds } from '../../object/kinds.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import type { Settings } from '../settings.ts';

/** @throws ConfigurationError */
export async function readKinds({ customKindFiles, nameOf }: Pick<Settings, 'customKindFiles' | 'nameOf'>): Promise<Kinds> {
  const loaded = await loadCustomKinds(customKindFiles);
  if (!loaded.ok) throw new ConfigurationError(loaded.problems.map((problem) => `${nameOf('customKinds')}: ${problem}`).join('\n'));
  return loaded.kinds;
}
