/** Numbers and lists in sentences. It is in this room because every room that writes messages may import it. */
import { quote } from './problem.ts';

/** `1 rule`, `2,000 rules`. The words may contain a verb: `countOf(n, 'record was', 'records were')`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** With commas between groups of three digits: `1,048,576`. */
export function formatCount(count: number): string {
  return count < 1_000 ? String(count) : count.toLocaleString('en-US');
}

/** How messages name an input file. */
export function inputName(file: string): string {
  return file === '-' ? 'standard input' : file;
}

/** `"a"`, `"a" and "b"`, `"a", "b" and "c"`. Of more than eleven names, the first ten and how many more there are. */
export function quoteAll(names: readonly string[]): string {
  const shown = names.length > mostQuoted + 1 ? names.slice(0, mostQuoted) : names;
  const more = names.length - shown.length;
  return listOf([...shown.map(quote), ...(more > 0 ? [`${more} more`] : [])], 'and');
}

const mostQuoted = 10;

/** `a`, `a or b`, `a, b or c`. */
export function listOf(words: readonly string[], conjunction: 'and' | 'or'): string {
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((part) => part !== '').join(` ${conjunction} `);
}
