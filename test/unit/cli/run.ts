/** Runs commands for tests. */
import { runProgram } from '../../../src/cli/program.ts';
import type { Flags } from '../../../src/settings/input.ts';

/** Runs one command line, without the program name, in this process. Returns the text of both output streams and the exit code. */
export async function runCommand(...argv: readonly string[]) {
  const { served: _none, ...result } = await runOnTerminal({}, ...argv);
  return result;
}

/** The same with output streams that get colours by default, or not. Returns also the flags of servers that were started. */
export async function runOnTerminal({ colors = false }: { readonly colors?: boolean }, ...argv: readonly string[]) {
  let out = '';
  let err = '';
  const served: Flags[] = [];
  const output = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    colors: { out: colors, err: colors },
  };
  const exitCode = await runProgram(
    argv,
    { serve: async (flags) => void served.push(flags), deliver: async (flags) => void served.push(flags) },
    output,
  );
  return { exitCode, out, err, served };
}
