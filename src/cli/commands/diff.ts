/** `diff`: prints what a change of the rules does to objects, past requests or a cluster, or how two rule sets differ. */
import { Command, Option } from 'commander';
import { type Comparison, compareEvaluations } from '../../evaluate/compare-evaluations.ts';
import { type Evaluation, evaluate } from '../../evaluate/evaluate.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { compareRuleSets, type RuleChange } from '../../rules/store/compare-rule-sets.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printJson } from '../../yaml/print-json.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { addOptionsWithCluster, type ConnectAction, type LiveOptions, rejectLiveOptions } from '../input/live-objects.ts';
import { readManifestsOption } from '../input/manifests-from-files.ts';
import { assumeCompleteOption, dateOption, manifestsOption, quietOption, skipUnknownOption, userOption } from '../input/options.ts';
import { replayOption, replayRecords } from '../input/replay-records.ts';
import { readRulePair } from '../input/rule-pair.ts';
import { helpNotes } from '../line/help-text.ts';
import { type MachineFormat, outputOption, renderMachine } from '../output/machine-output.ts';
import { renderObjectChanges, renderRuleChanges, ruleChangeEntry } from '../output/render-diff.ts';
import { renderNoRecords, renderReplay, renderReplayGaps } from '../output/render-replay.ts';
import { renderMalformedSecrets, renderNotEvaluatedList, renderRemarks } from '../output/render-results.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type DiffOptions = LiveOptions & {
  readonly filename?: readonly string[];
  readonly replay?: readonly string[];
  readonly cluster?: true;
  readonly user: string;
  readonly date?: number;
  readonly assumeComplete?: true;
  readonly skipUnknown?: true;
  readonly customKinds?: readonly string[];
  readonly strict?: true;
  readonly quiet?: true;
  readonly output: 'table' | MachineFormat;
};

export function diffCommand(terminal: Terminal, finish: (code: ExitCode) => void, connect: ConnectAction): Command {
  const command = new Command('diff')
    .usage('[options] <old> [new]')
    .argument('[old]', 'rules before the change: a file or directory. With --cluster and one argument: the new rules')
    .argument('[new]', 'rules after the change. Optional with --cluster: if omitted, <old> is compared with the rules in effect')
    .addOption(manifestsOption().conflicts('cluster'))
    .addOption(replayOption().conflicts('cluster'))
    .addOption(new Option('--cluster', 'show the effect on what is running in a cluster'));
  return addOptionsWithCluster(command)
    .addOption(userOption())
    .addOption(dateOption())
    .addOption(assumeCompleteOption().conflicts('cluster'))
    .addOption(customKindsOption())
    .addOption(skipUnknownOption().conflicts('cluster'))
    .addOption(new Option('--strict', 'exit with code 1 on any difference'))
    .addOption(outputOption())
    .addOption(quietOption('print only differences'))
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (old: string | undefined, now: string | undefined, options: DiffOptions) => {
      if (old === undefined) return command.error(`error: missing argument: ${options.cluster ? needsNew : needsBoth}`);
      if (!options.cluster) return finish(await diff(old, now, options, terminal));
      // Imported on demand, since most runs need no cluster.
      const { diffCluster } = await import('./diff-cluster.ts');
      finish(await diffCluster(now === undefined ? [old] : [old, now], options, terminal, connect));
    });
}

const needsBoth = 'specify the rules before and after the change, for example "regkeeper diff rules-now/ rules-next/"';
const needsNew = 'specify the new rules, for example "regkeeper diff --cluster rules.yaml"';

const examples = [
  { does: 'Compare two sets of rules', line: 'regkeeper diff deploy/starter-rules deploy/examples/rules' },
  {
    does: 'Compare their effect on manifests',
    line: 'regkeeper diff deploy/starter-rules deploy/examples/rules -f deploy/examples/objects',
  },
  { does: 'Show the effect of new rules on a cluster before applying them', line: 'regkeeper diff --cluster deploy/examples/rules' },
  {
    does: 'Compare their effect on past requests',
    line: 'regkeeper diff deploy/starter-rules deploy/examples/rules --replay deploy/examples/audit.jsonl',
  },
];

const exitCodes = [
  'no object is newly denied, and none loses a secret',
  'an object or past request is newly denied or loses a secret, or a result is uncertain. Without -f, --replay or --cluster: the rules differ',
  'some input was not read or evaluated, or the rules or usage are invalid',
  'with --replay: same as 0, except that some requests cannot be replayed',
];

