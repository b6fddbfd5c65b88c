/** Runs the server until SIGTERM, SIGINT or a bug, then shuts it down gracefully. */
import closeWithGrace from 'close-with-grace';
import { shutdownMilliseconds } from './components/drain.ts';
import { StartCancelled } from './lifecycle.ts';
import type { RunningServer } from './serve.ts';
import type { Environment, Settings } from './settings.ts';

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Resolves when the server is up, with undefined where a signal ended the start. Rejects with the reason of a failed start. */
export async function serveUntilSignal(
  settings: Settings,
  env: Environment,
  report: (line: string) => void,
): Promise<RunningServer | undefined> {
  const shutdown = new AbortController();
  let serving: Promise<RunningServer> | undefined;
  // Registered before the server is imported and started: the first process of a container ignores signals that it does not handle.
  const { close } = closeWithGrace({ delay: shutdownMilliseconds(settings), logger: false, skip: [...signals] }, async ({ err }) => {
    if (err) report(`regkeeper: shutting down after an unexpected error, which is a bug: ${err.stack}`);
    shutdown.abort();
    // A cancelled start rejects after everything has been stopped.
    const started = await serving?.catch(() => undefined);
    await started?.stop();
  });
  // Ctrl-C arrives twice: the terminal signals the whole process group, and npm forwards it. A repeated signal must not cut off the drain
  // and the last audit records.
  let closing = false;
  for (const signal of signals)
    process.on(signal, () => {
      if (!closing) close();
      closing = true;
    });
  serving = import('./serve.ts').then(({ serve }) => serve(settings, { env, signal: shutdown.signal }));
  return await serving.catch((error: unknown) => {
    if (!(error instanceof StartCancelled)) throw error;
    return undefined;
  });
}
