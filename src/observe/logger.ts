/** pino, set up once. Plain destinations only: pino's worker transports do not survive the one-file build. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type DestinationStream, type LogFn, type Logger, pino } from 'pino';
import sonicBoom from 'sonic-boom';
import { shortenText } from '../object/text.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What the program says of itself, for operators: one line of JSON each. */
export function createLogger(level: LogLevel, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { name: 'regkeeper' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: boundFields },
      serializers: { err: (error) => bound(serializeError(error)) },
      hooks: { logMethod: boundMessage },
    },
    destination,
  );
}

/** How much of the fields of one line is logged: tenants write many of the names and texts in it. */
const fieldBudget = { entries: 100, depth: 5 };

/** Called with the fields of one line, by pino. */
function boundFields(fields: Record<string, unknown>): Record<string, unknown> {
  return bound(fields) as Record<string, unknown>;
}

/** Texts cut as in an audit record; of lists and objects the first 100 entries together, with how many there were, and nothing that lies deeper than five. */
function bound(root: unknown): unknown {
  let left = fieldBudget.entries;
  const copy = (value: unknown, depth: number): unknown => {
    if (typeof value === 'string') return shortenText(value);
    // pino's serializer of errors comes later, and is bounded too.
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

/** A sentence has room for several names and texts, each of which is cut already where it is long. */
const longestMessage = 8_192;

function boundMessage(this: Logger, args: Parameters<LogFn>, method: LogFn): void {
  const cut = args.map((arg: unknown) => (typeof arg === 'string' && arg.length > longestMessage ? shortenText(arg) : arg));
  method.apply(this, cut as Parameters<LogFn>);
}

/** A refusal of the API server, or one to reach it, is told by its message; a stack is for bugs of ours. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  if (error.name !== 'ApiError') return pino.stdSerializers.err(error);
  const { status, reason } = error as Error & { status?: number; reason?: string };
  return { type: error.name, message: error.message, status, reason };
}

/** Of docs/audit.schema.json. Raised when a field is removed or changes its meaning. New fields do not raise it. */
const schemaVersion = 1;

export type AuditLog = { write(record: object): void };

/** What was decided, for auditors: one line of JSON each, on a stream of its own, never filtered by a level. */
export function createAuditLog(destination: DestinationStream): AuditLog {
  const stream = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: () => ({ log: 'audit', schemaVersion }) } },
    destination,
  );
  return { write: (record) => stream.info(record) };
}

export type LogDestination = DestinationStream & {
  /** Resolves when every line written so far is out, or cannot be got out, or has had three seconds for it. */
  flush(): Promise<void>;
  delivery(): Delivery;
};

export type Delivery = {
  /** Whether lines cannot be written at present. */
  readonly failing: boolean;
  /** How many were lost since the start. */
  readonly lost: number;
  /** How many may not be out yet, at most. */
  readonly waiting: number;
};

export type DestinationOptions = {
  /** Once when it begins. Lines wait in memory from then on, and are tried again. */
  readonly onFailing?: (reason: string) => void;
  /** All that waited is out. `lost` are the lines for which there was no room meanwhile. */
  readonly onWell?: (lost: number) => void;
  /** How many bytes of lines may wait; 16 MiB unless given. A line that is longer by itself may wait too, one at a time. */
  readonly mostWaiting?: number;
};

const MiB = 1024 * 1024;

/**
 * A file descriptor, or a file that is added to. Lines are written in the order of calls, but not at once: nobody who reads slowly, and no
 * full disk, may hold up an answer or the end of the process. What cannot be written is tried again with each line, and once a second.
 *
 * Throws when the file cannot be opened.
 */
export function openDestination(to: number | string, options: DestinationOptions = {}): LogDestination {
  const { onFailing, onWell, mostWaiting = 16 * MiB } = options;
  const descriptor = typeof to === 'number' ? to : openToAdd(to);
  // Not by pino.destination: at the exit that would write synchronously, and again for ever where the disk is full.
  // With no minimum at all, sonic-boom would call a flush done while a write is still under way.
  // It would drop a long line even where nothing waits, so what may wait is decided here.
  const stream = new sonicBoom.SonicBoom({ dest: descriptor, sync: false, minLength: 1 });
  let lost = 0;
  let waiting = 0;
  let waitingBytes = 0;
  /** A line that is longer than all that may wait: its bytes, and how many bytes are to be written until it is out. */
  let oversized: { readonly bytes: number; left: number } | undefined;
  let lostBefore: number | undefined;
  let retrying = false;

  function fail(reason: string): void {
    if (lostBefore === undefined) {
      lostBefore = lost;
      onFailing?.(reason);
    }
    // A line for which there is no room tries nothing.
    if (retrying) return;
    retrying = true;
    setTimeout(() => {
      retrying = false;
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
    waiting = 0;
    waitingBytes = 0;
    oversized = undefined;
    if (lostBefore === undefined) return;
    const lostMeanwhile = lost - lostBefore;
    lostBefore = undefined;
    onWell?.(lostMeanwhile);
  });
  if (typeof to === 'string' && endsInsideLine(to, descriptor)) stream.write('\n');

  return {
    write(line) {
      const bytes = Buffer.byteLength(line);
      // What is left of the long line does not count, so that those behind it are not lost on its account.
      const waitingOfOversized = oversized ? Math.min(oversized.bytes, oversized.left) : 0;
      const fits = bytes > mostWaiting ? !oversized : waitingBytes - waitingOfOversized + bytes <= mostWaiting;
      if (!fits) {
        fail(`${(mostWaiting / MiB).toFixed()} MiB wait to be written already`);
        lost += 1;
        return;
      }
      waitingBytes += bytes;
      if (bytes > mostWaiting) oversized = { bytes, left: waitingBytes };
      waiting += 1;
      stream.write(line);
    },
    flush: () =>
      new Promise((resolve) => {
        const late = setTimeout(resolve, 3_000);
        // It also asks for an fsync, which a pipe or a terminal refuses; the lines are out all the same.
        stream.flush(() => {
          clearTimeout(late);
          resolve();
        });
      }),
    delivery: () => ({ failing: lostBefore !== undefined, lost, waiting }),
  };
}

function openToAdd(file: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  // A named pipe that nobody reads would hold up the start, and a thread that the end of the process waits for.
  // Records name people and what they did: nothing for every user of the machine.
  return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
}

/** As on a disk that was full when the last process ended: the next line must not be glued to half a one. */
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
    // It may be added to and not read.
    return false;
  }
}
