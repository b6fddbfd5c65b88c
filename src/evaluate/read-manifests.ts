/** Reads Kubernetes objects from files, folders and standard input. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { errorCode, errorMessage } from '../errors/error-message.ts';
import { decodeUtf8 } from '../files/decode-utf8.ts';
import { countOf } from '../image/wording.ts';
import { filesToRender, type Kustomization, readKustomization } from './kustomization.ts';
import type { NotEvaluated } from './not-evaluated.ts';
import { type ParsedManifests, parseManifests } from './parse-manifests.ts';

/**
 * Returns the objects in the order of the paths, and within a folder in the order of file names. `-` is standard input. Folders are read
 * recursively, without those whose names begin with a dot, such as `.github`. A Helm chart in a folder is one problem, and nothing else of it
 * is read. A kustomization is a problem too, with the files that are not deployed as they are. The promise never rejects: a path that cannot
 * be read is a problem.
 */
export async function readManifests(paths: readonly string[], readStandardInput: () => Promise<string>): Promise<ParsedManifests> {
  const parts: Part[] = [];
  for (const path of new Set(paths)) {
    if (path === '-') parts.push(await readOne('-', readStandardInput));
    else parts.push(...(await readPath(path)));
  }
  const read = withoutFilesToRender(parts);
  return { manifests: read.flatMap(({ manifests }) => manifests), problems: read.flatMap(({ problems }) => problems) };
}

/** What a file contains. `inFolder` if it was found in a folder. */
type Part = ParsedManifests & { readonly file: string; readonly inFolder?: true; readonly kustomization?: Kustomization };

/** @throws Error if it is not UTF-8 */
export async function readStandardInput(): Promise<string> {
  return decodeUtf8(await buffer(process.stdin));
}

async function readPath(path: string): Promise<readonly Part[]> {
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

async function readFolder(files: readonly string[]): Promise<readonly Part[]> {
  const charts: string[] = [];
  const parts: Part[] = [];
  for (const file of files) {
    const part = await readOne(file);
    parts.push({ ...part, inFolder: true });
    if (basename(file) === 'Chart.yaml' && isNotRendered(part)) charts.push(file);
  }
  const isInChart = (file: string) => charts.some((chart) => file !== chart && file.startsWith(join(dirname(chart), sep)));
  return parts.filter(({ file }) => !isInChart(file));
}

function isNotRendered({ problems }: ParsedManifests): boolean {
  return problems.some(({ code }) => code === 'not-rendered');
}

/** Skips files in folders that a kustomization there uses and that are not deployed as they are. Its problem lists them. */
function withoutFilesToRender(parts: readonly Part[]): readonly Part[] {
  const inFolders = parts.filter(({ inFolder }) => inFolder);
  const kustomizations = inFolders.flatMap((part) => (part.kustomization && isNotRendered(part) ? part.kustomization : []));
  const skipped = filesToRender(
    kustomizations,
    inFolders.map(({ file }) => file),
  );
  const isSkipped = new Set([...skipped.values()].flat());
  return parts
    .filter(({ file, inFolder }) => !inFolder || !isSkipped.has(file))
    .map((part) => {
      const names = (part.inFolder && skipped.get(part.file)) || [];
      return names.length === 0 ? part : { ...part, problems: part.problems.map((problem) => withSkipped(problem, names)) };
    });
}

function withSkipped(problem: NotEvaluated, files: readonly string[]): NotEvaluated {
  if (problem.code !== 'not-rendered') return problem;
  const shown = files.slice(0, mostShown).join(', ');
  const more = files.length > mostShown ? ` and ${files.length - mostShown} more` : '';
  const were = files.length === 1 ? 'was' : 'were';
  return {
    ...problem,
    message: `${problem.message}. ${countOf(files.length, 'file')} that the kustomization changes or uses as input ${were} skipped: ${shown}${more}`,
  };
}

const mostShown = 5;

function inDotFolder(folder: string): boolean {
  return folder.split(sep).some((name) => name.startsWith('.'));
}

async function readOne(file: string, read = async () => decodeUtf8(await readFile(file))): Promise<Part> {
  try {
    const text = await read();
    const kustomization = readKustomization(text, file);
    return { ...parseManifests(text, file), file, ...(kustomization && { kustomization }) };
  } catch (error) {
    return failure(file, reasonOf(error));
  }
}

function failure(file: string, message: string): Part {
  return { file, manifests: [], problems: [{ file, code: 'unreadable', message }] };
}

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (code === 'ENOENT') return 'no such file or directory';
  if (code === 'EACCES') return 'permission denied';
  return errorMessage(error);
}
