/** Reads the Markdown pages of the repository, for tests that compare them with the code. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../../..');

/** Every page. Paths are relative to the root of the repository. */
export const pages: readonly string[] = [
  ...markdownIn('.', false),
  ...['docs', 'deploy', 'certs', 'test/cluster'].flatMap((folder) => markdownIn(folder, true)),
].sort();

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** The text under a heading, up to the next heading of the same or a higher level. */
export function section(text: string, heading: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  const level = /^#+/.exec(lines[start] ?? '')?.[0].length;
  if (level === undefined) throw new Error(`no heading "${heading}"`);
  const end = lines.findIndex((line, index) => index > start && (/^(#+) /.exec(line)?.[1]?.length ?? 99) <= level);
  return lines.slice(start + 1, end < 0 ? undefined : end).join('\n');
}

/** The cells of all table rows except headings, trimmed. */
export function rows(text: string): readonly (readonly string[])[] {
  const lines = outsideBlocks(text).split('\n');
  return lines.filter((line, index) => line.startsWith('|') && !isRule(line) && !isRule(lines[index + 1] ?? '')).map(cellsOf);
}

function cellsOf(line: string): readonly string[] {
  return line
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** The first cell of each row, if it is code. */
export function firstCodes(text: string): readonly string[] {
  return rows(text).flatMap(([first]) => /^`([^`]+)`$/.exec(first ?? '')?.[1] ?? []);
}

export type Block = { readonly language: string; readonly remark: string; readonly line: number; readonly text: string };

/** Fenced blocks with language and remark (`yaml bad`), and the 1-based line of their first row. The indentation of lists is removed. */
export function blocks(text: string): readonly Block[] {
  const found: Block[] = [];
  const lines = text.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const [, indent = '', language = '', remark = ''] = /^( *)```(\S*) ?(.*)$/.exec(lines[index] ?? '') ?? [];
    if (!/^ *```/.test(lines[index] ?? '')) continue;
    const first = index + 1;
    while (++index < lines.length && !(lines[index] ?? '').startsWith(`${indent}\`\`\``));
    const inside = lines.slice(first, index).map((line) => line.slice(indent.length));
    found.push({ language, remark, line: first + 1, text: inside.join('\n') });
  }
  return found;
}

export type Table = {
  /** 1-based line of the headings. */
  readonly line: number;
  readonly headings: readonly string[];
  /** Cells by heading. */
  readonly rows: readonly Readonly<Record<string, string>>[];
};

/** All tables of the page, in order. */
export function tables(text: string): readonly Table[] {
  const lines = outsideBlocks(text).split('\n');
  return lines.flatMap((line, index) => {
    if (!isRule(lines[index + 1] ?? '')) return [];
    const headings = cellsOf(line);
    const end = lines.findIndex((each, at) => at > index && !each.startsWith('|'));
    const rowsOfTable = lines.slice(index + 2, end < 0 ? undefined : end).map(cellsOf);
    return [
      {
        line: index + 1,
        headings,
        rows: rowsOfTable.map((cells) => Object.fromEntries(headings.map((heading, at) => [heading, cells[at] ?? '']))),
      },
    ];
  });
}

/** The anchors of the headings as on GitHub: lower case, without punctuation, with hyphens for blanks. */
export function anchors(page: string): readonly string[] {
  return [...outsideBlocks(readPage(page)).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
}

/** The text with empty lines in place of fenced blocks, so that line numbers stay the same. */
export function outsideBlocks(text: string): string {
  let inside = false;
  return text
    .split('\n')
    .map((line) => {
      const fence = /^ *```/.test(line);
      if (fence) inside = !inside;
      return inside || fence ? '' : line;
    })
    .join('\n');
}

function isRule(line: string): boolean {
  return /^\|[-:| ]+\|$/.test(line);
}

function markdownIn(folder: string, recursive: boolean): string[] {
  return readdirSync(join(root, folder), { recursive, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join(folder, file));
}
