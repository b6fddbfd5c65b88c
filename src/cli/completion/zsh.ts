/** The completion script for zsh. */
import type { CompletedOption, CompletedProgram, Values } from './commands.ts';

export function zshScript({ name, options, commands }: CompletedProgram): string {
  const described = commands.map((command) => `    ${quote(`${escapeColons(command.name)}:${command.description}`)}\n`).join('');
  const cases = commands.map((command) => {
    const specs = [...command.options, ...options.filter(({ names }) => !names.includes('--help'))].flatMap(optionSpecs);
    const argument = command.argument ? [quote(`*:${command.name === 'help' ? 'command' : 'argument'}:${action(command.argument)}`)] : [];
    return `        (${command.name}) _arguments -s -S ${[...specs, ...argument].join(' \\\n          ')} ;;\n`;
  });
  return `#compdef ${name}
# zsh completion for ${name}. Load it with: source <(${name} completion zsh)
_${name}() {
  local context state state_descr line
  typeset -A opt_args
  local -a commands=(
${described}  )
  _arguments -C -S ${options.flatMap(optionSpecs).join(' \\\n    ')} \\
    '1:command:->command' '*::argument:->argument'
  case $state in
    (command) _describe -t commands 'command' commands ;;
    (argument)
      case $line[1] in
${cases.join('')}      esac ;;
  esac
}

if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"
else compdef _${name} ${name}
fi
`;
}

/** `'(-f --filename)-f[description]:paths:_files'`, for each name. An option that can be repeated excludes none. */
function optionSpecs({ names, description, value, repeatable }: CompletedOption): readonly string[] {
  const prefix = repeatable ? '*' : `(${names.join(' ')})`;
  const text = `[${description.replaceAll('\\', '\\\\').replaceAll(']', '\\]').replaceAll('[', '\\[')}]`;
  const values = value ? `:${value.placeholder}:${action(value)}` : '';
  return names.map((name) => quote(`${prefix}${name}${value && name.startsWith('--') ? '=' : ''}${text}${values}`));
}

function action(values: Values): string {
  if (values.kind === 'files') return '_files';
  return values.kind === 'choices' ? `(${values.choices.join(' ')})` : ' ';
}

function escapeColons(text: string): string {
  return text.replaceAll(':', '\\:');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
