/** Tests reading Kubernetes objects from files, folders and standard input. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderNotEvaluated } from '../../../src/evaluate/not-evaluated.ts';
import { readManifests } from '../../../src/evaluate/read-manifests.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-manifests-'));
  await mkdir(join(folder, 'deploy/base'), { recursive: true });
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'deploy/b.yml'), 'apiVersion: v1\nkind: B\n');
  await writeFile(join(folder, 'deploy/base/a.json'), '{"apiVersion": "v1", "kind": "A"}');
  await writeFile(join(folder, 'deploy/base/notes.txt'), 'not read');
  await writeFile(join(folder, 'deploy/z.yaml'), '- broken');
  for (const hidden of ['deploy/.github/workflows', 'deploy/base/.git', '.hidden/base']) {
    await mkdir(join(folder, hidden), { recursive: true });
    await writeFile(join(folder, hidden, 'ci.yaml'), 'apiVersion: v1\nkind: H\n');
  }
});
afterAll(() => rm(folder, { recursive: true }));

const nothing = async () => '';

test('directories are read with their subdirectories, standard input in its position, and each path once', async () => {
  const deploy = join(folder, 'deploy');
  const { manifests, problems } = await readManifests([deploy, '-', deploy], async () => 'apiVersion: v1\nkind: C\n');
  expect(manifests.map(({ kind, file }) => [kind, file])).toEqual([
    ['B', join(deploy, 'b.yml')],
    ['A', join(deploy, 'base/a.json')],
    ['C', '-'],
  ]);
  expect(problems.map(renderNotEvaluated)).toEqual([expect.stringMatching(/z\.yaml:1:1: contains a list/)]);
});

test('directories whose names begin with a dot are skipped, but not if they are specified', async () => {
  const { manifests, problems } = await readManifests([join(folder, '.hidden'), join(folder, 'deploy/.github')], nothing);
  expect(problems).toEqual([]);
  expect(manifests.map(({ kind }) => kind)).toEqual(['H', 'H']);
});

test('of a chart, only Chart.yaml is reported', async () => {
  const files = {
    'charts/web/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.0.0\n',
    'charts/web/values.yaml': 'a: b\n',
    'charts/web/templates/a.yaml': '{{ if .Values.a }}\n',
    'charts/web/templates/b.yaml': 'apiVersion: v1\nkind: B\n',
    'charts/web/charts/db/Chart.yaml': 'apiVersion: v2\nname: db\nversion: 1.0.0\n',
    'charts/web-2/c.yaml': 'apiVersion: v1\nkind: C\n',
    'charts/object/Chart.yaml': 'apiVersion: example.com/v1\nkind: Chart\n',
    'charts/object/d.yaml': 'apiVersion: v1\nkind: D\n',
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  const { manifests, problems } = await readManifests([join(folder, 'charts')], nothing);
  expect(manifests.map(({ kind }) => kind)).toEqual(['Chart', 'D', 'C']);
  expect(problems).toMatchObject([{ file: join(folder, 'charts/web/Chart.yaml'), code: 'not-rendered' }]);
  const direct = await readManifests([join(folder, 'charts/web/templates')], nothing);
  expect(direct.manifests.map(({ kind }) => kind)).toEqual(['B']);
  expect(direct.problems).toMatchObject([{ file: join(folder, 'charts/web/templates/a.yaml'), code: 'not-rendered' }]);
});

test('a file named Kustomization is read, because kustomize accepts that name', async () => {
  await mkdir(join(folder, 'overlay'));
  await writeFile(join(folder, 'overlay/Kustomization'), 'resources: [../base]');
  const { problems } = await readManifests([join(folder, 'overlay')], nothing);
  expect(problems).toMatchObject([{ code: 'not-rendered' }]);
});

describe('of a kustomization', () => {
  let count = 0;
  /** Reads folders with the files, and returns the names of the files with objects and the messages about the others. */
  async function readFiles(files: Readonly<Record<string, string>>, ...paths: readonly string[]) {
    const root = join(folder, `kustomize-${count++}`);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(root, name, '..'), { recursive: true });
      await writeFile(join(root, name), text);
    }
    const shown = (path: string) => path.replaceAll(`${root}/`, '');
    const { manifests, problems } = await readManifests(paths.length > 0 ? paths.map((path) => join(root, path)) : [root], nothing);
    return { objects: manifests.map(({ file }) => shown(file)), problems: problems.map((problem) => shown(renderNotEvaluated(problem))) };
  }
  const object = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n';
  const notRendered = (path: string) =>
    `${path}/kustomization.yaml:1:1: a kustomization must be rendered first. Pass the output of "kubectl kustomize ${path}"`;

  test('the objects are read that it lists and does not change', async () => {
    const plain = {
      'app/kustomization.yaml':
        'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml, ./sub/b.yaml]\nlabels: [{pairs: {app: web}}]\nimages: []\n',
      'app/a.yaml': object,
      'app/other.yaml': object,
      'app/sub/b.yaml': object,
    };
    expect(await readFiles(plain)).toEqual({
      objects: ['app/a.yaml', 'app/other.yaml', 'app/sub/b.yaml'],
      problems: [notRendered('app')],
    });
  });

  test.each([
    ['patches', 'patches: [{path: p.yaml}, {path: ./q.yaml, target: {kind: Deployment}}]'],
    ['patchesStrategicMerge', 'patchesStrategicMerge: [p.yaml, q.yaml, "inline: true\\n"]'],
    ['patchesJson6902', 'patchesJson6902: [{path: p.yaml}, {path: q.yaml}]'],
    ['transformers', 'transformers: [p.yaml, q.yaml]'],
    ['replacements', 'replacements: [{path: p.yaml}, {path: q.yaml}]'],
    ['values of a chart', 'helmCharts: [{name: web, valuesFile: p.yaml, additionalValuesFiles: [q.yaml]}]'],
    ['files of a ConfigMap', 'configMapGenerator: [{name: web, files: [p.yaml, "key.yaml=q.yaml"]}]'],
  ])('files that are not objects are skipped: %s', async (_what, field) => {
    const files = { 'app/kustomization.yaml': `${field}\n`, 'app/p.yaml': object, 'app/q.yaml': '- a\n', 'app/z.yaml': object };
    expect(await readFiles(files)).toEqual({
      objects: ['app/z.yaml'],
      problems: [`${notRendered('app')}. 2 files that the kustomization changes or uses as input were skipped: app/p.yaml, app/q.yaml`],
    });
  });

  test.each([
    'images: [{name: web, newName: reg.example.com/web}]',
    'patches: [{patch: "kind: Deployment"}]',
    'namespace: shop',
    'components: [../c]',
    'replacements: [{source: {kind: ConfigMap}}]',
    'configurations: [c.yaml]',
    'unknownField: 1',
  ])('objects that it changes are skipped: %s', async (field) => {
    const files = { 'app/kustomization.yaml': `resources: [a.yaml]\n${field}\n`, 'app/a.yaml': object, 'app/z.yaml': object };
    expect(await readFiles(files)).toEqual({
      objects: ['app/z.yaml'],
      problems: [`${notRendered('app')}. 1 file that the kustomization changes or uses as input was skipped: app/a.yaml`],
    });
  });

  test('labels, prefixes and generators change no image, even if a directory has the same name', async () => {
    const files = {
      'kustomization.yaml':
        'resources: [web, crd.yaml]\nlabels: [{pairs: {app: web}}]\nnamePrefix: web\nconfigMapGenerator: [{name: web, literals: [a=b]}]\ncrds: [crd.yaml, definitions.json]\n',
      'web/kustomization.yaml': 'resources: [a.yaml]\n',
      'web/a.yaml': object,
      'crd.yaml': object,
      'definitions.json': '{}',
    };
    const { objects, problems } = await readFiles(files);
    expect(objects).toEqual(['crd.yaml', 'web/a.yaml']);
    expect(problems[0]).toMatch(/1 file that the kustomization changes or uses as input was skipped: definitions\.json$/);
  });

  test('a component patches, and so does a directory of transformers', async () => {
    const files = {
      'app/kustomization.yaml': 'resources: [a.yaml]\ntransformers: [t]\n',
      'app/a.yaml': object,
      'app/t/kustomization.yaml': 'resources: [t.yaml]\n',
      'app/t/t.yaml': object,
      'c/kustomization.yaml': 'apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: p.yaml}]\n',
      'c/p.yaml': object,
    };
    const { objects, problems } = await readFiles(files);
    expect(objects).toEqual([]);
    expect(problems[0]).toMatch(/1 file that the kustomization changes or uses as input was skipped: app\/a\.yaml$/);
    expect(problems[1]).toMatch(/1 file that the kustomization changes or uses as input was skipped: app\/t\/t\.yaml$/);
    expect(problems[2]).toMatch(
      /Component must be rendered first.*1 file that the kustomization changes or uses as input was skipped: c\/p\.yaml$/,
    );
  });

  const overlay = {
    'k/base/kustomization.yaml': 'resources: [a.yaml, sub]\n',
    'k/base/a.yaml': object,
    'k/base/sub/kustomization.yaml': 'resources: [b.yaml, ../../base]\n',
    'k/base/sub/b.yaml': object,
    'k/prod/kustomization.yaml': 'resources: [../base, "https://example.com/a.yaml"]\nimages: [{name: web, newTag: "1"}]\n',
    'k/plain/kustomization.yaml': 'resources: [c.yaml, ../base]\n',
    'k/plain/c.yaml': object,
  };
  const skipped = (folder: string, file: string) =>
    `${notRendered(folder)}. 1 file that the kustomization changes or uses as input was skipped: ${file}`;
  const changed = [skipped('k/base', 'k/base/a.yaml'), skipped('k/base/sub', 'k/base/sub/b.yaml')];

  test('those of the kustomizations that it includes are changed too', async () => {
    const { objects, problems } = await readFiles(overlay);
    expect(objects).toEqual(['k/plain/c.yaml']);
    expect(problems).toEqual([...changed, notRendered('k/plain'), notRendered('k/prod')]);
  });

  test('they may be in different directories of the input, and the base alone is read', async () => {
    const split = await readFiles(overlay, 'k/base', 'k/prod');
    expect(split).toEqual({ objects: [], problems: [...changed, notRendered('k/prod')] });
    expect(await readFiles(overlay, 'k/base')).toMatchObject({ objects: ['k/base/a.yaml', 'k/base/sub/b.yaml'] });
  });

  test('a file that is specified itself is read', async () => {
    expect(await readFiles(overlay, 'k/base/a.yaml', 'k/prod')).toEqual({ objects: ['k/base/a.yaml'], problems: [notRendered('k/prod')] });
  });

  test('of many files, the first are listed', async () => {
    const names = Array.from({ length: 9 }, (_, index) => `${index}.yaml`);
    const files = Object.fromEntries(names.map((name) => [`a/${name}`, object]));
    const { problems } = await readFiles({ ...files, 'a/kustomization.yaml': `namespace: shop\nresources: [${names}]\n` });
    expect(problems).toEqual([
      `${notRendered('a')}. 9 files that the kustomization changes or uses as input were skipped: a/0.yaml, a/1.yaml, a/2.yaml, a/3.yaml, a/4.yaml and 4 more`,
    ]);
  });

  test.each([
    [
      'one of Flux',
      'apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {images: [{name: web}], path: a.yaml}\nresources: [a.yaml]\n',
    ],
    ['invalid YAML', 'images: [\n'],
    ['a list', '- a.yaml\n'],
    ['fields of a wrong type', 'resources: a.yaml\nbases: {a: 1}\n'],
  ])('the neighbors are read if it is none: %s', async (_what, text) => {
    expect((await readFiles({ 'a/kustomization.yaml': text, 'a/a.yaml': object })).objects).toContain('a/a.yaml');
  });
});

