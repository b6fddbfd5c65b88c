/** `test`: runs policy tests and prints their results. */
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { findPolicyTests, runPolicyTest, type TestResult } from '../../evaluate/policy-test.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { quietOption, rulesOption } from '../input/options.ts';
import { helpNotes } from '../line/help-text.ts';
import { type RenderTestsOptions, renderTests, renderTestsJson, renderTestsJunit } from '../output/render-tests.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type TestCommandOptions = {
  readonly rules?: readonly string[];
  readonly output: 'table' | 'json' | 'junit';
  readonly update?: boolean;
  readonly quiet?: true;
  readonly customKinds?: readonly string[];
};

export function testCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('test')
    .argument('<dir>', 'directory of policy tests')
    .addOption(rulesOption('load rules for tests that have no rules file'))
    .addOption(customKindsOption())
    .addOption(new Option('-o, --output <format>', 'set the output format').choices(['table', 'json', 'junit']).default('table'))
    .addOption(new Option('--update', 'write expected.yaml where it is missing or differs'))
    .addOption(quietOption('print only failed tests'))
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (folder: string, options: TestCommandOptions) => finish(await runTests(folder, options, terminal)));
}

const examples = [
  { does: 'Run all tests in a directory', line: 'regkeeper test test/cases/exemption-valid' },
  { does: 'Run them in CI', line: 'regkeeper test test/cases/exemption-valid -o junit' },
  { does: 'Write expected.yaml for a new test', line: 'regkeeper test policy-tests --update' },
];

const exitCodes = ['every test passed or was written', 'a test failed, or could not be evaluated', 'invalid usage, or no tests found'];

async function runTests(
  folder: string,
  { rules = [], output, update = false, customKinds, quiet }: TestCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const tests = await findPolicyTests(folder).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigurationError(`${folder}: ${folderProblems.get(error.code) ?? error.message}`);
  });
  if (tests.length === 0)
    throw new ConfigurationError(`${folder}: no policy tests found. A test is a directory with rules.yaml, objects.yaml and expected.yaml`);

  const kinds = await readCustomKindsOption(customKinds, terminal);
  if (!kinds) return 2;
  const results: TestResult[] = [];
  for (const test of tests) results.push(await runPolicyTest(test, { rules, update, now: Date.now(), kinds }));
  terminal.out(render(results, output, { paint: terminal.paint.out, quiet: quiet === true }));
  for (const { name } of results.filter(({ updated }) => updated)) {
    terminal.err(
      `regkeeper: wrote ${join(folder, name, 'expected.yaml')} from the current results. Nothing was tested. Review it before you commit it\n`,
    );
  }
  return results.some(({ failures }) => failures.length > 0) ? 1 : 0;
}

const folderProblems: ReadonlyMap<string | undefined, string> = new Map([
  ['ENOENT', 'no such directory'],
  ['ENOTDIR', 'a file, not a directory. Pass the directory of the policy test'],
]);

function render(results: readonly TestResult[], output: TestCommandOptions['output'], options: RenderTestsOptions): string {
  switch (output) {
    case 'table':
      return renderTests(results, options);
    case 'json':
      return renderTestsJson(results);
    case 'junit':
      return renderTestsJunit(results);
  }
}
