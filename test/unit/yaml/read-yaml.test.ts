/** The reader of YAML: values, the position of each, and errors with theirs. */
import { describe, expect, test } from 'vitest';
import type { YamlDocument } from '../../../src/yaml/read-document.ts';
import { readYaml, type YamlOptions, type YamlText } from '../../../src/yaml/read-yaml.ts';
import { describeYamlError, type Position, type YamlError } from '../../../src/yaml/yaml-error.ts';

const at = ({ line, column }: Position) => `${line}:${column}`;
const briefly = (error: YamlError) => `${at(error.position)} ${error.code}`;

function only({ documents, error }: YamlText): YamlDocument {
  const [document, ...more] = documents;
  if (!document || error || more.length > 0) throw new Error(`${documents.length} documents, ${error?.code ?? 'no error'}`);
  return document;
}

/** All errors of the text and of its documents, as `line:column code`. */
function errorsIn(text: string, options?: YamlOptions): readonly string[] {
  const { documents, error } = readYaml(text, options);
  return [...(error ? [error] : []), ...documents.flatMap(({ errors }) => errors)].map(briefly);
}

describe('every value and every field has a position', () => {
  test.each<[name: string, text: string, pointer: string, value: string, field: string]>([
    ['the document', '# first\n\n  a: 1\n', '', '3:3', '3:3'],
    ['a value', 'a: 1\nb:   two\n', '/b', '2:6', '2:1'],
    ['a value below its field', 'a:\n  b:\n    c: 1\n', '/a/b', '3:5', '2:3'],
    ['an entry of a list', 'a:\n- x\n-  y\n', '/a/1', '3:4', '3:4'],
    ['a nested list', '- - a\n  - b\n', '/0/1', '2:5', '2:5'],
    ['a flow collection', '{a: [1, {b: 2}]}', '/a/1/b', '1:13', '1:10'],
    ['a multiline flow collection', '{a: [1,\n  2]}', '/a/1', '2:3', '2:3'],
    ['JSON', '{\n\t"a": {"b": [true, null]}}', '/a/b/1', '2:20', '2:20'],
    ['text in quotes', `a: 'x'\n"b" : "y"\n`, '/b', '2:7', '2:1'],
    ['multiline text', 'a: x\n  y\nb: z\n', '/b', '3:4', '3:1'],
    ['a literal block', 'a: |\n  x\n  y\nb: 1\n', '/a', '1:4', '1:1'],
    ['what follows a block', 'a: |\n  x\n\n  y\nb: 1\n', '/b', '5:4', '5:1'],
    ['an empty value, which is at its field', 'a: 1\nb:\nc: 2\n', '/b', '2:1', '2:1'],
    ['an empty entry', 'a:\n- 1\n-\n', '/a/1', '3:2', '3:2'],
    ['an explicit null', 'a: ~\n', '/a', '1:4', '1:1'],
    ['an explicit key with ? and :', '? a\n: b\n', '/a', '2:3', '1:3'],
    ['a field with / and ~', 'a/b~c: {d: 1}\n', '/a~1b~0c/d', '1:12', '1:9'],
    ['a field __proto__', 'a: 1\n__proto__: {b: 1}\n', '/__proto__/b', '2:16', '2:13'],
    ['a field that looks like an index', 'a: {"0": x}\n', '/a/0', '1:10', '1:5'],
    ['the first of two duplicate fields', 'a: 1\na: 2\n', '/a', '1:4', '1:1'],
    ['a value with an anchor', 'a: &x 1\n', '/a', '1:7', '1:1'],
    ['an alias, at its position', 'a: &x {b: 1}\nc: *x\n', '/c', '2:4', '2:1'],
    ['the contents of an alias, at the position of the anchor', 'a: &x {b: 1}\nc: *x\n', '/c/b', '1:11', '1:8'],
    ['merged fields, at their original position', 'a: &x {b: 1}\nc:\n  <<: *x\n  d: 2\n', '/c/b', '1:11', '1:8'],
    ['a field that overrides a merged one', 'a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n', '/c/b', '4:6', '4:3'],
    ['lines with CRLF', 'a: 1\r\nb:\r\n  c: 2\r\n', '/b/c', '3:6', '3:3'],
    ['a text after a byte order mark', '\ufeffa: 1\n', '/a', '1:4', '1:1'],
    ['lines that end with a carriage return alone', 'a: 1\rb:\r  c: 2\r', '/b/c', '3:6', '3:3'],
    ['lines with different ends', 'a: 1\r\nb:\r  c: 2\n', '/b/c', '3:6', '3:3'],
    ['characters outside the BMP, which are two columns', '{a: 😀, b: 1}', '/b', '1:12', '1:9'],
    ['tabs between tokens, which are one column', 'a:\t1\n', '/a', '1:4', '1:1'],
  ])('%s', (_name, text, pointer, value, field) => {
    const document = only(readYaml(text));
    expect([at(document.locate(pointer)), at(document.locateField(pointer))]).toEqual([value, field]);
  });

  test('in the file that contains the text', () => {
    const text = 'a:\n- b: 1\n';
    const position = (start: YamlOptions['start']) => at(only(readYaml(text, start && { start })).locate('/a/0/b'));
    expect(position({ line: 10, column: 5 })).toBe('11:10');
    expect(position({ line: 10, column: 5, startOnly: true })).toBe('10:5');
  });

  test('and each document has its own', () => {
    const { documents } = readYaml('# none\n---\na: 1\n---\n---\n- b\n...\n--- c\n');
    expect(documents.map((document) => [at(document.locate('')), document.value])).toEqual([
      ['3:1', { a: 1 }],
      ['4:4', null],
      ['6:1', ['b']],
      ['8:5', 'c'],
    ]);
  });

  test.each([
    ['line feeds', '\ufeffa: 1\n---\n\ufeffa: 2\n--- # next\n\ufeff# c\na: 3\n'],
    ['CRLF', '\ufeffa: 1\r\n---\r\n\ufeffa: 2\r\n--- # next\r\n\ufeff# c\r\na: 3\r\n'],
    ['carriage returns', '\ufeffa: 1\r---\r\ufeffa: 2\r--- # next\r\ufeff# c\ra: 3\r'],
  ])('each document of a joined file may begin with a byte order mark: %s', (_name, text) => {
    for (const ordinary of [true, false]) {
      const { documents, error } = readYaml(text, { ordinary });
      expect(error).toBeUndefined();
      expect(documents.map((document) => [document.value, document.errors, at(document.locate('/a'))])).toEqual([
        [{ a: 1 }, [], '1:4'],
        [{ a: 2 }, [], '3:4'],
        [{ a: 3 }, [], '6:4'],
      ]);
    }
  });

  test('a byte order mark inside of a document is a character like any other', () => {
    expect(readYaml('a: \ufeffb\n\ufeffc: 1\n').documents[0]?.value).toEqual({ a: '\ufeffb', '\ufeffc': 1 });
  });

  test('a pointer to nothing is an internal error', () => {
    const document = only(readYaml('a: [1]\n'));
    for (const pointer of ['/b', '/a/1', '/a/0/c']) expect(() => document.locate(pointer)).toThrow(`no value at ${pointer}`);
  });
});

