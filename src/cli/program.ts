/** The command line: one file a command, put together here. */
import { Command, CommanderError } from 'commander';
import { askCommand } from './ask.ts';
import { type ServeAction, serveCommand } from './serve.ts';
import { versionCommand } from './version.ts';

export type ProgramActions = { readonly serve: ServeAction };

/** What a command tells the shell: 0 clean, 1 findings, 2 usage or configuration. */
export type ExitCode = 0 | 1 | 2;

export type Terminal = { out(text: string): void; err(text: string): void };

/** Runs one command line, without program name. Resolves with the exit code, or with undefined when something goes on running. */
export async function runProgram(argv: readonly string[], actions: ProgramActions, terminal: Terminal): Promise<ExitCode | undefined> {
  let exitCode: ExitCode | undefined = 0;
  const finish = (code: ExitCode | undefined) => {
    exitCode = code;
  };
  const program = new Command('regkeeper')
    .description('Admission webhook that gives images their pull and push secrets and keeps untrusted registries out')
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    .showHelpAfterError('(run it with --help to see what it takes)');
  for (const command of [serveCommand(actions.serve, finish), askCommand(terminal, finish), versionCommand(terminal)]) {
    program.addCommand(command.exitOverride().copyInheritedSettings(program));
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // --help and --version are no mistakes; everything else that commander throws is.
    return error.exitCode === 0 ? 0 : 2;
  }
}
