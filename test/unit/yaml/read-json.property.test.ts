/** JSON that is read without the YAML parser gives the same values and positions, or is left to the YAML parser. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pointerTo } from '../../../src/yaml/json-pointer.ts';
import type { YamlDocument } from '../../../src/yaml/read-document.ts';
import { readJson } from '../../../src/yaml/read-json.ts';
import { readYaml } from '../../../src/yaml/read-yaml.ts';

const runs = 400 * Number(process.env.REGKEEPER_PROPERTY_RUNS ?? 1);

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n', '  \n  ', '\n\t');
const names = fc.constantFrom('a', 'b', 'image', '__proto__', 'constructor', '<<', 'null', '1', '0', '', 'a/b', 'a~b', 'items');
const escaped = fc.constantFrom('"\\u0061"', '"\\u005f_proto__"', '"a\\/b"', '"\\"{"', '"\\\\"', '"\\ud83d\\ude00"', '"\\ud800"', '"}]"');
const strings = fc.oneof(
  names.map((name) => JSON.stringify(name)),
  escaped,
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
);
const numbers = fc.oneof(
  fc.constantFrom(
    '0',
    '-0',
    '-0.0',
    '1',
    '-1',
    '0.5',
    '1.0',
    '1e3',
    '1E+3',
    '1e-400',
    '1e400',
    '-1e400',
    '9007199254740993',
    '123456789012345',
  ),
  fc.constantFrom('18446744073709551615', '18446744073709551616', '9223372036854775807', '-9223372036854775809', '0.1234567890123456789'),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
);
const words = fc.constantFrom('true', 'false', 'null');

const { json } = fc.letrec<{ json: string; value: string; list: string; map: string }>((tie) => ({
  json: fc.tuple(space, fc.oneof(tie('list'), tie('map')), space).map((parts) => parts.join('')),
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, words, numbers, strings, tie('list'), tie('map')),
  list: fc
    .array(fc.tuple(space, tie('value'), space), { maxLength: 4 })
    .map((items) => `[${items.map((parts) => parts.join('')).join(',')}]`),
  map: fc
    .uniqueArray(fc.tuple(space, fc.oneof(strings, strings), space, tie('value'), space), {
      maxLength: 4,
      // Some have duplicate names, written alike or not.
      selector: ([before, name, , value]) => (before === '' ? name : value),
    })
    .map((fields) => `{${fields.map(([before, name, , value, after]) => `${before}${name}${after}:${before}${value}${after}`).join(',')}}`),
}));

describe('readJson', () => {
  test('returns what the YAML reader returns, with the same positions', { timeout: 120_000 }, () => {
    let read = 0;
    fc.assert(
      fc.property(json, fc.constantFrom('', '\ufeff'), (text, mark) => {
        const start = { line: 3, column: 5 };
        const fast = readJson(mark + text, start);
        const { documents, error } = readYaml(mark + text, { scalars: 'kubectl', start });
        const [slow] = documents;
        // Whatever the YAML reader reports is left to it.
        if (error || documents.length !== 1 || !slow || slow.errors.length > 0) expect(fast).toBeUndefined();
        else if (!fast) expect(text).toMatch(/\d|\\/);
        else {
          read += 1;
          expect(fast.value).toEqual(slow.value);
          expect(positionsIn(fast, slow.value)).toEqual(positionsIn(slow, slow.value));
          expect(() => fast.locate('/no such field')).toThrow('no value at');
        }
      }),
      { numRuns: runs },
    );
    expect(read).toBeGreaterThan(runs / 4);
  });

  test.for([
    ['a duplicate field', '{"a": 1, "b": {"c": [], "c": 2}}'],
    ['a duplicate field with an escape in its name', '{"a": 1, "\\u0061": 1}'],
    ['a duplicate field inside an overwritten one', '{"a": {"b": 1, "b": 2}, "a": 1}'],
    ['deep nesting', `${'['.repeat(191)}${']'.repeat(191)}`],
    ['very deep nesting', `${'['.repeat(500_000)}${']'.repeat(500_000)}`],
    ['deep nesting of which JSON.parse keeps nothing', `{"a": ${'['.repeat(500)}${']'.repeat(500)}, "a": 1}`],
    ['a number that kubectl rejects', '{"a": 1e400}'],
    ['a field name with an escape', '{"im\\u0061ge": 1}'],
    ['a plain scalar', 'a: 1'],
    ['a string', '"a"'],
    ['a template', '{{ .Values.a }}'],
    ['two objects', '{}{}'],
    ['a comment', '{} # x'],
    ['nothing', ''],
  ])('%s is left to the YAML reader', ([, text = '']) => {
    expect(readJson(text)).toBeUndefined();
  });

  test.for([
    ['an integer beyond 2^53', '{"a": 9007199254740993}', { a: 9007199254740993n }],
    ['a negative zero', '{"a": -0}', { a: 0 }],
    ['an exponent', '{"a": 1e3}', { a: 1000 }],
  ] as const)('%s is parsed like by kubectl', ([, text, value]) => {
    expect(readJson(text)?.value).toEqual(value);
  });
});

function positionsIn(document: YamlDocument, value: unknown) {
  return pointersIn(value).map((pointer) => [
    pointer,
    document.locate(pointer),
    document.locateField(pointer),
    document.startOfText(pointer),
    document.spelling(pointer),
  ]);
}

function pointersIn(value: unknown, path: readonly (string | number)[] = []): readonly string[] {
  const inside = Array.isArray(value)
    ? value.flatMap((item, index) => pointersIn(item, [...path, index]))
    : typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, item]) => pointersIn(item, [...path, name]))
      : [];
  return [pointerTo(...path), ...inside];
}
