/** Starts a program of the control plane, logs its output to a file, and ensures that it does not outlive this process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { findOnPath } from './binaries.ts';

export interface LocalProcess {
  /** Undefined while the program runs. Afterwards an Error with how it ended and the end of its log. */
  failure(): Error | undefined;
  /** The last lines of the log, for an error about a program that runs but does not become ready. */
  logTail(): string;
  /** Sends SIGKILL and returns when the program has ended. It has no state that needs a graceful shutdown. */
  end(): Promise<void>;
  /** Sends SIGKILL without waiting, for exit handlers. */
  endNow(): void;
}

export interface LocalProgram {
  readonly name: string;
  readonly binary: string;
  readonly args: readonly string[];
  readonly logFile: string;
  /** Working folder and home of the program. */
  readonly folder: string;
  /** Additional variables. */
  readonly env?: Readonly<Record<string, string>>;
}

const tailLines = 25;

export async function startLocalProcess({
  name,
  binary,
  args,
  logFile,
  folder,
  env: additional = {},
}: LocalProgram): Promise<LocalProcess> {
  const [program, ...programArgs] = await boundToThisProcess(binary, args);
  const log = openSync(logFile, 'a');
  // Variables are not inherited: with an HTTPS_PROXY the API server would send webhook calls there instead of to the egress proxy.
  const env = { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, ...additional };
  const child = spawn(program, programArgs, { cwd: folder, env, stdio: ['ignore', log, log] });
  closeSync(log);

  let ending = false;
  let outcome: string | undefined;
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      outcome = `could not be started: ${error.message}`;
      resolve();
    });
    child.once('exit', (code, signal) => {
      outcome = `ended with ${signal ?? `exit code ${code}`}`;
      if (!ending) process.stderr.write(`${name} ${outcome}\n`);
      resolve();
    });
  });
  const logTail = () => `last lines of ${name}:\n${readTail(logFile)}`;
  const endNow = () => {
    ending = true;
    killIfRunning(child);
  };
  return {
    failure: () => (outcome === undefined ? undefined : new Error(`${name} ${outcome}; ${logTail()}`)),
    logTail,
    endNow,
    end: async () => {
      endNow();
      await gone;
    },
  };
}

// A test runner that is killed with SIGKILL cannot run exit handlers. On Linux the kernel can end the programs instead.
export async function boundToThisProcess(binary: string, args: readonly string[]): Promise<[string, ...string[]]> {
  const setpriv = process.platform === 'linux' ? await findOnPath('setpriv', process.env.PATH) : undefined;
  return setpriv === undefined ? [binary, ...args] : [setpriv, '--pdeathsig', 'KILL', '--', binary, ...args];
}

function killIfRunning(child: ChildProcess): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
}

function readTail(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-tailLines).join('\n');
  } catch (error) {
    return `(the log cannot be read: ${error instanceof Error ? error.message : error})`;
  }
}
