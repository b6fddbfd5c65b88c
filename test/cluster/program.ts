/** The program that scenarios start: the bundle that the image holds, which starts in half the time, or the sources. */

import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '../..');
const variable = 'TEST_PROGRAM';

/** For the Node of this process. The sources, unless `buildProgram` was called here or in the process that started this one. */
export function programFile(): string {
  return process.env[variable] ?? join(root, 'src/main.ts');
}

/** Bundles the sources as they are now. */
export async function buildProgram(folder: string): Promise<void> {
  const bundle = join(folder, 'regkeeper.mjs');
  await promisify(execFile)(process.execPath, [join(root, 'build.ts'), join(root, 'src/main.ts'), bundle], { cwd: root });
  process.env[variable] = bundle;
}
