/** `init --cluster`: prints first rules for what runs in a cluster. */
import { draftFromCluster } from '../../scan/draft-from-cluster.ts';
import { readInstallation } from '../../scan/installation.ts';
import { readLiveInputs } from '../../scan/live-cluster.ts';
import { readLiveSecrets } from '../../scan/live-secrets.ts';
import { distinctNotRead } from '../../scan/not-read.ts';
import { readCustomKindsOption } from '../input/kinds-from-files.ts';
import { type ConnectAction, type LiveOptions, readWithProgress, withClient } from '../input/live-objects.ts';
import { type DraftFormat, printDraft, renderUnlikely } from '../output/print-draft.ts';
import { renderExcluded, renderLiveRemarks, renderNotRead } from '../output/render-live.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

export type ClusterInitOptions = LiveOptions & DraftFormat & { readonly perPath?: true; readonly customKinds?: readonly string[] };

export async function initFromCluster(options: ClusterInitOptions, terminal: Terminal, connect: ConnectAction): Promise<ExitCode> {
  const { namespace, regkeeperNamespace, selector: labelSelector, perPath = false } = options;
  const chosenKinds = options.customKinds && (await readCustomKindsOption(options.customKinds, terminal));
  if (options.customKinds && !chosenKinds) return 2;
  return withClient(connect, options, async (client) => {
    const installation = await readInstallation(client, { namespace: regkeeperNamespace, kinds: chosenKinds });
    const inputs = await readLiveInputs({ client, installation, regkeeperNamespace, rules: [], namespace, now: Date.now() });
    const { secrets, problems, gap } = await readLiveSecrets(client, namespace);
    const live = { client, kinds: installation.kinds, namespace, labelSelector, isCovered: inputs.isCovered };
    const internalRegistries = installation.platform.internalRegistries.map(({ registry }) => registry);
    const notRead = distinctNotRead([...installation.notRead, ...inputs.notRead]);
    const { draft, notes, ...read } = await readWithProgress(terminal, (onProgress) =>
      draftFromCluster({ ...live, facts: inputs.facts, secrets, perPath, internalRegistries, notRead, onProgress }),
    );

    const fits = printDraft(draft, notes, options, terminal);
    const ofServer = installation.server.notRead.map(({ message }) => message);
    const gaps = [...ofServer, ...inputs.gaps, ...read.gaps, ...(gap === undefined ? [] : [gap]), ...problems, ...notes.denied];
    terminal.err(renderNotRead(read.notRead, read.notEvaluated) + renderLiveRemarks(installation, gaps) + renderUnlikely(draft));
    terminal.err(renderExcluded(read.excluded));
    if (read.notRead.length + read.notEvaluated.length > 0) return 2;
    return notes.denied.length + draft.unlikely.length > 0 || !fits ? 1 : 0;
  });
}
