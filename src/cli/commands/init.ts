/** `init`: prints first rules for the images of objects from files. */
import { Command, Option } from 'commander';
import { draftFromManifests, type ManifestDraft } from '../../draft/draft-from-manifests.ts';
import { renderDraft } from '../../draft/render-draft.ts';
import { rulesLabel } from '../../rules/language/config-map.ts';
import { printManifests } from '../../yaml/print-manifests.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { readManifestsOption } from '../input/manifests-from-files.ts';
import { manifestsOption, namespaceOption, skipUnknownOption } from '../input/options.ts';
import { helpNotes } from '../line/help-text.ts';
import { renderMalformedSecrets, renderNotEvaluatedList, renderResult } from '../output/render-results.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type InitOptions = {
  readonly filename: readonly string[];
  readonly namespace: string;
  readonly perPath?: true;
  readonly customKinds?: readonly string[];
  readonly skipUnknown?: true;
  readonly output: 'rules' | 'configmap';
};

export function initCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('init')
    .addOption(manifestsOption().makeOptionMandatory())
    .addOption(new Option('--per-path', 'generate a rule per top-level path instead of per registry'))
    .addOption(namespaceOption().default('default'))
    .addOption(customKindsOption())
    .addOption(skipUnknownOption())
    .addOption(new Option('-o, --output <format>', 'output format').choices(['rules', 'configmap']).default('rules'))
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (options: InitOptions) => finish(await init(options, terminal)));
}

const examples = [
  { does: 'Generate starter rules for a directory of manifests', line: 'regkeeper init -f deploy/examples/objects > rules.yaml' },
  {
    does: 'Trust only the paths in use, such as docker.io/library',
    line: 'regkeeper init -f deploy/examples/objects --per-path',
  },
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
  const { filename, namespace, perPath = false, skipUnknown = false, output } = options;
  const input = await readManifestsOption(filename);
  const kinds = await readCustomKindsOption(options.customKinds, terminal);
  // Without objects there are no rules, and an empty document must not replace a file.
  if (!kinds || input.manifests.length === 0) {
    terminal.err(renderNotEvaluatedList(input.problems));
    return 2;
  }

  const result = draftFromManifests(input, { namespace, perPath, skipUnknown, kinds });
  const { text, fits } = renderDraft(result.draft, result.notes);
  terminal.out(output === 'rules' ? text : printManifests([configMapWith(text)]));
  report(result, terminal);
  if (!fits) terminal.err('regkeeper: the rules are too long for one ConfigMap. Run init on parts of the manifests\n');
  if (result.evaluation.notEvaluated.length > 0) return 2;
  return result.denied.length + result.draft.unlikely.length > 0 || !fits ? 1 : 0;
}

/** The name that deploy/README.md recommends, so that it replaces the starter rules. */
function configMapWith(text: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'regkeeper-rules',
      namespace: 'regkeeper',
      labels: { 'app.kubernetes.io/name': 'regkeeper', [rulesLabel]: 'cluster' },
    },
    data: { 'rules.yaml': text },
  };
}

function report({ evaluation, denied, draft }: ManifestDraft, { err, paint }: Terminal): void {
  for (const result of denied) err(renderResult(result, paint.err));
  for (const { registry, why } of draft.unlikely) err(`regkeeper: no rule for ${registry}: ${why}\n`);
  err(renderNotEvaluatedList(evaluation.notEvaluated) + renderMalformedSecrets(evaluation));
}
