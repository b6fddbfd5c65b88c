/** The container engine of this machine: docker or podman, which take the same commands. */

import { spawn } from 'node:child_process';
import { findOnPath } from '../cluster/binaries.ts';

export type Engine = {
  /** Shows its output as it comes. */
  run(args: readonly string[]): Promise<void>;
  /** Standard output. */
  read(args: readonly string[]): Promise<string>;
  /** Both streams of a container. */
  log(container: string): Promise<string>;
};

/** `orElse` is what one can do without. @throws Error with what is missing */
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
 * Standard output where it is piped, with standard error where they are merged.
 * @throws Error with how the program ended and, where its output was not shown, what it complained of
 */
export function output(program: string, args: readonly string[], way: 'inherit' | 'ignore' | 'pipe' | 'merge'): Promise<string> {
  return new Promise((settle, reject) => {
    const stdio = way === 'merge' ? 'pipe' : way;
    const child = spawn(program, args, { stdio: ['ignore', stdio, stdio] });
    let text = '';
    let complaint = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      if (way === 'merge') text += part;
      else complaint += part;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) settle(text);
      else reject(new Error(`${program} ${args.join(' ')}: ended with ${signal ?? code}\n${complaint}`.trimEnd()));
    });
  });
}
