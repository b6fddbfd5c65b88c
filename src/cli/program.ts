/** Assembles the command line from its commands, one file per command. */
import { Command, CommanderError } from 'commander';
import type { ServeAction } from './commands/serve.ts';
import type { ExitCode, Terminal } from './terminal.ts';

export type ProgramActions = { readonly serve: ServeAction };

type CommandEntry = {
  readonly name: string;
  /** One line for --help. */
  readonly description: string;
  /** Imports the command's file and its dependencies. */
  load(surroundings: CommandContext): Promise<Command>;
};

type CommandContext = {
  readonly actions: ProgramActions;
  readonly terminal: Terminal;
  /** Undefined: the process keeps running. */
  finish(code: ExitCode | undefined): void;
};

/** In the order of --help. Only the requested command is loaded, so that its start does not wait for the dependencies of others. */
const commands: readonly CommandEntry[] = [
  {
    name: 'serve',
    description: 'answer admission reviews over HTTPS until it is ended with SIGTERM',
    load: async ({ actions, finish }) => (await import('./commands/serve.ts')).serveCommand(actions.serve, finish),
  },
  {
    name: 'review',
    description:
      'send objects to a running webhook as the API server would, first to /mutate, then to /validate, and print what comes back',
    load: async ({ terminal, finish }) => (await import('./commands/review.ts')).reviewCommand(terminal, finish),
  },
  {
    name: 'check',
    description: 'say what rules would do to objects: which would be refused and why, which secrets they would be given',
    load: async ({ terminal, finish }) => (await import('./commands/check.ts')).checkCommand(terminal, finish),
  },
  {
    name: 'test',
    description: 'run policy tests: folders of rules, objects and what is expected of them',
    load: async ({ terminal, finish }) => (await import('./commands/test.ts')).testCommand(terminal, finish),
  },
  {
    name: 'lint',
    description: 'find every problem and warning in rules, with file, line and column',
    load: async ({ terminal, finish }) => (await import('./commands/lint.ts')).lintCommand(terminal, finish),
  },
  {
    name: 'explain',
    description: 'say which rule decides on an image and why, and which secret it is given',
    load: async ({ terminal, finish }) => (await import('./commands/explain.ts')).explainCommand(terminal, finish),
  },
  {
    name: 'diff',
    description: 'say what a change of the rules does to objects: newly refused, newly let in, secrets gained and lost',
    load: async ({ terminal, finish }) => (await import('./commands/diff.ts')).diffCommand(terminal, finish),
  },
  {
    name: 'rbac',
    description: 'print the ClusterRole by which regkeeper sees whether the secrets that rules name are there',
    load: async ({ terminal, finish }) => (await import('./commands/rbac.ts')).rbacCommand(terminal, finish),
  },
  {
    name: 'version',
    description: 'print the version',
    load: async ({ terminal }) => (await import('./commands/version.ts')).versionCommand(terminal),
  },
];

/** Runs one command line, without the program name. Resolves with the exit code, or with undefined if the process keeps running. */
export async function runProgram(argv: readonly string[], actions: ProgramActions, terminal: Terminal): Promise<ExitCode | undefined> {
  let exitCode: ExitCode | undefined = 0;
  const finish = (code: ExitCode | undefined) => {
    exitCode = code;
  };
  const program = new Command('regkeeper')
    .description('Admission webhook that gives images their pull and push secrets and keeps untrusted registries out')
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    // The arguments of commands that are not loaded are unknown, so the list shows none.
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError('(run it with --help to see what it takes)');
  const requested = requestedCommand(argv);
  for (const { name, description, load } of commands) {
    const command = name === requested ? await load({ actions, terminal, finish }) : new Command(name);
    program.addCommand(command.description(description).exitOverride().copyInheritedSettings(program));
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander throws for --help too, with exit code 0. Everything else is a usage error.
    return error.exitCode === 0 ? 0 : 2;
  }
}

/**
 * The command that commander will select. It is the first argument that is not an option, because no option of the program itself has a
 * value.
 */
function requestedCommand(argv: readonly string[]): string | undefined {
  const [first, second] = argv.filter((word) => !word.startsWith('-'));
  return first === 'help' ? second : first;
}
