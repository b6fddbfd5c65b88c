/** Runs the server until SIGTERM, SIGINT or a bug, then shuts it down gracefully. */
import closeWithGrace from 'close-with-grace';
import { type RunningServer, serve } from './serve.ts';
import type { Environment, Settings } from './settings.ts';

/** Resolves when the server is up, with undefined where a signal ended the start. Rejects with the reason of a failed start. */
export async function serveUntilSignal(
  settings: Settings,
  env: Environment,
  report: (line: string) => void,
): Promise<RunningServer | undefined> {
  const shutdown = new AbortController();
  let serving: Promise<RunningServer> | undefined;
  // Registered before the start, which may wait for the cluster: the first process of a container ignores signals that it does not handle.
  // Its own deadline must be later than the drain time, or it would cut off the last answers.
  closeWithGrace({ delay: settings.drainMilliseconds + 15_000, logger: false }, async ({ err }) => {
    if (err) report(`regkeeper: a bug, the server ends: ${err.stack}`);
    shutdown.abort();
    // A cancelled start rejects after everything has been stopped.
    const started = await serving?.catch(() => undefined);
    await started?.stop();
  });
  serving = serve(settings, { env, signal: shutdown.signal });
  return await serving.catch((error: unknown) => {
    if (!shutdown.signal.aborted) throw error;
    return undefined;
  });
}
