/** `check`: prints how rules would decide on objects from files. */
import { Command, Option } from 'commander';
import { type Evaluation, evaluate } from '../../evaluate/evaluate.ts';
import { isClean, type ObjectResult, renderSubject } from '../../evaluate/evaluate-object.ts';
import { type NotEvaluated, renderNotEvaluated } from '../../evaluate/not-evaluated.ts';
import { inputName } from '../../image/wording.ts';
import type { Problem } from '../../rules/language/problem.ts';
import { problemEntry } from '../../rules/language/problem-lines.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printJson } from '../../yaml/print-json.ts';
import { printManifests } from '../../yaml/print-manifests.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { readManifestsOption } from '../input/manifests-from-files.ts';
import {
  assumeCompleteOption,
  dateOption,
  manifestsOption,
  namespaceOption,
  quietOption,
  rulesOption,
  skipUnknownOption,
  userOption,
} from '../input/options.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { helpNotes } from '../line/help-text.ts';
import { evaluationCodes, evaluationFindings, objectFinding, problemFindingCodes, problemFindings } from '../output/findings.ts';
import { renderGithub } from '../output/github.ts';
import { type JunitCase, problemCases, renderJunit } from '../output/junit.ts';
import { outputOption } from '../output/machine-output.ts';
import {
  renderMalformedSecrets,
  renderNotEvaluatedList,
  renderRemarks,
  renderResult,
  renderResults,
  renderSummary,
} from '../output/render-results.ts';
import { renderSarif } from '../output/sarif.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type CheckOptions = {
  readonly filename: readonly string[];
  readonly rules: readonly string[];
  readonly namespace: string;
  readonly user: string;
  readonly date?: number;
  readonly assumeComplete?: true;
  readonly skipUnknown?: true;
  readonly customKinds?: readonly string[];
  readonly output: 'table' | 'json' | 'yaml' | 'github' | 'junit' | 'sarif';
  readonly strict?: true;
  readonly quiet?: true;
};

export function checkCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('check')
    .addOption(manifestsOption().makeOptionMandatory())
    .addOption(rulesOption().makeOptionMandatory())
    .addOption(namespaceOption().default('default'))
    .addOption(userOption())
    .addOption(dateOption())
    .addOption(assumeCompleteOption())
    .addOption(customKindsOption())
    .addOption(skipUnknownOption())
    .addOption(new Option('--strict', 'exit with code 1 on warnings too'))
    .addOption(outputOption('github', 'junit', 'sarif'))
    .addOption(quietOption())
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (options: CheckOptions) => finish(await check(options, terminal)));
}

const examples = [
  {
    does: 'Check a directory of manifests',
    line: 'regkeeper check -f deploy/examples/objects --rules deploy/examples/rules',
  },
  {
    does: 'Check a rendered chart',
    line: 'helm template web charts/web | regkeeper check -f - --rules deploy/examples/rules',
  },
  {
    does: 'Annotate lines in a GitHub workflow',
    line: 'regkeeper check -f deploy/examples/objects --rules deploy/examples/rules -o github',
  },
  {
    does: 'Apply objects with injected secrets',
    line: 'regkeeper check -f deploy/examples/objects/pod.yaml --rules deploy/examples/rules -o yaml | kubectl apply -f -',
  },
];

const exitCodes = [
  'no object is denied',
  'an object is denied, or its result is uncertain',
  'some input was not evaluated, or the rules or usage are invalid',
];

