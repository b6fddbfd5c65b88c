/** `diff`: prints what a change of the rules does to objects, or how two rule sets differ. */
import { Command, Option } from 'commander';
import { type Comparison, compareEvaluations } from '../../evaluate/compare-evaluations.ts';
import { type Evaluation, evaluate } from '../../evaluate/evaluate.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { compareRuleSets, type RuleChange } from '../../rules/store/compare-rule-sets.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printJson } from '../../yaml/print-json.ts';
import { dateOption } from '../input/date-option.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { type MachineFormat, outputOption, renderMachine } from '../output/machine-output.ts';
import { renderObjectChanges, renderRuleChanges, ruleChangeEntry } from '../output/render-diff.ts';
import { renderNotEvaluatedList, renderRemarks } from '../output/render-results.ts';
import type { ExitCode, Terminal } from '../terminal.ts';
import { readManifestsOption, skipUnknownOption } from './check.ts';

type DiffOptions = {
  readonly filename?: readonly string[];
  readonly namespace: string;
  readonly user: string;
  readonly date?: number;
  readonly assumeComplete?: true;
  readonly skipUnknown?: true;
  readonly customKinds?: readonly string[];
  readonly strict?: true;
  readonly output: 'table' | MachineFormat;
};

export function diffCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('diff')
    .argument('<old>', 'rules as they are: a file or folder')
    .argument('<new>', 'rules as they shall be')
    .addOption(
      new Option(
        '-f, --filename <paths...>',
        'objects in YAML or JSON that are tried with both: files, folders, - for standard input; without, the rules themselves are compared',
      ),
    )
    .addOption(new Option('-n, --namespace <name>', 'namespace of objects that name none').default('default'))
    .addOption(new Option('--user <name>', 'who would create them').default('developer'))
    .addOption(dateOption())
    .addOption(
      new Option('--assume-complete', 'the objects are all there is: a secret or service account that is not among them does not exist'),
    )
    .addOption(customKindsOption())
    .addOption(skipUnknownOption())
    .addOption(new Option('--strict', 'every difference is a finding: exit 1 also where objects are only let in, or gain secrets'))
    .addOption(outputOption())
    .action(async (old: string, now: string, options: DiffOptions) => finish(await diff(old, now, options, terminal)));
}

async function diff(old: string, now: string, options: DiffOptions, terminal: Terminal): Promise<ExitCode> {
  if ([old, now, ...(options.filename ?? [])].filter((path) => path === '-').length > 1) {
    throw new ConfigurationError('standard input (-) can be given once');
  }
  const before = await readRulesOption([old], terminal);
  const after = await readRulesOption([now], terminal);
  if (!before || !after) return 2;
  const rules = compareRuleSets(before, after);
  if (!options.filename) {
    print({ before, after, rules }, options.output, terminal);
    return rules.length > 0 ? 1 : 0;
  }

  const input = await readManifestsOption(options.filename);
  const kinds = await readCustomKindsOption(options.customKinds, terminal);
  if (!kinds) return 2;
  const { namespace, user, assumeComplete = false, skipUnknown = false, date = Date.now() } = options;
  const [evaluatedBefore, evaluated] = [before, after].map((each) =>
    evaluate(input, each, { namespace, user, assumeComplete, skipUnknown, now: date, kinds }),
  );
  if (!evaluatedBefore || !evaluated) throw new Error('two rule sets give two evaluations');
  const comparison = compareEvaluations(evaluatedBefore, evaluated);
  print({ before, after, rules, comparison, evaluated }, options.output, terminal);
  terminal.err(renderNotEvaluatedList(evaluated.notEvaluated) + renderRemarks(evaluated));
  if (evaluated.notEvaluated.length > 0) return 2;
  return isFinding(comparison, options.strict === true) ? 1 : 0;
}

/**
 * Without --strict only denied objects, lost secrets and undecided objects count, because allowing more is the usual purpose of a change.
 */
function isFinding({ changes, summary }: Comparison, strict: boolean): boolean {
  return strict ? changes.length > 0 : summary.newlyDenied + summary.secretsLost + summary.undecided > 0;
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

function print({ before, after, rules, comparison, evaluated }: Difference, output: DiffOptions['output'], terminal: Terminal): void {
  if (output === 'table') {
    terminal.out(comparison ? renderObjectChanges(comparison) : renderRuleChanges(rules));
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
  terminal.out(output === 'json' ? `${printJson(document, 2)}\n` : renderMachine(document, output));
}
