/** `version`: prints the version of regkeeper and Node.js. */
import { Command } from 'commander';
import packageJson from '../../../package.json' with { type: 'json' };
import type { Terminal } from '../terminal.ts';

export const { version } = packageJson;

export function versionCommand(terminal: Terminal): Command {
  return new Command('version').action(() => terminal.out(`regkeeper ${version}, Node.js ${process.version}\n`));
}
