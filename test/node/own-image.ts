/** regkeeper's own image, as the Dockerfile describes it, without a container engine: Node and its libraries of this machine replace the base. */

import { execFile } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { programParts } from '../cluster/program.ts';
import { type Image, type ImageConfig, makeImage, makeLayer } from './images.ts';

const root = resolve(import.meta.dirname, '../..');

/** Where the parts of the image are, and how it starts. */
export interface Recipe {
  /** Path of Node in the image. */
  readonly node: string;
  /** Path of the file in the image that starts the program. */
  readonly program: string;
  readonly config: ImageConfig;
}

/** Reads the last stage of the Dockerfile, so the image here starts as the one that users build. */
export async function readRecipe(): Promise<Recipe> {
  const text = await readFile(join(root, 'Dockerfile'), 'utf8');
  const stage = text.slice(text.lastIndexOf('\nFROM '));
  const argument = (instruction: string) => {
    const found = new RegExp(`^${instruction} (.+)$`, 'm').exec(stage)?.[1];
    if (found === undefined) throw new Error(`the last stage of the Dockerfile has no ${instruction}`);
    return found;
  };
  const entrypoint = JSON.parse(argument('ENTRYPOINT')) as string[];
  const ports = argument('EXPOSE').split(' ');
  return {
    node: entrypoint[0] ?? '',
    program: entrypoint.at(-1) ?? '',
    config: {
      Entrypoint: entrypoint,
      Cmd: JSON.parse(argument('CMD')) as string[],
      Env: argument('ENV').split(' '),
      User: argument('USER'),
      WorkingDir: argument('WORKDIR'),
      ExposedPorts: Object.fromEntries(ports.map((port) => [`${port}/tcp`, {}])),
    },
  };
}

/** `start` is the path of the file that starts the program, next to its other parts. */
export async function makeOwnImage(start: string): Promise<Image> {
  const { node, program, config } = await readRecipe();
  const libraries = await Promise.all((await librariesOf(process.execPath)).map(async (path) => [path, await readFile(path)] as const));
  const base = makeLayer({ [node]: await readFile(process.execPath), ...Object.fromEntries(libraries) });
  const parts = await Promise.all(
    programParts.map(async (name) => [join(dirname(program), name), await readFile(join(dirname(start), name))] as const),
  );
  return makeImage([base, makeLayer(Object.fromEntries(parts))], config);
}

async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ldd', [await realpath(program)]);
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(/g)].flatMap(([, path]) => path ?? []);
}
