/** `lint`: prints the problems and warnings of rules. */
import { Command, Option } from 'commander';
import { lintSources } from '../../delivery/lint-sources.ts';
import { countOf } from '../../image/wording.ts';
import { type LoadedRules, sortByPosition } from '../../loading/load-rules.ts';
import { levelOf, type Problem } from '../../rules/language/problem.ts';
import { problemEntry } from '../../rules/language/problem-lines.ts';
import { lintRules } from '../../rules/lint/lint.ts';
import { dayOf } from '../../rules/trust-end.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { dateOption, quietOption } from '../input/options.ts';
import { readRules } from '../input/rules-from-files.ts';
import { helpNotes } from '../line/help-text.ts';
import { problemFindingCodes, problemFindings } from '../output/findings.ts';
import { renderGithub } from '../output/github.ts';
import { problemCases, renderJunit } from '../output/junit.ts';
import { type MachineFormat, outputOption, renderMachine } from '../output/machine-output.ts';
import type { Paint } from '../output/paint.ts';
import { renderProblems } from '../output/paint-problems.ts';
import { renderSarif } from '../output/sarif.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type LintOptions = {
  readonly output: 'table' | 'github' | 'junit' | 'sarif' | MachineFormat;
  readonly strict?: boolean;
  readonly date?: number;
  readonly quiet?: true;
};

export function lintCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('lint')
    .argument('<files...>', 'rules: files or directories, or - for standard input')
    .addOption(outputOption('github', 'junit', 'sarif'))
    .addOption(new Option('--strict', 'exit with code 1 on warnings too'))
    .addOption(dateOption())
    .addOption(quietOption())
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (files: readonly string[], options: LintOptions) => {
      const { strict, date, quiet } = options;
      const loaded = await readRules(files);
      if (loaded.read.documents === 0 && loaded.problems.length === 0) {
        terminal.err(renderProblems(loaded.warnings, terminal.paint.err));
        throw new ConfigurationError(`rules ${files.join(', ')}: no rules found`);
      }
      const findings = collectFindings(loaded, dayOf(date ?? Date.now()));
      terminal.out(render(findings, loaded, options, terminal.paint.out));
      if (!quiet) terminal.err(`${summarize(findings, loaded)}\n`);
      const exitCode = findings.problems > 0 || (strict === true && findings.warnings > 0) ? 1 : 0;
      finish(exitCode);
    });
}

const examples = [
  { does: 'Lint a directory of rules', line: 'regkeeper lint deploy/examples/rules' },
  {
    does: 'Fail on warnings too, and annotate lines in a GitHub workflow',
    line: 'regkeeper lint deploy/examples/rules --strict -o github',
  },
  {
    does: 'Lint the rules in a cluster',
    line: 'kubectl -n regkeeper get configmap -l regkeeper.io/rules=cluster -o yaml | regkeeper lint -',
  },
  {
    does: 'Lint them together with the source Secrets for delivery',
    line: 'kubectl -n regkeeper get configmap,secret -o yaml | regkeeper lint -',
  },
];

const exitCodes = ['no problems', 'problems, or warnings with --strict', 'no rules found, an unreadable file, or invalid usage'];

/** `problems`, `warnings` and `hints` are counts. */
type Findings = { readonly all: readonly Problem[]; readonly problems: number; readonly warnings: number; readonly hints: number };

/** Warnings about rules in combination need a compiled rule set, so they are missing while there are problems. */
function collectFindings({ ruleSet, problems, warnings, sources }: LoadedRules, day: string): Findings {
  const combined = ruleSet ? [...lintRules(ruleSet, day), ...lintSources(ruleSet, sources)] : [];
  const all = sortByPosition([...problems, ...warnings, ...combined]);
  const count = (level: string) => all.filter(({ code }) => levelOf(code) === level).length;
  return { all, problems: count('problem'), warnings: count('warning'), hints: count('hint') };
}

function render(
  { all, problems, warnings, hints }: Findings,
  { read, ruleSet }: LoadedRules,
  { output, strict }: LintOptions,
  paint: Paint,
): string {
  switch (output) {
    case 'table':
      return renderProblems(all, paint);
    case 'github':
      return renderGithub(problemFindings(all));
    case 'junit': {
      const cases = problemCases(problemFindings(all), strict);
      // Some CI systems reject a report without cases.
      return renderJunit(cases.length > 0 ? cases : [{ classname: 'regkeeper lint', name: 'rules' }]);
    }
    case 'sarif':
      return renderSarif(problemFindings(all), problemFindingCodes);
    default: {
      const summary = { ...read, problems, warnings, hints };
      return renderMachine({ rulesRevision: ruleSet?.revision ?? null, findings: all.map(problemEntry), summary }, output);
    }
  }
}

function summarize({ problems, warnings, hints }: Findings, { read, ruleSet }: LoadedRules): string {
  // Rules of a document with a problem cannot be counted.
  const rules = ruleSet ? ` with ${countOf(read.rules, 'rule')}` : '';
  const what = `read ${countOf(read.documents, 'document')}${rules} in ${countOf(read.files, 'file')}`;
  const rest = ruleSet ? '' : '. More checks run once the problems are fixed';
  return `${what}: ${countOf(problems, 'problem')}, ${countOf(warnings, 'warning')}${hints > 0 ? `, ${countOf(hints, 'hint')}` : ''}${rest}`;
}
