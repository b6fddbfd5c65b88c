/** Checks which directories import which, that imports have no cycles, and that the engine is pure. */
import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { parseSync } from 'vite';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const source = join(root, 'src');

/** The directories that a directory may import, apart from itself. `.` is the files directly in src. */
const engineRooms = ['cache', 'yaml', 'image', 'object', 'credentials', 'rules', 'delivery', 'decision', 'admission'] as const;
const mayImport: Readonly<Record<string, readonly string[]>> = {
  cache: [],
  contracts: [],
  errors: [],
  time: [],
  yaml: [],
  image: ['cache'],
  object: ['cache', 'image'],
  credentials: ['image', 'object'],
  rules: ['yaml', 'image'],
  delivery: ['image', 'object', 'credentials', 'rules'],
  decision: ['yaml', 'image', 'object', 'credentials', 'rules'],
  admission: ['yaml', 'image', 'object', 'rules', 'decision'],
  files: ['time'],
  kube: ['contracts', 'errors', 'time', 'yaml'],
  settings: ['rules'],
  observe: ['contracts', 'time', ...engineRooms],
  loading: ['errors', 'time', 'yaml', 'image', 'object', 'rules', 'files'],
  certificates: ['contracts', 'errors', 'time', 'kube', 'files', 'settings'],
  cluster: ['contracts', 'errors', 'time', ...engineRooms, 'observe', 'kube', 'loading', 'certificates'],
  server: ['errors', 'time', ...engineRooms, 'observe', 'loading'],
  evaluate: ['errors', 'files', ...engineRooms, 'observe', 'loading'],
  draft: [...engineRooms, 'loading', 'evaluate'],
  scan: ['contracts', 'errors', 'time', ...engineRooms, 'observe', 'kube', 'settings', 'loading', 'cluster', 'evaluate', 'draft'],
  app: [
    'contracts',
    'errors',
    'time',
    ...engineRooms,
    'observe',
    'kube',
    'settings',
    'loading',
    'files',
    'certificates',
    'cluster',
    'server',
  ],
  cli: [
    'errors',
    ...engineRooms,
    'observe',
    'kube',
    'settings',
    'loading',
    'files',
    'certificates',
    'cluster',
    'server',
    'evaluate',
    'draft',
    'scan',
    'app',
    '.',
  ],
  '.': ['time', 'cli', 'settings', 'app', 'kube'],
};

/** The engine is synchronous, pure, and runs in any JavaScript runtime, without Node, network and clock. */
const engine: readonly string[] = engineRooms;
/** The simulation uses fast-json-patch, so that a patch is applied by other code than that which created it. */
const enginePackages = ['yaml', 'js-yaml', 'typebox', 'ajv', 'fast-json-patch'];
const impure = /\b(?:Date\.now|new Date\(\)|performance\.|Math\.random|process\.|fetch\(|setTimeout|setInterval|await )/;

type Import = { readonly file: string; readonly room: string; readonly specifier: string };

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = files.flatMap((file) => importsOf(file, readFileSync(join(source, file), 'utf8')));

describe('directories only import what they may', () => {
  test('the test covers every directory, and every one is listed', () => {
    const rooms = new Set(files.map(roomOf));
    expect([...rooms].sort()).toEqual(Object.keys(mayImport).sort());
    expect(imports.length).toBeGreaterThan(100);
  });

  test('imports follow the agreed directions', () => {
    const wrong = imports.filter(({ file, room, specifier }) => {
      if (!specifier.startsWith('.')) return false;
      const target = relative(source, resolve(source, dirname(file), specifier));
      if (target.startsWith('..')) return target !== '../package.json';
      const other = roomOf(target);
      return other !== room && !(mayImport[room] ?? []).includes(other);
    });
    expect(wrong).toEqual([]);
  });

  test('there are no cycles, including type imports and dynamic imports', () => {
    const graph = new Map(files.map((file) => [file, [] as string[]]));
    for (const { file, specifier } of imports) {
      if (specifier.startsWith('.')) graph.get(file)?.push(relative(source, resolve(source, dirname(file), specifier)));
    }
    expect(cyclesOf(graph)).toEqual([]);
  });

  test('a cycle is found, even through files that are not part of it', () => {
    const graph = new Map([
      ['main', ['a']],
      ['a', ['b', 'leaf']],
      ['b', ['c']],
      ['c', ['a']],
      ['self', ['self']],
      ['leaf', []],
    ]);
    expect(cyclesOf(graph)).toEqual([
      ['a', 'b', 'c', 'a'],
      ['self', 'self'],
    ]);
  });

  test('nothing imports the program itself', () => {
    expect(imports.filter(({ specifier }) => /(^|\/)main\.ts$/.test(specifier))).toEqual([]);
  });

  test('the engine imports four packages and nothing from Node', () => {
    const foreign = imports
      .filter(({ room, specifier }) => engine.includes(room) && !specifier.startsWith('.'))
      .filter(({ specifier }) => !enginePackages.includes(specifier.split('/')[0] ?? ''));
    expect(foreign).toEqual([]);
  });

  test('development dependencies are imported only as types', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
    const loaded = files
      .flatMap((file) => importsOf(file, stripTypeScriptTypes(readFileSync(join(source, file), 'utf8'))))
      .filter(({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'));
    const packageOf = (specifier: string) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '';
    expect(loaded.length).toBeGreaterThan(10);
    expect(loaded.filter(({ specifier }) => !Object.hasOwn(dependencies, packageOf(specifier)))).toEqual([]);
  });

  test('the engine is synchronous, and uses neither a clock nor random numbers', () => {
    const guilty = files
      .filter((file) => engine.includes(roomOf(file)))
      .filter((file) => impure.test(withoutComments(readFileSync(join(source, file), 'utf8'))));
    expect(guilty).toEqual([]);
  });

  test.each([
    ['yaml', ['yaml']],
    ['js-yaml', ['yaml']],
    ['node-forge', ['certificates']],
    ['fastify', ['server', 'app']],
    ['pino', ['observe']],
    ['sonic-boom', ['observe']],
    ['prom-client', ['observe']],
    ['commander', ['cli']],
    ['@kubernetes/client-node', ['kube']],
  ])('%s is only used in %j', (name, rooms) => {
    const users = new Set(imports.filter(({ specifier }) => specifier === name).map(({ room }) => room));
    expect(users.size).toBeGreaterThan(0);
    expect([...users].filter((room) => !rooms.includes(room))).toEqual([]);
  });

  test('only the settings read the environment, and only the program ends the process', () => {
    const reads = (pattern: RegExp) => files.filter((file) => pattern.test(withoutComments(readFileSync(join(source, file), 'utf8'))));
    expect(reads(/process\.env\b/)).toEqual(['run.ts']);
    expect(reads(/process\.exit\b/)).toEqual(['run.ts']);
  });
});

function importsOf(file: string, text: string): Import[] {
  const { module, errors } = parseSync(file, text);
  expect(errors).toEqual([]);
  const specifiers = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? [])),
    ...module.dynamicImports.map(({ moduleRequest }) => text.slice(moduleRequest.start + 1, moduleRequest.end - 1)),
  ];
  return specifiers.map((specifier) => ({ file, room: roomOf(file), specifier }));
}

function roomOf(file: string): string {
  const [first = '', ...rest] = file.split('/');
  return rest.length === 0 ? '.' : first;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
}

/** Every path from a file back to itself, by depth-first search. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) cycles.push([...path.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}
