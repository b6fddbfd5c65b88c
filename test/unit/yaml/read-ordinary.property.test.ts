/** Ordinary YAML is read by js-yaml. Its values and positions are those of the YAML library, which reads everything else. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pointerTo } from '../../../src/yaml/json-pointer.ts';
import type { YamlDocument } from '../../../src/yaml/read-document.ts';
import { readOrdinary } from '../../../src/yaml/read-ordinary.ts';
import { readYaml, type YamlOptions } from '../../../src/yaml/read-yaml.ts';
import { scalars } from './scalars.ts';

const runs = 1_500 * Number(process.env.REGKEEPER_PROPERTY_RUNS ?? 1);

const manifests = `---
# Source: web/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    checksum: "5f0b"
    note: 'it''s'
spec:
  template:
    spec:
      containers:
        - name: app
          image: registry.example.com:5000/shop/web:1.0
          args: [--port=80, "-v"]
          command: ["/bin/sh", -c, 'a && b']
          env:
          - {name: A, value: "x\\ty"}
          - name: B
            value:
      nodeSelector: {}
---
apiVersion: v1
kind: ConfigMap
data:
  rules.yaml: |
    # first
    rules:
      - registry: "*.example.com"

  other: |-
    a: b
`;
const rules = `unconfigured: warn
rules:
- registry: quay.io/shop # ours
  pullSecret: shop
- registry: "*.example.com/*"
  namespaces: {matchLabels: {team: a}}
- trust: false
  registry:
  - docker.io
  - ghcr.io
`;

const odd =
  '\'s\'|"e\\n"|"\\u0041\\""|"\\x41"|{}|[]|{a: b}|[a, b]|[a: b]|{a, b}|{a: }|[a,]|{"a":1}|{a:1}|>|- x|--|---|a: b|a:|? a|:a|: b|# c| # c|#c|"x"#c|"x" #c|a #b|a:b|*x|&x 1|!t|!!str a|%a|@a|=|<<|"<<"|$x|/x|x  y|é|日本|a,b|a]|[a|{a|"a|"a": b|a : b|-a|..|...|{a: b} # c|{a: b}#c|[a] x|{a: {b: c}}|{a: "b", \'c\': d}|[a #b]|__proto__|constructor|- - x|- a: b|- # c|- [a]|x: [a]|k k: v|0: zero|null: n|~: n|y: yes|.inf: a'.split(
    '|',
  );
const atoms = fc.constantFrom('|', '|-', '|+', '|2', '- |', 'x: |', 'x: |-', ...odd, ...scalars.map(([written]) => written));
const indents = fc.constantFrom('', '', '', ' ', '  ', '  ', '    ', '      ');
const names = fc.constantFrom('a', 'b', 'c', 'image', 'x y', '"q"');
const line = fc.oneof(
  fc.constantFrom('', '---', '# comment', '#comment', '  -', '    x'),
  fc.tuple(indents, names, fc.constantFrom(': ', ': ', ':', ' : ', ':  '), fc.oneof(atoms, fc.constant(''))).map((parts) => parts.join('')),
  fc
    .tuple(
      indents,
      fc.constantFrom('- ', '-   '),
      fc.oneof(
        atoms,
        names.map((name) => `${name}: `),
      ),
      fc.oneof(atoms, fc.constant('')),
    )
    .map((parts) => parts.join('')),
  fc.tuple(indents, atoms).map((parts) => parts.join('')),
);
const lines = fc.array(line, { minLength: 1, maxLength: 7 }).map((all) => all.join('\n'));

/** A valid text with one change: a line more, less or indented differently, or a character more or less. */
const changed = fc
  .record({
    text: fc.constantFrom(manifests, rules),
    at: fc.nat(),
    how: fc.constantFrom('insert', 'remove', 'indent', 'value', 'character', 'none'),
    line,
    atom: atoms,
    indent: fc.constantFrom(' ', '  ', '-', '- '),
    character: fc.constantFrom(...' :#-"\'{}[],&*!|>?%\t.\\\u0085\ufeff\r\u2028é', ': ', ' #', '\n', '\n  ', '😀'),
    cut: fc.nat(),
  })
  .map(({ text, at, how, line: added, atom, indent, character, cut }) => {
    const all = text.split('\n');
    const index = at % all.length;
    const own = all[index] ?? '';
    const column = cut % (own.length + 1);
    if (how === 'insert') all.splice(index, 0, added);
    else if (how === 'remove') all.splice(index, 1);
    else if (how === 'indent') all[index] = indent + own;
    else if (how === 'value') all[index] = own.replace(/: .*$/, `: ${atom}`);
    else if (how === 'character') all[index] = own.slice(0, column) + character + own.slice(column);
    return all.join('\n');
  });

