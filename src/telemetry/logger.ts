/** pino, set up once. Plain destinations only: pino's worker transports do not survive the one-file build. */
import { openSync } from 'node:fs';
import { type DestinationStream, type Logger, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What the program says of itself, for operators: one line of JSON each. */
export function createLogger(level: LogLevel, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { name: 'regkeeper' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
    },
    destination,
  );
}

/** A refusal of the API server, or one to reach it, is told by its message; a stack is for bugs of ours. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  if (error.name !== 'ApiError') return pino.stdSerializers.err(error);
  const { status, reason } = error as Error & { status?: number; reason?: string };
  return { type: error.name, message: error.message, status, reason };
}

export type AuditLog = { write(record: object): void };

/** What was decided, for auditors: one line of JSON each, on a stream of its own, never filtered by a level. */
export function createAuditLog(destination: DestinationStream): AuditLog {
  const stream = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: () => ({ log: 'audit' }) } },
    destination,
  );
  return { write: (record) => stream.info(record) };
}

export type LogDestination = DestinationStream & {
  /** Resolves when every line written so far is out. */
  flush(): Promise<void>;
};

/**
 * A file descriptor, or a file that is added to. Lines are written in the order of calls, but not at once: nobody who reads slowly may hold
 * up an answer.
 *
 * Throws when the file cannot be opened.
 */
export function openDestination(to: number | string): LogDestination {
  // Records name people and what they did: nothing for every user of the machine.
  const descriptor = typeof to === 'number' ? to : openSync(to, 'a', 0o640);
  // With no minimum at all, sonic-boom would call a flush done while a write is still under way.
  const stream = pino.destination({ dest: descriptor, sync: false, minLength: 1 });
  return {
    write: (line) => void stream.write(line),
    // It also asks for an fsync, which a pipe or a terminal refuses; the lines are out all the same.
    flush: () => new Promise((resolve) => stream.flush(() => resolve())),
  };
}