describe('an embedded text has a start position, for whatever parses it', () => {
  test.each([
    ['a literal block', 'a:\n  b: |\n    x\n', { line: 3, column: 5 }],
    ['a literal block whose first line is indented further', 'a:\n  b: |2\n      x\n    y\n', { line: 3, column: 5 }],
    ['after blank lines', 'a:\n  b: |-\n\n   \n    x\n', { line: 3, column: 5 }],
    ['with CRLF', 'a:\r\n  b: |\r\n    x\r\n', { line: 3, column: 5 }],
    ['with an alias', 'x: &x |\n  y\na: {b: *x}\n', { line: 2, column: 3 }],
    ['a folded block', 'a:\n  b: >\n    x\n', { line: 2, column: 6, startOnly: true }],
    ['quotes', 'a: {b: "x\\ny"}\n', { line: 1, column: 8, startOnly: true }],
    ['nothing', 'a:\n  b:\n', { line: 2, column: 5, startOnly: true }],
  ])('%s', (_name, text, start) => {
    expect(only(readYaml(text)).startOfText('/a/b')).toEqual(start);
  });

  test('in the outer file', () => {
    const document = only(readYaml('a: |\n  x\n', { start: { line: 5, column: 3 } }));
    expect(document.startOfText('/a')).toEqual({ line: 6, column: 5 });
  });
});

