/** Tests that the image's program runs with compiled code, and also without. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { compiledCode, encodeCompiledCode, loadProgram, wrapper } from '../../../src/compiled-program.ts';

const root = join(import.meta.dirname, '../../..');

function folderWith(program: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'regkeeper-program-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeProgram(folder, program);
  return folder;
}

function writeProgram(folder: string, program: string): void {
  writeFileSync(join(folder, 'program.cjs'), `${wrapper.begin}${program}${wrapper.end}`);
}

const answers = (folder: string) => {
  const loaded = loadProgram(folder);
  loaded.run();
  return { usesCompiledCode: loaded.usesCompiledCode, answer: (globalThis as { answer?: unknown }).answer };
};

/** What another process prints: V8 remembers what it has compiled in this one, and other tests change its flags. */
async function elsewhere(folder: string, then: string): Promise<string> {
  const { href } = pathToFileURL(join(root, 'src/compiled-program.ts'));
  const load = `const { loadProgram } = await import(${JSON.stringify(href)}); const loaded = loadProgram(${JSON.stringify(folder)});`;
  return (await promisify(execFile)(process.execPath, ['--input-type=module', '-e', `${load} ${then}`])).stdout;
}

test('compiled code is used by the same Node.js for the same program', () => {
  const folder = folderWith(`globalThis.answer = require('node:path').basename(__filename) + 1;`);
  expect(answers(folder)).toEqual({ usesCompiledCode: false, answer: 'program.cjs1' });
  writeFileSync(compiledCode(folder), encodeCompiledCode(loadProgram(folder)));
  expect(answers(folder)).toEqual({ usesCompiledCode: true, answer: 'program.cjs1' });
});

test.each([
  ['is empty', () => Buffer.alloc(0)],
  ['is from a different Node.js', (code: Buffer) => Buffer.from(code.toString('latin1').replace(process.version, 'v24.0.99'), 'latin1')],
  ['is truncated', (code: Buffer) => code.subarray(0, code.length / 2)],
])('compiled code that %s is not used, and the program runs', async (_what, spoil) => {
  const folder = folderWith('globalThis.answer = (() => 2)();');
  writeFileSync(compiledCode(folder), spoil(encodeCompiledCode(loadProgram(folder))));
  expect(await elsewhere(folder, 'loaded.run(); console.log(loaded.usesCompiledCode, answer);')).toBe('false 2\n');
});

test('compiled code of another program is not used', () => {
  const folder = folderWith('globalThis.answer = 3;');
  writeFileSync(compiledCode(folder), encodeCompiledCode(loadProgram(folder)));
  writeProgram(folder, 'globalThis.answer = 3 + 1;');
  expect(answers(folder)).toEqual({ usesCompiledCode: false, answer: 4 });
});

test('compiled code of another program of equal length is not used', async () => {
  const folder = folderWith('globalThis.answer = (() => 3)();');
  writeFileSync(compiledCode(folder), encodeCompiledCode(loadProgram(folder)));
  writeProgram(folder, 'globalThis.answer = (() => 4)();');
  expect(await elsewhere(folder, 'loaded.run(); console.log(loaded.usesCompiledCode, answer);')).toBe('false 4\n');
});

test("the image's files start a server and compile it", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'regkeeper-image-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const run = promisify(execFile);
  await run(process.execPath, [join(root, 'build.ts'), '--image', folder]);
  await run(process.execPath, [join(folder, 'compile.mjs')]);
  expect(readFileSync(compiledCode(folder)).length).toBeGreaterThan(1_000_000);
  expect(await elsewhere(folder, 'console.log(loaded.usesCompiledCode);')).toBe('true\n');
  expect((await run(process.execPath, [join(folder, 'regkeeper.mjs'), 'version'])).stdout).toMatch(/^regkeeper \d/);
});
