/** The program that tests start: the files of the image, which start in half the time, or the sources. */

import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '../..');
const variable = 'TEST_PROGRAM';

/** For the Node of this process. The sources, unless `buildProgram` was called here or in the process that started this one. */
export function programFile(): string {
  return process.env[variable] ?? join(root, 'src/main.ts');
}

/** The files of the image, all of which the program needs. */
export const programParts = ['regkeeper.mjs', 'program.cjs', 'program.cache'] as const;

/** Builds the program for `programFile` of this process and of those that it starts. */
export async function buildProgram(folder: string): Promise<void> {
  process.env[variable] = await buildImageFiles(folder);
}

/** Bundles the sources as they are now and compiles them in advance, as the Dockerfile does. Returns the file that starts the program. */
export async function buildImageFiles(folder: string): Promise<string> {
  const run = promisify(execFile);
  await run(process.execPath, [join(root, 'build.ts'), '--image', folder], { cwd: root });
  // It leaves a temporary folder behind.
  await run(process.execPath, [join(folder, 'compile.mjs')], { cwd: folder, env: { ...process.env, TMPDIR: folder } });
  return join(folder, programParts[0]);
}
