/** Sets up pino for the log and for audit records. Its worker transports are not used, since they do not work in the one-file build. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type DestinationStream, type LogFn, type Logger, pino } from 'pino';
import sonicBoom from 'sonic-boom';
import { shortenText } from '../object/text.ts';
import { renderDecisionLine } from './audit/decision-line.ts';
import { renderTextLine } from './text-lines.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type LogFormat = 'text' | 'json';

/** The log for operators, with one line of JSON or text per event. The stack of a bug follows its line of text. */
export function createLogger(level: LogLevel, destination: DestinationStream, format: LogFormat = 'json'): Logger {
  return pino(
    {
      level,
      base: { name: 'regkeeper' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: truncateLineFields },
      serializers: { err: (error) => truncateFields(serializeError(error)) },
      hooks: { logMethod: truncateMessage },
    },
    format === 'json' ? destination : { write: (line) => destination.write(renderTextLine(line)) },
  );
}

/** Limits for the fields of one line, since tenants choose many of their names and texts. */
const fieldBudget = { entries: 100, depth: 5 };

/** pino calls this with the fields of one line. */
function truncateLineFields(fields: Record<string, unknown>): Record<string, unknown> {
  return truncateFields(fields) as Record<string, unknown>;
}

/**
 * Cuts texts as audit records do. Keeps the first 100 entries of all lists and objects together, with the number of all, and nothing nested
 * deeper than five levels.
 */
function truncateFields(root: unknown): unknown {
  let left = fieldBudget.entries;
  const copy = (value: unknown, depth: number): unknown => {
    if (typeof value === 'string') return shortenText(value);
    // pino's error serializer runs later, and its result is limited too.
    if (typeof value !== 'object' || value === null || value instanceof Error) return value;
    if (depth === fieldBudget.depth) return '…';
    const all = Object.entries(value);
    const entries = all.slice(0, left);
    left -= entries.length;
    const copied = entries.map(([key, entry]) => [shortenText(key), copy(entry, depth + 1)] as const);
    if (!Array.isArray(value)) {
      return Object.fromEntries(all.length > entries.length ? [...copied, ['…', `…[${all.length} fields]`]] : copied);
    }
    const items = copied.map(([, item]) => item);
    return value.length > items.length ? [...items, `…[${value.length} entries]`] : items;
  };
  return copy(root, 0);
}

/** Enough for a sentence with several names and texts, each of which has been cut already. */
const maxMessageLength = 8_192;

function truncateMessage(this: Logger, args: Parameters<LogFn>, method: LogFn): void {
  const cut = args.map((arg: unknown) => (typeof arg === 'string' && arg.length > maxMessageLength ? shortenText(arg) : arg));
  method.apply(this, cut as Parameters<LogFn>);
}

/** Errors of the API server or of the connection to it are logged with their message. A stack trace is only useful for bugs. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  if (error.name !== 'ApiError') return pino.stdSerializers.err(error);
  const { status, reason } = error as Error & { status?: number; reason?: string };
  return { type: error.name, message: error.message, status, reason };
}

/** Of docs/audit.schema.json. Raised when a field is removed or changes its meaning, or when the absence of a new field has a meaning. */
const schemaVersion = 2;

export type AuditLog = { write(record: object): void };

/**
 * The audit records, with one line of JSON each. A record has at least one field. They are never filtered by a level, and JSON.stringify costs
 * half as much as pino. `text`: a line of text for each decision, for a developer at a terminal.
 */
export function createAuditLog(destination: DestinationStream, format: LogFormat = 'json'): AuditLog {
  return {
    write(record) {
      const time = new Date().toISOString();
      // A copy of the record with these fields would cost as much as its JSON.
      const line =
        format === 'text'
          ? renderDecisionLine(record, time)
          : `{"log":"audit","schemaVersion":${schemaVersion},"time":"${time}",${JSON.stringify(record).slice(1)}\n`;
      if (line !== undefined) destination.write(line);
    },
  };
}

export type LogDestination = DestinationStream & {
  /** Resolves when every line written so far is out or has failed, or after three seconds. */
  flush(): Promise<void>;
  delivery(): Delivery;
};

export type Delivery = {
  /** Whether writing fails at the moment. */
  readonly failing: boolean;
  /** The number of lines lost since the start. */
  readonly lost: number;
  /** The number of lines that may not have been written yet, at most. */
  readonly waiting: number;
};

export type DestinationOptions = {
  /** Called once when writing begins to fail. From then on lines wait in memory and are retried. */
  readonly onFailing?: (reason: string) => void;
  /** Called when all waiting lines have been written. `lost` is the number of lines that did not fit into the buffer meanwhile. */
  readonly onRecovered?: (lost: number) => void;
  /** How many bytes of lines may wait. The default is 16 MiB. A single line that is longer may wait too, one at a time. */
  readonly maxWaitingBytes?: number;
  /**
   * Lines are written together once the first of them has waited this many milliseconds, or when they are longer than 64 KiB. 0, the default,
   * writes each line when it comes.
   */
  readonly gatherMilliseconds?: number;
};

/** Writes are not longer than the buffer of a pipe, unless a line is. */
const maxGatheredBytes = 64 * 1024;