describe('values', () => {
  test.each<[name: string, text: string, core: unknown, kubectl: unknown]>([
    ['words', '[yes, no, on, True, ~, Null]', ['yes', 'no', 'on', true, null, null], [true, false, true, true, null, null]],
    ['numbers', '[0644, 0o17, 1_000, 0x1F, 1e3]', [644, 15, '1_000', 31, 1000], [420, 15, 1000, 31, 1000]],
    ['integers beyond 2^53', '9007199254740993', 9007199254740992, 9007199254740993n],
    ['text in quotes', `["yes", '0644']`, ['yes', '0644'], ['yes', '0644']],
    ['field names', '{on: 1, 0644: 2}', { on: 1, '0644': 2 }, { true: 1, 420: 2 }],
    ['binary data', '!!binary aGVsbG8=', 'aGVsbG8=', 'hello'],
    ['a tag of another type', '!foo 5', '5', '5'],
    ['a field __proto__', '__proto__: 1', JSON.parse('{"__proto__": 1}'), JSON.parse('{"__proto__": 1}')],
  ])('%s', (_name, text, core, kubectl) => {
    expect(only(readYaml(text)).value).toEqual(core);
    expect(only(readYaml(text, { scalars: 'kubectl' })).value).toEqual(kubectl);
  });

  test.each([
    ['the last anchor of a name', '[&a 1, *a, &a 2, *a]', [1, 1, 2, 2]],
    ['a merge', '{a: &a {x: 1, y: 2}, b: {<<: *a, x: 3}}', { a: { x: 1, y: 2 }, b: { x: 3, y: 2 } }],
    ['a merge after a field, which takes precedence', '{a: &a {x: 1}, b: {x: 3, <<: *a}}', { a: { x: 1 }, b: { x: 1 } }],
    [
      'of several merges, the first takes precedence',
      '{a: &a {x: 1, y: 1}, b: &b {x: 2, z: 2}, c: {<<: [*a, *b]}}',
      expect.objectContaining({ c: { x: 1, y: 1, z: 2 } }),
    ],
    ['a quoted merge key is a field', '{"<<": 1}', { '<<': 1 }],
    ['an alias as a key', '[&a x, {*a : 1}]', ['x', { x: 1 }]],
  ])('aliases are replaced: %s', (_name, text, value) => {
    expect(only(readYaml(text))).toMatchObject({ errors: [], value });
  });

  test('each use of an anchor is a separate value', () => {
    const { a, b } = only(readYaml('{a: &a {x: 1}, b: *a}')).value as { a: object; b: object };
    expect(b).toEqual(a);
    expect(b).not.toBe(a);
  });

  test('a scalar keeps its spelling', () => {
    const document = only(readYaml('{a: 0x1F, b: "x", c: [1.50], d: }'));
    expect(['/a', '/b', '/c', '/c/0', '/d'].map((pointer) => document.spelling(pointer))).toEqual(['0x1F', 'x', '', '1.50', '']);
  });

  test.each([
    ['', 0],
    ['\ufeff', 0],
    ['# a\n  # b\r\n\n', 0],
    ['---\n', 1],
    ['~', 1],
  ])('%j contains nothing', (text, documents) => {
    const read = readYaml(text);
    expect(read).toMatchObject({ documents: Array.from({ length: documents }, () => ({ value: null, errors: [] })) });
    expect(read.error).toBeUndefined();
  });
});

