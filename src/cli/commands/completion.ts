/** `completion`: prints a completion script for a shell. */
import { Argument, Command } from 'commander';
import { describeCommands } from '../completion/commands.ts';
import { helpNotes } from '../line/help-text.ts';
import type { Terminal } from '../terminal.ts';

/** `describe` returns the whole program, with every command loaded. */
export function completionCommand(terminal: Terminal, describe: () => Promise<Command>): Command {
  return new Command('completion')
    .addArgument(new Argument('<shell>', 'shell to generate the script for').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', helpNotes({ examples }))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const completed = describeCommands(await describe());
      switch (shell) {
        case 'bash':
          return terminal.out((await import('../completion/bash.ts')).bashScript(completed));
        case 'zsh':
          return terminal.out((await import('../completion/zsh.ts')).zshScript(completed));
        case 'fish':
          return terminal.out((await import('../completion/fish.ts')).fishScript(completed));
      }
    });
}

const examples = [
  { does: 'Load it in the current bash or zsh (or fish: regkeeper completion fish | source)', line: 'source <(regkeeper completion bash)' },
  { does: 'Load it in every new bash session', line: "echo 'source <(regkeeper completion bash)' >> ~/.bashrc" },
  { does: 'Install it for fish', line: 'regkeeper completion fish > ~/.config/fish/completions/regkeeper.fish' },
];
