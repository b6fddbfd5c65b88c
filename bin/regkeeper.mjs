#!/usr/bin/env node
// Starts the program with a Node version that can run it. The syntax is old on purpose: the file must run, and explain the problem, on a
// Node that is too old for the program itself.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
// Imported as a whole: an old Node lacks the function that is used here, and a missing named import would end the program with a stack
// trace.
import module from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
// The sources have precedence: in a checkout the bundle may be older. The image contains only the bundle.
const program = [join(root, 'src', 'main.ts'), join(root, 'dist', 'regkeeper.mjs')].find(existsSync);
const ownNode = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

if (program === undefined) {
  fail('neither src/main.ts nor dist/regkeeper.mjs exists. Install the package again, or run "npm run build" in the checkout');
} else if (isNewEnough(process.versions.node)) {
  keepCompiledCode(join(root, 'node_modules'));
  import(pathToFileURL(program).href);
} else if (existsSync(ownNode)) {
  handOver(ownNode, program);
} else {
  fail(`Node.js ${process.versions.node} is too old. Install Node.js 22.19 or later, or run "npm ci" in the checkout, which includes it`);
}

// The same version as `engines` in package.json. From there on Node runs TypeScript directly.
function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 19);
}

// The cache halves the time until the first command runs. If the folder is not writable, Node continues without it. Node's default, the
// system's temporary folder, is not used: cached code is executed as it is, and any user could write there.
function keepCompiledCode(modules) {
  if (existsSync(modules)) module.enableCompileCache(join(modules, '.cache', 'regkeeper'));
}

function handOver(node, script) {
  const child = spawn(node, [script, ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C in a terminal reaches both processes. Other signals reach only this one and are passed on. The child decides when to end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => fail(`cannot start ${node}: ${error.message}`));
  child.once('exit', (code, signal) => {
    // Shells report 128 + number for a program that was ended by a signal.
    process.exitCode = signal === null ? code : 128 + constants.signals[signal];
  });
}

function fail(message) {
  process.stderr.write(`regkeeper: ${message}\n`);
  process.exitCode = 2;
}
