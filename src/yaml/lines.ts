/** Offsets in a text as lines and columns of the file that the text was taken from. */
import { LineCounter } from 'yaml';
import type { Position } from './yaml-error.ts';

/**
 * Where a text begins that is a part of a file: each of its lines is one line further down, behind the same indent. `whole`: the places of
 * its parts are unknown, because YAML folds or escapes the text, so that everything in it has the position of its beginning.
 */
export type TextStart = Position & { readonly whole?: true };

export class Lines {
  private readonly text: string;
  private readonly start: TextStart;
  private readonly counter = new LineCounter();

  constructor(text: string, start: TextStart) {
    this.text = text;
    this.start = start;
    this.counter.addNewLine(0);
  }

  /** For the parser, which calls it in the order of lines. */
  readonly addNewLine = (offset: number): number => this.counter.addNewLine(offset);

  at(offset: number): Position {
    if (this.start.whole) return { line: this.start.line, column: this.start.column };
    const { line, col } = this.counter.linePos(offset);
    return { line: line + this.start.line - 1, column: col + this.start.column - 1 };
  }

  /** Where the text of a literal block (`|`) begins whose header is at the offset: there each line of the text is one of the file. */
  startOfBlock(offset: number, text: string): TextStart {
    if (this.start.whole) return this.start;
    const lines = text.split('\n');
    const filled = Math.max(
      0,
      lines.findIndex((line) => line.trim() !== ''),
    );
    const first = this.counter.linePos(offset).line + 1;
    const indent = this.line(first + filled).length - (lines[filled] ?? '').length;
    return { line: first + this.start.line - 1, column: indent + this.start.column };
  }

  private line(line: number): string {
    const { lineStarts } = this.counter;
    const start = lineStarts[line - 1] ?? this.text.length;
    const end = lineStarts[line] ?? this.text.length + 1;
    return this.text.slice(start, end - 1).replace(/\r$/, '');
  }
}
