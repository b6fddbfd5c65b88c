/** What a shell can complete, from the commands as commander knows them. */
import type { Argument, Command, Option } from 'commander';

export type CompletedProgram = {
  readonly name: string;
  /** Options that every command has. */
  readonly options: readonly CompletedOption[];
  readonly commands: readonly CompletedCommand[];
};

export type CompletedCommand = {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** The values of its arguments, or of an option that accepts all words that follow. Undefined if it has neither. */
  readonly argument: Values | undefined;
};

export type CompletedOption = {
  /** `-f` and `--filename`. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined if the option has no value. */
  readonly value: (Values & { readonly placeholder: string }) | undefined;
  readonly repeatable: boolean;
};

export type Values =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'files' }
  /** Names, texts and numbers, which a shell cannot know. */
  | { readonly kind: 'other' };

export function describeCommands(program: Command): CompletedProgram {
  const globalOptions = program.options.map(describeOption);
  const commands = program.commands.map((command) => {
    const options = visibleOptions(command).map(describeOption);
    const argument = describeArguments(command.registeredArguments) ?? options.find(isListOfFiles)?.value;
    return { name: command.name(), description: command.description(), options: [...options, help], argument };
  });
  const names = commands.map(({ name }) => name);
  return {
    name: program.name(),
    options: [...globalOptions, help],
    commands: [
      ...commands,
      { name: 'help', description: 'show help for a command', options: [], argument: { kind: 'choices', choices: names } },
    ],
  };
}

const help: CompletedOption = { names: ['-h', '--help'], description: 'show help', value: undefined, repeatable: false };

function isListOfFiles({ value, repeatable }: CompletedOption): boolean {
  return repeatable && value?.kind === 'files';
}

function visibleOptions(command: Command): readonly Option[] {
  return command.options.filter(({ hidden }) => !hidden);
}

function describeOption({ short, long, description, required, variadic, flags, argChoices }: Option): CompletedOption {
  const placeholder = /<(\w+)/.exec(flags)?.[1] ?? '';
  return {
    names: [short, long].filter((name) => name !== undefined),
    // The default and the variable would not fit into a line of a menu.
    description: description.replace(/ \(default: .*\)$| \(env: .*\)$/, ''),
    value: required ? { ...valuesOf(placeholder, argChoices), placeholder } : undefined,
    repeatable: variadic,
  };
}

/** No command has arguments of different kinds. */
function describeArguments([first]: readonly Argument[]): Values | undefined {
  return first && valuesOf(first.name(), first.argChoices);
}

/** The placeholders of values that are paths: `-f, --filename <paths...>`. */
const pathPlaceholders: readonly string[] = ['path', 'paths', 'file', 'files', 'dir', 'old', 'new'];

function valuesOf(placeholder: string, choices: readonly string[] | undefined): Values {
  if (choices) return { kind: 'choices', choices };
  return { kind: pathPlaceholders.includes(placeholder) ? 'files' : 'other' };
}
