/** Checks that neither a failure nor Ctrl-C leaves anything behind, and that a second run at the same time does not start. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** With this variable, `--up` fails once its Pod runs. */
export const failingVariable = 'TEST_NODE_FAILS';

/** Starts the node and a Pod, and ends with an error. @throws Error with the output of a run that did not behave */
export async function checkFailure(): Promise<void> {
  const failing = start({ [failingVariable]: '1' });
  const [code, ...output] = await Promise.all([exitCode(failing), text(failing.stdout), text(failing.stderr)]);
  const printed = output.join('');
  if (code !== 1 || !printed.includes(podRuns) || !printed.includes(isAsBefore)) {
    throw new Error(`a run that fails ended with exit code ${code}:\n${printed}`);
  }
}

/** Starts the node and a Pod, tries to start another node, and interrupts the first. @throws Error with the output of a run that did not behave */
export async function checkInterruption(): Promise<void> {
  const first = start();
  const output = Promise.all([text(first.stdout), text(first.stderr)]);
  const end = exitCode(first);
  const tooLate = setTimeout(() => first.kill('SIGINT'), 180_000);
  const early = await Promise.race([lineWith(first, podRuns), end]);
  clearTimeout(tooLate);
  if (early !== undefined) throw new Error(`the node did not start, and ended with exit code ${early}:\n${(await output).join('')}`);

  const second = start();
  const [message, secondCode] = await Promise.all([text(second.stderr), exitCode(second)]);
  first.kill('SIGINT');
  const interrupted = await end;
  const printed = (await output).join('');
  if (secondCode !== 1 || !message.includes('another test:node is running'))
    throw new Error(`a second run at the same time started:\n${message}`);
  if (interrupted !== 130 || !printed.includes(isAsBefore)) {
    throw new Error(`an interrupted run ended with exit code ${interrupted}:\n${printed}`);
  }
}

const podRuns = 'default/first runs';
const isAsBefore = 'The machine is as before';

type Started = ReturnType<typeof start>;

/** Where this process ends first, the kernel interrupts the one that it has started. */
function start(variables: Readonly<Record<string, string>> = {}) {
  const args = ['--pdeathsig', 'INT', '--', process.execPath, join(import.meta.dirname, 'run.ts'), '--up'];
  return spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...variables } });
}

/** Null where a signal ended the process. */
function exitCode(child: ChildProcess): Promise<number | null> {
  return new Promise((settle) => child.once('exit', settle));
}

function lineWith({ stdout }: Started, part: string): Promise<void> {
  let printed = '';
  return new Promise((settle) => {
    stdout.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
      if (printed.includes(part)) settle();
    });
  });
}
