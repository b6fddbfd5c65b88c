/** Runs a process until SIGTERM, SIGINT or a bug, then shuts it down gracefully. */
import closeWithGrace from 'close-with-grace';
import { StartCancelled } from './lifecycle.ts';

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export type RunOptions = {
  /** Deadline of the whole shutdown. */
  readonly shutdownMilliseconds: number;
  readonly report: (line: string) => void;
};

/** Resolves when the process is up, with undefined where a signal ended the start. Rejects with the reason of a failed start. */
export async function runUntilSignal<Running extends { stop(): Promise<void> }>(
  start: (signal: AbortSignal) => Promise<Running>,
  { shutdownMilliseconds, report }: RunOptions,
): Promise<Running | undefined> {
  const shutdown = new AbortController();
  let running: Promise<Running> | undefined;
  // Registered before the process is imported and started: the first process of a container ignores signals that it does not handle.
  const { close } = closeWithGrace({ delay: shutdownMilliseconds, logger: false, skip: [...signals] }, async ({ err }) => {
    if (err) report(`regkeeper: shutting down after an unexpected error, which is a bug: ${err.stack}`);
    shutdown.abort();
    // A cancelled start rejects after everything has been stopped.
    const started = await running?.catch(() => undefined);
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
  running = start(shutdown.signal);
  return await running.catch((error: unknown) => {
    if (!(error instanceof StartCancelled)) throw error;
    return undefined;
  });
}