async function diff(old: string, now: string | undefined, options: DiffOptions, terminal: Terminal): Promise<ExitCode> {
  if (now === undefined) throw new ConfigurationError(describeMissingRules(old, options));
  rejectLiveOptions(options);
  if (options.filename && options.replay) throw new ConfigurationError('-f and --replay cannot be used together');
  if ([old, now, ...(options.filename ?? []), ...(options.replay ?? [])].filter((path) => path === '-').length > 1) {
    throw new ConfigurationError('standard input (-) can be used only once');
  }
  const pair = await readRulePair([old, now], options, terminal, options.filename !== undefined || options.replay !== undefined);
  if (!pair) return 2;
  const { before, after } = pair;
  const rules = compareRuleSets(before, after);
  if (options.replay) return diffReplay(options.replay, { before, after, rules }, options, terminal);
  if (!options.filename) {
    print({ before, after, rules }, options, terminal);
    return rules.length > 0 ? 1 : 0;
  }

  const input = await readManifestsOption(options.filename);
  const kinds = await readCustomKindsOption(options.customKinds, terminal);
  if (!kinds) return 2;
  const { namespace = 'default', user, assumeComplete = false, skipUnknown = false, date = Date.now() } = options;
  const [evaluatedBefore, evaluated] = [before, after].map((each) =>
    evaluate(input, each, { namespace, user, assumeComplete, skipUnknown, now: date, kinds }),
  );
  if (!evaluatedBefore || !evaluated) throw new Error('two rule sets give two evaluations');
  const comparison = compareEvaluations(evaluatedBefore, evaluated);
  print({ before, after, rules, comparison, evaluated }, options, terminal);
  terminal.err(renderNotEvaluatedList(evaluated.notEvaluated) + renderMalformedSecrets(evaluated));
  if (!options.quiet) terminal.err(renderRemarks(evaluated));
  if (evaluated.notEvaluated.length > 0) return 2;
  return isFinding(comparison, options.strict === true) ? 1 : 0;
}

/** An argument after an option was its value. */
function describeMissingRules(old: string, { replay, filename }: DiffOptions): string {
  const [option, values] = replay ? ['--replay', replay] : ['-f', filename];
  if (!values) return 'specify two sets of rules, or --cluster to compare with those of a cluster';
  return `specify two sets of rules, before and after the change. ${option} has the value ${values.join(' ')}, so only ${old} is left`;
}

async function diffReplay(paths: readonly string[], difference: Difference, options: DiffOptions, terminal: Terminal): Promise<ExitCode> {
  const { before, after, rules } = difference;
  const { output, quiet = false, strict = false, date = Date.now() } = options;
  const comparison = await replayRecords(paths, before, after, date);
  const document = { rulesRevision: { before: before.revision, after: after.revision }, rules: rules.map(ruleChangeEntry), ...comparison };
  terminal.out(output === 'table' ? renderReplay(comparison, { paint: terminal.paint.out, quiet }) : renderMachine(document, output));
  if (comparison.summary.requests === 0) {
    terminal.err(renderNoRecords(comparison));
    return 2;
  }
  terminal.err(renderReplayGaps(comparison));
  const { newlyDenied, newlyWarned, newlyAllowed, noLongerWarned, secretsGained, secretsLost } = comparison.summary;
  const { notReplayable, brokenLines } = comparison.summary;
  if (newlyDenied + secretsLost > 0 || (strict && newlyWarned + newlyAllowed + noLongerWarned + secretsGained > 0)) return 1;
  // A finding counts more, so that a pipeline may accept code 3 without missing one.
  return notReplayable + brokenLines > 0 ? 3 : 0;
}

/**
 * Without --strict only denied objects, lost secrets and uncertain objects count, because allowing more is the usual purpose of a change.
 */
function isFinding({ changes, summary }: Comparison, strict: boolean): boolean {
  return strict ? changes.length > 0 : summary.newlyDenied + summary.secretsLost + summary.uncertain > 0;
}

type Difference = {
  readonly before: RuleSet;
  readonly after: RuleSet;
  readonly rules: readonly RuleChange[];
  /** Absent without -f. */
  readonly comparison?: Comparison;
  /** The objects with the new rules. */
  readonly evaluated?: Evaluation;
};

function print(
  { before, after, rules, comparison, evaluated }: Difference,
  { output, quiet }: DiffOptions,
  { out, paint }: Terminal,
): void {
  if (output === 'table') {
    const render = { paint: paint.out, quiet: quiet === true };
    out(comparison ? renderObjectChanges(comparison, render) : renderRuleChanges(rules, render));
    return;
  }
  const document = {
    rulesRevision: { before: before.revision, after: after.revision },
    rules: rules.map(ruleChangeEntry),
    ...(comparison &&
      evaluated && {
        changes: comparison.changes,
        withoutImages: evaluated.withoutImages,
        skipped: evaluated.skipped,
        notEvaluated: evaluated.notEvaluated,
        summary: comparison.summary,
      }),
  };
  out(output === 'json' ? `${printJson(document, 2)}\n` : renderMachine(document, output));
}
