/** The shell commands in the documentation. test/cluster/scenarios/docs.test.ts runs them. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { runCommand } from '../cli/run.ts';
import { commandLines, inlineCommands, notRun, otherExitCodes, pagesWithSteps, runnable, stepsOf } from './commands.ts';
import { blocks, pages, readPage } from './pages.ts';

const steps = pagesWithSteps.flatMap(stepsOf);

test('there are steps, most of which can be run', () => {
  expect(steps.length).toBeGreaterThan(60);
  expect(steps.filter(({ script }) => runnable(script) !== undefined).length).toBeGreaterThan(steps.length * 0.7);
});

test('bash can parse every step', () => {
  const all = steps.map(({ script }, index) => `step${index}() {\n${script}\n}`).join('\n');
  expect(spawnSync('bash', ['-n'], { input: all, encoding: 'utf8' }).stderr).toBe('');
});

test.each([...notRun, ...otherExitCodes])('$command is in the documentation: $because', ({ command }) => {
  expect(steps.flatMap(({ script }) => commandLines(script)).some((line) => command.test(line))).toBe(true);
});

test('the five commands that install regkeeper on kind are those in deploy/kind/install.sh', () => {
  const [five] = steps.filter(({ page, script }) => page === 'README.md' && script.startsWith('kind create cluster'));
  expect(five?.script.split('\n')).toHaveLength(5);
});

/** Pages with output in blocks without a language, and what tests them. */
const testedElsewhere: Readonly<Record<string, string>> = {
  'docs/reports.md': 'ages vary, and test/cluster/scenarios/report-rights.test.ts compares the columns',
  'docs/tools.md': 'tools.test.ts compares the output',
  'docs/events.md': 'ages vary, and test/cluster/scenarios/events.test.ts compares the messages',
};

test('every command with output is in a console block, so that it is run', () => {
  const users = pages.filter((page) => !page.startsWith('docs/decisions/'));
  const others = users.filter((page) => blocks(readPage(page)).some(({ language, text }) => language !== 'console' && /^\$ /m.test(text)));
  expect(others).toEqual(Object.keys(testedElsewhere).sort());
});

const { out: overview } = await runCommand('--help');
const commands = [...overview.slice(overview.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);
/** Described in docs/rules.md before it is complete. */
const announced = /^regkeeper deliver\b/;
// CHANGELOG.md has old names too, and changelog.test.ts checks it.
const mentioned = pages
  .filter((page) => page !== 'CHANGELOG.md')
  .flatMap((page) => inlineCommands(page, 'regkeeper').map((command) => ({ page, command })))
  .filter(({ command }) => commands.includes('deliver') || !announced.test(command));

test.each(mentioned)('$page: `$command` exists, with its options', async ({ command }) => {
  const [, name = ''] = command.split(' ');
  if (name.startsWith('-')) return expect(overview).toContain(name);
  expect(commands).toContain(name);
  const { out: help } = await runCommand(name, '--help');
  const options = command.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? [];
  expect(options.filter((option) => !new RegExp(`(?<![\\w-])${option}(?![\\w-])`).test(help))).toEqual([]);
});
