/**
 * `npm run build`: bundles the program into one file, dist/regkeeper.mjs, which needs only Node. With `--image DIRECTORY` it writes the files
 * of the image instead, and `compile.mjs`, which compiles them in advance.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import ajv from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { wrapper } from './src/compiled-program.ts';
import { schemaOptions } from './src/rules/language/compile-schema.ts';
import { rulesSchema } from './src/rules/language/schema.ts';

/** Other entry and output files can be passed as arguments. */
const [entry = join(import.meta.dirname, 'src/main.ts'), output = join(import.meta.dirname, 'dist/regkeeper.mjs')] = process.argv.slice(2);

/** Generates the validator of rules here, so that the program loads no ajv. Compiling the schema took 80 ms of each start. */
const precompiledSchema: Plugin = {
  name: 'precompiled schema',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/]rules[\\/]language[\\/]compile-schema\.ts$/ }, ({ path }) => ({
      contents: validatorSource(),
      loader: 'js',
      resolveDir: dirname(path),
    }));
  },
};

/**
 * Loads modules of Node.js only when the code that imports them runs. In an ES module, Node.js would load all of them at the start, with
 * everything that they export: for `node:http`, this includes its WebSocket client.
 */
const lazyNodeModules: Plugin = {
  name: 'lazy modules of Node.js',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z:_/0-9]+$/ }, ({ path, kind }) =>
      isBuiltin(path) && kind === 'import-statement' ? { path, namespace: 'lazy' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};

function validatorSource(): string {
  const formats = ajv._`{date: isCalendarDay}`;
  const instance = new Ajv2020({ ...schemaOptions, code: { ...schemaOptions.code, source: true, esm: true, formats } });
  const validator = standalone.default(instance, instance.compile(rulesSchema));
  return `import { isCalendarDay } from './calendar-day.ts';\n${validator}\nexport const compileSchema = () => validate;\n`;
}

/** The worker thread for long rules documents, embedded as text so that it needs no other file. */
const worker = await build({
  entryPoints: [join(import.meta.dirname, 'src/loading/parse-worker.ts')],
  write: false,
  bundle: true,
  platform: 'node',
  // A worker that is started from text is CommonJS.
  format: 'cjs',
  target: 'node22.19',
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [precompiledSchema],
});

const common = {
  bundle: true,
  platform: 'node',
  // The oldest version that package.json allows.
  target: 'node22.19',
  // Names stay as they are without `keepNames`, because identifiers are not minified. It would define the name of each closure again when it
  // is created, which is 6 % of a request.
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [precompiledSchema],
  metafile: true,
  write: false,
  define: { parseWorkerProgram: JSON.stringify(worker.outputFiles[0]?.text) },
} as const satisfies BuildOptions;
// CommonJS dependencies call require for Node's own modules, and an ES module has no require.
const requireInModule =
  "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);";

if (worker.errors.length > 0) process.exitCode = 1;
const source = (file: string) => join(import.meta.dirname, 'src', file);
if (entry === '--image') {
  // V8 saves compiled code only for scripts.
  const wrapping = { banner: { js: wrapper.begin }, footer: { js: wrapper.end } };
  const script = { ...common, ...wrapping, format: 'cjs', logOverride: { 'empty-import-meta': 'silent' } } as const;
  await write({ ...script, entryPoints: [source('main-of-image.ts')], outfile: join(output, 'program.cjs') });
  await write({ ...common, format: 'esm', entryPoints: [source('start-of-image.ts')], outfile: join(output, 'regkeeper.mjs') });
  await write({ ...common, format: 'esm', entryPoints: [join(import.meta.dirname, 'compile.ts')], outfile: join(output, 'compile.mjs') });
} else {
  const plugins: Plugin[] = [precompiledSchema, lazyNodeModules];
  await write({ ...common, plugins, format: 'esm', entryPoints: [entry], outfile: output, banner: { js: requireInModule } });
}

async function write(options: BuildOptions & Omit<typeof common, 'plugins'>): Promise<void> {
  const { metafile, errors, outputFiles } = await build(options);
  if (errors.length > 0) process.exitCode = 1;
  // The only characters beyond ASCII are in comments with licenses. Node.js decodes a file of ASCII in half the time, and needs 4 MiB less.
  const ascii = (text: string) => text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, ascii(text));
  }
  for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
    if (bytes > 100_000) process.stdout.write(`${file}: ${(bytes / 1_000_000).toFixed(1)} MB\n`);
  }
}
