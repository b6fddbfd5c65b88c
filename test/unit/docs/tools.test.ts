/** The commands in docs/tools.md and their output. */
import { expect, test } from 'vitest';
import { runOnCluster } from '../cli/run.ts';
import { exampleCluster } from './example-cluster.ts';
import { blocks, readPage } from './pages.ts';

const shown = blocks(readPage('docs/tools.md')).filter(({ text }) => text.startsWith('$ regkeeper '));

test('there are examples', () => {
  expect(shown.length).toBeGreaterThan(0);
});

test.each(shown)('the output in docs/tools.md in line $line is what the command prints', async ({ text }) => {
  const [command = '', ...printed] = text.split('\n');
  const { out } = await runOnCluster(exampleCluster(), ...command.split(' ').slice(2));
  expect(out.trimEnd().split('\n')).toEqual(printed);
});

const synopses = blocks(readPage('docs/tools.md')).flatMap(({ text }) => {
  const [, command] = /^regkeeper ([a-z]+) .*\[-/.exec(text) ?? [];
  return command === undefined ? [] : [{ command, text }];
});

test('there are synopses', () => {
  expect(synopses.map(({ command }) => command)).toEqual(['init', 'lint', 'explain', 'check', 'scan', 'test', 'diff', 'review']);
});

test.each(synopses)('the synopsis of $command in docs/tools.md has every option of the command', async ({ command, text }) => {
  const { out } = await runOnCluster(exampleCluster(), command, '--help');
  const help = out.slice(0, out.indexOf('\nGlobal Options:'));
  const options = [...help.matchAll(/^ {2}(?:(-[a-z]), )?(--[a-z-]+)/gm)].map(([, short = '', long = '']) => [short, long]);
  const written: readonly string[] = text.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? [];
  expect(options.filter((names) => !names.includes('--help') && !names.some((name) => written.includes(name)))).toEqual([]);
  expect(written.filter((name) => !options.flat().includes(name))).toEqual([]);
});
