/** Tests how messages quote the text of an image name. */
import { describe, expect, test } from 'vitest';
import { quote } from '../../../src/image/problem.ts';

describe('a quoted string is printable and bounded', () => {
  const rows: readonly [string, string][] = [
    ['nginx', '"nginx"'],
    ['', '""'],
    ['say "hi"\\', '"say \\"hi\\"\\\\"'],
    ['a\nb\r\tc', '"a\\nb\\r\\tc"'],
    ['\u001b[31m', '"\\u{1b}[31m"'],
    ['ng\u0456nx', '"ng\\u{456}nx"'],
    ['zero\u200bwidth', '"zero\\u{200b}width"'],
    ['\u{1F433}', '"\\u{1f433}"'],
    ['\ud83d', '"\\u{d83d}"'],
  ];
  for (const [text, expected] of rows) test(expected, () => expect(quote(text)).toBe(expected));

  test('120 characters are shown in full, 121 are cut', () => {
    expect(quote('a'.repeat(120))).toBe(`"${'a'.repeat(120)}"`);
    expect(quote('a'.repeat(121))).toBe(`"${'a'.repeat(120)}..."`);
  });

  test('escapes count with their full length, and none is cut', () => {
    expect(quote('\u0001'.repeat(121))).toBe(`"${'\\u{1}'.repeat(24)}..."`);
  });
});
