/** Runs commands for tests. */
import { runProgram } from '../../../src/cli/program.ts';

/** Runs one command line, without the program name, in this process. Returns the text of both output streams and the exit code. */
export async function runCommand(...argv: readonly string[]) {
  let out = '';
  let err = '';
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
  };
  const exitCode = await runProgram(argv, { serve: async () => {} }, terminal);
  return { exitCode, out, err };
}
