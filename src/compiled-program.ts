/**
 * Loads the program of the image with the code that V8 compiled when the image was built. Parsing and compiling are more than half of a start.
 * Without that code, or if it is from another Node.js, for another processor or of another program, the program is compiled as usual.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { constants, Script } from 'node:vm';

/**
 * What the file of the code begins with: which Node.js compiled which program. V8 itself compares its own version and its flags, but of the
 * program only the length (V8 SerializedCodeData::SourceHash).
 */
const headerFor = (program: Buffer) => `${process.version} ${process.arch} ${hash('sha256', program)}\n`;
const program = (directory: string) => join(directory, 'program.cjs');
export const compiledCode = (directory: string) => join(directory, 'program.cache');

/** What the file of the program begins and ends with. */
export const wrapper = { begin: '(function (exports, require, module, __filename, __dirname) {', end: '\n})' } as const;

export type LoadedProgram = {
  readonly script: Script;
  /** Of the file with its compiled code. */
  readonly header: string;
  readonly usesCompiledCode: boolean;
  run(): void;
};

export function loadProgram(directory: string): LoadedProgram {
  const filename = program(directory);
  const content = readFileSync(filename);
  const header = headerFor(content);
  const cachedData = readCompiledCode(directory, header);
  // The bundle is ASCII, which is decoded fastest as latin1. It is a function expression, because a text that is made of parts would need its
  // memory twice.
  const source = content.toString('latin1');
  const script = new Script(source, { filename, cachedData, importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER });
  return {
    script,
    header,
    usesCompiledCode: cachedData !== undefined && script.cachedDataRejected === false,
    run() {
      const module = { exports: {} };
      script.runInThisContext()(module.exports, createRequire(filename), module, filename, directory);
    },
  };
}

/** The content of the file. Code that was compiled lazily is part of it, so call it after the program has done some work. */
export function encodeCompiledCode({ script, header }: LoadedProgram): Buffer {
  return Buffer.concat([Buffer.from(header), script.createCachedData()]);
}

function readCompiledCode(directory: string, header: string): Buffer | undefined {
  let content: Buffer;
  try {
    content = readFileSync(compiledCode(directory));
  } catch {
    return undefined;
  }
  return content.subarray(0, header.length).toString() === header ? content.subarray(header.length) : undefined;
}
