/** Every test that docs/threats.md names exists, and every threat has one or is a stated non-goal. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readPage, root, section, tables } from './pages.ts';

const page = readPage('docs/threats.md');
const cited = tables(page).flatMap(({ rows }) =>
  rows.flatMap((cells) => {
    const named = citations(cells['shown by'] ?? '');
    return named.map((citation) => ({ row: Object.values(cells)[0] ?? '', ...citation }));
  }),
);

test.each(cited)('$file has "$title"', ({ file, title }) => {
  expect(existsSync(join(root, file)) && readFileSync(join(root, file), 'utf8').includes(title)).toBe(true);
});

test('there are citations', () => {
  expect(cited.length).toBeGreaterThan(50);
});

describe.each([
  ['The SIG-Security threat model', 'threat', 18],
  ["Kubernetes' good practices for admission webhooks", 'practice', 19],
])('in %s', (heading, column, count) => {
  const rows = tables(section(page, heading)).flatMap((table) => table.rows);

  test('each row has a test or is a non-goal', () => {
    const open = rows.filter(
      (row) => citations(row['shown by'] ?? '').length === 0 && !row['what regkeeper does']?.includes('**Non-goal**'),
    );
    expect(open.map((row) => row[column])).toEqual([]);
    expect(rows.length).toBeGreaterThanOrEqual(count);
  });
});

test('all threats of SIG-Security are listed, by number', () => {
  const [table] = tables(section(page, 'The SIG-Security threat model'));
  expect(table?.rows.map(({ threat = '' }) => Number.parseInt(threat, 10))).toEqual(Array.from({ length: 18 }, (_, index) => index + 1));
});

type Citation = { readonly file: string; readonly title: string };

/** Parses `FILE` "TITLE"; "TITLE of the same file"; `FILE`. A file without a title is cited as a whole. */
function citations(text: string): readonly Citation[] {
  return [...text.matchAll(/`(test\/[^`]+\.ts)`((?: "[^"]+";?)*)/g)].flatMap(([, file = '', titles = '']) => {
    const named = [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ file, title }));
    return named.length > 0 ? named : [{ file, title: '' }];
  });
}
