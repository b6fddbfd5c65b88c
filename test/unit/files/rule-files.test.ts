import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { watchRuleFiles } from '../../../src/files/rule-files.ts';
import { createRuleIntake } from '../../../src/intake/intake.ts';
import { createDocumentParser } from '../../../src/intake/parser.ts';
import { createRuleBook, type RulesChange } from '../../../src/rules/book.ts';
import { sha256 } from '../rules/documents.ts';

let folder: string;
const open: { close(): void }[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-rules-'));
});
afterEach(async () => {
  for (const files of open.splice(0)) files.close();
  await rm(folder, { recursive: true });
});

/** Polls often, so that a file system that tells nothing is no trouble. */
async function watch(...paths: readonly string[]) {
  const book = createRuleBook(sha256);
  const changes: RulesChange[] = [];
  const problems: string[] = [];
  const files = await watchRuleFiles({
    paths,
    intake: createRuleIntake({ book, parser: createDocumentParser(), onChange: (more) => changes.push(...more) }),
    onProblem: (problem) => problems.push(problem),
    pollMilliseconds: 100,
  });
  open.push(files);
  const registries = () => (book.current()?.rules ?? []).map(({ pattern }) => pattern.text).sort();
  return { book, changes, problems, registries };
}

const rule = (registry: string) => `rules: [{registry: ${registry}}]\n`;

describe('reading', () => {
  test('files, and folders with their subfolders, in the order of names', async () => {
    await mkdir(join(folder, 'rules/team'), { recursive: true });
    await writeFile(join(folder, 'rules/a.yaml'), rule('a.io'));
    await writeFile(join(folder, 'rules/team/b.yml'), rule('b.io'));
    await writeFile(join(folder, 'rules/notes.txt'), 'not rules');
    await writeFile(join(folder, 'c.json'), '{"rules": [{"registry": "c.io"}]}');
    const { registries } = await watch(join(folder, 'rules'), join(folder, 'c.json'));
    expect(registries()).toEqual(['a.io', 'b.io', 'c.io']);
  });

  test.each([
    ['a path that is not there', 'nowhere', /rules .*nowhere: no such file or folder/],
    ['a folder without rules', '.', /rules folder .* holds no \.yaml, \.yml or \.json file/],
  ])('%s is refused at the start, with its name', async (_name, path, message) => {
    await expect(watch(join(folder, path))).rejects.toThrow(message);
  });
});

describe('following', () => {
  test('an edit, a new file and a deletion', async () => {
    await writeFile(join(folder, 'a.yaml'), rule('a.io'));
    const { registries } = await watch(folder);
    await writeFile(join(folder, 'a.yaml'), rule('aa.io'));
    await expect.poll(registries).toEqual(['aa.io']);
    await writeFile(join(folder, 'b.yaml'), rule('b.io'));
    await expect.poll(registries).toEqual(['aa.io', 'b.io']);
    await rm(join(folder, 'a.yaml'));
    await expect.poll(registries).toEqual(['b.io']);
  });

  test('a bad edit leaves the last good rules in force, and tells where', async () => {
    const file = join(folder, 'a.yaml');
    await writeFile(file, rule('a.io'));
    const { registries, changes } = await watch(file);
    await writeFile(file, 'rules:\n- registry: b.io\n  pulSecret: x\n');
    await expect
      .poll(() => changes.at(-1)?.problems)
      .toMatchObject([{ code: 'unknown-field', origin: { line: 3, column: 3, source: { file } } }]);
    expect(registries()).toEqual(['a.io']);
  });

  test('deleting the last file keeps the rules and is told once', async () => {
    await writeFile(join(folder, 'a.yaml'), rule('a.io'));
    const { registries, problems } = await watch(folder);
    await rm(join(folder, 'a.yaml'));
    await expect.poll(() => problems).toEqual([expect.stringContaining('holds no')]);
    expect(registries()).toEqual(['a.io']);
  });

  test('a mounted ConfigMap: files are links into a folder that is swapped as a whole', async () => {
    await mkdir(join(folder, '..2026_01'));
    await writeFile(join(folder, '..2026_01/a.yaml'), rule('a.io'));
    await symlink('..2026_01', join(folder, '..data'));
    await symlink('..data/a.yaml', join(folder, 'a.yaml'));
    const { registries, book } = await watch(folder);
    expect(registries()).toEqual(['a.io']);
    expect(book.accepted()).toHaveLength(1);

    await mkdir(join(folder, '..2026_02'));
    await writeFile(join(folder, '..2026_02/a.yaml'), rule('b.io'));
    await symlink('..2026_02', join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await expect.poll(registries).toEqual(['b.io']);
  });
});
