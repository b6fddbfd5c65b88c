/** The completion script for bash, from 3.2 (macOS) on. It needs no other package. */
import type { CompletedOption, CompletedProgram, Values } from './commands.ts';

/** Where nothing is set in COMPREPLY, `complete -o default` completes file names. */
export function bashScript({ name, options, commands }: CompletedProgram): string {
  const namesOf = (all: readonly CompletedOption[]) => all.flatMap(({ names }) => names);
  const optionsWithValue = namesOf(options.filter(({ value }) => value));
  return `# bash completion for ${name}. Load it with: source <(${name} completion bash)
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' index
  # Bash splits --option=value into three words.
  if [[ $cur == '=' ]]; then cur=''
  elif [[ $prev == '=' ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  COMPREPLY=()

  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${optionsWithValue.join('|')}) [[ \${COMP_WORDS[index+1]-} == '=' ]] && ((index++)); ((index++)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[index]}; break ;;
    esac
  done

  case "$command $prev" in
${options.flatMap((option) => valueCase('*', option, name)).join('')}${commands
  .flatMap((command) => command.options.flatMap((option) => valueCase(command.name, option, name)))
  .join('')}  esac

  case $command in
    '')
      if [[ $cur == -* ]]; then _${name}_words '${namesOf(options).join(' ')}'
      else _${name}_words '${commands.map((command) => command.name).join(' ')}'
      fi ;;
${commands
  .map((command) => {
    const words = [...new Set(namesOf([...command.options, ...options]))].join(' ');
    return `    ${command.name})
      if [[ $cur == -* ]]; then _${name}_words '${words}'
      else ${valuesLine(command.argument ?? { kind: 'choices', choices: words.split(' ') }, name)}
      fi ;;
`;
  })
  .join('')}  esac
}

_${name}_words() {
  local word
  for word in $1; do [[ $word == "$cur"* ]] && COMPREPLY+=("$word"); done
  # No file names instead of words. Bash 3.2 has no compopt.
  compopt +o default 2>/dev/null
}

complete -o default -F _${name} ${name}
`;
}

function valueCase(command: string, { names, value }: CompletedOption, program: string): readonly string[] {
  if (!value) return [];
  const patterns = names.map((name) => (command === '*' ? `*' ${name}'` : `'${command} ${name}'`)).join('|');
  return [`    ${patterns}) ${value.kind === 'files' ? '' : `${valuesLine(value, program)}; `}return ;;\n`];
}

/** A value that the shell cannot know completes to nothing, not to a file. */
function valuesLine(values: Values, program: string): string {
  return values.kind === 'files' ? 'return' : `_${program}_words '${values.kind === 'choices' ? values.choices.join(' ') : ''}'`;
}
