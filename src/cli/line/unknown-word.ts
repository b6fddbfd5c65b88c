/** Messages for options and commands that do not exist. */
import type { Option } from 'commander';
import { closestSpelling } from '../../rules/closest-spelling.ts';
import { hasName } from './has-name.ts';

/** Options that users expect from the fields of rules or from other tools. */
const otherNames: Readonly<Record<string, string>> = {
  '--until': '--date',
  '--as-of': '--date',
  '--day': '--date',
  '--file': '--filename',
};

/** Names the option that was most likely meant. */
export function describeUnknownOption(word: string, options: readonly Option[]): string {
  const [name = word] = word.split('=');
  if (options.some((option) => hasName(option, name))) return `error: option '${name}' does not accept a value: '${word}'`;
  const other = otherNames[name];
  if (other && options.some((option) => hasName(option, other))) return `error: unknown option '${name}'${suggest(other)}`;
  const nearest = word.startsWith('--')
    ? nearestName(
        name.slice(2),
        options.flatMap(({ long, hidden }) => (long && !hidden ? [long.slice(2)] : [])),
      )
    : undefined;
  return `error: unknown option '${name}'${suggest(nearest && `--${nearest}`)}`;
}

export function describeUnknownCommand(word: string, names: readonly string[]): string {
  return `error: unknown command '${word}'${suggest(nearestName(word, names))}`;
}

function suggest(name: string | undefined): string {
  return name === undefined ? '' : `\n(Did you mean ${name}?)`;
}

function nearestName(word: string, names: readonly string[]): string | undefined {
  const isPart = (name: string) => word.length >= 3 && (name.startsWith(word) || word.startsWith(name));
  return closestSpelling(word, names) ?? names.find(isPart);
}
