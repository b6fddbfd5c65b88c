/** Finds the container engine of this machine, docker or podman, and runs its commands. Both accept the same ones. */

import { spawn } from 'node:child_process';
import { findOnPath } from '../cluster/binaries.ts';

export type Engine = {
  /** Shows the output while the command runs. */
  run(args: readonly string[]): Promise<void>;
  /** Returns standard output. */
  read(args: readonly string[]): Promise<string>;
  /** Returns standard output and standard error of a container. */
  log(container: string): Promise<string>;
};

/** `orElse` is appended to the error and names an alternative to an engine. @throws Error where neither engine answers */
export async function findEngine(orElse = ''): Promise<Engine> {
  for (const name of ['docker', 'podman']) {
    const program = await findOnPath(name, process.env.PATH);
    if (program === undefined) continue;
    const answers = await output(program, ['info'], 'ignore').then(
      () => true,
      () => false,
    );
    if (answers) {
      return {
        run: async (args) => void (await output(program, args, 'inherit')),
        read: (args) => output(program, args, 'pipe'),
        log: (container) => output(program, ['logs', container], 'merge'),
      };
    }
  }
  throw new Error(`neither docker nor podman answers to \`info\`: start one${orElse}`);
}

/**
 * Returns standard output with `pipe`, both streams with `merge`, else an empty text.
 * @throws Error with the exit code or signal and, with `pipe`, standard error
 */
export function output(program: string, args: readonly string[], way: 'inherit' | 'ignore' | 'pipe' | 'merge'): Promise<string> {
  return new Promise((settle, reject) => {
    const stdio = way === 'merge' ? 'pipe' : way;
    const child = spawn(program, args, { stdio: ['ignore', stdio, stdio] });
    let text = '';
    let errors = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      if (way === 'merge') text += part;
      else errors += part;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) settle(text);
      else reject(new Error(`${program} ${args.join(' ')}: ended with ${signal ?? code}\n${errors}`.trimEnd()));
    });
  });
}
