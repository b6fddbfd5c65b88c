/** CHANGELOG.md names flags, commands and alerts as they are now, except in the column of old names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCommand } from '../cli/run.ts';
import { readPage, root, section, tables } from './pages.ts';

const renamed = 'Renamed before the first release';
const page = readPage('CHANGELOG.md');
const [table] = tables(section(page, renamed));
const current = [page.split(`### ${renamed}`)[0] ?? '', ...(table?.rows ?? []).map((row) => `${row.new} ${row.where}`)].join('\n');
const code = [...current.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);

const { out: overview } = await runCommand('--help');
const commands = [...overview.slice(overview.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);
const pagesOfHelp = await Promise.all(
  commands.filter((name) => name !== 'help').map(async (name) => (await runCommand(name, '--help')).out),
);

test('flags', () => {
  const known = flagsIn([overview, ...pagesOfHelp].join('\n'));
  // Those in a Dockerfile are not regkeeper's.
  const named = code.filter((text) => !/^[A-Z]+ --/.test(text)).flatMap(flagsIn);
  expect(named.filter((flag) => !known.includes(flag))).toEqual([]);
  expect(named.length).toBeGreaterThan(15);
});

test('commands', () => {
  const named = code.flatMap((text) => /^regkeeper ([a-z]+)/.exec(text)?.[1] ?? []);
  expect(named.filter((name) => !commands.includes(name))).toEqual([]);
  expect(named.length).toBeGreaterThan(5);
});

test('alerts', () => {
  const rules = readFileSync(join(root, 'deploy/monitoring/prometheus-rule.yaml'), 'utf8');
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name);
  const named = code.filter((text) => /^Regkeeper[A-Z]\w+$/.test(text));
  expect(named.filter((name) => !alerts.includes(name))).toEqual([]);
  expect(named.length).toBeGreaterThan(3);
});

function flagsIn(text: string): readonly string[] {
  return [...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag);
}
