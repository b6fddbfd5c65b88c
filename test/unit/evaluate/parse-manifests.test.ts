/** Tests parsing the Kubernetes objects in the text of one file. */
import { describe, expect, test } from 'vitest';
import { renderNotEvaluated } from '../../../src/evaluate/not-evaluated.ts';
import { parseManifests } from '../../../src/evaluate/parse-manifests.ts';
import type { JsonObject } from '../../../src/object/json.ts';
import { scalars } from '../yaml/scalars.ts';

const head = 'apiVersion: v1\nkind: Pod\n';

function specOf(spec: string): unknown {
  const { manifests, problems } = parseManifests(`${head}spec: ${spec}\n`, 'pod.yaml');
  expect(problems).toEqual([]);
  return manifests[0]?.object.spec;
}

function problemsOf(text: string, file = 'pod.yaml'): readonly string[] {
  return parseManifests(text, file).problems.map(renderNotEvaluated);
}

function outline(text: string) {
  const { manifests, problems } = parseManifests(text, 'all.yaml');
  expect(problems).toEqual([]);
  return manifests.map(
    ({ apiVersion, kind, line, object }) => `${line} ${apiVersion} ${kind} ${(object.metadata as JsonObject | undefined)?.name ?? '-'}`,
  );
}

describe('values are those that kubectl parses', () => {
  test.each(scalars)('%s', (written, read) => {
    expect(specOf(written)).toBe(read);
  });

  test.each([
    ['fields that are not strings', '{on: 1, 0644: 2, 1.5: 3, "<<": 4}', { true: 1, 420: 2, 1.5: 3, '<<': 4 }],
    ['a merge', '{a: &a {x: 1, w: 2}, b: {<<: *a, x: 3}}', { a: { x: 1, w: 2 }, b: { x: 3, w: 2 } }],
    ['a merge after a field takes precedence', '{a: &a {x: 1}, b: {x: 3, <<: *a}}', { a: { x: 1 }, b: { x: 1 } }],
    [
      'of several merges, the first takes precedence',
      '{a: &a {x: 1, z: 5}, b: &b {x: 2, w: 2}, c: {<<: [*a, *b]}}',
      expect.objectContaining({ c: { x: 1, w: 2, z: 5 } }),
    ],
    ['the last anchor of a name', '[&a 1, *a, &a 2, *a]', [1, 1, 2, 2]],
    [
      'names with a special meaning in JavaScript',
      '{__proto__: {a: 1}, constructor: b}',
      JSON.parse('{"__proto__": {"a": 1}, "constructor": "b"}'),
    ],
    ['a block scalar', '|\n  yes\n  0644\n', 'yes\n0644\n'],
  ])('%s', (_name, written, read) => {
    expect(specOf(written)).toEqual(read);
  });

  test('each use of an anchor is a separate value', () => {
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
      'nested lists',
      'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: v1\n    kind: Secret\n',
      ['4 v1 Pod a', '8 v1 Secret -'],
    ],
    [
      'a list of one kind, whose entries omit it',
      'apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n',
      ['4 apps/v1 Deployment a', '5 apps/v1 Deployment b'],
    ],
    ['an empty list', 'apiVersion: v1\nkind: List\nitems: []\n', []],
    ['a null list', 'apiVersion: v1\nkind: List\n---\napiVersion: v1\nkind: PodList\nitems: null\n', []],
    [
      'typed lists in a list',
      'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: PodList\n  items:\n  - {metadata: {name: a}}\n- {apiVersion: batch/v1, kind: JobList, items: [{metadata: {name: b}}]}\n',
      ['7 v1 Pod a', '8 batch/v1 Job b'],
    ],
    [
      'an object whose kind ends in List but is not a list',
      'apiVersion: example.com/v1\nkind: AllowList\nspec: {}\n',
      ['1 example.com/v1 AllowList -'],
    ],
    ['Windows lines and a byte order mark', `\ufeff${head}---\n${head}`.replaceAll('\n', '\r\n'), ['1 v1 Pod -', '4 v1 Pod -']],
    ['nothing', '# to be written\n', []],
  ])('%s', (_name, text, expected) => {
    expect(outline(text)).toEqual(expected);
  });
});

