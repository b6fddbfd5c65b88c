import { execFileSync } from 'node:child_process';
import { appendFileSync, closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ApiError } from '../../../src/cluster/api.ts';
import { createAuditLog, createLogger, openDestination } from '../../../src/telemetry/logger.ts';

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
      'a refusal of the API server has none',
      new ApiError(403, 'Forbidden', 'GET /api: no'),
      { type: 'ApiError', message: 'GET /api: no', status: 403, reason: 'Forbidden' },
    ],
    ['whatever else is thrown is told', 'text', { message: 'text' }],
  ])('%s', (_name, err, expected) => {
    expect(linesOf((destination) => createLogger('info', destination).error({ err }, 'words'))).toMatchObject([{ err: expected }]);
    if (err instanceof ApiError)
      expect(JSON.stringify(linesOf((to) => createLogger('info', to).error({ err }, 'x')))).not.toContain('stack');
  });
});

describe('the audit log', () => {
  test('has the record and nothing but time and its own name beside it', () => {
    const [line] = linesOf((destination) => createAuditLog(destination).write({ event: 'decision' }));
    expect(line).toEqual({ log: 'audit', time: expect.any(String), event: 'decision' });
  });

  test('a file is added to, in the order of calls, and is not for everybody', async () => {
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

  test('a file that cannot be opened is told at once', () => {
    expect(() => openDestination(join(folder, 'nowhere/audit.log'))).toThrow(/ENOENT/);
  });
});

/** A named pipe whose reader can leave and come back: what is written meanwhile fails. */
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

describe('what cannot be written', () => {
  test('waits, and is written in order when it can be, and both are told once', async () => {
    const pipe = namedPipe('well-again');
    pipe.come();
    const told: string[] = [];
    const onFailing = (reason: string) => void told.push(reason);
    const destination = openDestination(pipe.path, { onFailing, onWell: (lost) => void told.push(`well, ${lost} lost`) });
    pipe.leave();
    for (const number of [1, 2, 3]) {
      destination.write(line(number));
      await destination.flush();
    }
    expect(told).toEqual(['EPIPE: broken pipe, write']);
    expect(destination.delivery()).toEqual({ failing: true, lost: 0, waiting: 3 });
    pipe.come();
    await vi.waitFor(() => expect(told).toEqual(['EPIPE: broken pipe, write', 'well, 0 lost']), { timeout: 5_000 });
    expect(pipe.read()).toBe(line(1) + line(2) + line(3));
    expect(destination.delivery()).toEqual({ failing: false, lost: 0, waiting: 0 });
  });

  test('is lost and counted where there is no room to wait, and is tried again although nothing is written any more', async () => {
    const pipe = namedPipe('no-room');
    pipe.come();
    const told: string[] = [];
    const room = 2 * line(1).length;
    const destination = openDestination(pipe.path, { onWell: (lost) => void told.push(`well, ${lost} lost`), mostWaiting: room });
    pipe.leave();
    for (const number of [1, 2, 3, 4, 5]) destination.write(line(number));
    expect(destination.delivery()).toEqual({ failing: true, lost: 3, waiting: 2 });
    await destination.flush();
    pipe.come();
    await vi.waitFor(() => expect(told).toEqual(['well, 3 lost']), { timeout: 5_000 });
    expect(pipe.read()).toBe(line(1) + line(2));
    destination.write(line(6));
    await destination.flush();
    expect(pipe.read()).toBe(line(6));
    expect(destination.delivery()).toEqual({ failing: false, lost: 3, waiting: 0 });
  });

  test('is told also where nobody reads', async () => {
    const pipe = namedPipe('unread');
    pipe.come();
    const told: string[] = [];
    const destination = openDestination(pipe.path, { onFailing: (reason) => void told.push(reason), mostWaiting: 1024 * 1024 });
    for (let number = 0; number < 20; number += 1) destination.write(`${'x'.repeat(65_536)}\n`);
    expect(told).toEqual(['1 MiB wait to be written already']);
    expect(destination.delivery()).toMatchObject({ failing: true, lost: 5 });
  });

  test.runIf(process.platform === 'linux')('a full disk ends no process and is no exception', async () => {
    const told: string[] = [];
    const destination = openDestination('/dev/full', { onFailing: (reason) => void told.push(reason) });
    for (const number of [1, 2]) {
      destination.write(line(number));
      await destination.flush();
    }
    expect(told).toEqual(['ENOSPC: no space left on device, write']);
  });

  test('a line of which a full disk took half gets its end, so that the next one stands alone', async () => {
    const file = join(folder, 'half.log');
    appendFileSync(file, 'whole\nha');
    for (const number of [1, 2]) {
      const destination = openDestination(file);
      destination.write(line(number));
      await destination.flush();
    }
    expect(readFileSync(file, 'utf8')).toBe(`whole\nha\n${line(1)}${line(2)}`);
  });

  test('a named pipe that nobody reads is told at once, and not waited for', () => {
    expect(() => openDestination(namedPipe('nobody').path)).toThrow(/ENXIO/);
  });
});