const MiB = 1024 * 1024;

/**
 * Opens a file descriptor, or a file to append to. Lines are written in the order of calls, but asynchronously: neither a slow reader nor a
 * full disk may delay an answer or the end of the process. Failed writes are retried with each line, and once a second.
 *
 * @throws if the file cannot be opened
 */
export function openDestination(to: number | string, options: DestinationOptions = {}): LogDestination {
  const { onFailing, onRecovered, maxWaitingBytes = 16 * MiB, gatherMilliseconds = 0 } = options;
  const descriptor = typeof to === 'number' ? to : openToAppend(to);
  // pino.destination is not used: at the exit it would write synchronously, and retry forever if the disk is full. With a minimum length of
  // 0, sonic-boom would report a flush as done while a write is still running. It would also drop a long line even if nothing waits, so the
  // limit is applied here.
  // It gets bytes, because it would encode a text twice.
  const stream = new sonicBoom.SonicBoom({ dest: descriptor, sync: false, minLength: 1, contentMode: 'buffer' });
  // Its types know only texts.
  const writeBytes = (text: string) => void stream.write(Buffer.from(text) as never);
  let lost = 0;
  let waitingLines = 0;
  let waitingBytes = 0;
  /** A line that is longer than the whole buffer: its bytes, and how many bytes must be written until it is out. */
  let oversized: { readonly bytes: number; left: number } | undefined;
  let lostBeforeFailure: number | undefined;
  let retryScheduled = false;
  /** Lines that the stream does not have yet. */
  let gathered = { text: '', lines: 0, bytes: 0 };

  function handOver(): void {
    const { text } = gathered;
    if (text === '') return;
    gathered = { text: '', lines: 0, bytes: 0 };
    writeBytes(text);
  }

  function gather(line: string, bytes: number): void {
    if (gatherMilliseconds === 0) {
      writeBytes(line);
      return;
    }
    if (gathered.lines === 0) setTimeout(handOver, gatherMilliseconds).unref();
    gathered.text += line;
    gathered.lines += 1;
    gathered.bytes += bytes;
    if (gathered.bytes > maxGatheredBytes) handOver();
  }

  function fail(reason: string): void {
    if (lostBeforeFailure === undefined) {
      lostBeforeFailure = lost;
      onFailing?.(reason);
    }
    // A line that does not fit triggers no further retry.
    if (retryScheduled) return;
    retryScheduled = true;
    setTimeout(() => {
      retryScheduled = false;
      stream.flush();
    }, 1_000).unref();
  }

  stream.on('error', (error: Error) => fail(error.message));
  stream.on('write', (bytes: number) => {
    waitingBytes -= bytes;
    if (oversized) oversized.left -= bytes;
    if (oversized && oversized.left <= 0) oversized = undefined;
  });
  stream.on('drain', () => {
    waitingLines = gathered.lines;
    waitingBytes = gathered.bytes;
    oversized = undefined;
    if (lostBeforeFailure === undefined) return;
    const lostMeanwhile = lost - lostBeforeFailure;
    lostBeforeFailure = undefined;
    onRecovered?.(lostMeanwhile);
  });
  if (typeof to === 'string' && endsInsideLine(to, descriptor)) writeBytes('\n');

  return {
    write(line) {
      const bytes = Buffer.byteLength(line);
      // The rest of the oversized line does not count, so that the lines after it are not lost because of it.
      const waitingOfOversized = oversized ? Math.min(oversized.bytes, oversized.left) : 0;
      const fits = bytes > maxWaitingBytes ? !oversized : waitingBytes - waitingOfOversized + bytes <= maxWaitingBytes;
      if (!fits) {
        fail(`the ${(maxWaitingBytes / MiB).toFixed()} MiB buffer is full`);
        lost += 1;
        return;
      }
      waitingBytes += bytes;
      if (bytes > maxWaitingBytes) oversized = { bytes, left: waitingBytes };
      waitingLines += 1;
      gather(line, bytes);
    },
    flush: () =>
      new Promise((resolve) => {
        handOver();
        const late = setTimeout(resolve, 3_000);
        // This also requests an fsync, which fails on a pipe or a terminal. The lines are written nevertheless.
        stream.flush(() => {
          clearTimeout(late);
          resolve();
        });
      }),
    delivery: () => ({ failing: lostBeforeFailure !== undefined, lost, waiting: waitingLines }),
  };
}

function openToAppend(file: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  // Without O_NONBLOCK a named pipe without a reader would block the start, and a thread that the end of the process waits for. Records
  // contain names of users and what they did, so other users of the machine may not read the file.
  return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
}

/** The disk may have been full when the last process ended. The next line must not be appended to an incomplete one. */
function endsInsideLine(file: string, descriptor: number): boolean {
  const { size } = fstatSync(descriptor);
  if (size === 0) return false;
  try {
    const reading = openSync(file, 'r');
    const last = Buffer.alloc(1);
    readSync(reading, last, 0, 1, size - 1);
    closeSync(reading);
    return last.toString() !== '\n';
  } catch {
    // The file is writable but not readable.
    return false;
  }
}
