/** The completion script for fish. */
import type { CompletedOption, CompletedProgram, Values } from './commands.ts';

export function fishScript({ name, options, commands }: CompletedProgram): string {
  const globalOptionsWithValue = options.filter(({ value }) => value).flatMap(({ names }) => names);
  const always = (rest: string) => `complete -c ${name} ${rest}\n`;
  const within = (command: string, rest: string) => `complete -c ${name} -n '__${name}_command_is ${command}' ${rest}\n`;
  const entries = commands.flatMap((command) => [
    `complete -c ${name} -n 'not __${name}_command' -a ${command.name} -d ${quote(command.description)}\n`,
    ...command.options.filter(({ names }) => !names.includes('--help')).map((option) => within(command.name, optionFlags(option))),
    ...(command.argument ? [within(command.name, valueFlags(command.argument))] : []),
  ]);
  return `# fish completion for ${name}. Load it with: ${name} completion fish | source
# Prints the command of the line. Fails if there is none yet.
function __${name}_command
  set -l words (commandline -opc)
  set -l skip 0
  for word in $words[2..]
    if test $skip = 1
      set skip 0
      continue
    end
    switch $word
      case ${globalOptionsWithValue.join(' ')}
        set skip 1
      case '-*'
      case '*'
        echo $word
        return 0
    end
  end
  return 1
end

function __${name}_command_is
  contains -- $argv[1] (__${name}_command)
end

complete -c ${name} -f
${options.map((option) => always(optionFlags(option))).join('')}${entries.join('')}`;
}

function optionFlags({ names, description, value }: CompletedOption): string {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  return [...flags, ...(value ? ['-r', valueFlags(value)] : []), `-d ${quote(description)}`].join(' ');
}

function valueFlags(values: Values): string {
  if (values.kind === 'files') return '-F';
  return values.kind === 'choices' ? `-f -a ${quote(values.choices.join(' '))}` : '-f';
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
