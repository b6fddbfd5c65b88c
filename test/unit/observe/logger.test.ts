/** The log, audit records, and destinations that fail or are slow. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { ApiError } from '../../../src/kube/api-client.ts';
import { createAuditLog, createLogger, openDestination } from '../../../src/observe/logger.ts';
import { eventually } from '../../eventually.ts';

const folder = mkdtempSync(join(tmpdir(), 'regkeeper-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

function linesOf(write: (destination: { write(line: string): void }) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write({ write: (line) => void lines.push(line) });
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the log', () => {
  test('has one line of JSON with level, time and message', () => {
    const [line] = linesOf((destination) => createLogger('info', destination).warn({ port: 1 }, 'words'));
    expect(line).toEqual({ level: 'warn', time: expect.stringMatching(/^\d{4}-.*Z$/), name: 'regkeeper', port: 1, msg: 'words' });
  });

  test.each([
    ['a bug has its stack', new Error('a bug'), { type: 'Error', message: 'a bug', stack: expect.stringContaining('logger.test') }],
    [
      'an error of the API server has none',
      new ApiError(403, 'Forbidden', 'GET /api: no'),
      { type: 'ApiError', message: 'GET /api: no', status: 403, reason: 'Forbidden' },
    ],
    ['any other thrown value is logged', 'text', { message: 'text' }],
  ])('%s', (_name, err, expected) => {
    expect(linesOf((destination) => createLogger('info', destination).error({ err }, 'words'))).toMatchObject([{ err: expected }]);
    if (err instanceof ApiError)
      expect(JSON.stringify(linesOf((to) => createLogger('info', to).error({ err }, 'x')))).not.toContain('stack');
  });
});

describe('a log line has a limited length, whatever a tenant has written', () => {
  const long = 'x'.repeat(1_000_000);
  const many = Array.from({ length: 10_000 }, (_, index) => `name-${index}`);
  const nested = { a: { b: { c: { d: { e: { f: long } } } } } };
  test.each<[string, object, string]>([
    ['a long string', { name: long }, 'words'],
    ['a long message', {}, long],
    ['a long list', { names: many, all: many.map((name) => ({ name, long })) }, 'words'],
    ['many fields', Object.fromEntries(many.map((name) => [name, long])), 'words'],
    ['a long name of a field', { [long]: 1 }, 'words'],
    ['deep nesting', nested, 'words'],
    ['an error with a long message', { err: new Error(long) }, 'words'],
    ['an error of the API server with a long message', { err: new ApiError(403, long, long) }, 'words'],
    ['an error with fields and a cause', { err: Object.assign(new Error('x', { cause: new Error(long) }), { all: many, long }) }, 'words'],
  ])('%s', (_name, fields, message) => {
    const lines: string[] = [];
    createLogger('info', { write: (written) => void lines.push(written) }).warn(fields, message);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.length).toBeLessThan(256 * 1024);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'warn', name: expect.any(String), msg: expect.stringMatching(/^(words|x)/) });
  });

  test('truncated strings show their original length', () => {
    const [written] = linesOf((destination) => createLogger('info', destination).warn({ name: long, names: many }, 'words'));
    expect(written?.name).toBe(`${'x'.repeat(256)}…[1000000 characters]…${'x'.repeat(128)}`);
    expect(written?.names).toEqual([...many.slice(0, 98), '…[10000 entries]']);
  });

  test('omitted fields are marked', () => {
    const fields = Object.fromEntries(many.map((name) => [name, 1]));
    const [written] = linesOf((destination) => createLogger('info', destination).warn({ fields }, 'words'));
    expect(Object.keys(written?.fields as object)).toHaveLength(100);
    expect(written?.fields).toMatchObject({ 'name-0': 1, 'name-98': 1, '…': '…[10000 fields]' });
  });
});

describe('the audit log', () => {
  test('contains the record, and only its name, schema version and time in addition', () => {
    const [line] = linesOf((destination) => createAuditLog(destination).write({ event: 'decision' }));
    expect(line).toEqual({ log: 'audit', schemaVersion: 2, time: expect.any(String), event: 'decision' });
  });

  test('a record is serialized like by pino', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' })), (fields) => {
        const lines: string[] = [];
        const record = { event: 'decision', absent: undefined, ...fields };
        createAuditLog({ write: (line) => lines.push(line) }).write(record);
        const head = { base: null, formatters: { level: () => ({ log: 'audit', schemaVersion: 2 }) } } as const;
        const { log: _log, schemaVersion: _version, time: _time, ...written } = JSON.parse(lines[0] ?? '');
        pino(head, { write: (line) => lines.push(line) }).info(record);
        const byPino = JSON.parse(lines[1] ?? '');
        for (const key of ['log', 'schemaVersion', 'time', 'err', '__proto__']) {
          delete byPino[key];
          delete written[key];
        }
        expect(written).toEqual(byPino);
        expect(lines[0]?.indexOf('\n')).toBe((lines[0]?.length ?? 0) - 1);
      }),
    );
  });

  test('lines are gathered, and written together after a while, or immediately when they are flushed', async () => {
    const file = join(folder, 'gathered.log');
    const destination = openDestination(file, { gatherMilliseconds: 10 });
    for (const number of [1, 2]) destination.write(line(number));
    expect(destination.delivery().waiting).toBe(2);
    await eventually(() => expect(readFileSync(file, 'utf8')).toBe(line(1) + line(2)), { timeout: 5_000 });
    await eventually(() => expect(destination.delivery().waiting).toBe(0), { timeout: 5_000 });
    destination.write(line(3));
    await destination.flush();
    expect(readFileSync(file, 'utf8')).toBe(line(1) + line(2) + line(3));
    expect(destination.delivery()).toEqual({ failing: false, lost: 0, waiting: 0 });
  });

  test('many gathered lines are written early, and in order', async () => {
    const file = join(folder, 'many.log');
    const destination = openDestination(file, { gatherMilliseconds: 600_000 });
    const lines = Array.from({ length: 70 }, (_, number) => `${number} ${'x'.repeat(1_000)}\n`);
    for (const each of lines) destination.write(each);
    await eventually(() => expect(readFileSync(file, 'utf8')).toBe(lines.slice(0, 66).join('')), { timeout: 5_000 });
    await eventually(() => expect(destination.delivery().waiting).toBe(4), { timeout: 5_000 });
    await destination.flush();
    expect(readFileSync(file, 'utf8')).toBe(lines.join(''));
  });

  test('gathered lines count towards the limit like all pending lines', () => {
    const destination = openDestination(join(folder, 'room.log'), { gatherMilliseconds: 600_000, maxWaitingBytes: 2 * line(1).length });
    for (const number of [1, 2, 3]) destination.write(line(number));
    expect(destination.delivery()).toEqual({ failing: true, lost: 1, waiting: 2 });
  });

  test('a file is appended to, in the order of calls, and is not readable by others', async () => {
    const file = join(folder, 'audit.log');
    for (const run of [1, 2]) {
      const destination = openDestination(file);
      const log = createAuditLog(destination);
      for (const number of [1, 2, 3]) log.write({ run, number });
      await destination.flush();
    }
    const records = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records.map(({ run, number }) => `${run}${number}`)).toEqual(['11', '12', '13', '21', '22', '23']);
    expect(statSync(file).mode & 0o007).toBe(0);
  });

  test('a file that cannot be opened is reported immediately', () => {
    expect(() => openDestination(join(folder, 'nowhere/audit.log'))).toThrow(/ENOENT/);
  });
});

/** A named pipe whose reader can leave and return. Writes meanwhile fail. */
function namedPipe(name: string) {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  let reader: number | undefined;
  const leave = () => {
    if (reader !== undefined) closeSync(reader);
    reader = undefined;
  };
  onTestFinished(leave);
  return {
    path,
    leave,
    come() {
      reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    },
    read() {
      const room = Buffer.alloc(65_536);
      return room.toString('utf8', 0, readSync(reader ?? -1, room));
    },
  };
}