describe('what is not an object is reported with its position and the fix', () => {
  test.each([
    ['a duplicate field', `${head}spec:\n  a: 1\n  a: 2\n`, /^pod\.yaml:5:3: the field "a" is already set on line 4, .*Keep one/],
    [
      'a duplicate field in JSON',
      '{"apiVersion": "v1",\n"kind": "Pod", "kind": "Pod"}',
      /^pod\.yaml:2:16: the field "kind" is already set on line 2/,
    ],
    ['a duplicate field in a different case', `${head}spec: {1: a, "1": b}`, /^pod\.yaml:3:14: the field "1" is already set/],
    ['a missing closing bracket', `${head}spec: {a: [1, 2}\n`, /^pod\.yaml:3:\d+: not valid YAML: .*Check quotes, brackets/],
    ['a tab', `${head}spec:\n\ta: 1\n`, /^pod\.yaml:4:1: this line is indented with a tab/],
    ['a list', '- a\n- b\n', /^pod\.yaml:1:1: contains a list, not a Kubernetes object$/],
    ['a scalar', 'hello\n', /^pod\.yaml:1:1: contains a plain value/],
    ['no kind', 'apiVersion: v1\nmetadata: {}\n', /^pod\.yaml:1:1: not a Kubernetes object: no kind$/],
    [
      'rules',
      'rules:\n- registry: reg.example.com\n',
      /no apiVersion and no kind\. This looks like registry rules\. Pass them as rules, not as manifests$/,
    ],
    ['custom kinds', 'kinds:\n- kind: Rollout\n', /no apiVersion and no kind\. This looks like a file for --custom-kinds$/],
    [
      'an entry of a list',
      'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n- 7\n',
      /^pod\.yaml:6:3: contains a plain value/,
    ],
    ['a list without items', 'apiVersion: v1\nkind: PodList\nitems: {a: b}\n', /^pod\.yaml:3:\d+: the items of a PodList must be a list$/],
    ['an entry without a kind', 'apiVersion: v1\nkind: List\nitems:\n- {metadata: {}}\n', /^pod\.yaml:4:3: .*no apiVersion and no kind$/],
    ['an alias without an anchor', `${head}spec: *app`, /^pod\.yaml:3:7: .*no anchor &app.*quote/],
    ['a recursive anchor', `${head}spec: &a {b: *a}`, /^pod\.yaml:3:14: the anchor &a contains itself/],
    ['a merge of a string', `${head}spec: {<<: hello}`, /^pod\.yaml:3:12: the value of a merge key/],
    ['infinity', `${head}spec: .inf`, /^pod\.yaml:3:7: \.inf is not a JSON number/],
    ['a wrong tag', `${head}spec: !!int hello`, /^pod\.yaml:3:\d+: "hello" does not match its tag !!int/],
    ['a field without a name', `${head}spec: {~: 1}`, /^pod\.yaml:3:8: a field has no name/],
    ['a list as a field name', `${head}spec: {[a]: 1}`, /^pod\.yaml:3:8: a field name is a list/],
    [
      'JSON with a comment, which would hide a field',
      '{"apiVersion": "v1", "kind": "Pod", "spec": {\n  // a\n  "initContainers": [],\n  "containers": []\n}}',
      /^pod\.yaml:2:3: a field name in braces continues on the next line, .*not with \/\/\.$/,
    ],
    ['deeply nested brackets', `${head}spec: ${'['.repeat(100_000)}`, /^pod\.yaml:3:\d+: the document is nested more deeply/],
    ['truncated JSON', '{"apiVersion": "v1", "kind": "Po', /^pod\.yaml:1:\d+: not valid YAML/],
  ])('%s', (_name, text, message) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    ['chart/values.yaml', 'image: a', /helm template/],
    ['-', 'image: a', /^standard input:1:1: .*no apiVersion and no kind$/],
  ])('%s', (file, text, message) => {
    expect(problemsOf(text, file)).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    ['a/kustomization.yaml', 'resources: [a.yaml]', 'kubectl kustomize a'],
    ['kustomization.yml', 'resources: [a.yaml]', 'kubectl kustomize .'],
    ['a/Kustomization', 'kind: Kustomization\nresources: [a.yaml]', 'kubectl kustomize a'],
    ['a/any.yaml', 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n', 'kubectl kustomize a'],
    ['-', 'kind: Kustomization\n', 'kubectl kustomize DIR'],
    ['a/kustomization.yaml', 'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n', 'kubectl kustomize DIR'],
    ['a/part.yaml', 'kind: Component\n', 'kubectl kustomize DIR'],
    ['web/Chart.yaml', 'apiVersion: v2\nname: web\nversion: 1.0.0\n', 'helm template web'],
    ['-', 'apiVersion: v1\nname: web\nversion: 1.0.0\n', 'helm template CHART'],
    ['charts/web/templates/a.yaml', `${head}{{- if .Values.x }}\nspec: {}\n{{- end }}`, 'helm template charts/web'],
    ['templates/a.yaml', `{{ if .Values.x }}\n${head}{{ end }}`, 'helm template .'],
    ['templates/a.yaml', '{{- if .a }}\n{{- fail "b" }}\n{{- end }}\n{{ include "c" . }}\n', 'helm template .'],
    ['a.yaml', `${head}metadata: {name: {{ .Values.name }}}\n`, 'helm template CHART'],
    ['a.yaml', `${head}spec:\n  replicas: {{ .Values.replicas }}\n`, 'helm template CHART'],
    ['a.yaml', 'apiVersion: template.openshift.io/v1\nkind: Template\nobjects: []\n', 'oc process --local -f a.yaml -o yaml'],
    ['a.yaml', 'apiVersion: v1\nkind: Template\n', 'oc process --local -f a.yaml -o yaml'],
    ['-', 'kind: Template\nobjects: []\n', 'oc process --local -f FILE -o yaml'],
    ['a.yaml', 'apiVersion: template.openshift.io/v1\nkind: TemplateInstance\n', 'oc process --local -f FILE -o yaml'],
  ])('%s with %j is rendered with %s', (file, text, command) => {
    const { manifests, problems } = parseManifests(text, file);
    expect(manifests).toEqual([]);
    expect(problems).toMatchObject([{ code: 'not-rendered', message: expect.stringContaining(`Pass the output of "${command}"`) }]);
  });

  test.each([
    ['a Flux Kustomization', 'apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n'],
    ['a Component in another group', 'apiVersion: core.oam.dev/v1alpha2\nkind: Component\n'],
    ['a Template in another group', 'apiVersion: example.com/v1\nkind: Template\n'],
    ['braces in quotes', `${head}metadata: {name: "{{ .Values.name }}"}\n`],
  ])('an object: %s', (_name, text) => {
    const { manifests, problems } = parseManifests(text, 'kustomization.yaml');
    expect({ objects: manifests.length, problems }).toEqual({ objects: 1, problems: [] });
  });

  test('an alias bomb ends soon', () => {
    const levels = Array.from({ length: 30 }, (_, level) => `a${level + 1}: &a${level + 1} [*a${level}, *a${level}, *a${level}]`);
    expect(problemsOf(`${head}a0: &a0 [x, x]\n${levels.join('\n')}\n`)).toEqual([
      expect.stringMatching(/aliases expand to more than 400,000 values/),
    ]);
  });

  test('the objects before and after an invalid one are parsed', () => {
    const { manifests, problems } = parseManifests(`${head}---\nkind: Pod\n---\n${head}`, 'all.yaml');
    expect(manifests.map(({ line }) => line)).toEqual([1, 6]);
    expect(problems).toHaveLength(1);
  });
});
