/** Comments are printed above their values, and no text in them can change the values. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { printCommentedYaml } from '../../../src/yaml/print-commented-yaml.ts';

const value = { mode: 'audit', rules: [{ registry: 'a.io' }, { registry: '*', pullSecret: 'no' }] };

test('a comment is above its field, its entry, or the document', () => {
  const comments = new Map([
    ['', ['first', '', 'second']],
    ['/mode', ['of the mode']],
    ['/rules/1', ['of the second', 'rule']],
    ['/rules/1/pullSecret', ['of the secret']],
  ]);
  expect(printCommentedYaml(value, comments)).toBe(`# first

# second

# of the mode
mode: audit
rules:
- registry: a.io
# of the second
# rule
- registry: "*"
  # of the secret
  pullSecret: "no"
`);
});

test('an empty list and an empty comment are kept', () => {
  expect(printCommentedYaml({ rules: [] }, new Map([['/rules', []]]))).toBe('rules: []\n');
});

test.each(['/absent', '/rules/2', '/mode/0'])('a comment at %s, where nothing exists, is an error', (pointer) => {
  expect(() => printCommentedYaml(value, new Map([[pointer, ['x']]]))).toThrow(`no field or entry at ${pointer}`);
});

const hostile = fc.oneof(
  fc.constantFrom('a\nmode: enforce', '\r- x', '\u2028mode: x', '\u0085x: y', '#', '\u001b[2J', '---', '...', '\ud800', '\t- a'),
  fc.string({ unit: 'binary' }),
);

test('no text in a comment changes the values or leaves its line', () => {
  const pointers = fc.constantFrom('', '/mode', '/rules', '/rules/0', '/rules/1/pullSecret');
  fc.assert(
    fc.property(fc.dictionary(pointers, fc.array(hostile, { maxLength: 3 })), (comments) => {
      const text = printCommentedYaml(value, new Map(Object.entries(comments)));
      expect(parse(text)).toEqual(value);
      expect(text).toMatch(/^[ -~\n]*$/);
    }),
  );
});