const line = (number: number) => `line ${number}\n`;

describe('a line that cannot be written', () => {
  test('is kept, and written in order when possible, and both are logged once', async () => {
    const pipe = namedPipe('well-again');
    pipe.come();
    const events: string[] = [];
    const onFailing = (reason: string) => void events.push(reason);
    const destination = openDestination(pipe.path, { onFailing, onRecovered: (lost) => void events.push(`well, ${lost} lost`) });
    pipe.leave();
    for (const number of [1, 2, 3]) {
      destination.write(line(number));
      await destination.flush();
    }
    expect(events).toEqual(['EPIPE: broken pipe, write']);
    expect(destination.delivery()).toEqual({ failing: true, lost: 0, waiting: 3 });
    pipe.come();
    await eventually(() => expect(events).toEqual(['EPIPE: broken pipe, write', 'well, 0 lost']), { timeout: 5_000 });
    expect(pipe.read()).toBe(line(1) + line(2) + line(3));
    expect(destination.delivery()).toEqual({ failing: false, lost: 0, waiting: 0 });
  });

  test('is lost and counted if the buffer is full, and is retried even if nothing else is written', async () => {
    const pipe = namedPipe('no-room');
    pipe.come();
    const events: string[] = [];
    const room = 2 * line(1).length;
    const destination = openDestination(pipe.path, {
      onRecovered: (lost) => void events.push(`well, ${lost} lost`),
      maxWaitingBytes: room,
    });
    pipe.leave();
    for (const number of [1, 2, 3, 4, 5]) destination.write(line(number));
    expect(destination.delivery()).toEqual({ failing: true, lost: 3, waiting: 2 });
    await destination.flush();
    pipe.come();
    await eventually(() => expect(events).toEqual(['well, 3 lost']), { timeout: 5_000 });
    expect(pipe.read()).toBe(line(1) + line(2));
    destination.write(line(6));
    await destination.flush();
    expect(pipe.read()).toBe(line(6));
    expect(destination.delivery()).toEqual({ failing: false, lost: 3, waiting: 0 });
  });

  test('is never lost if it is alone, however long it is, and lines after it are kept if they fit', async () => {
    const file = join(folder, 'long.log');
    const destination = openDestination(file, { maxWaitingBytes: 1024 });
    const long = `${'x'.repeat(100_000)}\n`;
    for (const each of [long, line(1), line(2)]) destination.write(each);
    expect(destination.delivery()).toEqual({ failing: false, lost: 0, waiting: 3 });
    await destination.flush();
    expect(readFileSync(file, 'utf8')).toBe(long + line(1) + line(2));
    destination.write(long);
    await destination.flush();
    expect(readFileSync(file, 'utf8')).toHaveLength(2 * long.length + 2 * line(1).length);
  });

  test('is kept if it is the only one of those that are longer than the buffer', async () => {
    const pipe = namedPipe('long-lines');
    pipe.come();
    const destination = openDestination(pipe.path, { maxWaitingBytes: 16 });
    pipe.leave();
    const long = `${'é'.repeat(10)}\n`;
    for (const each of [line(1), long, long, line(2), line(3)]) destination.write(each);
    expect(destination.delivery()).toEqual({ failing: true, lost: 2, waiting: 3 });
    await destination.flush();
    pipe.come();
    await eventually(() => expect(destination.delivery()).toEqual({ failing: false, lost: 2, waiting: 0 }), { timeout: 5_000 });
    expect(pipe.read()).toBe(line(1) + long + line(2));
  });

  test('counts in full once a long line before it is written, and then another long line is kept', async () => {
    const pipe = namedPipe('steady');
    pipe.come();
    const destination = openDestination(pipe.path, { maxWaitingBytes: 70_000 });
    const long = `${'x'.repeat(99_999)}\n`;
    const part = `${'y'.repeat(29_999)}\n`;
    // Together more than the pipe's buffer (64 KiB), so that it never drains while the reader reads only the long line.
    for (const each of [long, part, part]) destination.write(each);
    destination.write(part);
    expect(destination.delivery().lost).toBe(1);
    let read = 0;
    await eventually(
      () => {
        if (read < 60_000) read += pipe.read().length;
        expect(read).toBeGreaterThanOrEqual(60_000);
      },
      { timeout: 5_000 },
    );
    // Now the long line is written, and all waiting lines count.
    await eventually(
      () => {
        destination.write(long);
        expect(destination.delivery().waiting).toBe(4);
      },
      { timeout: 5_000 },
    );
    const { lost } = destination.delivery();
    destination.write(long);
    expect(destination.delivery()).toMatchObject({ waiting: 4, lost: lost + 1 });
  });

  test('frees buffer space part by part, and not only when everything is written', async () => {
    const pipe = namedPipe('slow');
    pipe.come();
    // More than the buffer of a pipe (64 KiB), so that the rest waits for the reader.
    const destination = openDestination(pipe.path, { maxWaitingBytes: 160_000 });
    const part = `${'x'.repeat(49_999)}\n`;
    for (let number = 0; number < 3; number += 1) destination.write(part);
    let read = 0;
    await eventually(
      () => {
        read += pipe.read().length;
        expect(read).toBeGreaterThan(60_000);
      },
      { timeout: 5_000 },
    );
    await eventually(
      () => {
        destination.write(part);
        expect(destination.delivery().waiting).toBeGreaterThanOrEqual(4);
      },
      { timeout: 5_000 },
    );
  });

  test('is also reported if no process reads the pipe', async () => {
    const pipe = namedPipe('unread');
    pipe.come();
    const events: string[] = [];
    const destination = openDestination(pipe.path, { onFailing: (reason) => void events.push(reason), maxWaitingBytes: 1024 * 1024 });
    for (let number = 0; number < 20; number += 1) destination.write(`${'x'.repeat(65_536)}\n`);
    expect(events).toEqual(['the 1 MiB buffer is full']);
    expect(destination.delivery()).toMatchObject({ failing: true, lost: 5 });
  });

  test.runIf(process.platform === 'linux')('due to a full disk ends no process and causes no exception', async () => {
    const events: string[] = [];
    const destination = openDestination('/dev/full', { onFailing: (reason) => void events.push(reason) });
    for (const number of [1, 2]) {
      destination.write(line(number));
      await destination.flush();
    }
    expect(events).toEqual(['ENOSPC: no space left on device, write']);
  });

  test('because a full disk accepted only half of it gets its end, so that the next line is separate', async () => {
    const file = join(folder, 'half.log');
    appendFileSync(file, 'whole\nha');
    for (const number of [1, 2]) {
      const destination = openDestination(file);
      destination.write(line(number));
      await destination.flush();
    }
    expect(readFileSync(file, 'utf8')).toBe(`whole\nha\n${line(1)}${line(2)}`);
  });

  test('a named pipe without a reader is reported immediately, and not waited for', () => {
    expect(() => openDestination(namedPipe('nobody').path)).toThrow(/ENXIO/);
  });
});
