/** Tests parsing the Kubernetes objects in the text of one file. */
import { describe, expect, test } from 'vitest';
import { parseManifests, renderManifestProblem } from '../../../src/evaluate/parse-manifests.ts';
import type { JsonObject } from '../../../src/object/json.ts';
import { scalars } from '../yaml/scalars.ts';

const head = 'apiVersion: v1\nkind: Pod\n';

function specOf(spec: string): unknown {
  const { manifests, problems } = parseManifests(`${head}spec: ${spec}\n`, 'pod.yaml');
  expect(problems).toEqual([]);
  return manifests[0]?.object.spec;
}

function problemsOf(text: string, file = 'pod.yaml'): readonly string[] {
  return parseManifests(text, file).problems.map(renderManifestProblem);
}

function outline(text: string) {
  const { manifests, problems } = parseManifests(text, 'all.yaml');
  expect(problems).toEqual([]);
  return manifests.map(
    ({ apiVersion, kind, line, object }) => `${line} ${apiVersion} ${kind} ${(object.metadata as JsonObject | undefined)?.name ?? '-'}`,
  );
}

describe('values are those that kubectl reads', () => {
  test.each(scalars)('%s', (written, read) => {
    expect(specOf(written)).toBe(read);
  });

  test.each([
    ['fields that are no text', '{on: 1, 0644: 2, 1.5: 3, "<<": 4}', { true: 1, 420: 2, 1.5: 3, '<<': 4 }],
    ['a merge', '{a: &a {x: 1, w: 2}, b: {<<: *a, x: 3}}', { a: { x: 1, w: 2 }, b: { x: 3, w: 2 } }],
    ['a merge behind a field wins', '{a: &a {x: 1}, b: {x: 3, <<: *a}}', { a: { x: 1 }, b: { x: 1 } }],
    [
      'of several merged the first',
      '{a: &a {x: 1, z: 5}, b: &b {x: 2, w: 2}, c: {<<: [*a, *b]}}',
      expect.objectContaining({ c: { x: 1, w: 2, z: 5 } }),
    ],
    ['the last anchor of a name', '[&a 1, *a, &a 2, *a]', [1, 1, 2, 2]],
    [
      'names that mean something to JavaScript',
      '{__proto__: {a: 1}, constructor: b}',
      JSON.parse('{"__proto__": {"a": 1}, "constructor": "b"}'),
    ],
    ['a block of text', '|\n  yes\n  0644\n', 'yes\n0644\n'],
  ])('%s', (_name, written, read) => {
    expect(specOf(written)).toEqual(read);
  });

  test('each use of an anchor is a value of its own', () => {
    const { a, b } = specOf('{a: &a {x: 1}, b: *a}') as { a: object; b: object };
    expect(b).toEqual(a);
    expect(b).not.toBe(a);
  });
});

describe('objects are found with the line in which they begin', () => {
  test.each([
    [
      'documents, some of them empty',
      `# first\n---\n---\n# a\n${head}metadata: {name: a}\n---\n\n${head}metadata: {name: b}\n---\n`,
      ['5 v1 Pod a', '10 v1 Pod b'],
    ],
    ['JSON', `{\n\t"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}`, ['1 v1 Pod a']],
    [
      'JSON objects one after the other',
      `{"apiVersion": "v1", "kind": "Pod",\n"metadata": {"name": "}{\\""}}\n{"apiVersion": "v1", "kind": "Pod"} {"apiVersion": "v2", "kind": "Pod"}`,
      ['1 v1 Pod }{"', '3 v1 Pod -', '3 v2 Pod -'],
    ],
    [
      'lists in lists',
      'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: v1\n    kind: Secret\n',
      ['4 v1 Pod a', '8 v1 Secret -'],
    ],
    [
      'a list of one kind, whose entries leave it out',
      'apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n',
      ['4 apps/v1 Deployment a', '5 apps/v1 Deployment b'],
    ],
    ['an empty list', 'apiVersion: v1\nkind: List\nitems: []\n', []],
    ['Windows lines and a byte order mark', `\ufeff${head}---\n${head}`.replaceAll('\n', '\r\n'), ['1 v1 Pod -', '4 v1 Pod -']],
    ['nothing', '# to be written\n', []],
  ])('%s', (_name, text, expected) => {
    expect(outline(text)).toEqual(expected);
  });
});

