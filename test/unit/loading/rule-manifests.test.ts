/** Tests reading rules ConfigMaps from files of Kubernetes objects. */
import { describe, expect, test } from 'vitest';
import { type ConfigMapInFile, readRulesManifest } from '../../../src/loading/rule-manifests.ts';
import { parseRulesDocument } from '../../../src/rules/language/parse.ts';
import { briefly } from '../rules/documents.ts';

function read(text: string) {
  const manifest = readRulesManifest(text, 'rules.yaml');
  if (!manifest) throw new Error('taken for a rules document');
  return manifest;
}

/** Problems of all documents, as `code line:column` in the file. */
function problemsIn({ configMaps }: { readonly configMaps: readonly ConfigMapInFile[] }): string[] {
  return configMaps.flatMap(({ documents, scope }) =>
    documents.flatMap(({ text, source, start }) => {
      const parsed = parseRulesDocument(text, source, scope, start);
      return briefly(parsed.ok ? parsed.warnings : parsed.problems).map((problem) => problem.split(' ').slice(0, 2).join(' '));
    }),
  );
}

const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: rules\n  labels: {regkeeper.io/rules: cluster}\n';

describe('a problem is reported at its line and column in the file', () => {
  test.each([
    ['in a literal block', `${head}data:\n  rules.yaml: |\n    rules:\n    - registry: reg.io\n      pulSecret: s\n`, 'unknown-field 10:7'],
    ['after a comment in its header', `${head}data:\n  rules.yaml: |- # ours\n    rulez: []`, 'unknown-field 8:5'],
    [
      'after blank lines',
      `${head}data:\n  rules.yaml: |\n\n      \n        rules:\n        - registry: a/b\n`,
      'pattern-unqualified 11:21',
    ],
    [
      'with an indentation indicator',
      `${head}data:\n  rules.yaml: |2\n      # more indented\n    rules:\n    - registri: reg.io\n`,
      'unknown-field 10:7',
    ],
    [
      'in a file with CRLF',
      `${head}data:\n  rules.yaml: |\n    mode: audit\n    rulez: []\n`.replaceAll('\n', '\r\n'),
      'unknown-field 9:5',
    ],
    ['after a byte order mark', `\ufeff${head}data:\n  rules.yaml: |\n    rulez: []\n`, 'unknown-field 8:5'],
    ['in the second document', `${head}---\n${head}data:\n  a.yaml: |\n    mode: loud\n`, 'unknown-value 14:11'],
    [
      'in an item of a List',
      `apiVersion: v1\nkind: List\nitems:\n- ${head.trimEnd().replaceAll('\n', '\n  ')}\n  data:\n    a.yaml: |\n      mode: loud\n`,
      'unknown-value 11:13',
    ],
    ['at the beginning, in a folded block', `${head}data:\n  rules.yaml: >\n    mode: loud\n`, 'unknown-value 7:15'],
    ['at the beginning, in quotes', `${head}data:\n  rules.yaml: "mode: audit\\nrulez: []"\n`, 'unknown-field 7:15'],
    [
      'in JSON',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { labels: { 'regkeeper.io/rules': 'cluster' } },
        data: { 'a.json': '{"mode": "loud"}' },
      }),
      'unknown-value 1:111',
    ],
    ['an empty document', `${head}data:\n  rules.yaml: |\n    # later\n`, 'blank-document 8:5'],
    ['no text after the key', `${head}data:\n  rules.yaml:\n`, 'blank-document 7:14'],
  ])('%s', (_name, text, expected) => {
    expect(problemsIn(read(text))).toEqual([expected]);
  });

  test('a rule has its line in the file too', () => {
    const [configMap] = read(`${head}data:\n  rules.yaml: |\n    rules:\n    - registry: reg.io\n`).configMaps;
    const [document] = configMap?.documents ?? [];
    const parsed = parseRulesDocument(
      document?.text ?? '',
      document?.source ?? { kind: 'file', file: '' },
      configMap?.scope,
      document?.start,
    );
    expect(parsed).toMatchObject({ document: { rules: [{ origin: { line: 9, column: 17, source: { file: 'rules.yaml' } } }] } });
  });
});

test('keys are sorted by name, and those without a document extension are ignored', () => {
  const [configMap] = read(`${head}data:\n  b.yml: a\n  notes: a\n  a.json: b\n`).configMaps;
  expect(configMap?.documents.map(({ text }) => text)).toEqual(['b', 'a']);
});

test('label and namespace determine the scope', () => {
  const own = head.replace('cluster', 'namespace').replace('name: rules', 'name: own\n  namespace: shop');
  expect(read(`${head}---\n${own}`).configMaps).toMatchObject([
    { name: 'rules', namespace: '', scope: { kind: 'cluster' } },
    { name: 'own', namespace: 'shop', scope: { kind: 'namespace', namespace: 'shop' } },
  ]);
});

