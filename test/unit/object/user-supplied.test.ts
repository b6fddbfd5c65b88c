/** Detection of user-supplied secrets, and the cost of parsing the applied file. */
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { parseJsonText, sameJson } from '../../../src/object/json.ts';
import { userSuppliedNames } from '../../../src/object/user-supplied.ts';

const location = { spec: ['spec'], metadata: ['metadata'] };

function applied(text: string | undefined, keys: readonly string[] = []) {
  const annotations = { ...(text !== undefined && { 'kubectl.kubernetes.io/last-applied-configuration': text }) };
  const entries = Object.fromEntries(keys.map((key) => [key, {}]));
  const managedFields = [{ operation: 'Apply', fieldsV1: { 'f:spec': { 'f:imagePullSecrets': entries } } }];
  return { metadata: { annotations, managedFields }, spec: { containers: [] } };
}

const file = (name: string, padding = '') => JSON.stringify({ spec: { imagePullSecrets: [{ name }], padding } });

/** How often JSON.parse threw while `work` ran, and how many characters it parsed. */
function parsing(work: () => unknown): { thrown: number; characters: number } {
  const spy = vi.spyOn(JSON, 'parse');
  onTestFinished(() => spy.mockRestore());
  work();
  const counted = {
    thrown: spy.mock.results.filter(({ type }) => type === 'throw').length,
    characters: spy.mock.calls.reduce((sum, [text]) => sum + text.length, 0),
  };
  spy.mockRestore();
  return counted;
}

describe('names that the author lists', () => {
  test('in the file of kubectl apply, and in the fields of server-side apply', () => {
    expect([...userSuppliedNames(applied(file('a'), ['k:{"name":"b"}', '.']), location)]).toEqual(['a', 'b']);
  });

  test('without a file nothing is parsed, and nothing throws', () => {
    expect(parsing(() => userSuppliedNames(applied(undefined), location))).toEqual({ thrown: 0, characters: 0 });
  });

  test.each([
    ['is parsed if it contains the field', file('a'), ['a'], true],
    ['is parsed if it may contain the field, with an escape', file('a').replace('imagePull', 'image\\u0050ull'), ['a'], true],
    ['is not parsed without it', file('a').replace('imagePullSecrets', 'imagePulls'), [], false],
    ['is not parsed for an escape that is not a letter', '{"spec":{"a\\n\\"":1}}', [], false],
  ])('the file of kubectl apply %s', (_what, text, names, isParsed) => {
    expect([...userSuppliedNames(applied(text), location)]).toEqual(names);
    expect(parsing(() => userSuppliedNames(applied(text), location)).characters > 0).toBe(isParsed);
  });

  test('a file that is longer than annotations can be is not parsed', () => {
    expect([...userSuppliedNames(applied(file('a', 'x'.repeat(261_000))), location)]).toEqual(['a']);
    const long = applied(file('a', 'x'.repeat(263_000)));
    expect([...userSuppliedNames(long, location)]).toEqual([]);
    expect(parsing(() => userSuppliedNames(long, location)).characters).toBe(0);
  });

  test('keys that match no entry cause no exception, however many there are', () => {
    const keys = Array.from({ length: 5_000 }, (_key, index) => `k:{"name":${index}`);
    expect(parsing(() => userSuppliedNames(applied(undefined, keys), location))).toEqual({ thrown: 0, characters: 0 });
  });

  test('the key of an entry is parsed as JSON', () => {
    const sign = fc.constantFrom('a', '-', '"', '\\', '\\"', '\\u0041', '\\n', '\n', '\u0001', 'é', '😀', '/', '{', '}', '\\x');
    fc.assert(
      fc.property(fc.array(sign, { maxLength: 5 }), (signs) => {
        const key = `k:{"name":"${signs.join('')}"}`;
        let name: unknown;
        try {
          ({ name } = JSON.parse(key.slice(2)));
        } catch {
          name = '';
        }
        expect([...userSuppliedNames(applied(undefined, [key]), location)]).toEqual(name === '' ? [] : [name]);
      }),
    );
  });
});

test.each([
  ['absent', undefined, undefined],
  ['empty', '', undefined],
  ['not a string', { a: 1 }, undefined],
  ['not JSON', '{', undefined],
  ['JSON', '{"a":1}', { a: 1 }],
  ['as long as annotations can be', `"${'x'.repeat(262_142)}"`, 'x'.repeat(262_142)],
  ['longer', `"${'x'.repeat(262_143)}"`, undefined],
])('JSON in a string of an object: %s', (_name, text, value) => {
  expect(parseJsonText(text)).toEqual(value);
});

describe('deeply nested values', () => {
  const nested = (depth: number) => JSON.parse(`${'{"a":['.repeat(depth / 2)}1${']}'.repeat(depth / 2)}`);
  test.each([
    [500, true],
    [1_000, true],
    [1_002, false],
    [130_000, false],
  ])('%i levels: equal to themselves is %s', (depth, same) => {
    expect(sameJson(nested(depth), nested(depth))).toBe(same);
  });
});
