/** Aligns the cells of a table for people. */
import { formatCount } from '../../image/wording.ts';
import { type Meaning, type Paint, plain } from './paint.ts';

/** `meaning`: the colour of the cell. */
export type Cell = string | number | { readonly text: string; readonly meaning: Meaning };

/** Numbers are aligned to the right. The first row has the headings. */
export function renderColumns(rows: readonly (readonly Cell[])[], paint: Paint = plain): string {
  const widths = (rows[0] ?? []).map((_heading, column) => Math.max(...rows.map((row) => textOf(row[column] ?? '').length)));
  const isNumber = widths.map((_width, column) => typeof rows[1]?.[column] === 'number');
  const renderCell = (cell: Cell, column: number) => {
    const text = textOf(cell);
    const space = ' '.repeat((widths[column] ?? 0) - text.length);
    const painted = typeof cell === 'object' ? paint(cell.meaning, text) : text;
    return isNumber[column] ? `${space}${painted}` : `${painted}${space}`;
  };
  return rows.map((row) => `${row.map(renderCell).join('  ').trimEnd()}\n`).join('');
}

function textOf(cell: Cell): string {
  if (typeof cell === 'number') return formatCount(cell);
  return typeof cell === 'object' ? cell.text : cell;
}
