/** `test`: runs policy tests and prints their results. */
import { Command, Option } from 'commander';
import { findPolicyTests, runPolicyTest, type TestResult } from '../../evaluate/policy-test.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { renderJunit, renderTests, renderTestsJson } from '../output/render-tests.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type TestCommandOptions = {
  readonly rules?: readonly string[];
  readonly output: keyof typeof renderings;
  readonly update?: boolean;
  readonly customKinds?: readonly string[];
};

const renderings = { table: renderTests, json: renderTestsJson, junit: renderJunit };

export function testCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('test')
    .argument('<dir>', 'folder whose subfolders hold rules.yaml (or a folder rules), objects.yaml and expected.yaml')
    .addOption(new Option('--rules <paths...>', 'rules for the tests that have none of their own'))
    .addOption(customKindsOption())
    .addOption(new Option('-o, --output <format>', 'how to tell the outcome').choices(Object.keys(renderings)).default('table'))
    .addOption(new Option('--update', 'write expected.yaml anew where it is missing or differs: for new tests; read what was written'))
    .action(async (folder: string, options: TestCommandOptions) => finish(await runTests(folder, options, terminal)));
}

async function runTests(
  folder: string,
  { rules = [], output, update = false, customKinds }: TestCommandOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const tests = await findPolicyTests(folder).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigurationError(`${folder}: ${error.code === 'ENOENT' || error.code === 'ENOTDIR' ? 'no such folder' : error.message}`);
  });
  if (tests.length === 0)
    throw new ConfigurationError(`${folder}: no test in there: no folder with rules.yaml, objects.yaml and expected.yaml`);

  const kinds = await readCustomKindsOption(customKinds, terminal);
  if (!kinds) return 2;
  const results: TestResult[] = [];
  for (const test of tests) results.push(await runPolicyTest(test, { rules, update, now: Date.now(), kinds }));
  terminal.out(renderings[output](results));
  for (const { name } of results.filter(({ updated }) => updated)) {
    terminal.err(`regkeeper: WROTE ${name}/expected.yaml from what comes out now. Nothing was tested there: read it before you keep it\n`);
  }
  return results.some(({ failures }) => failures.length > 0) ? 1 : 0;
}
