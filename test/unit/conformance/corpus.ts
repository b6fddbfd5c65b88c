/** Reads the corpus of other projects' test cases, next to the checkout or in the folder that REGKEEPER_CORPUS names. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const folder = resolve(root, process.env.REGKEEPER_CORPUS ?? '../shared/corpus');

export type Table<Column extends string> = {
  readonly file: string;
  readonly columns: readonly Column[];
  /** The number of rows. If it differs, the file has changed: check the new rows, then update the number. */
  readonly rows: number;
};

export type Row<Column extends string> = Readonly<Record<Column, string>>;

/** The path of a file or folder of the corpus. Undefined if it is absent: then one skipped test reports that at the end of the run. */
export function corpusPath(name: string): string | undefined {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  test(`corpus absent: ${name}`, ({ skip }) => skip(`corpus absent: nothing was compared with ${path}`));
  return undefined;
}

/** All rows, with tests of their number and width. Empty if the file is absent. */
export function readTable<Column extends string>({ file, columns, rows }: Table<Column>): readonly Row<Column>[] {
  const path = corpusPath(file);
  if (path === undefined) return [];
  const [header = '', ...lines] = readFileSync(path, 'utf8').replace(/\n$/, '').split('\n');
  test(`${file} has ${rows} rows of ${columns.join(', ')}`, () => {
    expect(header.split('\t')).toEqual(columns);
    expect(lines.filter((line) => line.split('\t').length !== columns.length)).toEqual([]);
    expect(lines.length).toBe(rows);
  });
  return lines.map((line) => {
    const cells = line.split('\t').map((cell) => cell.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
    return Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ''])) as Row<Column>;
  });
}
