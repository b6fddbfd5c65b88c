/** Reuses compiled code of earlier runs. Without it a command spends most of its start on stripping types from its sources. */
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/**
 * Caches the code of all modules that are imported from now on, in `.cache` of the packages folder, if that exists. If the folder is not
 * writable, Node continues without a cache. Node's default, the system's temporary folder, is not used: cached code is executed as it is,
 * and any user could write there. `bin/regkeeper.mjs` does the same a moment earlier. If `main.ts` comes from the cache too, Node need not
 * even load its type stripper.
 */
export function keepCompiledCode(packages: string): void {
  if (existsSync(packages)) enableCompileCache(join(packages, '.cache', 'regkeeper'));
}
