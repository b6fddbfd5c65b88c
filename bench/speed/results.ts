/** The tables of a run: printed as they are made, and written into the parts of RESULTS.md that have their names. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(import.meta.dirname, '..', 'RESULTS.md');

export type Report = { line(text: string): void; row(cells: readonly (string | number)[]): void; text(): string };

export function startReport(): Report {
  const lines: string[] = [];
  const line = (text: string) => {
    lines.push(text);
    console.log(text);
  };
  return { line, row: (cells) => line(`| ${cells.join(' | ')} |`), text: () => lines.join('\n') };
}

/** Replaces one table. The others keep the results of their own last runs. */
export function writeTable(name: string, text: string): void {
  const [begin, end] = [`<!-- begin of bench:speed ${name} -->`, `<!-- end of bench:speed ${name} -->`];
  const [before, rest] = readFileSync(file, 'utf8').split(`${begin}\n`);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`${file} has no part between "${begin}" and "${end}"`);
  writeFileSync(file, `${before}${begin}\n${text.trim()}\n${end}${after}`);
}
