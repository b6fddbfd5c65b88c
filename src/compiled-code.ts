/** Compiled code of earlier runs: without it a command spends most of its start on taking the types out of its sources. */
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/**
 * Keeps the code of all modules that are imported from now on, in `.cache` of the folder with the packages, where there is one. A folder
 * that cannot be written is no trouble: Node goes on without. Not in the system's folder for temporary files, which is Node's default: kept
 * code is run as it is found, and there anybody could put some. `bin/regkeeper.mjs` does the same a moment earlier: where `main.ts` comes out
 * of the cache too, Node need not even load its reader of types.
 */
export function keepCompiledCode(packages: string): void {
  if (existsSync(packages)) enableCompileCache(join(packages, '.cache', 'regkeeper'));
}
