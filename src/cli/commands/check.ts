/** `check`: prints how rules would decide on objects from files. */
import { Command, Option } from 'commander';
import { type Evaluation, evaluate, isClean } from '../../evaluate/evaluate.ts';
import { type Manifest, renderManifestProblem } from '../../evaluate/parse-manifests.ts';
import { readManifests, readStandardInput } from '../../evaluate/read-manifests.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printJson } from '../../yaml/print-json.ts';
import { printManifests } from '../../yaml/print-manifests.ts';
import { dateOption } from '../input/date-option.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { renderRemarks, renderResult, renderResults, renderSummary } from '../output/render-results.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type CheckOptions = {
  readonly filename: readonly string[];
  readonly rules: readonly string[];
  readonly namespace: string;
  readonly user: string;
  readonly date?: number;
  readonly assumeComplete?: true;
  readonly customKinds?: readonly string[];
  readonly output: 'table' | 'json' | 'yaml';
};

export function checkCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('check')
    .addOption(
      new Option('-f, --filename <paths...>', 'objects in YAML or JSON: files, folders, - for standard input').makeOptionMandatory(),
    )
    .addOption(new Option('--rules <paths...>', 'rules: files and folders').makeOptionMandatory())
    .addOption(new Option('-n, --namespace <name>', 'namespace of objects that name none').default('default'))
    .addOption(new Option('--user <name>', 'who would create them').default('developer'))
    .addOption(dateOption())
    .addOption(
      new Option('--assume-complete', 'the objects are all there is: a secret or service account that is not among them does not exist'),
    )
    .addOption(customKindsOption())
    .addOption(
      new Option('-o, --output <format>', 'yaml prints the objects that would be let in, as they would be stored')
        .choices(['table', 'json', 'yaml'])
        .default('table'),
    )
    .action(async (options: CheckOptions) => finish(await check(options, terminal)));
}

async function check(options: CheckOptions, terminal: Terminal): Promise<ExitCode> {
  if (options.filename.includes('-') && options.rules.includes('-')) throw new ConfigurationError('standard input (-) can be given once');
  const rules = await readRulesOption(options.rules, terminal);
  const manifests = await readManifestsOption(options.filename, terminal);
  const kinds = await readCustomKindsOption(options.customKinds, terminal);
  if (!rules || !manifests || !kinds) return 2;

  const { namespace, user, assumeComplete = false, date = Date.now() } = options;
  const evaluation = evaluate(manifests, rules, { namespace, user, assumeComplete, now: date, kinds });
  print(evaluation, options.output, terminal);
  return evaluation.results.every(isClean) ? 0 : 1;
}

/**
 * Reads the objects of the files. Prints problems on standard error and returns undefined if there are any, because an unread object would
 * not be evaluated.
 */
export async function readManifestsOption(paths: readonly string[], terminal: Terminal): Promise<readonly Manifest[] | undefined> {
  const { manifests, problems } = await readManifests(paths, readStandardInput);
  for (const problem of problems) terminal.err(`${renderManifestProblem(problem)}\n`);
  if (problems.length > 0) return undefined;
  if (manifests.length === 0) throw new ConfigurationError(`${paths.join(', ')}: no Kubernetes object in there`);
  return manifests;
}

function print(evaluation: Evaluation, output: CheckOptions['output'], terminal: Terminal): void {
  const { rulesRevision, results, skipped, malformedSecrets, summary, admitted } = evaluation;
  if (output === 'json') terminal.out(`${printJson({ rulesRevision, results, skipped, malformedSecrets, summary }, 2)}\n`);
  if (output === 'table') terminal.out(renderResults(results) + renderSummary(summary));
  if (output === 'yaml') {
    terminal.out(printManifests(admitted));
    for (const result of results) if (!isClean(result) || result.messages.length > 0) terminal.err(renderResult(result));
  }
  terminal.err(renderRemarks(evaluation));
}
