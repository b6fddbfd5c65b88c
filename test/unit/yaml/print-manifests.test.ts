/** Objects are printed as YAML that every parser reads as the same values. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseManifests } from '../../../src/evaluate/parse-manifests.ts';
import { printJson } from '../../../src/yaml/print-json.ts';
import { printManifests } from '../../../src/yaml/print-manifests.ts';

const tricky = [
  'yes',
  'n',
  '0644',
  '0o17',
  '1_0',
  '1:30',
  '2001-01-01',
  '1e3',
  '.5',
  '~',
  '',
  '<<',
  '=',
  '!x',
  '*a',
  '&a',
  '- a',
  'a: b',
  '#',
  ' a ',
  'a\nb\n',
  '\t',
  '\u0085',
  '.inf',
];
const text = fc.oneof(fc.constantFrom(...tricky), fc.string({ unit: 'grapheme' }));
const scalar = fc.oneof(
  text,
  fc.boolean(),
  fc.constant(null),
  fc.maxSafeInteger(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true, min: -1e15, max: 1e15 }).filter((value) => !Object.is(value, -0)),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test('what is printed is parsed as before', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 }), (specs) => {
      const objects = specs.map((spec) => ({ apiVersion: 'v1', kind: 'Pod', spec }));
      const { manifests, problems } = parseManifests(printManifests(objects), 'printed.yaml');
      expect(problems).toEqual([]);
      expect(manifests.map(({ object }) => object)).toEqual(objects);
    }),
  );
});

test.each(['1.1', '1.2'] as const)('parsers of YAML %s return the same string', (version) => {
  fc.assert(
    fc.property(fc.array(text), (words) => {
      const [document] = parseAllDocuments(printManifests([{ words }]), { version });
      expect(document?.toJS()).toEqual({ words });
    }),
  );
});

test('a quoted number stays quoted', () => {
  const objects = [{ apiVersion: 'v1', kind: 'Pod', metadata: { annotations: { on: 'yes', port: '8080', mode: '0644', at: '1:30' } } }];
  expect(printManifests(objects)).toBe(
    '---\napiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    "on": "yes"\n    port: "8080"\n    mode: "0644"\n    at: "1:30"\n',
  );
});

test('JSON keeps numbers that JavaScript cannot represent', () => {
  expect(printJson({ a: 9007199254740993n, b: [1.5, 'x'] })).toBe('{"a":9007199254740993,"b":[1.5,"x"]}');
});
