/** `npm run build`: the whole program as one file, dist/regkeeper.mjs, which needs nothing but Node. Entry and target can be named for trials. */
import { join } from 'node:path';
import { build } from 'esbuild';

const [entry = join(import.meta.dirname, 'src/main.ts'), outfile = join(import.meta.dirname, 'dist/regkeeper.mjs')] = process.argv.slice(2);

/** The thread that parses long rules documents, as one text within the file: started from there, it needs no other file. */
const worker = await build({
  entryPoints: [join(import.meta.dirname, 'src/loading/parse-worker.ts')],
  write: false,
  bundle: true,
  platform: 'node',
  // A thread that is started from a text is CommonJS.
  format: 'cjs',
  target: 'node22.19',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
});

const { metafile, errors } = await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  // The oldest that package.json lets in.
  target: 'node22.19',
  // Names stay: they stand in stack traces, and errors are told apart by them.
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
  metafile: true,
  define: { parseWorkerProgram: JSON.stringify(worker.outputFiles[0]?.text) },
  // Dependencies written as CommonJS call require for Node's own modules, and an ES module has no require.
  banner: {
    js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
  },
});
if (errors.length + worker.errors.length > 0) process.exitCode = 1;
for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
  if (file.endsWith('.mjs')) process.stdout.write(`${file}: ${(bytes / 1_000_000).toFixed(1)} MB\n`);
}
