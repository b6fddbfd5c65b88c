/** Reads Kubernetes objects from files, folders and standard input. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { errorCode, errorMessage } from '../errors/error-message.ts';
import { type ParsedManifests, parseManifests } from './parse-manifests.ts';

/**
 * Returns the objects in the order of the paths, and within a folder in the order of file names. `-` is standard input. Folders are read
 * recursively. The promise never rejects: a path that cannot be read is a problem.
 */
export async function readManifests(paths: readonly string[], readStandardInput: () => Promise<string>): Promise<ParsedManifests> {
  const parts: ParsedManifests[] = [];
  for (const path of new Set(paths)) {
    if (path === '-') parts.push(parseManifests(await readStandardInput(), '-'));
    else for (const file of await filesAt(path)) parts.push(typeof file === 'string' ? await readOne(file) : file);
  }
  return { manifests: parts.flatMap(({ manifests }) => manifests), problems: parts.flatMap(({ problems }) => problems) };
}

export async function readStandardInput(): Promise<string> {
  return text(process.stdin);
}

async function filesAt(path: string): Promise<readonly (string | ParsedManifests)[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name));
    return files.length > 0
      ? files.map((entry) => join(entry.parentPath, entry.name)).sort()
      : [failure(path, 'a folder without .yaml, .yml or .json files')];
  } catch (error) {
    return [failure(path, reasonOf(error))];
  }
}

async function readOne(file: string): Promise<ParsedManifests> {
  try {
    return parseManifests(await readFile(file, 'utf8'), file);
  } catch (error) {
    return failure(file, reasonOf(error));
  }
}

function failure(file: string, message: string): ParsedManifests {
  return { manifests: [], problems: [{ file, message }] };
}

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (code === 'ENOENT') return 'no such file or folder';
  if (code === 'EACCES') return 'not readable for this user';
  return errorMessage(error);
}
