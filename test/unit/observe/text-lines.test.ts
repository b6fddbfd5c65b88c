/** Tests the log as text. */
import { describe, expect, test } from 'vitest';
import { createLogger } from '../../../src/observe/logger.ts';
import { renderTextLine } from '../../../src/observe/text-lines.ts';

function write(log: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = '';
  const append = (line: string) => {
    text += line;
  };
  log(createLogger('info', { write: append }, 'text'));
  // The time is that of the test.
  return text.replaceAll(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/gm, 'TIME');
}

describe('a log line as text', () => {
  test('has time, level, message and fields', () => {
    expect(write((log) => log.info({ rulesRevision: '96aa5cfa0ef9', rules: 7 }, 'rules are in effect'))).toBe(
      'TIME INFO  rules are in effect rulesRevision=96aa5cfa0ef9 rules=7\n',
    );
  });

  test.each([
    ['a string with spaces', { reason: 'no answer' }, 'reason="no answer"'],
    ['a string with quotes', { reason: 'a"b' }, 'reason="a\\"b"'],
    ['an empty string', { reason: '' }, 'reason=""'],
    ['a list', { settings: ['--port 0', '--dev'] }, 'settings=["--port 0","--dev"]'],
    ['a mapping', { at: { file: 'a', line: 1 } }, 'at={"file":"a","line":1}'],
    ['nothing', { at: null }, 'at=null'],
  ])('writes %s', (_name, fields, expected) => {
    expect(write((log) => log.warn(fields, 'words'))).toBe(`TIME WARN  words ${expected}\n`);
  });

  test('shows an error with its message, and the stack trace of a bug in the lines below', () => {
    const text = write((log) => log.error({ err: new TypeError('x is not a function') }, 'a bug'));
    expect(text).toMatch(/^TIME ERROR a bug err="x is not a function"\n {4}at .*\n/);
  });

  test('shows an error of the API server without a stack trace', () => {
    const error = Object.assign(new Error('GET /api: forbidden'), { name: 'ApiError', status: 403 });
    expect(write((log) => log.error({ err: error }, 'words'))).toBe('TIME ERROR words err="GET /api: forbidden"\n');
  });

  test('shows an error that is part of the message only once', () => {
    const error = Object.assign(new Error('GET /api: forbidden'), { name: 'ApiError', status: 403 });
    expect(write((log) => log.warn({ err: error, path: '/api' }, 'GET /api: forbidden. Retrying'))).toBe(
      'TIME WARN  GET /api: forbidden. Retrying path=/api\n',
    );
  });

  test('escapes terminal control characters', () => {
    const text = write((log) => log.info({ name: '\u001b[2J\u009b\u202e' }, 'a\r\nTIME INFO  forged\u001b]0;x\u0007'));
    expect(text).toBe('TIME INFO  a\\u000d\\u000aTIME INFO  forged\\u001b]0;x\\u0007 name=\\u001b[2J\\u009b\\u202e\n');
  });

  test('is unchanged if it is not JSON', () => {
    expect(renderTextLine('words\n')).toBe('words\n');
    expect(renderTextLine('[]\n')).toBe('[]\n');
  });
});
