/** The program: reads its command line, runs it, and tells the shell how it went. */
import { join } from 'node:path';
import type { RunningServer } from './app/serve.ts';
import { keepCompiledCode } from './compiled-code.ts';
import { ConfigurationError } from './settings/configuration-error.ts';
import type { Flags } from './settings/input.ts';

const terminal = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

// Whoever reads may stop early, as in `| head`: the exit code still tells what was found.
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
  // Loaded here, so that the other commands start without a web server.
  const { default: closeWithGrace } = await import('close-with-grace');
  const { serve } = await import('./app/serve.ts');
  const shutdown = new AbortController();
  let serving: Promise<RunningServer> | undefined;
  // Before the start, which may wait for the cluster: the first process of a container ignores a signal that it does not handle.
  // Its own deadline must lie behind the drain time, or it would cut the last answers off.
  closeWithGrace({ delay: settings.drainMilliseconds + 15_000, logger: false }, async ({ err }) => {
    if (err) terminal.err(`regkeeper: a bug, the server ends: ${err.stack}\n`);
    shutdown.abort();
    // A start that is aborted rejects when everything has stopped again.
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

/** The API server's refusal says what it was asked; only a bug of ours has a stack worth reading, and no sentence. */
async function messageFor(error: unknown): Promise<string | undefined> {
  if (error instanceof ConfigurationError) return error.message;
  const { ApiError } = await import('./kube/api-client.ts');
  return error instanceof ApiError ? error.message : undefined;
}
