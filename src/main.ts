/** The entry point: runs the command line and sets the exit code. */
import { join } from 'node:path';
import type { RunningServer } from './app/serve.ts';
import { keepCompiledCode } from './compiled-code.ts';
import { ConfigurationError } from './settings/configuration-error.ts';
import type { Flags } from './settings/input.ts';

const terminal = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

// The reader may stop early, as in `| head`. The exit code still has the result.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

keepCompiledCode(join(import.meta.dirname, '..', 'node_modules'));
try {
  const { runProgram } = await import('./cli/program.ts');
  const exitCode = await runProgram(process.argv.slice(2), { serve: runServer }, terminal);
  if (exitCode !== undefined) process.exitCode = exitCode;
} catch (error) {
  const message = await messageFor(error);
  if (message === undefined) throw error;
  terminal.err(`regkeeper: ${message}\n`);
  process.exit(2);
}

async function runServer(flags: Flags): Promise<void> {
  const { readSettings } = await import('./app/settings.ts');
  const settings = readSettings(flags, process.env);
  // Imported here, so that the other commands start without a web server.
  const { default: closeWithGrace } = await import('close-with-grace');
  const { serve } = await import('./app/serve.ts');
  const shutdown = new AbortController();
  let serving: Promise<RunningServer> | undefined;
  // Registered before the start, which may wait for the cluster: the first process of a container ignores signals that it does not handle.
  // Its own deadline must be later than the drain time, or it would cut off the last answers.
  closeWithGrace({ delay: settings.drainMilliseconds + 15_000, logger: false }, async ({ err }) => {
    if (err) terminal.err(`regkeeper: a bug, the server ends: ${err.stack}\n`);
    shutdown.abort();
    // A cancelled start rejects after everything has been stopped.
    const started = await serving?.catch(() => undefined);
    await started?.stop();
  });
  serving = serve(settings, { env: process.env, signal: shutdown.signal });
  const server = await serving.catch((error: unknown) => {
    if (!shutdown.signal.aborted) throw error;
  });
  if (!server) return;
  if (settings.dev) {
    const { renderWelcome } = await import('./cli/output/welcome.ts');
    terminal.err(renderWelcome(server, settings));
  } else server.log.info({ url: server.url, healthUrl: server.healthUrl }, 'serving');
}

/**
 * The message for errors that are not bugs. An error of the API server names its request. Undefined for bugs, whose stack trace is needed.
 */
async function messageFor(error: unknown): Promise<string | undefined> {
  if (error instanceof ConfigurationError) return error.message;
  const { ApiError } = await import('./kube/api-client.ts');
  return error instanceof ApiError ? error.message : undefined;
}
