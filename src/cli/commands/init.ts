/** `init`: prints first rules for the images of objects from files, or of a cluster. */
import { Command, Option } from 'commander';
import { draftFromManifests } from '../../draft/draft-from-manifests.ts';
import type { Draft } from '../../draft/draft-rules.ts';
import { type DraftNotes, renderDraft } from '../../draft/render-draft.ts';
import { rulesLabel } from '../../rules/language/config-map.ts';
import { draftFromCluster } from '../../scan/draft-from-cluster.ts';
import { readInstallation } from '../../scan/installation.ts';
import { readLiveInputs } from '../../scan/live-cluster.ts';
import { readLiveSecrets } from '../../scan/live-secrets.ts';
import { distinctNotRead } from '../../scan/not-read.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printManifests } from '../../yaml/print-manifests.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { addLiveOptions, type ConnectAction, type LiveOptions, readWithProgress, withClient } from '../input/live-objects.ts';
import { readManifestsOption } from '../input/manifests-from-files.ts';
import { manifestsOption, namespaceOption, skipUnknownOption } from '../input/options.ts';
import { helpNotes } from '../line/help-text.ts';
import { renderExcluded, renderLiveRemarks, renderNotRead } from '../output/render-live.ts';
import { renderMalformedSecrets, renderNotEvaluatedList, renderResult } from '../output/render-results.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type InitOptions = LiveOptions & {
  readonly filename?: readonly string[];
  readonly cluster?: true;
  readonly perPath?: true;
  readonly customKinds?: readonly string[];
  readonly skipUnknown?: true;
  readonly output: 'rules' | 'configmap';
};

export function initCommand(terminal: Terminal, finish: (code: ExitCode) => void, connect: ConnectAction): Command {
  const command = new Command('init')
    .addOption(manifestsOption().conflicts('cluster'))
    .addOption(new Option('--cluster', 'read what runs in a cluster instead of files'))
    .addOption(new Option('--per-path', 'generate a rule per top-level path instead of per registry'));
  return addLiveOptions(command, namespaceOption('default namespace, or with --cluster the only one'))
    .addOption(customKindsOption())
    .addOption(skipUnknownOption())
    .addOption(new Option('-o, --output <format>', 'output format').choices(['rules', 'configmap']).default('rules'))
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (options: InitOptions) =>
      finish(await (options.cluster ? initFromCluster(options, terminal, connect) : init(options, terminal))),
    );
}

const examples = [
  { does: 'Generate starter rules for a directory of manifests', line: 'regkeeper init -f deploy/examples/objects > rules.yaml' },
  {
    does: 'Trust only the paths in use, such as docker.io/library',
    line: 'regkeeper init -f deploy/examples/objects --per-path',
  },
  { does: 'Generate them for what runs in a cluster', line: 'regkeeper init --cluster > rules.yaml' },
  {
    does: 'Generate a ConfigMap from a rendered chart',
    line: 'helm template web charts/web | regkeeper init -f - -o configmap',
  },
];

const exitCodes = [
  'every known image is allowed by a rule',
  'an image cannot be allowed by any rule, or the rules are too long',
  'some input was not evaluated, or invalid usage',
];

async function init(options: InitOptions, terminal: Terminal): Promise<ExitCode> {
  const { filename, namespace = 'default', perPath = false, skipUnknown = false } = options;
  if (!filename) throw new ConfigurationError('specify -f FILES or --cluster');
  const only = (['allNamespaces', 'selector', 'kubeconfig', 'context'] as const).find((name) => options[name] !== undefined);
  if (only !== undefined) throw new ConfigurationError(`${liveFlags[only]} can be used with --cluster only`);
  const input = await readManifestsOption(filename);
  const kinds = await readCustomKindsOption(options.customKinds, terminal);
  // Without objects there are no rules, and an empty document must not replace a file.
  if (!kinds || input.manifests.length === 0) {
    terminal.err(renderNotEvaluatedList(input.problems));
    return 2;
  }

  const { draft, notes, evaluation, denied } = draftFromManifests(input, { namespace, perPath, skipUnknown, kinds });
  const fits = print(draft, notes, options, terminal);
  for (const result of denied) terminal.err(renderResult(result, terminal.paint.err));
  terminal.err(renderUnlikely(draft) + renderNotEvaluatedList(evaluation.notEvaluated) + renderMalformedSecrets(evaluation));
  if (evaluation.notEvaluated.length > 0) return 2;
  return denied.length + draft.unlikely.length > 0 || !fits ? 1 : 0;
}

const liveFlags = { allNamespaces: '--all-namespaces', selector: '--selector', kubeconfig: '--kubeconfig', context: '--context' };

async function initFromCluster(options: InitOptions, terminal: Terminal, connect: ConnectAction): Promise<ExitCode> {
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

    const fits = print(draft, notes, options, terminal);
    const ofServer = installation.server.notRead.map(({ message }) => message);
    const gaps = [...ofServer, ...inputs.gaps, ...read.gaps, ...(gap === undefined ? [] : [gap]), ...problems, ...notes.denied];
    terminal.err(renderNotRead(read.notRead, read.notEvaluated) + renderLiveRemarks(installation, gaps) + renderUnlikely(draft));
    terminal.err(renderExcluded(read.excluded));
    if (read.notRead.length + read.notEvaluated.length > 0) return 2;
    return notes.denied.length + draft.unlikely.length > 0 || !fits ? 1 : 0;
  });
}

/** Returns whether the rules fit into a ConfigMap. */
function print(draft: Draft, notes: DraftNotes, { output, regkeeperNamespace }: InitOptions, { out, err }: Terminal): boolean {
  const { text, fits } = renderDraft(draft, notes);
  out(output === 'rules' ? text : printManifests([configMapWith(text, regkeeperNamespace)]));
  if (!fits) err('regkeeper: the rules are too long for one ConfigMap. Run init for a part of the objects at a time\n');
  return fits;
}

/** The name that deploy/README.md recommends, so that it replaces the starter rules. */
function configMapWith(text: string, namespace: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'regkeeper-rules',
      namespace,
      labels: { 'app.kubernetes.io/name': 'regkeeper', [rulesLabel]: 'cluster' },
    },
    data: { 'rules.yaml': text },
  };
}

function renderUnlikely({ unlikely }: Draft): string {
  return unlikely.map(({ registry, why }) => `regkeeper: no rule for ${registry}: ${why}\n`).join('');
}
