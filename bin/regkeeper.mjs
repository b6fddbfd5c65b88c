#!/usr/bin/env node
// Old syntax on purpose: this must run, and say what is wrong, on a Node too old for the program itself.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
// As a whole: on an old Node it lacks what is used here, and a missing name would end the program with a stack trace.
import module from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
// The sources first: in a checkout the bundle may be older than they are, and the image holds the bundle alone.
const program = [join(root, 'src', 'main.ts'), join(root, 'dist', 'regkeeper.mjs')].find(existsSync);
const ownNode = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');

if (program === undefined) {
  fail('neither src/main.ts nor dist/regkeeper.mjs is there: install the package again, or run "npm run build" in the checkout');
} else if (isNewEnough(process.versions.node)) {
  keepCompiledCode(join(root, 'node_modules'));
  import(pathToFileURL(program).href);
} else if (existsSync(ownNode)) {
  handOver(ownNode, program);
} else {
  fail(
    'Node ' +
      process.versions.node +
      ' is too old, 22.19 or later is needed: install it, or run "npm ci" in the checkout, which brings one',
  );
}

// As `engines` in package.json says: from there on TypeScript runs as it is.
function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 19);
}

// It halves the time until the first command runs. Where the folder cannot be written, Node goes on without. Not in the system's folder
// for temporary files, which is Node's default: compiled code is run as it is found, and there anybody could put some.
function keepCompiledCode(modules) {
  if (existsSync(modules)) module.enableCompileCache(join(modules, '.cache', 'regkeeper'));
}

function handOver(node, script) {
  const child = spawn(node, [script, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal's Ctrl-C reaches both of us; a signal from anybody else only this process. Its end is the child's decision.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => fail(`${node} does not start: ${error.message}`));
  child.once('exit', (code, signal) => {
    // 128 + number is what a shell reports of a program that a signal ended.
    process.exitCode = signal === null ? code : 128 + constants.signals[signal];
  });
}

function fail(message) {
  process.stderr.write(`regkeeper: ${message}\n`);
  process.exitCode = 2;
}
