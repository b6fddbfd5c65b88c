/** The entry point. */
import { join } from 'node:path';
import { keepCompiledCode } from './compile-cache.ts';

keepCompiledCode(join(import.meta.dirname, '..', 'node_modules'));
const { run } = await import('./run.ts');
await run();
