/** Builds and starts the bundle that the image runs. Only here it shows whether the bundle contains everything that it needs. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'regkeeper-bundle-'));
const bundle = join(folder, 'regkeeper.mjs');

beforeAll(async () => {
  await promisify(execFile)(process.execPath, [join(root, 'build.ts'), join(root, 'src/main.ts'), bundle]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('parses a long document in a thread, which it starts from its own file', async () => {
  const rules = join(folder, 'rules.yaml');
  writeFileSync(rules, `rules:\n${Array.from({ length: 2_000 }, (_, index) => `- registry: registry-${index}.example.com\n`).join('')}`);
  const log = await serveUntil(['--rules', rules], 'serving');
  expect(log.find(({ msg }) => msg === 'rules are in effect')).toMatchObject({ rules: 2_000 });
});

test('validates rules like the sources do, although it compiles no schema', async () => {
  const rules = join(folder, 'bad.yaml');
  const bad = 'rules:\n- registy: a.io\n- {registry: [], trust: 1}\nexemptions: [{registry: b.io, until: 2026-02-30}]\noverrides: {}\n';
  writeFileSync(rules, bad);
  const lint = (program: string) =>
    promisify(execFile)(process.execPath, [program, 'lint', rules]).catch(({ code, stdout, stderr }) => ({ code, stdout, stderr }));
  const [fromBundle, fromSources] = await Promise.all([lint(bundle), lint(join(root, 'src/main.ts'))]);
  expect(fromSources).toMatchObject({ code: 1, stdout: expect.stringContaining('registy') });
  expect(fromBundle).toEqual(fromSources);
});

/** Starts the server, and stops it when it has logged the message. */
async function serveUntil(flags: readonly string[], message: string): Promise<Record<string, unknown>[]> {
  const network = ['--host', '127.0.0.1', '--port', '0', '--health-port', '0', '--shutdown-delay-seconds', '0'];
  const child = spawn(process.execPath, [bundle, 'serve', ...network, ...flags], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const gone = new Promise<void>((settle) => child.once('exit', () => settle()));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const lines = () => text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
  await Promise.race([expect.poll(lines).toContainEqual(expect.objectContaining({ msg: message })), gone]);
  expect(text).toContain(message);
  return lines();
}
