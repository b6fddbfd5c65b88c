/** Reads the lines of audit logs from files and standard input, a piece at a time, whatever their size. */
import { createReadStream } from 'node:fs';
import { errorCode, errorMessage } from '../../errors/error-message.ts';
import { inputName } from '../../image/wording.ts';

export type LineReader = {
  line(file: string, number: number, text: string): void;
  tooLong(file: string, number: number): void;
};

/** Four times as long as a record can be. A longer line would only fill the memory. */
export const maxLineBytes = 1024 * 1024;
const newline = 0x0a;

/** Returns problems of files that cannot be read, each as a clause with the name of the file. `-` is standard input. Blank lines are skipped. */
export async function readLines(paths: readonly string[], reader: LineReader): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const path of paths) {
    const source = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
    try {
      await readOne(path, source as AsyncIterable<Buffer>, reader);
    } catch (error) {
      problems.push(`${inputName(path)}: ${reasonOf(error)}`);
    }
  }
  return problems;
}

async function readOne(file: string, chunks: AsyncIterable<Buffer>, reader: LineReader): Promise<void> {
  let pieces: Buffer[] = [];
  let length = 0;
  let number = 0;
  const end = (last: Buffer) => {
    number += 1;
    if (length + last.length > maxLineBytes) reader.tooLong(file, number);
    else {
      const text = (pieces.length > 0 ? Buffer.concat([...pieces, last]) : last).toString('utf8').trim();
      if (text !== '') reader.line(file, number, text);
    }
    pieces = [];
    length = 0;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, start)) {
      end(chunk.subarray(start, at));
      start = at + 1;
    }
    const rest = chunk.subarray(start);
    length += rest.length;
    // The rest of a line that is too long is only counted.
    if (length <= maxLineBytes) pieces.push(Buffer.from(rest));
    else pieces = [];
  }
  if (length > 0) end(Buffer.alloc(0));
}

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EISDIR') return 'is a directory. Pass its files instead';
  if (code === 'EACCES') return 'permission denied';
  return errorMessage(error);
}
