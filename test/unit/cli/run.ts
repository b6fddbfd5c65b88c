import { runProgram } from '../../../src/cli/program.ts';

/** One command line without program name, in this process: what it says on both streams, and its exit code. */
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
