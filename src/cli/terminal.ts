/** What a command needs from its caller and returns to it: two output streams and an exit code. */
import type { Paint } from './output/paint.ts';

/** 0: success. 1: findings. 2: a usage or configuration error. 3: no findings, but past requests that could not be evaluated. */
export type ExitCode = 0 | 1 | 2 | 3;

/** The output streams of the process. `out` is standard output, `err` standard error. */
export type Output = {
  out(text: string): void;
  err(text: string): void;
  /** Whether texts on a stream are coloured with `--color auto`. Absent: no. */
  readonly colors?: { readonly out: boolean; readonly err: boolean };
  /** Whether standard error is a terminal, on which a line can be replaced. Absent: no. */
  readonly isTerminal?: boolean;
};

/** The output streams, with the colours that this command line asks for. */
export type Terminal = Pick<Output, 'out' | 'err' | 'isTerminal'> & { readonly paint: { readonly out: Paint; readonly err: Paint } };