async function check(options: CheckOptions, terminal: Terminal): Promise<ExitCode> {
  if (options.filename.includes('-') && options.rules.includes('-'))
    throw new ConfigurationError('standard input (-) can be used only once');
  const rules = await readRulesOption(options.rules, terminal, options, (problems) => renderInvalidRules(problems, options.output));
  const input = await readManifestsOption(options.filename);
  const kinds = await readCustomKindsOption(options.customKinds, terminal);
  if (!rules || !kinds) {
    terminal.err(renderNotEvaluatedList(input.problems));
    return 2;
  }

  const { namespace, user, assumeComplete = false, skipUnknown = false, date = Date.now() } = options;
  const evaluation = evaluate(input, rules, { namespace, user, assumeComplete, skipUnknown, now: date, kinds });
  print(evaluation, options, terminal);
  if (evaluation.notEvaluated.length > 0) return 2;
  const { results, malformedSecrets } = evaluation;
  const hasFinding = options.strict ? results.some(isRemarkable) || malformedSecrets.length > 0 : !results.every(isClean);
  return hasFinding ? 1 : 0;
}

/** A CI system expects a report in any case. */
function renderInvalidRules(problems: readonly Problem[], output: CheckOptions['output']): string {
  switch (output) {
    case 'table':
    case 'yaml':
      return '';
    case 'json': {
      const nothing = { results: [], withoutImages: [], skipped: [], notEvaluated: [], malformedSecrets: [] };
      const summary: Evaluation['summary'] = { allowed: 0, warned: 0, denied: 0, uncertain: 0, withoutImages: 0 };
      return `${printJson({ rulesRevision: null, rulesProblems: problems.map(problemEntry), ...nothing, summary }, 2)}\n`;
    }
    case 'github':
      return renderGithub(problemFindings(problems));
    case 'junit':
      return renderJunit(problemCases(problemFindings(problems)));
    case 'sarif':
      return renderSarif(problemFindings(problems), [...evaluationCodes, ...problemFindingCodes]);
  }
}

function print(evaluation: Evaluation, options: CheckOptions, terminal: Terminal): void {
  const { output, quiet } = options;
  terminal.out(render(evaluation, options, terminal));
  // The objects are for kubectl, so what is missing among them is reported next to them.
  if (output === 'yaml')
    for (const result of evaluation.results.filter(isRemarkable)) terminal.err(renderResult(result, terminal.paint.err));
  terminal.err(renderNotEvaluatedList(evaluation.notEvaluated) + renderMalformedSecrets(evaluation));
  if (!quiet) terminal.err(renderRemarks(evaluation));
}

function render(evaluation: Evaluation, { output, quiet, strict }: CheckOptions, { paint }: Terminal): string {
  const { rulesRevision, results, withoutImages, skipped, notEvaluated, malformedSecrets, summary, admitted } = evaluation;
  switch (output) {
    case 'table':
      return quiet ? renderResults(results.filter(isRemarkable), paint.out) : renderResults(results, paint.out) + renderSummary(evaluation);
    case 'json':
      return `${printJson({ rulesRevision, results, withoutImages, skipped, notEvaluated, malformedSecrets, summary }, 2)}\n`;
    case 'yaml':
      return printManifests(admitted);
    case 'github':
      return renderGithub(evaluationFindings(evaluation));
    case 'junit':
      return renderJunit([...notEvaluated.map(notEvaluatedCase), ...results.map((result) => junitCase(result, strict === true))]);
    case 'sarif':
      return renderSarif(evaluationFindings(evaluation), evaluationCodes);
  }
}

/** Denied, uncertain, or with a message to the client. */
function isRemarkable(result: ObjectResult): boolean {
  return !isClean(result) || result.messages.length > 0;
}

function junitCase(result: ObjectResult, strict: boolean): JunitCase {
  const finding = objectFinding(result);
  const isFailure = finding?.level === 'error' || strict;
  return {
    classname: inputName(result.object.file),
    name: renderSubject(result.object),
    failure: finding && isFailure ? { summary: finding.title, text: renderResult(result) } : undefined,
    output: finding && !isFailure ? finding.message : undefined,
  };
}

function notEvaluatedCase(each: NotEvaluated): JunitCase {
  const name = each.object ? renderSubject(each.object) : each.line === undefined ? 'file' : `line ${each.line}`;
  return { classname: inputName(each.file), name, failure: { summary: `not evaluated: ${each.code}`, text: renderNotEvaluated(each) } };
}