describe('errors have a position, and the rest is parsed', () => {
  test.each([
    ['a duplicate field', 'a: 1\nb:\n  c: 1\n  c: 2\n', ['4:3 duplicate-field']],
    ['a duplicate field in a different case', '{1: a, "1": b}', ['1:8 duplicate-field']],
    ['a field three times', '{a: 1, a: 2, a: 3}', ['1:8 duplicate-field', '1:14 duplicate-field']],
    ['a duplicate field around a merge', '{x: &x {a: 1}, y: {a: 1, <<: *x, a: 2}}', ['1:34 duplicate-field']],
    ['a list as a key', '{[a]: 1}', ['1:2 field-name-not-scalar']],
    ['an unclosed bracket', 'a: [1\n', ['1:4 syntax']],
    ['an unclosed quote inside an unclosed bracket', 'a: ["1\nb: 2\n', ['1:5 syntax', '1:4 syntax']],
    ['a tab as indentation', 'a:\n\tb: 1\n', ['2:1 syntax']],
    ['a tab in CRLF lines', 'a:\r\n\tb: 1\r\n', ['2:1 syntax']],
    ['an extra bracket', 'a: 1\n]\n', ['2:1 syntax', '2:1 syntax']],
    ['an unknown anchor', 'a: *x\nb: &x 1\n', ['1:4 unknown-anchor']],
    ['a recursive anchor', 'a: &a\n  b: *a\n', ['2:6 recursive-anchor']],
    ['a merge of a string', 'a:\n  <<: b\n', ['2:7 bad-merge']],
    ['a merge of a list with a string', 'x: &x {}\na: {<<: [*x, 1]}\n', ['2:9 bad-merge']],
    ['a recursive merge', 'a: &a\n  <<: *a\n  b: 1\n', ['2:7 recursive-anchor']],
    ['in a document, and not in others', 'a: 1\n---\nb: [\n---\nc: 1\n', ['3:4 syntax']],
    ['one that many aliases repeat', 'a: &a [*x]\nb: [*a, *a, *a]\n', ['1:8 unknown-anchor']],
  ])('%s', (_name, text, errors) => {
    expect(errorsIn(text)).toEqual(errors);
  });

  test.each([
    ['a number that JSON does not have', 'a: .inf', ['1:4 not-json-number']],
    ['a tag that does not match', 'a: !!int x', ['1:10 wrong-tag']],
    ['invalid base64', 'a: !!binary "*"', ['1:13 bad-binary']],
    ['base64 with extra bits', 'a: !!binary aGk1ZR', ['1:13 bad-binary']],
    ['a null key', '{~: 1}', ['1:2 field-name-null']],
    ['a key that is not a number', '{.nan: 1}', ['1:2 not-json-number']],
    ['a duplicate field by its value', '{0x10: 1, 16: 2}', ['1:11 duplicate-field']],
    ['a comment in JSON, which becomes part of a name', '{"a": 1,\n  // c\n  "b": 2}', ['2:3 folded-field-name']],
    ['a name in braces that spans lines', '{a: [{b\n  c: 1}]}', ['1:7 folded-field-name']],
    ['a name in quotes and braces that spans lines', '{"a\n  b": 1}', ['1:2 folded-field-name']],
  ])('as for kubectl: %s', (_name, text, errors) => {
    expect(errorsIn(text, { scalars: 'kubectl' })).toEqual(errors);
  });

  test.each([
    ['an alias', 'a: *b\n', ['1:4 alias']],
    ['an alias without a name', 'a: *\n', ['1:4 syntax', '1:4 alias']],
    ['an alias as a key', '{*a : 1}\n', ['1:2 alias']],
    ['anchors and tags', 'a: &b !!str 1\n? !c d\n: 1\n', ['1:13 anchor', '1:13 tag', '2:6 tag']],
    ['a directive', '%YAML 1.1\n---\na: 1\n', ['1:1 directive']],
    ['another directive', '%TAG ! !x\n---\na: 1\n', ['1:1 directive']],
  ])('if aliases are not allowed: %s', (_name, text, errors) => {
    expect(errorsIn(text, { aliases: 'rejected' })).toEqual(errors);
  });

  test('if aliases are not allowed, values without meaning are detected, and << is a field', () => {
    const document = only(readYaml('a/b: [*x, 1, !t {c: *y}]\n<<: 2\n', { aliases: 'rejected' }));
    expect(document.value).toEqual({ 'a/b': [null, 1, { c: null }], '<<': 2 });
    expect([...document.rejectedValues()]).toEqual(['/a~1b/0', '/a~1b/2', '/a~1b/2/c']);
  });

  test('if one document is expected, the second is an error, and not parsed', () => {
    const { documents, error } = readYaml('a: 1\n---\nb: *x\n', { documents: 'one' });
    expect(documents.map(({ value, errors }) => ({ value, errors }))).toEqual([{ value: { a: 1 }, errors: [] }]);
    expect(error && briefly(error)).toBe('2:1 second-document');
  });

  test('what cannot be parsed is null, and everything else is kept', () => {
    expect(readYaml('a: *x\nb: [1, 2\nc: 3\n').documents[0]?.value).toMatchObject({ a: null, b: [1, expect.anything()] });
  });

  test('in the file that contains the text', () => {
    expect(errorsIn('a: 1\na: 2\n', { start: { line: 10, column: 5 } })).toEqual(['11:5 duplicate-field']);
  });

  test('a message shows what is wrong', () => {
    const sentences = readYaml('a: 1\na: *x\nb: [\n').documents[0]?.errors.map(describeYamlError);
    expect(sentences).toEqual(['a list in brackets is not closed.', 'the field "a" is already set on line 1. Keep one of the two.']);
  });
});

