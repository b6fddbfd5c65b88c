/** The commands in docs/tools.md and their output. */
import { expect, test } from 'vitest';
import { runCommand } from '../cli/run.ts';
import { blocks, readPage } from './pages.ts';

const shown = blocks(readPage('docs/tools.md')).filter(({ text }) => text.startsWith('$ regkeeper '));

test('there are examples', () => {
  expect(shown.length).toBeGreaterThan(0);
});

test.each(shown)('what docs/tools.md shows in line $line is what the command prints', async ({ text }) => {
  const [command = '', ...printed] = text.split('\n');
  const { out } = await runCommand(...command.split(' ').slice(2));
  expect(out.trimEnd().split('\n')).toEqual(printed);
});
