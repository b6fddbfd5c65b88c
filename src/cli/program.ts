/** Assembles the command line from its commands, one file per command. */
import { Command, CommanderError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import type { DeliverAction } from './commands/deliver.ts';
import type { ServeAction } from './commands/serve.ts';
import type { ConnectAction } from './input/live-objects.ts';
import { hasName } from './line/has-name.ts';
import { prepareArguments } from './line/prepare-arguments.ts';
import { describeUnknownCommand } from './line/unknown-word.ts';
import { painter } from './output/paint.ts';
import type { ExitCode, Output, Terminal } from './terminal.ts';

export type ProgramActions = { readonly serve: ServeAction; readonly deliver: DeliverAction; readonly connect: ConnectAction };

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
  /** The whole program, with every command loaded. */
  describe(): Promise<Command>;
};

/** In the order of --help. Only the requested command is loaded, so that its start does not wait for the dependencies of others. */
const commands: readonly CommandEntry[] = [
  {
    name: 'serve',
    description: 'run the admission webhook',
    load: async ({ actions, finish }) => (await import('./commands/serve.ts')).serveCommand(actions.serve, finish),
  },
  {
    name: 'deliver',
    description: 'deliver secrets to the namespaces that need them',
    load: async ({ actions, finish }) => (await import('./commands/deliver.ts')).deliverCommand(actions.deliver, finish),
  },
  {
    name: 'check',
    description: 'evaluate manifests against rules, without a cluster',
    load: async ({ terminal, finish }) => (await import('./commands/check.ts')).checkCommand(terminal, finish),
  },
  {
    name: 'init',
    description: 'generate starter rules from manifests or a cluster',
    load: async ({ terminal, finish, actions }) => (await import('./commands/init.ts')).initCommand(terminal, finish, actions.connect),
  },
  {
    name: 'scan',
    description: 'evaluate what is running in a cluster',
    load: async ({ terminal, finish, actions }) => (await import('./commands/scan.ts')).scanCommand(terminal, finish, actions.connect),
  },
  {
    name: 'explain',
    description: 'show which rule applies to an image, and why',
    load: async ({ terminal, finish, actions }) =>
      (await import('./commands/explain.ts')).explainCommand(terminal, finish, actions.connect),
  },
  {
    name: 'lint',
    description: 'find problems in rules',
    load: async ({ terminal, finish }) => (await import('./commands/lint.ts')).lintCommand(terminal, finish),
  },
  {
    name: 'diff',
    description: 'compare two sets of rules, or their effect on manifests',
    load: async ({ terminal, finish, actions }) => (await import('./commands/diff.ts')).diffCommand(terminal, finish, actions.connect),
  },
  {
    name: 'test',
    description: 'run policy tests',
    load: async ({ terminal, finish }) => (await import('./commands/test.ts')).testCommand(terminal, finish),
  },
  {
    name: 'review',
    description: 'send manifests to a running webhook',
    load: async ({ terminal, finish }) => (await import('./commands/review.ts')).reviewCommand(terminal, finish),
  },
  {
    name: 'rbac',
    description: 'print the RBAC needed to watch or deliver secrets',
    load: async ({ terminal, finish }) => (await import('./commands/rbac.ts')).rbacCommand(terminal, finish),
  },
  {
    name: 'completion',
    description: 'print a completion script for bash, zsh or fish',
    load: async ({ terminal, describe }) => (await import('./commands/completion.ts')).completionCommand(terminal, describe),
  },
  {
    name: 'version',
    description: 'print the version',
    load: async ({ terminal }) => (await import('./commands/version.ts')).versionCommand(terminal, versionText),
  },
];

const versionText = `regkeeper ${packageJson.version}, Node.js ${process.version}`;

/** Runs one command line, without the program name. Resolves with the exit code, or with undefined if the process keeps running. */
export async function runProgram(argv: readonly string[], actions: ProgramActions, output: Output): Promise<ExitCode | undefined> {
  let exitCode: ExitCode | undefined = 0;
  const finish = (code: ExitCode | undefined) => {
    exitCode = code;
  };
  const program = createProgram(output);
  const terminal = createTerminal(output, () => program.opts().color);
  const context = { actions, terminal, finish, describe: () => describeProgram(context) };
  const { position, name } = findRequested(argv, program);
  for (const entry of commands) addCommand(program, entry, entry.name === name ? await entry.load(context) : new Command(entry.name));
  try {
    const command = program.commands.find((each) => each.name() === argv[position]);
    if (argv[position] === 'help' && (name === '--help' || name === '-h')) return runProgram(['--help'], actions, output);
    const names = ['help', ...commands.map((each) => each.name)];
    if (name !== undefined && !names.includes(name)) program.error(describeUnknownCommand(name, names));
    const prepared = command && prepareArguments(argv.slice(position + 1), command);
    if (prepared?.problem !== undefined) command?.error(prepared.problem);
    await program.parseAsync(prepared ? [...argv.slice(0, position + 1), ...prepared.words] : argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander throws for --help too, with exit code 0. Everything else is a usage error.
    return error.exitCode === 0 ? 0 : 2;
  }
}

function createProgram(output: Output): Command {
  return (
    new Command('regkeeper')
      .description('Admission webhook that allows or denies images based on rules, and injects the secrets they need')
      .version(versionText, '-V, --version', 'print the version')
      .addOption(
        new Option('--color <when>', 'use colors always, never, or only on a terminal (auto)')
          .choices(['auto', 'always', 'never'])
          .default('auto'),
      )
      .helpOption('-h, --help', 'show help')
      .helpCommand('help [command]', 'show help for a command')
      .exitOverride()
      .configureOutput({ writeOut: (text) => output.out(text), writeErr: (text) => output.err(text) })
      // The arguments of commands that are not loaded are unknown, so the list shows none.
      .configureHelp({ subcommandTerm: (command) => command.name(), showGlobalOptions: true })
      .showHelpAfterError('Run "regkeeper --help" for usage.')
  );
}

function createTerminal(output: Output, choice: () => unknown): Terminal {
  const isColored = (stream: 'out' | 'err') => {
    const when = choice();
    return when === 'always' || (when !== 'never' && output.colors?.[stream] === true);
  };
  return {
    out: output.out,
    err: output.err,
    isTerminal: output.isTerminal === true,
    paint: { out: painter(() => isColored('out')), err: painter(() => isColored('err')) },
  };
}

function addCommand(program: Command, { name, description }: CommandEntry, command: Command): void {
  program.addCommand(command.description(description).exitOverride().copyInheritedSettings(program));
  command.showHelpAfterError(`Run "regkeeper ${name} --help" for usage.`);
}

async function describeProgram(context: CommandContext): Promise<Command> {
  const program = createProgram(context.terminal);
  for (const entry of commands) addCommand(program, entry, await entry.load(context));
  return program;
}

/**
 * Finds the command that commander will select: the first word that is neither an option nor its value. With `help`, the command is the word
 * after it, and its arguments are none.
 */
function findRequested(argv: readonly string[], program: Command): { readonly position: number; readonly name?: string | undefined } {
  const takesValue = (word: string) => program.options.some((option) => option.required && hasName(option, word));
  const position = argv.findIndex((word, index) => !word.startsWith('-') && !takesValue(argv[index - 1] ?? ''));
  return { position, name: argv[position] === 'help' ? argv[position + 1] : argv[position] };
}
