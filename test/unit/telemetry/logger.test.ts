import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
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
