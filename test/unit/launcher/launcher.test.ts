/** The launcher `bin/regkeeper.mjs`: which program and which Node it starts, signals and exit codes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

/** Prints its file and arguments. With `wait` as first argument it runs until SIGTERM. */
const program = `
if (process.argv[2] === 'exit') process.exitCode = Number(process.argv[3]);
if (process.argv[2] === 'wait') {
  const alive = setInterval(() => undefined, 1_000);
  process.once('SIGTERM', () => { clearInterval(alive); process.exitCode = 7; });
}
process.stdout.write(JSON.stringify({ file: import.meta.filename, argv: process.argv.slice(2), child: process.env.LAUNCHED_BY !== String(process.pid) }) + '\\n');
if (process.argv[2] === 'die') process.kill(process.pid, 'SIGKILL');
`;

const tooOld = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.20.2'}})`;

type Checkout = { readonly dist?: boolean; readonly src?: boolean; readonly ownNode?: boolean };

/** The launcher in a checkout with only these parts. */
function checkout({ dist = false, src = false, ownNode = false }: Checkout) {
  const root = mkdtempSync(join(tmpdir(), 'regkeeper-launcher-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const folder of ['bin', 'dist', 'src', 'node_modules/node/bin']) mkdirSync(join(root, folder), { recursive: true });
  const launcher = join(root, 'bin', 'regkeeper.mjs');
  cpSync(join(import.meta.dirname, '../../../bin/regkeeper.mjs'), launcher);
  writeFileSync(join(root, 'package.json'), '{"type": "module"}');
  if (dist) writeFileSync(join(root, 'dist', 'regkeeper.mjs'), program);
  if (src) writeFileSync(join(root, 'src', 'main.ts'), `const typed: string = '';\n${program}`);
  if (ownNode) symlinkSync(process.execPath, join(root, 'node_modules/node/bin/node'));

  const start = (args: readonly string[], { old = false } = {}) => {
    // The program compares its process with that of the launcher: `import` keeps the process, and a child process is another one.
    const note = `data:text/javascript,process.env.LAUNCHED_BY ??= String(process.pid)`;
    const imports = [note, ...(old ? [tooOld] : [])].flatMap((url) => ['--import', url]);
    const launched = spawn(process.execPath, [...imports, launcher, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    onTestFinished(() => void launched.kill('SIGKILL'));
    return launched;
  };
  return { root, start, run: (args: readonly string[], options?: { old?: boolean }) => ended(start(args, options)) };
}

async function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const texts = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    texts.err += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...texts };
}

test('runs the built program if there are no sources, with its arguments, in the same process', async () => {
  const { run } = checkout({ dist: true });
  const { out, code } = await run(['lint', 'a b']);
  expect(JSON.parse(out)).toMatchObject({ file: expect.stringMatching(/dist[\\/]regkeeper\.mjs$/), argv: ['lint', 'a b'], child: false });
  expect(code).toBe(0);
});

test('runs the sources in a checkout, even if a built program exists', async () => {
  const { run } = checkout({ dist: true, src: true });
  expect(JSON.parse((await run([])).out)).toMatchObject({ file: expect.stringMatching(/src[\\/]main\.ts$/), child: false });
});

test('caches compiled code next to the packages, and nowhere else', async () => {
  const { root, run } = checkout({ src: true });
  expect((await run([])).code).toBe(0);
  expect(readdirSync(join(root, 'node_modules', '.cache', 'regkeeper'))).not.toEqual([]);
});

test('runs without a cache if compiled code cannot be cached', async () => {
  const { root, run } = checkout({ src: true });
  writeFileSync(join(root, 'node_modules', '.cache'), 'a file where the folder would be');
  expect(await run([])).toMatchObject({ code: 0, out: expect.stringContaining('main.ts'), err: '' });
});

test("switches to the checkout's Node if its own is too old, and passes the exit code on", async () => {
  const { run } = checkout({ src: true, ownNode: true });
  const { out, code } = await run(['exit', '3'], { old: true });
  expect(JSON.parse(out)).toMatchObject({ argv: ['exit', '3'], child: true });
  expect(code).toBe(3);
});

test('forwards a signal, and ends when the program ends', async () => {
  const { start } = checkout({ src: true, ownNode: true });
  const launched = start(['wait'], { old: true });
  const end = ended(launched);
  await new Promise((resolve) => launched.stdout?.once('data', resolve));
  launched.kill('SIGTERM');
  expect((await end).code).toBe(7);
});

test('reports a program that was ended by a signal like a shell does', async () => {
  const { run } = checkout({ src: true, ownNode: true });
  expect((await run(['die'], { old: true })).code).toBe(128 + 9);
});

test.each<[string, Checkout, boolean, string]>([
  ['there is no program', {}, false, 'neither src/main.ts nor dist/regkeeper.mjs exists'],
  ['Node is too old and there is no other', { dist: true }, true, 'Node.js 20.20.2 is too old. Install Node.js 22.19 or later'],
])('reports when %s', async (_what, content, old, message) => {
  const { code, out, err } = await checkout(content).run(['version'], { old });
  expect(err).toContain(`regkeeper: ${message}`);
  expect({ code, out }).toEqual({ code: 2, out: '' });
});
