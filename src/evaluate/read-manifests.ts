/** Reads Kubernetes objects from files, folders and standard input. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { errorCode, errorMessage } from '../errors/error-message.ts';
import { decodeUtf8 } from '../files/decode-utf8.ts';
import { type ParsedManifests, parseManifests } from './parse-manifests.ts';

/**
 * Returns the objects in the order of the paths, and within a folder in the order of file names. `-` is standard input. Folders are read
 * recursively, without those whose names begin with a dot, such as `.github`. A Helm chart in a folder is one problem, and nothing else of it
 * is read. The promise never rejects: a path that cannot be read is a problem.
 */
export async function readManifests(paths: readonly string[], readStandardInput: () => Promise<string>): Promise<ParsedManifests> {
  const parts: ParsedManifests[] = [];
  for (const path of new Set(paths)) {
    if (path === '-') parts.push(await readOne('-', readStandardInput));
    else parts.push(...(await readPath(path)));
  }
  return { manifests: parts.flatMap(({ manifests }) => manifests), problems: parts.flatMap(({ problems }) => problems) };
}

/** @throws Error if it is not UTF-8 */
export async function readStandardInput(): Promise<string> {
  return decodeUtf8(await buffer(process.stdin));
}

async function readPath(path: string): Promise<readonly ParsedManifests[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [await readOne(path)];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries.filter(
      (entry) =>
        !entry.isDirectory() && /^Kustomization$|\.(ya?ml|json)$/.test(entry.name) && !inDotFolder(relative(path, entry.parentPath)),
    );
    if (files.length === 0) return [failure(path, 'no .yaml, .yml or .json files in this directory')];
    return await readFolder(files.map((entry) => join(entry.parentPath, entry.name)).sort());
  } catch (error) {
    return [failure(path, reasonOf(error))];
  }
}

async function readFolder(files: readonly string[]): Promise<readonly ParsedManifests[]> {
  const charts: string[] = [];
  const parts: { readonly file: string; readonly parsed: ParsedManifests }[] = [];
  for (const file of files) {
    const parsed = await readOne(file);
    parts.push({ file, parsed });
    if (basename(file) === 'Chart.yaml' && parsed.problems.some(({ code }) => code === 'not-rendered')) charts.push(file);
  }
  const isInChart = (file: string) => charts.some((chart) => file !== chart && file.startsWith(join(dirname(chart), sep)));
  return parts.filter(({ file }) => !isInChart(file)).map(({ parsed }) => parsed);
}

function inDotFolder(folder: string): boolean {
  return folder.split(sep).some((name) => name.startsWith('.'));
}

async function readOne(file: string, read = async () => decodeUtf8(await readFile(file))): Promise<ParsedManifests> {
  try {
    return parseManifests(await read(), file);
  } catch (error) {
    return failure(file, reasonOf(error));
  }
}

function failure(file: string, message: string): ParsedManifests {
  return { manifests: [], problems: [{ file, code: 'unreadable', message }] };
}

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (code === 'ENOENT') return 'no such file or directory';
  if (code === 'EACCES') return 'permission denied';
  return errorMessage(error);
}
