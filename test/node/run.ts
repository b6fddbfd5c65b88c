/**
 * `npm run test:node`: a one-node cluster of real processes, and the scenarios on it. Afterwards the machine must be as before, also after an
 * interruption, which is tried first. `-- NAME` runs the files whose name contains it. `-- --up` keeps the cluster running until Ctrl-C.
 * Where another run is in progress, it ends with an error. `-- --ci` waits for that run, and only starts where a run can be expected to work.
 */

import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { findHelm } from '../cluster/helm.ts';
import { waitFor } from '../cluster/wait-for.ts';
import { findNodeBinaries } from './binaries.ts';
import { checkFailure, checkInterruption, failingVariable } from './interruption.ts';
import { createNodeGroups, differences, lookAtMachine, type Machine, removeNodeGroups, runnerGroupFiles } from './machine.ts';
import { insideNamespaces, temporaryFolder } from './namespaces.ts';
import { missingRequirements } from './requirements.ts';

const root = resolve(import.meta.dirname, '../..');

/** The exit code where this machine cannot run the node. `.ci/run` prints a line then. */
const cannotRun = 77;

/** Folders of runs have this prefix. Those of a run that was killed are removed by the next one. */
const folderPrefix = 'rk-node-';

/** Where the logs of the last run that failed are. */
const logsOfFailure = join(temporaryFolder, 'regkeeper-test-node-logs');

const minute = 60_000;

// Where the reader of the output ends first, as with `| head`, the machine must be restored nevertheless.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  log(error instanceof Error ? error.message : String(error));
  return 1;
});

async function main(args: readonly string[]): Promise<number> {
  const [ci, up] = [args.includes('--ci'), args.includes('--up')];
  const missing = await missingRequirements({ onlyTried: ci });
  if (missing.length > 0) {
    log(`NOT RUN: test:node cannot run on this machine.\n${missing.map((line) => `- ${line}`).join('\n')}`);
    return cannotRun;
  }
  await findNodeBinaries();
  await findHelm();
  const names = args.filter((arg) => !arg.startsWith('--'));
  const deadline = performance.now() + (ci ? 20 * minute : 0);
  if (!up && names.length === 0) {
    await (await takeLock(deadline)).close();
    await checkFailure();
    await checkInterruption();
    log('A run that failed and an interrupted one left the machine as before, and a second run at the same time did not start.');
  }
  const lock = await takeLock(deadline);
  try {
    if (up) return await runOnNode([join(import.meta.dirname, 'up.ts')], {});
    const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', join(import.meta.dirname, 'vitest.config.ts')];
    return await runOnNode([...vitest, ...names], { endAfter: 15 * minute });
  } finally {
    lock.close();
  }
}

/** Two nodes would share the name of their control group. The kernel frees this lock when the process ends. */
async function takeLock(deadline: number): Promise<Server> {
  const tryOnce = () =>
    new Promise<Server | undefined>((settle, reject) => {
      const lock = createServer();
      lock.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? settle(undefined) : reject(error)));
      lock.listen('\0regkeeper-test-node', () => settle(lock));
    });
  const lock = await tryOnce();
  if (lock !== undefined) return lock;
  const seconds = (deadline - performance.now()) / 1000;
  if (seconds <= 0) throw new Error('another test:node is running on this machine: wait for its end');
  log('Another test:node is running on this machine. This one starts when it has ended.');
  return await waitFor(tryOnce, { deadlineSeconds: seconds, what: 'the other test:node to end' });
}

/** Returns the program's exit code, or 1 where the machine is not as before. */
async function runOnNode(program: readonly string[], { endAfter }: { readonly endAfter?: number }): Promise<number> {
  await removeFoldersOfKilledRuns();
  await removeNodeGroups();
  const before = lookAtMachine();
  const folder = await mkdtemp(join(temporaryFolder, folderPrefix));
  createNodeGroups();
  const { code, interrupted } = await runInside(folder, program, endAfter);
  const left = await removeNodeGroups().then(
    () => [],
    ({ message }: Error) => [message],
  );
  const isWanted = interrupted || process.env[failingVariable] !== undefined;
  if (code !== 0 && !isWanted) await keepLogs(folder);
  await rm(folder, { recursive: true });
  const changes = [...left, ...(await lastingDifferences(before))];
  if (changes.length === 0) log('The machine is as before: processes, mounts, interfaces, control groups, kernel settings and paths.');
  else log(changes.join('\n'));
  return changes.length === 0 ? code : 1;
}

/** The lock makes sure that no other run uses them. */
async function removeFoldersOfKilledRuns(): Promise<void> {
  const names = (await readdir(temporaryFolder)).filter((name) => name.startsWith(folderPrefix));
  for (const name of names) await rm(join(temporaryFolder, name), { recursive: true });
}

async function keepLogs(folder: string): Promise<void> {
  await rm(logsOfFailure, { recursive: true, force: true });
  const parts = await readdir(folder, { withFileTypes: true });
  const isKept = (name: string) => name.endsWith('.log') || name === 'pod-logs';
  for (const { name } of parts.filter(({ name }) => isKept(name))) {
    await cp(join(folder, name), join(logsOfFailure, name), { recursive: true });
  }
  log(`The logs of the node's programs and Pods are in ${logsOfFailure}. The next failure replaces them.`);
}

async function lastingDifferences(before: Machine): Promise<readonly string[]> {
  let changes: readonly string[] = [];
  const none = () => {
    changes = differences(before, lookAtMachine());
    return changes.length === 0;
  };
  await waitFor(none, { deadlineSeconds: 10, what: 'the machine to be as before' }).catch(() => undefined);
  return changes;
}

interface Ended {
  readonly code: number;
  readonly interrupted: boolean;
}

/** A signal ends the namespaces, and with them every process of the node. So does the end of the time. */
function runInside(folder: string, program: readonly string[], endAfter: number | undefined): Promise<Ended> {
  const [command, ...args] = insideNamespaces([process.execPath, ...program], runnerGroupFiles());
  const env = { ...process.env, TMPDIR: folder, TEST_NODE: folder };
  // In its own process group, so that Ctrl-C in a terminal reaches this process only.
  const child = spawn(command, args, { cwd: root, env, stdio: 'inherit', detached: true });
  return new Promise((settle, reject) => {
    let interrupted: NodeJS.Signals | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      interrupted = signal;
      child.kill('SIGKILL');
    };
    const onDeadline = () => {
      log(`The scenarios were ended after ${(endAfter ?? 0) / minute} minutes.`);
      child.kill('SIGKILL');
    };
    const timer = endAfter === undefined ? undefined : setTimeout(onDeadline, endAfter);
    // They stay until this process ends: a second Ctrl-C must not end it before the machine is as before.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      const interruption = interrupted === undefined ? undefined : 128 + constants.signals[interrupted];
      settle({ code: interruption ?? code ?? 1, interrupted: interrupted !== undefined });
    });
  });
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}