describe('what is no object is told with its place and the fix', () => {
  test.each([
    ['a field twice', `${head}spec:\n  a: 1\n  a: 2\n`, /^pod\.yaml:5:3: the field "a" is already written in line 4, .*keep one/],
    [
      'a field twice in JSON',
      '{"apiVersion": "v1",\n"kind": "Pod", "kind": "Pod"}',
      /^pod\.yaml:2:16: the field "kind" is already written in line 2/,
    ],
    ['a field twice in other letters', `${head}spec: {1: a, "1": b}`, /^pod\.yaml:3:14: the field "1" is already written/],
    ['no closing bracket', `${head}spec: {a: [1, 2}\n`, /^pod\.yaml:3:\d+: not valid YAML: .*check quotes, brackets/],
    ['a tab', `${head}spec:\n\ta: 1\n`, /^pod\.yaml:4:1: a tab indents this line/],
    ['a template of Helm', `${head}{{- if .Values.x }}\nspec: {}\n{{- end }}`, /^pod\.yaml:\d+:\d+: .*render it first/],
    ['a list', '- a\n- b\n', /^pod\.yaml:1:1: holds a list where a Kubernetes object should stand/],
    ['a word', 'hello\n', /^pod\.yaml:1:1: holds a plain value/],
    ['no kind', 'apiVersion: v1\nmetadata: {}\n', /^pod\.yaml:1:1: .*missing: kind$/],
    [
      'rules',
      'rules:\n- registry: reg.example.com\n',
      /missing: apiVersion, kind\. This looks like registry rules: give them with --rules$/,
    ],
    [
      'an entry of a list',
      'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n- 7\n',
      /^pod\.yaml:6:3: holds a plain value/,
    ],
    [
      'an OpenShift template',
      'apiVersion: template.openshift.io/v1\nkind: Template\nobjects: []\n',
      /^pod\.yaml:1:1: .*"oc process --local -f pod\.yaml -o yaml" first/,
    ],
    ['an old OpenShift template', 'apiVersion: v1\nkind: Template\n', /oc process/],
    ['an alias of nothing', `${head}spec: *app`, /^pod\.yaml:3:7: .*no anchor &app.*quote/],
    ['an anchor in itself', `${head}spec: &a {b: *a}`, /^pod\.yaml:3:14: the anchor &a contains itself/],
    ['a merge of text', `${head}spec: {<<: hello}`, /^pod\.yaml:3:12: the value of a merge key/],
    ['infinity', `${head}spec: .inf`, /^pod\.yaml:3:7: \.inf is not a JSON number/],
    ['a tag that lies', `${head}spec: !!int hello`, /^pod\.yaml:3:\d+: "hello" does not match its tag !!int/],
    ['a field without a name', `${head}spec: {~: 1}`, /^pod\.yaml:3:8: a field has no name/],
    ['a list for a name', `${head}spec: {[a]: 1}`, /^pod\.yaml:3:8: a field name is a list/],
    ['brackets without end', `${head}spec: ${'['.repeat(100_000)}`, /^pod\.yaml:3:\d+: the text is nested more deeply/],
    ['JSON cut short', '{"apiVersion": "v1", "kind": "Po', /^pod\.yaml:1:\d+: not valid YAML/],
  ])('%s', (_name, text, message) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    ['deploy/kustomization.yaml', 'resources: [a.yaml]', /kubectl kustomize/],
    ['chart/values.yaml', 'image: a', /helm template/],
    ['-', 'image: a', /^standard input:1:1: .*missing: apiVersion, kind$/],
  ])('%s', (file, text, message) => {
    expect(problemsOf(text, file)).toEqual([expect.stringMatching(message)]);
  });

  test('a bomb of aliases ends soon', () => {
    const levels = Array.from({ length: 30 }, (_, level) => `a${level + 1}: &a${level + 1} [*a${level}, *a${level}, *a${level}]`);
    expect(problemsOf(`${head}a0: &a0 [x, x]\n${levels.join('\n')}\n`)).toEqual([
      expect.stringMatching(/aliases expand to more than 400000 values/),
    ]);
  });

  test('the objects before and behind one that is none are there', () => {
    const { manifests, problems } = parseManifests(`${head}---\nkind: Pod\n---\n${head}`, 'all.yaml');
    expect(manifests.map(({ line }) => line)).toEqual([1, 6]);
    expect(problems).toHaveLength(1);
  });
});
