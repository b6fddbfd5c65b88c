/** The evidence that docs/scorecard.md names. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPage, root, tables } from './pages.ts';

const page = readPage('docs/scorecard.md');
const [table] = tables(page);

test('each check has one of the states', () => {
  expect(table?.rows).toHaveLength(20);
  expect(table?.rows.filter(({ state = '' }) => !['met', 'partly', 'prepared', 'open'].includes(state))).toEqual([]);
});

test('the files exist', () => {
  const files = [...page.matchAll(/`((?:\.github|\.ci|test|docs)\/[\w./-]+|[A-Z]\w+(?:\.md)?)`/g)].map(([, file = '']) => file);
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

test('Binary-Artifacts: no file of the repository is binary', () => {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 }).split('\0');
  const present = files.filter((file) => file !== '' && existsSync(join(root, file)));
  expect(present.length).toBeGreaterThan(100);
  expect(present.filter((file) => readFileSync(join(root, file)).includes(0))).toEqual([]);
});

test('Token-Permissions: each workflow in CONTRIBUTING.md exists', () => {
  const rows = tables(readPage('CONTRIBUTING.md')).find(({ headings }) => headings[0] === 'workflow')?.rows ?? [];
  expect(rows.map(({ workflow = '' }) => workflow.replaceAll('`', ''))).toEqual(['ci.yaml', 'kind.yaml', 'codeql.yaml', 'release.yaml']);
});
