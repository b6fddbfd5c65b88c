/** Prepares the words after a command's name for commander, which would misunderstand two things that people write. */
import type { Command, Option } from 'commander';
import { hasName } from './has-name.ts';
import { describeUnknownOption } from './unknown-word.ts';

export type PreparedArguments = {
  readonly words: readonly string[];
  /** The first option that the command does not have, or that lacks its value, as an error message. */
  readonly problem?: string;
};

/**
 * Commander gives an option with several values all words up to the next option: in `explain --rules R nginx` the image would be lost. Here
 * such an option has one value until the command has its required arguments, and from then on all words that follow. So `check -f a b`,
 * `diff OLD NEW -f a b` and `diff -f a OLD NEW` all mean what they look like.
 *
 * Commander also reports a missing option before an unknown one, although the unknown one is most likely the same option, misspelt.
 */
export function prepareArguments(words: readonly string[], command: Command): PreparedArguments {
  const options = [...command.options, ...(command.parent?.options ?? [])];
  const find = (name: string) => options.find((option) => hasName(option, name));
  const expected = command.registeredArguments.filter((argument) => argument.required || !argument.variadic).length;
  const prepared: string[] = [];
  const left = words.flatMap((word) => splitFlags(word, find));
  let operands = 0;
  let problem: string | undefined;

  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (word === '--') {
      prepared.push(word, ...left);
      break;
    }
    if (!looksLikeOption(word)) {
      prepared.push(word);
      operands += 1;
      if (command.registeredArguments.length === 0) problem ??= describeUnexpected(word, find('-f'));
      continue;
    }
    const option = find(word);
    if (!option) {
      if (!isHelp(word) && !hasValueAttached(word, find)) problem ??= describeUnknownOption(word, options);
      prepared.push(word);
      continue;
    }
    if (option.required && left[0] !== undefined && find(left[0])) problem ??= `error: option '${option.flags}' argument missing`;
    const value = option.required ? left.shift() : undefined;
    if (value === undefined) {
      prepared.push(word);
    } else if (!option.variadic) {
      prepared.push(word, value);
    } else if (operands < expected) {
      prepared.push(`${option.long}=${value}`);
    } else {
      prepared.push(word, value);
      while (left[0] !== undefined && !looksLikeOption(left[0])) prepared.push(left.shift() ?? '');
    }
  }
  return { words: prepared, ...(problem !== undefined && !words.some(isHelp) && { problem }) };
}

/** Commander would report the missing -f instead, without the word that belongs to it. */
function describeUnexpected(word: string, files: Option | undefined): string {
  return `error: unexpected argument '${word}'${files ? `\n(Did you mean -f ${word}?)` : ''}`;
}

type FindOption = (name: string) => Option | undefined;

/** `-qf` becomes `-q -f`, if `-q` has no value. */
function splitFlags(word: string, find: FindOption): readonly string[] {
  const flag = /^-[a-z](?=[a-z])/i.exec(word)?.[0];
  if (flag === undefined) return [word];
  const option = find(flag);
  if (!option || option.required) return [word];
  return [flag, ...splitFlags(`-${word.slice(2)}`, find)];
}

/** `--rules=r` and `-nshop`. */
function hasValueAttached(word: string, find: FindOption): boolean {
  const name = word.startsWith('--') ? /^[^=]+(?==)/.exec(word)?.[0] : word.slice(0, 2);
  return name !== undefined && find(name)?.required === true;
}

/** `-` is standard input, and a negative number is a value. */
function looksLikeOption(word: string): boolean {
  return /^-[^\d.]/.test(word);
}

function isHelp(word: string): boolean {
  return word === '-h' || word === '--help';
}
