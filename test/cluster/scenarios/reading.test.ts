/** regkeeper reads YAML files as kubectl does, and kubectl reads regkeeper's output as intended. */
import { expect, test } from 'vitest';
import { type Manifest, parseManifests } from '../../../src/evaluate/parse-manifests.ts';
import { printJson } from '../../../src/yaml/print-json.ts';
import { printManifests } from '../../../src/yaml/print-manifests.ts';
import { runCommand } from '../../unit/cli/run.ts';
import { scalars } from '../../unit/yaml/scalars.ts';
import { target } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;
const head = 'apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: thing}\n';

/** The `spec` as kubectl reads it locally, without the API server. */
async function readByKubectl(text: string): Promise<{ spec: unknown; json: string }> {
  const { stdout: json } = await kubectl(['annotate', '--local', '-f', '-', 'seen=yes', '-o', 'json'], { stdin: text });
  return { spec: JSON.parse(json).spec, json };
}

function readByUs(text: string): Manifest {
  const { manifests, problems } = parseManifests(text, 'thing.yaml');
  expect(problems).toEqual([]);
  return manifests[0] as Manifest;
}

test('plain values, and words with a meaning in other YAML versions', async () => {
  const text = `${head}spec:\n${scalars.map(([written]) => `- ${written}\n`).join('')}`;
  const { spec, json } = await readByKubectl(text);
  expect(JSON.parse(printJson(readByUs(text).object.spec))).toEqual(spec);
  expect(json).toContain('9007199254740993');
});

test.each([
  '{on: 1, 0644: 2, 1.5: 3, "<<": 4}',
  '{a: &a {x: 1, w: 2}, b: {<<: *a, x: 3}}',
  '{a: &a {x: 1}, b: {x: 3, <<: *a}}',
  '{a: &a {x: 1, z: 5}, b: &b {x: 2, w: 2}, c: {<<: [*a, *b]}}',
  '[&a 1, *a, &a 2, *a]',
])('%s', async (written) => {
  const text = `${head}spec: ${written}\n`;
  expect(readByUs(text).object.spec).toEqual((await readByKubectl(text)).spec);
});

test('text that looks like something else is parsed as text', async () => {
  const spec = [...scalars.map(([written]) => written), '<<', '', ' ', '- a', 'a: b', '# a', 'a\nb\n', '1:30:00', '0o17', '\t'];
  const printed = printManifests([{ apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 'thing' }, spec }]);
  expect((await readByKubectl(printed)).spec).toEqual(spec);
});

test('what check prints can be applied', async () => {
  const namespace = await cluster.namespace();
  const { out } = await runCommand('check', '-f', 'deploy/examples/objects', '--rules', 'deploy/examples/rules', '-o', 'yaml');
  const ours = out.replaceAll('namespace: demo', `namespace: ${namespace}`);
  const { stdout } = await kubectl(['apply', '-f', '-'], { stdin: ours });
  expect(stdout.split('\n').sort()).toEqual(['', 'buildconfig.build.openshift.io/sample-app created', 'pod/sample-app created']);
  const pod = await kubectl.json<{ spec: { imagePullSecrets: unknown } }>(['get', 'pod', 'sample-app', '-n', namespace]);
  expect(pod.spec.imagePullSecrets).toEqual([{ name: 'external-registry' }]);
});
