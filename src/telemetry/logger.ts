/** pino, set up once. Plain destinations only: pino's worker transports do not survive the one-file build. */
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
      // An error of ours may carry a response of the API server: its message is enough.
      serializers: { err: pino.stdSerializers.err },
    },
    destination,
  );
}

export type AuditLog = { write(record: object): void; flush(): void };

/** What was decided, for auditors: one line of JSON each, on a stream of its own, never filtered by a level. */
export function createAuditLog(destination: DestinationStream & { flushSync?(): void }): AuditLog {
  const stream = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: () => ({ log: 'audit' }) } },
    destination,
  );
  return {
    write: (record) => stream.info(record),
    flush: () => destination.flushSync?.(),
  };
}

/** A file descriptor or a file, written in the order of calls. */
export function openDestination(to: number | string): ReturnType<typeof pino.destination> {
  return pino.destination({ dest: to, sync: true });
}