describe('limits', () => {
  test.each<[name: string, text: string, options: YamlOptions, errors: readonly string[]]>([
    ['length', 'abcdef', { limits: { maxLength: 5 } }, ['1:1 too-long']],
    ['lexemes', 'a: 1\nb: [,,,,,,,]', { limits: { maxLexemes: 15 } }, ['2:7 too-many-lexemes']],
    ['one lexeme too many', 'a: 1', { limits: { maxLexemes: 6 } }, [expect.stringMatching(/too-many-lexemes/)]],
    ['nesting', '[[[[a]]]]', { limits: { maxStackDepth: 3 } }, ['1:4 nested-too-deep']],
    ['nesting in blocks', 'a:\n  b:\n    c: 1\n', { limits: { maxStackDepth: 4 } }, ['3:9 nested-too-deep']],
    ['nesting, without an explicit limit', '['.repeat(100_000), {}, [expect.stringMatching(/nested-too-deep/)]],
    ['values by aliases', 'a: &a [1, 2]\nb: [*a, *a]\n', { limits: { maxAliased: 5 } }, ['1:7 too-many-aliased']],
  ])('%s', (_name, text, options, errors) => {
    expect(errorsIn(text, options)).toEqual(errors);
  });

  test.each<[name: string, text: string, options: YamlOptions]>([
    ['length', 'abcdef', { limits: { maxLength: 6 } }],
    ['lexemes', 'a: 1', { limits: { maxLexemes: 7 } }],
    ['nesting', '[[a]]', { limits: { maxStackDepth: 3 } }],
    ['nesting in blocks', 'a:\n  b:\n    c: 1\n', { limits: { maxStackDepth: 5 } }],
    ['values by aliases', 'a: &a [1, 2]\nb: [*a, *a]\n', { limits: { maxAliased: 6 } }],
  ])('up to them everything is parsed: %s', (_name, text, options) => {
    expect(errorsIn(text, options)).toEqual([]);
  });

  test('an alias bomb ends soon, with one error', () => {
    const levels = Array.from({ length: 30 }, (_, level) => `a${level + 1}: &a${level + 1} [*a${level}, *a${level}, *a${level}]`);
    expect(errorsIn(`a0: &a0 [x, x]\n${levels.join('\n')}\n`)).toEqual([expect.stringMatching(/too-many-aliased/)]);
  });
});
