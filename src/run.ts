/** Runs the command line of the process and sets the exit code. */
import type { ClusterChoice } from './cli/input/live-objects.ts';
import type { ApiClient } from './kube/api-client.ts';
import { ConfigurationError } from './settings/configuration-error.ts';
import type { Flags } from './settings/input.ts';

const terminal = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

export async function run(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader may stop early, as in `| head`. The exit code still has the result.
    if (error.code === 'EPIPE') return;
    // As with a full disk. Exit code 1 would mean a finding.
    terminal.err(`regkeeper: cannot write the output: ${error.message}\n`);
    process.exit(2);
  });
  // There is nowhere to report it.
  process.stderr.on('error', () => undefined);

  try {
    const { runProgram } = await import('./cli/program.ts');
    const { supportsColor } = await import('./cli/output/paint.ts');
    const colors = { out: supportsColor(process.stdout, process.env), err: supportsColor(process.stderr, process.env) };
    const exitCode = await runProgram(
      process.argv.slice(2),
      { serve: runServer, deliver: runDelivery, connect },
      { ...terminal, colors, isTerminal: process.stderr.isTTY === true },
    );
    if (exitCode !== undefined) process.exitCode = exitCode;
  } catch (error) {
    const message = await messageFor(error);
    if (message === undefined) throw error;
    terminal.err(`regkeeper: ${message}\n`);
    process.exit(2);
  }
}

async function runServer(flags: Flags): Promise<void> {
  const { readSettings } = await import('./app/settings.ts');
  const settings = readSettings(flags, process.env);
  // Imported here, so that the other commands start without a web server.
  const { runUntilSignal } = await import('./app/run-until-signal.ts');
  const { shutdownMilliseconds } = await import('./app/components/drain.ts');
  const start = async (signal: AbortSignal) => (await import('./app/serve.ts')).serve(settings, { env: process.env, signal });
  const server = await runUntilSignal(start, { shutdownMilliseconds: shutdownMilliseconds(settings), report });
  if (!server) return;
  if (settings.dev) {
    const { renderWelcome } = await import('./cli/output/welcome.ts');
    terminal.err(renderWelcome(server, settings));
    server.releaseOutputs();
  } else server.log.info({ url: server.url, healthUrl: server.healthUrl }, 'serving');
}

async function connect({ kubeconfig: file, context }: ClusterChoice): Promise<ApiClient> {
  const { loadKubeConfig } = await import('./kube/kubeconfig.ts');
  const { connectApi } = await import('./kube/client/connect-api.ts');
  return connectApi(await loadKubeConfig({ file, context, env: process.env }));
}

async function runDelivery(flags: Flags): Promise<void> {
  const { readDeliverySettings } = await import('./app/delivery-settings.ts');
  const settings = readDeliverySettings(flags, process.env);
  const { runUntilSignal } = await import('./app/run-until-signal.ts');
  const start = async (signal: AbortSignal) => (await import('./app/deliver.ts')).deliver(settings, { env: process.env, signal });
  const delivery = await runUntilSignal(start, { shutdownMilliseconds: 12_000, report });
  delivery?.log.info({ healthUrl: delivery.healthUrl }, 'secret delivery is running');
}

function report(line: string): void {
  terminal.err(`${line}\n`);
}

/**
 * The message for errors that are not bugs. An error of the API server names its request. Undefined for bugs, whose stack trace is needed.
 */
async function messageFor(error: unknown): Promise<string | undefined> {
  if (error instanceof ConfigurationError) return error.message;
  const { ApiError } = await import('./kube/api-client.ts');
  const { KubeconfigError } = await import('./kube/kubeconfig.ts');
  return error instanceof ApiError || error instanceof KubeconfigError ? error.message : undefined;
}
