/** Tests reading Kubernetes objects from files, folders and standard input. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
