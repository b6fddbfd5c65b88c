/** `version`: prints the version of regkeeper and Node.js, as --version does. */
import { Command } from 'commander';
import { helpNotes } from '../line/help-text.ts';
import type { Terminal } from '../terminal.ts';

export function versionCommand(terminal: Terminal, version: string): Command {
  return new Command('version')
    .addHelpText('after', helpNotes({ examples: [{ does: 'Print the version', line: 'regkeeper version' }] }))
    .action(() => terminal.out(`${version}\n`));
}