test('labels with an anchor, alias or merge are the same as for kubectl', () => {
  const text = `apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  labels: &labels {regkeeper.io/rules: cluster}
data: {a.yaml: "rules: []"}
---
${head}---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b, labels: &more {regkeeper.io/rules: cluster}}, data: {x.yaml: &text "rules: []"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {<<: *more, app: x}}, data: {x.yaml: *text}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: d, labels: {<<: [{app: y}, *more]}}, data: {x.yaml: *text}}
`;
  const { configMaps, problems } = read(text);
  expect(problems).toEqual([]);
  expect(configMaps.map(({ name, documents }) => [name, documents[0]?.text])).toEqual([
    ['a', 'rules: []'],
    ['rules', undefined],
    ['b', 'rules: []'],
    ['c', 'rules: []'],
    ['d', 'rules: []'],
  ]);
});

test('other objects, and the snapshot that the server keeps, are ignored', () => {
  const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n---\n${head.replace('cluster', 'snapshot')}---\n---\napiVersion: v1\nkind: List\nitems: [{kind: Service, apiVersion: v1}]\n`;
  expect(read(text)).toEqual({
    configMaps: [],
    sources: [],
    others: ['Pod web', 'ConfigMap rules', 'Service'],
    unlabelled: [],
    problems: [],
    warnings: [],
  });
});

test('a Secret with the label of a source is kept with its position, and other Secrets are not', () => {
  const secret = (name: string, label: string) =>
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: ${name}\n  labels: {regkeeper.io/source: "${label}"}\n`;
  const { sources } = readRulesManifest(`${secret('a', 'false')}---\n${secret('b', 'true')}`, 'rules.yaml') ?? { sources: [] };
  expect(sources).toMatchObject([{ object: { metadata: { name: 'b' } }, origin: { line: 7, column: 1 } }]);
});

test.each([
  ['a rules document', 'rules: []'],
  ['one that mentions a kind', 'contact: "us\n\n  kind: people"\nrules: []'],
  ['one that has a field of objects by mistake', 'kind: ConfigMap\nrules: []'],
  ['broken YAML without objects', 'kind: [\napiVersion: {'],
  ['nothing', ''],
  ['brackets without end', `apiVersion: ${'['.repeat(100_000)}`],
])('%s is not a file of objects', (_name, text) => {
  expect(readRulesManifest(text, 'rules.yaml')).toBeUndefined();
});

describe('what prevents rules from being loaded is a problem with its position and the fix', () => {
  test.each([
    [
      'a label with a typo',
      head.replace('cluster', 'clutser'),
      /^bad-manifest 5:32 the label .* of ConfigMap rules is "clutser"\. Did you mean "cluster"\?/,
    ],
    ['a different label', head.replace('cluster', '"true"'), /"true"\. Use cluster or namespace\./],
    ['no namespace', head.replace('cluster', 'namespace'), /^bad-manifest 5:32 ConfigMap rules has no metadata\.namespace/],
    [
      'a mapping in place of text',
      `${head}data:\n  rules.yaml:\n    rules: []\n`,
      /^bad-manifest 8:5 rules\.yaml of ConfigMap rules is a mapping, .*Use "rules\.yaml: \|"/,
    ],
    ['a list in place of data', `${head}data: []\n`, /^bad-manifest 6:7 data of ConfigMap rules is not a mapping/],
    ['a number in place of text', `${head}data: {a.yaml: 7}\n`, /^bad-manifest 6:16 a\.yaml of ConfigMap rules is not a string/],
    [
      'rules in binaryData',
      `${head}binaryData:\n  a.yaml: AA==\n`,
      /^bad-manifest 7:3 a\.yaml of ConfigMap rules is in binaryData, .*UTF-8/,
    ],
    ['a tab', `${head}data:\n\ta.yaml: x\n`, /^yaml-syntax 7:1 .*tab/],
    ['a duplicate field', `${head}kind: ConfigMap\n`, /^duplicate-field 6:1 /],
    ['an alias without an anchor', `${head}data: {a.yaml: *nowhere}\n`, /^yaml-alias 6:16 .*&nowhere/],
    ['a recursive alias', `${head}data: &d {a.yaml: *d}\n`, /^yaml-syntax 6:19 .*the anchor &d contains itself/],
    ['a rules document among objects', `${head}---\nrules: []\n`, /^yaml-several-documents 7:1 .*separate file/],
    [
      'a template',
      `apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: t}\nobjects:\n- ${head.trimEnd().replaceAll('\n', '\n  ')}\n`,
      /^bad-manifest 1:1 Template t .*oc process/,
    ],
  ])('%s', (_name, text, message) => {
    expect(briefly(read(text).problems)).toEqual([expect.stringMatching(message)]);
  });

  test('and the other documents in the file are parsed nevertheless', () => {
    const { problems, configMaps } = read(`kind: Pod\napiVersion: v1\nspec: {\n---\n${head}`);
    expect({ problems: problems.length, configMaps: configMaps.length }).toEqual({ problems: 1, configMaps: 1 });
  });
});

test('a ConfigMap without documents causes a warning', () => {
  expect(briefly(read(`${head}data: {notes: x}\n`).warnings)).toEqual([
    expect.stringMatching(/^blank-document 1:1 ConfigMap rules has no key that ends in \.yaml/),
  ]);
});

test('a recursive merge ends', () => {
  expect(read(`apiVersion: v1\nkind: ConfigMap\nmetadata: &a\n  <<: *a\n  name: x\n`).others).toEqual(['ConfigMap x']);
});
