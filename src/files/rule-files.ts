/** Rules out of files and folders, followed live: for development, and for clusters that mount them. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RuleIntake } from '../intake/intake.ts';
import type { Bundle } from '../rules/book.ts';
import { followFolders } from './follow.ts';

export type RuleFiles = {
  /** Files, and folders whose `.yaml`, `.yml` and `.json` files are taken, in subfolders too. */
  readonly paths: readonly string[];
  readonly intake: RuleIntake;
  /** Called once for each new trouble of reading; the rules in force stay. */
  readonly onProblem: (message: string) => void;
  readonly pollMilliseconds?: number;
};

/** Brings what is there now into the book, then follows it. Rejects with an Error of one sentence when a path cannot be read at the start. */
export async function watchRuleFiles(options: RuleFiles): Promise<{ close(): void }> {
  const { paths, intake, onProblem } = options;
  const first = await readAll(paths);
  let known = new Map(first.map((bundle) => [bundle.id, bundle]));
  await intake.open(first);

  let lastProblem: string | undefined;
  async function look(): Promise<void> {
    try {
      const next = new Map((await readAll(paths)).map((bundle) => [bundle.id, bundle]));
      lastProblem = undefined;
      for (const bundle of next.values()) if (textOf(known.get(bundle.id)) !== textOf(bundle)) await intake.offer(bundle);
      for (const id of known.keys()) if (!next.has(id)) await intake.withdraw(id);
      known = next;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== lastProblem) onProblem(message);
      lastProblem = message;
    }
  }

  const folders = [...new Set(await Promise.all(paths.map(folderOf)))];
  return followFolders({ folders, look, ...(options.pollMilliseconds !== undefined && { pollMilliseconds: options.pollMilliseconds }) });
}

/** One bundle a file, in the order of names. */
export async function readRuleFiles(paths: readonly string[]): Promise<readonly Bundle[]> {
  return readAll(paths);
}

async function readAll(paths: readonly string[]): Promise<Bundle[]> {
  const files = [...new Set((await Promise.all(paths.map(filesAt))).flat())];
  return Promise.all(
    files.map(async (file) => ({ id: file, documents: [{ source: { kind: 'file' as const, file }, text: await readText(file) }] })),
  );
}

async function filesAt(path: string): Promise<string[]> {
  const about = await stat(path).catch((error: unknown) => fail(path, error));
  if (!about.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch((error: unknown) => fail(path, error));
  // `..data` and `..2026_…` are how the kubelet swaps a mounted ConfigMap; its files stand beside them as links.
  const files = entries.filter((entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name) && !entry.parentPath.includes('/..2'));
  if (files.length === 0) throw new Error(`rules folder ${path} holds no .yaml, .yml or .json file`);
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}

async function folderOf(path: string): Promise<string> {
  const about = await stat(path).catch((error: unknown) => fail(path, error));
  return about.isDirectory() ? path : dirname(path);
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => fail(file, error));
}

function fail(path: string, error: unknown): never {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') throw new Error(`rules ${path}: no such file or folder`);
  if (code === 'EACCES') throw new Error(`rules ${path}: not readable for this user`);
  throw new Error(`rules ${path}: ${error instanceof Error ? error.message : String(error)}`);
}

function textOf(bundle: Bundle | undefined): string | undefined {
  return bundle?.documents[0]?.text;
}
