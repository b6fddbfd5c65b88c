/**
 * `npm run test:node`: a one-node cluster of real processes, and the scenarios on it. Afterwards the machine must be as before, also after an
 * interruption, which is tried first. `-- NAME` runs the files whose name contains it. `-- --up` keeps the cluster running until Ctrl-C.
 */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findHelm } from '../cluster/helm.ts';
import { waitFor } from '../cluster/wait-for.ts';
import { findNodeBinaries } from './binaries.ts';
import { checkInterruption } from './interruption.ts';
import { borrowMachine, differences, lookAtMachine, type Machine } from './machine.ts';
import { insideNamespaces } from './namespaces.ts';
import { missingRequirements } from './requirements.ts';

const root = resolve(import.meta.dirname, '../..');

/** The exit code where this machine cannot run the node. `.ci/run` prints a line then. */
const cannotRun = 77;

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  log(error instanceof Error ? error.message : String(error));
  return 1;
});

async function main(args: readonly string[]): Promise<number> {
  const missing = await missingRequirements();
  if (missing.length > 0) {
    log(`NOT RUN: test:node cannot run on this machine.\n${missing.map((line) => `- ${line}`).join('\n')}`);
    return cannotRun;
  }
  if (args.length === 0) {
    await findNodeBinaries();
    await checkInterruption();
    log('An interrupted run left the machine as before, and a second run at the same time did not start.');
  }
  const lock = await takeLock();
  try {
    await findNodeBinaries();
    await findHelm();
    const program = args.includes('--up')
      ? [join(import.meta.dirname, 'up.ts')]
      : [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', join(import.meta.dirname, 'vitest.config.ts'), ...args];
    return await runOnNode(program);
  } finally {
    lock.close();
  }
}

/** Two nodes would share the name of their control group. The kernel frees this lock when the process ends. */
async function takeLock(): Promise<Server> {
  const lock = createServer();
  return await new Promise((settle, reject) => {
    lock.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new Error('another test:node is running on this machine: wait for its end') : error),
    );
    lock.listen('\0regkeeper-test-node', () => settle(lock));
  });
}

/** Returns the program's exit code, or 1 where the machine is not as before. */
async function runOnNode(program: readonly string[]): Promise<number> {
  const before = lookAtMachine();
  const folder = await mkdtemp(join(tmpdir(), 'rk-node-'));
  const giveBack = await borrowMachine();
  const code = await runInside(folder, program);
  await giveBack();
  await rm(folder, { recursive: true });
  const changes = await lastingDifferences(before);
  if (changes.length === 0) log('The machine is as before: processes, mounts, interfaces, control groups, kernel settings and paths.');
  else log(changes.join('\n'));
  return changes.length === 0 ? code : 1;
}

/** After a signal the last processes need a moment to end. */
async function lastingDifferences(before: Machine): Promise<readonly string[]> {
  let changes: readonly string[] = [];
  const none = () => {
    changes = differences(before, lookAtMachine());
    return changes.length === 0;
  };
  await waitFor(none, { deadlineSeconds: 10, what: 'the machine to be as before' }).catch(() => undefined);
  return changes;
}

/** A signal ends the namespaces, and with them every process of the node. */
function runInside(folder: string, program: readonly string[]): Promise<number> {
  const [command, ...args] = insideNamespaces([process.execPath, ...program]);
  const env = { ...process.env, TMPDIR: folder, TEST_NODE: folder };
  // In its own process group, so that Ctrl-C in a terminal reaches this process only.
  const child = spawn(command, args, { cwd: root, env, stdio: 'inherit', detached: true });
  return new Promise((settle, reject) => {
    let interrupted: NodeJS.Signals | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      interrupted = signal;
      child.kill('SIGKILL');
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, onSignal);
    child.once('error', reject);
    child.once('exit', (code) => {
      for (const signal of signals) process.off(signal, onSignal);
      settle(interrupted === undefined ? (code ?? 1) : 128 + constants.signals[interrupted]);
    });
  });
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}
