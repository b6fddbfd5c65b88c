/** Tests loading kinds of custom resources from files. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadCustomKinds, parseCustomKinds } from '../../../src/loading/custom-kinds.ts';
import { builtInKinds } from '../../../src/object/kinds.ts';

const rollout = 'group: argoproj.io, version: v1alpha1, resource: rollouts, kind: Rollout';

test('without files there are no additional kinds', async () => {
  const loaded = await loadCustomKinds([]);
  expect(loaded.ok && loaded.kinds.rows.map(({ kind }) => kind)).toEqual(builtInKinds.rows.map(({ kind }) => kind));
});

test('the example contains Rollout, Knative Service, Tekton and a kind with several templates', async () => {
  const loaded = await loadCustomKinds([resolve(import.meta.dirname, '../../../deploy/custom-kinds/custom-kinds.yaml')]);
  const extra = loaded.ok ? loaded.kinds.rows.slice(builtInKinds.rows.length) : [];
  expect(extra.map(({ group, kind }) => `${kind}.${group}`)).toEqual([
    'Rollout.argoproj.io',
    'Service.serving.knative.dev',
    'TaskRun.tekton.dev',
    'Task.tekton.dev',
    'PyTorchJob.kubeflow.org',
  ]);
});

describe('problems are reported with their position', () => {
  test.each([
    { text: '', problem: 'f:1:1 is empty. Add a list of kinds under "kinds:"' },
    { text: '[]', problem: 'f:1:1 the document must be a mapping with the field "kinds", but is a list' },
    { text: '{}', problem: 'f:1:1 the document must have "kinds:", a list of kinds' },
    { text: 'kinds: x', problem: 'f:1:8 kinds must be a list of kinds, but is a string' },
    { text: 'kind: []\nkinds: []', problem: 'f:1:1 unknown field "kind". Did you mean "kinds"?' },
    { text: 'kinds: [1]', problem: 'f:1:9 kinds[0] must be a kind with group, version, resource and kind, but is a number' },
    { text: 'kinds:\n- a: [\n', problem: 'f:' },
    {
      text: `kinds: [{${rollout}}]`,
      problem: 'f:1:9 kinds[0] has no path to an image. Add "template" (path of a pod template), "podSpec" or "images".',
    },
    { text: `kinds: [{${rollout}, templat: spec.template}]`, problem: 'unknown field "templat". Did you mean "template"?' },
    { text: 'kinds: [{group: argoproj.io, template: spec}]', problem: 'f:1:9 kinds[0] must have "version", a name such as v1alpha1' },
    { text: 'kinds: [{group: 7, template: spec}]', problem: 'f:1:17 kinds[0].group must be a name such as argoproj.io, but is a number' },
    { text: 'kinds: [{group: apps, template: spec}]', problem: 'f:1:17 kinds[0].group must be a name such as argoproj.io, but is "apps"' },
    {
      text: `kinds: [{${rollout.replace('rollouts', 'rollouts/status')}, template: spec}]`,
      problem: 'kinds[0].resource must be the plural name as in URLs, such as rollouts, but is "rollouts/status"',
    },
    {
      text: `kinds: [{${rollout}, template: [spec.template]}]`,
      problem: 'kinds[0].template must be a path such as spec.template, but is a list',
    },
    {
      text: `kinds: [{${rollout}, template: "spec.a[*].template"}]`,
      problem: 'kinds[0].template must be the path of a single pod template',
    },
    { text: `kinds: [{${rollout}, images: []}]`, problem: 'kinds[0].images has no path. Add one or remove the field.' },
    {
      text: `kinds: [{${rollout}, images: ["spec.x", 4]}]`,
      problem: 'kinds[0].images[1] must be a path such as spec.template, but is a number',
    },
    {
      text: `kinds: [{${rollout}, images: "spec.steps[0]"}]`,
      problem:
        'kinds[0].images must be a path such as spec.template or spec.steps[*].image, but "steps[0]" is not a field name ("spec.steps[0]")',
    },
    {
      text: `kinds: [{${rollout}, images: [{schemes: [oci]}]}]`,
      problem: 'kinds[0].images[0] must have "path", a path such as spec.url.',
    },
    {
      text: `kinds: [{${rollout}, images: [{path: [a]}]}]`,
      problem: 'kinds[0].images[0].path must be a path such as spec.template, but is a list',
    },
    {
      text: `kinds: [{${rollout}, images: [{path: spec.url, scheme: [oci]}]}]`,
      problem: 'unknown field "scheme". Did you mean "schemes"?',
    },
    {
      text: `kinds: [{${rollout}, images: {path: "spec..url"}}]`,
      problem: 'kinds[0].images.path must be a path such as',
    },
    {
      text: `kinds: [{${rollout}, images: [{path: spec.url, schemes: oci}]}]`,
      problem: 'kinds[0].images[0].schemes must be a list of URL schemes such as [oci], but is a string.',
    },
    {
      text: `kinds: [{${rollout}, images: [{path: spec.url, schemes: null}]}]`,
      problem: 'kinds[0].images[0].schemes must be a list of URL schemes such as [oci], but is null.',
    },
    {
      text: `kinds: [{${rollout}, images: [{path: spec.url, schemes: []}]}]`,
      problem: 'kinds[0].images[0].schemes has no scheme. Add one or remove the field.',
    },
    {
      text: `kinds: [{${rollout}, images: [{path: spec.url, schemes: [a, b, c, d, e, f, g, h, i]}]}]`,
      problem: 'kinds[0].images[0].schemes has 9 schemes. At most 8 are allowed.',
    },
    {
      text: `kinds: [{${rollout}, images: [{path: spec.url, schemes: [1]}]}]`,
      problem: 'kinds[0].images[0].schemes[0] must be a URL scheme such as oci, but is a number.',
    },
    ...['OCI', 'oci://', 'oci:', '', '1a', 'o_i', 'o'.repeat(33)].map((scheme) => ({
      text: `kinds: [{${rollout}, images: [{path: spec.url, schemes: ["${scheme}"]}]}]`,
      problem: `kinds[0].images[0].schemes[0] must be a URL scheme in lower case and without "://", such as oci, but is "${scheme}".`,
    })),
    {
      text: `kinds: [{${rollout}, podSpec: [{path: spec}]}]`,
      problem: 'kinds[0].podSpec[0] must be a path such as spec.template, but is an object',
    },
    {
      text: 'kinds: [{group: build.openshift.io, version: v1, resource: builds, kind: Build, template: spec}]',
      problem: 'kinds[0].kind names a built-in kind. Remove the entry for "Build" of group "build.openshift.io".',
    },
  ])('$problem', ({ text, problem }) => {
    const parsed = parseCustomKinds(text, 'f');
    expect(parsed.ok ? [] : parsed.problems).toContainEqual(expect.stringContaining(problem));
  });

  test('a path of images may be a text, or have schemes', () => {
    const images = '[spec.image, {path: spec.a}, {path: spec.url, schemes: [oci, docker, a+b.c-1]}]';
    const parsed = parseCustomKinds(`kinds: [{${rollout}, images: ${images}}]`, 'f');
    expect(parsed.ok && parsed.kinds[0]?.kind.images).toEqual([
      { pattern: ['spec', 'image'] },
      { pattern: ['spec', 'a'] },
      { pattern: ['spec', 'url'], schemes: ['oci', 'docker', 'a+b.c-1'] },
    ]);
    const one = parseCustomKinds(`kinds: [{${rollout}, images: {path: spec.url, schemes: [oci]}}]`, 'f');
    expect(one.ok && one.kinds[0]?.kind.images).toEqual([{ pattern: ['spec', 'url'], schemes: ['oci'] }]);
  });

  test('all problems are reported together', () => {
    const parsed = parseCustomKinds(`kinds:\n- {${rollout}}\n- {group: x, kind: 1}\n`, 'f');
    expect(parsed.ok ? 0 : parsed.problems.length).toBeGreaterThan(3);
  });

  test('a kind or a resource in two files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'regkeeper-kinds-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const one = join(folder, 'one.yaml');
    const two = join(folder, 'two.yaml');
    await writeFile(one, `kinds: [{${rollout}, template: spec.template}]`);
    await writeFile(two, `kinds: [{${rollout.replace('kind: Rollout', 'kind: Other')}, template: spec.template}]`);
    expect(await loadCustomKinds([one, two])).toEqual({
      ok: false,
      problems: [`${two}:1:9 resource rollouts.argoproj.io is defined twice, first in ${one}:1:9`],
    });
    expect(await loadCustomKinds([one, join(folder, 'none.yaml'), folder])).toEqual({
      ok: false,
      problems: [`${join(folder, 'none.yaml')}: no such file`, `${folder}: is a directory. Pass its files instead.`],
    });
  });
});
