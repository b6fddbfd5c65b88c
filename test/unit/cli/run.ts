/** Runs commands for tests. */
import { runProgram } from '../../../src/cli/program.ts';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { ConfigurationError } from '../../../src/settings/configuration-error.ts';
import type { Flags } from '../../../src/settings/input.ts';

/** Runs one command line, without the program name, in this process. Returns the text of both output streams and the exit code. */
export async function runCommand(...argv: readonly string[]) {
  const { served: _none, ...result } = await runOnTerminal({}, ...argv);
  return result;
}

/** The same with a cluster: `client` is what a kubeconfig leads to. */
export async function runOnCluster(client: ApiClient, ...argv: readonly string[]) {
  const { served: _none, ...result } = await runOnTerminal({ client }, ...argv);
  return result;
}

/** The same with output streams that get colours by default, or not. Returns also the flags of servers that were started. */
export async function runOnTerminal(
  { colors = false, isTerminal = false, client }: { readonly colors?: boolean; readonly isTerminal?: boolean; readonly client?: ApiClient },
  ...argv: readonly string[]
) {
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
    isTerminal,
  };
  const serve = async (flags: Flags) => void served.push(flags);
  const connect = async () => {
    if (!client) throw new ConfigurationError('this test has no cluster');
    return client;
  };
  const exitCode = await runProgram(argv, { serve, deliver: serve, connect }, output);
  return { exitCode, out, err, served };
}
