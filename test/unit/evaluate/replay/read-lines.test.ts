/** Lines of files of any size, cut into pieces anywhere. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { maxLineBytes, readLines } from '../../../../src/evaluate/replay/read-lines.ts';
import { temporaryFolder } from '../../certificates/samples.ts';

async function linesOf(content: string | Buffer) {
  const file = join(await temporaryFolder(), 'audit.jsonl');
  await writeFile(file, content);
  const lines: string[] = [];
  const problems = await readLines([file], {
    line: (_file, number, text) => void lines.push(`${number} ${text}`),
    tooLong: (_file, number) => void lines.push(`${number} too long`),
  });
  expect(problems).toEqual([]);
  return lines;
}

test.each([
  ['with a newline at the end', 'a\nb\n', ['1 a', '2 b']],
  ['without one', 'a\nb', ['1 a', '2 b']],
  ['with blank lines, which count', 'a\n\n\nb\r\n', ['1 a', '4 b']],
  ['that is empty', '', []],
])('a file %s', async (_case, content, expected) => {
  expect(await linesOf(content)).toEqual(expected);
});

test('a multibyte character at a chunk boundary is preserved', async () => {
  const text = 'ä'.repeat(200 * 1024);
  expect(await linesOf(`x${text}\ny`)).toEqual([`1 x${text}`, '2 y']);
});

test('a line that is too long is reported, and the next one is read', async () => {
  expect(await linesOf(`${'x'.repeat(3 * maxLineBytes)}\nb\n${'y'.repeat(maxLineBytes + 1)}`)).toEqual(['1 too long', '2 b', '3 too long']);
  expect((await linesOf(`${'x'.repeat(maxLineBytes)}\nb`)).map((line) => line.length)).toEqual([maxLineBytes + 2, 3]);
});

test('unreadable files are reported by name', async () => {
  const folder = await temporaryFolder();
  const none = { line() {}, tooLong() {} };
  expect(await readLines([join(folder, 'none'), folder], none)).toEqual([
    `${join(folder, 'none')}: no such file`,
    `${folder}: is a directory. Pass its files instead`,
  ]);
});