const options = fc.constantFrom<YamlOptions>(
  { scalars: 'kubectl' },
  {},
  { aliases: 'rejected', documents: 'one', limits: { maxLexemes: 300_000, maxStackDepth: 48 } },
  { aliases: 'rejected', documents: 'one', limits: { maxLexemes: 60, maxStackDepth: 48 } },
);
const starts = fc.constantFrom<YamlOptions['start']>(
  { line: 1, column: 1 },
  { line: 7, column: 5 },
  { line: 3, column: 9, startOnly: true },
);

describe('ordinary YAML', () => {
  test('is parsed like by the YAML library, with the same positions and errors', { timeout: 120_000 }, () => {
    let ordinary = 0;
    fc.assert(
      fc.property(fc.oneof(lines, changed), options, starts, (text, chosen, start) => {
        const how = { ...chosen, ...(start && { start }) };
        if (isOrdinary(text)) ordinary += 1;
        expect(everythingOf(text, how)).toEqual(everythingOf(text, { ...how, ordinary: false }));
      }),
      { numRuns: runs },
    );
    expect(ordinary).toBeGreaterThan(runs / 20);
  });

  test('includes typical objects and rules', () => {
    const documents = manifests.split(/^(?=---)/m);
    expect([...documents, rules].map(isOrdinary)).toEqual([true, true, true]);
  });

  test.each(['|', '|-'])('has a position for a block with the header %s without the YAML library', (header) => {
    const document = readWithoutLibrary(`a:\n  b: ${header}\n    c\n`);
    expect([document?.locate('/a/b'), document?.locateField('/a/b')]).toEqual([
      { line: 2, column: 6 },
      { line: 2, column: 3 },
    ]);
  });

  test.for([
    ['an anchor', 'a: &b 1\n'],
    ['an alias', '- *a\n'],
    ['a tag', 'a: !!str 1\n'],
    ['a merge', '<<: {a: 1}\n'],
    ['a directive', '%YAML 1.2\n---\na: 1\n'],
    ['two documents', '---\na: 1\n---\nb: 1\n'],
    ['the end of a document', 'a: 1\n...\n'],
    ['a duplicate field', 'a: 1\na: 2\n'],
    ['an explicit key with ?', '? a\n: b\n'],
    ['a space before a colon', 'a : b\n'],
    ['multiline text', 'a: b\n  c\n'],
    ['a plain value on its own line', 'a:\n#b\n  c\nd: e\n'],
    ['a field after quotes', 'a:\n- "c" b: \n'],
    ['a field after brackets', 'a:\n- [] b: c\n'],
    ['a block with a comment like a header', 'a: |- #|-\n  b\n'],
    ['a plain entry on its own line', '-\n#a\n b\n- c\n'],
    ['multiline quoted text', 'a: "b\n  c"\n'],
    ['a folded block', 'a: >\n  b\n'],
    ['a block with an indentation indicator', 'a: |2\n   b\n'],
    ['a multiline flow collection', 'a: [b,\n  c]\n'],
    ['a tab', 'a:\tb\n'],
    ['an escape that JSON does not have', 'a: "\\x41"\n'],
    ['an indented first line', '  a: 1\n'],
    ['a number that is not JSON', 'a: .inf\n'],
    ['a long field name', `${'a'.repeat(600)}: 1\n`],
    ['deep nesting', `a: ${'['.repeat(70)}${']'.repeat(70)}\n`],
    ['an error', 'a: [b\n'],
  ])('is not %s', ([, text = '']) => {
    expect(isOrdinary(text)).toBe(false);
  });
});

function isOrdinary(text: string): boolean {
  return readWithoutLibrary(text) !== undefined;
}

function readWithoutLibrary(text: string): YamlDocument | undefined {
  const readAgain = () => {
    throw new Error('not needed');
  };
  const start = { line: 1, column: 1 };
  return readOrdinary(text, { scalars: 'kubectl', maxLexemes: 10_000, maxStackDepth: 600, start, readAgain });
}

function everythingOf(text: string, how: YamlOptions) {
  const { documents, error } = readYaml(text, how);
  return {
    error,
    documents: documents.map((document) => ({
      value: document.value,
      // In the order of the text.
      names: JSON.stringify(document.value, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)),
      errors: document.errors,
      rejected: document.rejectedValues(),
      positions: document.errors.length > 0 ? [] : positionsIn(document),
      // The YAML library sometimes adds a line end to a comment before the next document.
      comments: documents.length > 1 ? [] : pointersIn(document.value).map((pointer) => document.commentAt(pointer)),
    })),
  };
}

function positionsIn(document: YamlDocument) {
  return pointersIn(document.value).map((pointer) => {
    const spelling = document.spelling(pointer);
    // Where an empty text begins does not matter.
    const start = spelling === '' ? undefined : document.startOfText(pointer);
    return [pointer, document.locate(pointer), document.locateField(pointer), start, spelling];
  });
}

function pointersIn(value: unknown, path: readonly (string | number)[] = []): readonly string[] {
  const inside = Array.isArray(value)
    ? value.flatMap((item, index) => pointersIn(item, [...path, index]))
    : typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, item]) => pointersIn(item, [...path, name]))
      : [];
  return [pointerTo(...path), ...inside];
}
