/** Converts offsets in a text to lines and columns of the file that contains the text. */
import { LineCounter } from 'yaml';
import type { Position } from './yaml-error.ts';

/**
 * Where a text begins that is part of a file. Each line of the text is one line of the file, with the same indent. `startOnly`: YAML folds
 * or escapes the text, so the positions inside it are unknown, and everything in it has the position of its start.
 */
export type TextStart = Position & { readonly startOnly?: true };

export class Lines {
  private readonly text: string;
  private readonly start: TextStart;
  private readonly counter = new LineCounter();

  constructor(text: string, start: TextStart) {
    this.text = text;
    this.start = start;
    this.counter.addNewLine(0);
  }

  /** With all lines of the text, for a text that no YAML parser reads. */
  static of(text: string, start: TextStart): Lines {
    const lines = new Lines(text, start);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) lines.addNewLine(end + 1);
    return lines;
  }

  /** Called by the YAML parser with the offset of each line, in order. */
  readonly addNewLine = (offset: number): number => this.counter.addNewLine(offset);

  at(offset: number): Position {
    if (this.start.startOnly) return { line: this.start.line, column: this.start.column };
    const { line, col } = this.counter.linePos(offset);
    return { line: line + this.start.line - 1, column: col + this.start.column - 1 };
  }

  /**
   * Where the text of the literal block (`|`) begins whose header is at `offset`. In a literal block each line of the text is a line of the
   * file.
   */
  startOfBlock(offset: number, text: string): TextStart {
    if (this.start.startOnly) return this.start;
    const lines = text.split('\n');
    const firstNonBlank = Math.max(
      0,
      lines.findIndex((line) => line.trim() !== ''),
    );
    const first = this.counter.linePos(offset).line + 1;
    const indent = this.line(first + firstNonBlank).length - (lines[firstNonBlank] ?? '').length;
    return { line: first + this.start.line - 1, column: indent + this.start.column };
  }

  private line(line: number): string {
    const { lineStarts } = this.counter;
    const start = lineStarts[line - 1] ?? this.text.length;
    const end = lineStarts[line] ?? this.text.length + 1;
    return this.text.slice(start, end - 1).replace(/\r$/, '');
  }
}
