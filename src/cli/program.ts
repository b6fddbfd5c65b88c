/** The command line: one file a command, put together here. */
import { Command, CommanderError } from 'commander';
import type { ServeAction } from './commands/serve.ts';
import type { ExitCode, Terminal } from './terminal.ts';

export type ProgramActions = { readonly serve: ServeAction };

type CommandEntry = {
  readonly name: string;
  /** One line for --help. */
  readonly does: string;
  /** Loads the command's file and all that it imports. */
  load(surroundings: Surroundings): Promise<Command>;
};

type Surroundings = {
  readonly actions: ProgramActions;
  readonly terminal: Terminal;
  /** With undefined, something goes on running. */
  finish(code: ExitCode | undefined): void;
};

/** In the order of --help. Only the command that was asked for is loaded, so that none waits for what another one needs. */
const commands: readonly CommandEntry[] = [
  {
    name: 'serve',
    does: 'answer admission reviews over HTTPS until it is ended with SIGTERM',
    load: async ({ actions, finish }) => (await import('./commands/serve.ts')).serveCommand(actions.serve, finish),
  },
  {
    name: 'ask',
    does: 'send objects to a running webhook as the API server would, first to /mutate, then to /validate, and print what comes back',
    load: async ({ terminal, finish }) => (await import('./commands/ask.ts')).askCommand(terminal, finish),
  },
  {
    name: 'check',
    does: 'say what rules would do to objects: which would be refused and why, which secrets they would be given',
    load: async ({ terminal, finish }) => (await import('./commands/check.ts')).checkCommand(terminal, finish),
  },
  {
    name: 'test',
    does: 'run policy tests: folders of rules, objects and what is expected of them',
    load: async ({ terminal, finish }) => (await import('./commands/test.ts')).testCommand(terminal, finish),
  },
  {
    name: 'lint',
    does: 'find every problem and warning in rules, with file, line and column',
    load: async ({ terminal, finish }) => (await import('./commands/lint.ts')).lintCommand(terminal, finish),
  },
  {
    name: 'explain',
    does: 'say which rule decides on an image and why, and which secret it is given',
    load: async ({ terminal, finish }) => (await import('./commands/explain.ts')).explainCommand(terminal, finish),
  },
  {
    name: 'diff',
    does: 'say what a change of the rules does to objects: newly refused, newly let in, secrets gained and lost',
    load: async ({ terminal, finish }) => (await import('./commands/diff.ts')).diffCommand(terminal, finish),
  },
  {
    name: 'rbac',
    does: 'print the ClusterRole by which regkeeper sees whether the secrets that rules name are there',
    load: async ({ terminal, finish }) => (await import('./commands/rbac.ts')).rbacCommand(terminal, finish),
  },
  {
    name: 'version',
    does: 'print the version',
    load: async ({ terminal }) => (await import('./commands/version.ts')).versionCommand(terminal),
  },
];

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
    // Arguments of commands that are not loaded are not known, so none are listed.
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError('(run it with --help to see what it takes)');
  const asked = commandAskedFor(argv);
  for (const { name, does, load } of commands) {
    const command = name === asked ? await load({ actions, terminal, finish }) : new Command(name);
    program.addCommand(command.description(does).exitOverride().copyInheritedSettings(program));
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

/** The command that commander will find: the program itself has no flag that takes a value. */
function commandAskedFor(argv: readonly string[]): string | undefined {
  const [first, second] = argv.filter((word) => !word.startsWith('-'));
  return first === 'help' ? second : first;
}
