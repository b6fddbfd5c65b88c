/** Tests which packages each command loads. They determine its start time, which itself depends on the machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';

import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { keepCompiledCode } from '../../../src/compile-cache.ts';

const root = resolve(import.meta.dirname, '../../..');

/** Each takes longer to load than everything that `explain` needs, or is a dependency of one that does. */
const forServersAndClusters = [
  '@kubernetes/client-node',
  'fastify',
  'undici',
  'node-forge',
  'pino',
  'prom-client',
  'close-with-grace',
  'typebox',
];

/** Writes the packages that were loaded by import or require to file descriptor 3. */
const recorder = `data:text/javascript,${encodeURIComponent(`
import { getCompileCacheDir, registerHooks } from 'node:module';
import { writeSync } from 'node:fs';
const packages = new Set();
registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const found = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)\\//.exec(resolved.url);
    if (found) packages.add(found[1]);
    return resolved;
  },
});
process.on('exit', () => writeSync(3, JSON.stringify({ packages: [...packages].sort(), cache: getCompileCacheDir() })));
`)}`;

async function packagesOf(argv: readonly string[]) {
  const child = spawn(process.execPath, ['--import', recorder, join(root, 'src/main.ts'), ...argv], {
    cwd: root,
    env: { PATH: process.env.PATH, COLUMNS: '200' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const [out, err, record, [code]] = await Promise.all([
    text(child.stdout as Readable),
    text(child.stderr as Readable),
    text(child.stdio[3] as Readable),
    once(child, 'exit'),
  ]);
  const { packages, cache } = JSON.parse(record) as { packages: string[]; cache?: string };
  return { out, err, code, packages, cache };
}

test.each([[['version']], [['--help']], [['serve', '--help']]])('%j loads nothing but the command-line parser', async (argv) => {
  expect(await packagesOf(argv)).toMatchObject({ code: 0, err: '', packages: ['commander'] });
});

test.each([
  ['check -f deploy/examples/objects/pod.yaml --rules deploy/examples/rules'],
  ['explain quay.io/team-a/y -n team-a --rules deploy/examples/rules'],
  ['lint deploy/examples/rules'],
  ['init -f deploy/examples/objects'],
  ['rbac --rules deploy/examples/rules'],
])('%s reads rules and objects without a web server or a cluster client', async (line) => {
  const { code, packages } = await packagesOf(line.split(' '));
  expect(code).toBe(0);
  expect(packages).toEqual(expect.arrayContaining(['ajv', 'yaml']));
  expect(packages.filter((each) => forServersAndClusters.includes(each))).toEqual([]);
});

test('compiled code is cached next to the packages, and nowhere else', async () => {
  const { cache } = await packagesOf(['version']);
  expect(cache).toContain(join('node_modules', '.cache', 'regkeeper'));
});

test('if compiled code cannot be cached, Node runs without', () => {
  const packages = mkdtempSync(join(tmpdir(), 'regkeeper-packages-'));
  onTestFinished(() => rmSync(packages, { recursive: true }));
  writeFileSync(join(packages, '.cache'), 'a file where the folder would be');
  expect(() => keepCompiledCode(packages)).not.toThrow();
  expect(() => keepCompiledCode(join(packages, 'absent'))).not.toThrow();
});

test('an invalid command line is reported without loading more', async () => {
  expect(await packagesOf(['sevre'])).toMatchObject({ code: 2, packages: ['commander'] });
});

test('the recorder detects what a server loads', async () => {
  const argv = 'serve --rules package.json --tls-cert absent --tls-key absent --host 127.0.0.1 --port 0 --health-port 0'.split(' ');
  const { code, err, packages } = await packagesOf(argv);
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('package.json') });
  expect(packages).toEqual(expect.arrayContaining(['fastify', 'node-forge', 'pino', 'close-with-grace']));
});

describe('a command loads no web server, no cluster client and no certificate code to show its help', async () => {
  const { out } = await packagesOf(['--help']);
  const commands = [...out.slice(out.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);

  test('the list of commands is parsed', () => {
    expect(commands).toEqual(expect.arrayContaining(['serve', 'review', 'version', 'help']));
  });

  test.each(commands)('%s', async (name) => {
    const { code, packages } = await packagesOf(name === 'help' ? ['help'] : [name, '--help']);
    expect(code).toBe(0);
    expect(packages.filter((each) => forServersAndClusters.includes(each))).toEqual([]);
  });
});