test.each([
  ['nowhere', /nowhere: no such file or directory$/],
  ['empty', /empty: no \.yaml, \.yml or \.json files in this directory$/],
])('%s is a problem', async (name, message) => {
  const { manifests, problems } = await readManifests([join(folder, name)], nothing);
  expect(manifests).toEqual([]);
  expect(problems.map(renderNotEvaluated)).toEqual([expect.stringMatching(message)]);
});

test('text that is not UTF-8 is reported with its line, and not decoded with replacement characters', async () => {
  await writeFile(join(folder, 'utf16.yaml'), Buffer.from('\ufeffapiVersion: v1\nkind: Pod\n', 'utf16le'));
  await writeFile(join(folder, 'latin1.yaml'), Buffer.from('apiVersion: v1\nkind: Pod # gr\u00fcn\n', 'latin1'));
  const notUtf8 = async () => {
    throw new Error('not UTF-8 text (line 1). Save it as UTF-8');
  };
  const { manifests, problems } = await readManifests([join(folder, 'utf16.yaml'), join(folder, 'latin1.yaml'), '-'], notUtf8);
  expect(manifests).toEqual([]);
  expect(problems.map(({ code, message }) => [code, message])).toEqual(
    [1, 2, 1].map((line) => ['unreadable', `not UTF-8 text (line ${line}). Save it as UTF-8`]),
  );
});
