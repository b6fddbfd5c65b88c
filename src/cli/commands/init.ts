/** `init`: prints first rules for the images of objects from files, or of a cluster. */
import { Command, Option } from 'commander';
import { draftFromManifests } from '../../draft/draft-from-manifests.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { addOptionsWithCluster, type ConnectAction, type LiveOptions, rejectLiveOptions } from '../input/live-objects.ts';
import { readManifestsOption } from '../input/manifests-from-files.ts';
import { manifestsOption, skipUnknownOption } from '../input/options.ts';
import { helpNotes } from '../line/help-text.ts';
import { printDraft, renderUnlikely } from '../output/print-draft.ts';
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
    .addOption(new Option('--cluster', 'read what is running in a cluster, instead of files'))
    .addOption(new Option('--per-path', 'generate a rule per top-level path instead of per registry'));
  return addOptionsWithCluster(command)
    .addOption(customKindsOption())
    .addOption(skipUnknownOption().conflicts('cluster'))
    .addOption(new Option('-o, --output <format>', 'set the output format').choices(['rules', 'configmap']).default('rules'))
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (options: InitOptions) => {
      if (!options.cluster) return finish(await init(options, terminal));
      // Imported on demand, since most runs need no cluster.
      const { initFromCluster } = await import('./init-cluster.ts');
      finish(await initFromCluster(options, terminal, connect));
    });
}

const examples = [
  { does: 'Generate starter rules for a directory of manifests', line: 'regkeeper init -f deploy/examples/objects > rules.yaml' },
  {
    does: 'Trust only the paths in use, such as docker.io/library',
    line: 'regkeeper init -f deploy/examples/objects --per-path',
  },
  { does: 'Generate them for what is running in a cluster', line: 'regkeeper init --cluster > rules.yaml' },
  {
    does: 'Generate a ConfigMap from a rendered chart',
    line: 'helm template web charts/web | regkeeper init -f - -o configmap',
  },
];

const exitCodes = [
  'every known image is allowed by a rule',
  'an image cannot be allowed by any rule, or the rules are too long',
  'some input was not evaluated, or the rules or usage are invalid',
];

async function init(options: InitOptions, terminal: Terminal): Promise<ExitCode> {
  const { filename, namespace = 'default', perPath = false, skipUnknown = false } = options;
  if (!filename) throw new ConfigurationError('specify -f FILES or --cluster');
  rejectLiveOptions(options);
  const input = await readManifestsOption(filename);
  const kinds = await readCustomKindsOption(options.customKinds, terminal);
  // Without objects there are no rules, and an empty document must not replace a file.
  if (!kinds || input.manifests.length === 0) {
    terminal.err(renderNotEvaluatedList(input.problems));
    return 2;
  }

  const { draft, notes, evaluation, denied } = draftFromManifests(input, { namespace, perPath, skipUnknown, kinds });
  const fits = printDraft(draft, notes, options, terminal);
  for (const result of denied) terminal.err(renderResult(result, terminal.paint.err));
  terminal.err(renderUnlikely(draft) + renderNotEvaluatedList(evaluation.notEvaluated) + renderMalformedSecrets(evaluation));
  if (evaluation.notEvaluated.length > 0) return 2;
  return denied.length + draft.unlikely.length > 0 || !fits ? 1 : 0;
}
