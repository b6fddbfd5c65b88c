/** `lint`: prints the problems and warnings of rules. */
import { Command, Option } from 'commander';
import { dayOf } from '../../decision/evaluate-image.ts';
import { type LoadedRules, sortByPosition } from '../../loading/load-rules.ts';
import { levelOf, type Problem } from '../../rules/language/problem.ts';
import { problemEntry, renderProblemLine } from '../../rules/language/problem-lines.ts';
import { lintRules } from '../../rules/lint/lint.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { dateOption } from '../input/date-option.ts';
import { readRules } from '../input/rules-from-files.ts';
import { type MachineFormat, outputOption, renderMachine } from '../output/machine-output.ts';
import { renderSarif } from '../output/sarif.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type LintOptions = { readonly output: 'table' | 'sarif' | MachineFormat; readonly strict?: boolean; readonly date?: number };

export function lintCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('lint')
    .argument('<files...>', 'rules documents, rules ConfigMaps, and folders of them; - for standard input')
    .addOption(outputOption('sarif'))
    .addOption(new Option('--strict', 'warnings are findings too: exit 1 for them'))
    .addOption(dateOption())
    .action(async (files: readonly string[], { output, strict, date }: LintOptions) => {
      const loaded = await readRules(files);
      if (loaded.read.documents === 0 && loaded.problems.length === 0) {
        for (const warning of loaded.warnings) terminal.err(`${renderProblemLine(warning)}\n`);
        throw new ConfigurationError(`rules ${files.join(', ')}: nothing was found to read`);
      }
      const findings = collectFindings(loaded, dayOf(date ?? Date.now()));
      terminal.out(render(findings, loaded, output));
      terminal.err(`${summarize(findings, loaded)}\n`);
      const exitCode = findings.problems > 0 || (strict === true && findings.warnings > 0) ? 1 : 0;
      finish(exitCode);
    });
}

/** `problems`, `warnings` and `hints` are counts. */
type Findings = { readonly all: readonly Problem[]; readonly problems: number; readonly warnings: number; readonly hints: number };

/** Warnings about rules in combination need a compiled rule set, so they are missing while there are problems. */
function collectFindings({ ruleSet, problems, warnings }: LoadedRules, day: string): Findings {
  const all = sortByPosition([...problems, ...warnings, ...(ruleSet ? lintRules(ruleSet, day) : [])]);
  const count = (level: string) => all.filter(({ code }) => levelOf(code) === level).length;
  return { all, problems: count('problem'), warnings: count('warning'), hints: count('hint') };
}

function render({ all, problems, warnings, hints }: Findings, { read, ruleSet }: LoadedRules, output: LintOptions['output']): string {
  switch (output) {
    case 'table':
      return all.map((problem) => `${renderProblemLine(problem)}\n`).join('');
    case 'sarif':
      return renderSarif(all);
    default: {
      const summary = { ...read, problems, warnings, hints };
      return renderMachine({ rulesRevision: ruleSet?.revision ?? null, findings: all.map(problemEntry), summary }, output);
    }
  }
}

function summarize({ problems, warnings, hints }: Findings, { read, ruleSet }: LoadedRules): string {
  const what = `read ${pluralize(read.documents, 'document')} with ${pluralize(read.rules, 'rule')} in ${pluralize(read.files, 'file')}`;
  const rest = ruleSet ? '' : '; warnings about what rules say together come when the problems are mended';
  return `${what}: ${pluralize(problems, 'problem')}, ${pluralize(warnings, 'warning')}${hints > 0 ? `, ${pluralize(hints, 'hint')}` : ''}${rest}`;
}

function pluralize(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
