/** First rules for objects: their registries, what has no rule, and what the comments say. */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readManifests } from '../../../src/evaluate/read-manifests.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';
import { cases } from '../../cases/cases.ts';
import { propertyTimeout, runs } from '../../property.ts';
import { anyObjectOf } from '../decision/any-object.ts';
import { type Tried, tryDraft, tryText } from './draft.ts';

const root = resolve(import.meta.dirname, '../../..');

const pod = (images: readonly string[], namespace = 'shop', name = 'web') =>
  `---\n${JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: { containers: images.map((image, index) => ({ name: `c${index}`, image })) },
  })}\n`;

function registriesOf({ text }: Tried): readonly string[] {
  return parse(text).rules.map(({ registry }: { registry: string }) => registry);
}

describe('a rule for each registry', () => {
  test.each([
    [
      'Docker Hub in all spellings',
      ['nginx', 'bitnami/redis:8', 'index.docker.io/a/b', 'docker.io/library/nginx'],
      ['docker.io'],
      ['docker.io/a', 'docker.io/bitnami', 'docker.io/library'],
    ],
    ['ports', ['a.io/x', 'a.io:443/x', 'a.io:5000/x'], ['a.io', 'a.io:5000'], ['a.io/x', 'a.io:5000/x']],
    [
      'a host without a dot',
      ['registry:5000/x', 'registry:443/x'],
      ['registry:443', 'registry:5000'],
      ['registry:443/x', 'registry:5000/x'],
    ],
    ['IPv6', ['[2001:db8:0::1]:5000/x'], ['[2001:db8::1]:5000'], ['[2001:db8::1]:5000/x']],
    ['upper case', ['REG.io/x'], ['reg.io'], ['reg.io/x']],
    ['sorted as strings', ['b.io/x', 'a.io/y', 'b.io/w'], ['a.io', 'b.io'], ['a.io/y', 'b.io/w', 'b.io/x']],
    ['a path that looks like that of the registry API', ['a.io/v2/x', 'a.io/team/x', 'b.io/v1'], ['a.io', 'b.io'], ['a.io', 'b.io']],
    ['a path that looks like a range of addresses', ['10.0.0.5/24', '10.0.0.5/x/y'], ['10.0.0.5'], ['10.0.0.5']],
    ['a path that looks like a web page', ['quay.io/repository/x', 'quay.io/team/x'], ['quay.io'], ['quay.io']],
    ['nothing', [], [], []],
  ])('%s', (_title, images, registries, paths) => {
    const objects = pod(images.length > 0 ? images : [' ']);
    expect(registriesOf(tryText(objects))).toEqual(registries);
    expect(registriesOf(tryText(objects, { perPath: true }))).toEqual(paths);
  });

  test('the document does not depend on the order of objects', () => {
    const objects = [pod(['a.io/x:2', 'nginx'], 'b'), pod(['c.io/y', 'a.io/x:1'], 'a'), pod(['a.io/z'], 'c')];
    const { text } = tryText(objects.join(''));
    expect(tryText(objects.toReversed().join('')).text).toBe(text);
  });
});

describe('comments', () => {
  test('show the number of images, objects and namespaces, and some examples', () => {
    const { text } = tryText(['a', 'b', 'c', 'd', 'e', 'f'].map((place) => pod([`a.io/${place}`, 'a.io/shared:1'], place)).join(''));
    expect(text).toContain(
      '# 7 images in 6 objects of 6 namespaces (a, b, c, d, e and 1 more): a.io/a, a.io/b, a.io/c and 4 more\n- registry: a.io\n',
    );
    expect(text).toMatch(/^# Starter rules from regkeeper init: 1 rule for 7 images of 6 objects\.$/m);
  });

  test('names without a registry are parsed as Docker Hub images, even if nodes search registries', () => {
    const tried = tryText(pod(['nginx', 'a/b']));
    expect(tried.text).toContain('# Image names without a registry are treated as Docker Hub images: 2 names, such as a/b, nginx.');
    expect(parse(tried.text).shortNames).toBe('docker.io');
    expect(tried.enforced.summary.denied).toBe(0);
    expect(parse(tryText(pod(['docker.io/library/nginx'])).text)).not.toHaveProperty('shortNames');
  });

  const stream = (spec: object, name = 'ruby', kind = 'ImageStream') =>
    `---\n${JSON.stringify({ apiVersion: 'image.openshift.io/v1', kind, metadata: { name, namespace: 'shop' }, ...spec })}\n`;
  const build = (spec: object, kind = 'BuildConfig') =>
    `---\n${JSON.stringify({
      apiVersion: 'build.openshift.io/v1',
      kind,
      metadata: { name: 'app', namespace: 'shop' },
      spec: { source: { git: { uri: 'https://git.example.com/a' } }, strategy: { dockerStrategy: {} }, ...spec },
    })}\n`;
  const imported = { kind: 'DockerImage', name: 'centos/ruby-27-centos7:latest' };

  test.each([
    ['an ImageStream', stream({ spec: { tags: [{ name: '2.7', from: imported }] } })],
    ['an ImageStream for a whole repository', stream({ spec: { dockerImageRepository: 'centos/ruby-27-centos7' } })],
    ['an ImageStreamTag', stream({ tag: { from: imported } }, 'ruby:2.7', 'ImageStreamTag')],
    [
      'an ImageStreamImport',
      stream({ spec: { import: true, images: [{ from: imported, to: { name: '2.7' } }] } }, 'r', 'ImageStreamImport'),
    ],
    ['a BuildConfig that only pushes', build({ output: { to: { kind: 'DockerImage', name: 'team/app:1' } } })],
    ['a Build that only pushes', build({ output: { to: { kind: 'DockerImage', name: 'team/app:1' } } }, 'Build')],
  ])('%s uses Docker Hub for names without a registry whatever shortNames is, so it is not set', (_title, objects) => {
    const tried = tryText(objects);
    expect(registriesOf(tried)).toEqual(['docker.io']);
    expect(tried.text).not.toContain('shortNames');
    expect(tried.enforced.summary.denied).toBe(0);
  });

  test('the comment about names without a registry lists those that nodes and builds pull', () => {
    const strategy = { dockerStrategy: { from: { kind: 'DockerImage', name: 'base/c' } } };
    const { text } = tryText(
      stream({ spec: { tags: [{ name: '2.7', from: imported }] } }) +
        pod(['a/b']) +
        build({ strategy, output: { to: { kind: 'DockerImage', name: 'team/app:1' } } }),
    );
    expect(text).toContain('# Image names without a registry are treated as Docker Hub images: 2 names, such as a/b, base/c.\n');
  });

  test('the internal registry of OpenShift is left to the platform', () => {
    const tried = tryText(
      pod([
        'image-registry.openshift-image-registry.svc:5000/shop/web',
        'image-registry.openshift-image-registry.svc.cluster.local:5000/a/b',
      ]),
    );
    expect(registriesOf(tried)).toEqual([]);
    expect(tried.text).toContain(
      '# internalRegistries: ["image-registry.openshift-image-registry.svc.cluster.local:5000", "image-registry.openshift-image-registry.svc:5000"]\n',
    );
    expect(tried.enforced.summary.denied).toBe(0);
  });

  test.each([
    'image-registry.openshift-image-registry.svc/x',
    'image-registry.openshift-image-registry.svc:5001/x',
    'image-registry.openshift-image-registry.svc.evil.io:5000/x',
  ])('%s is not the internal registry', (image) => expect(tryText(pod([image])).draft.rules).toHaveLength(1));

  test('a web site gets no rule, and the comment contains the reason', () => {
    const tried = tryText(pod(['github.com/acme/web', 'a.io/x']));
    expect(registriesOf(tried)).toEqual(['a.io']);
    expect(tried.text).toContain(
      '# - github.com is a web site, and no image name starts with it. The registry is ghcr.io. 1 image in 1 object',
    );
  });

  test('images that no rule can allow are listed with the reason', () => {
    const { text, denied } = tryText(pod(['<IMAGE>', 'a.io/x'], 'shop', 'web') + pod([' '], 'shop', 'blank'));
    expect(denied).toHaveLength(2);
    expect(text).toContain(
      '# No rule can allow these images. Fix them before you set mode: enforce:\n# - Pod shop/web: container "c0": image "<IMAGE>" looks like a placeholder',
    );
    expect(text).toContain('# - Pod shop/blank: container "c0" has no image: the image field is blank. Specify the image name.\n');
    expect(text).not.toContain('Contact');
  });

  test('images that are not known yet are listed', () => {
    const build = {
      apiVersion: 'build.openshift.io/v1',
      kind: 'BuildConfig',
      metadata: { name: 'app' },
      spec: { strategy: { sourceStrategy: { from: { kind: 'ImageStreamTag', name: 'base:1' } } } },
    };
    const { text } = tryText(JSON.stringify(build));
    expect(text).toContain('# - BuildConfig default/app, spec.strategy.sourceStrategy.from.name: default/base:1: the image stream is not ');
  });

  const streamOf = (tags: readonly object[], more: object = {}, name = 'app', kind = 'ImageStream') =>
    `---\n${JSON.stringify({ apiVersion: 'image.openshift.io/v1', kind, metadata: { name }, spec: { tags }, ...more })}\n`;
  const latest = { name: 'latest', from: { kind: 'DockerImage', name: 'a.io/x:1' }, referencePolicy: { type: 'Local' } };
  const following = (name: string, more: object = {}) => ({ name: '1.0', from: { kind: 'ImageStreamTag', name, ...more } });
  const digest = `sha256:${'1'.repeat(64)}`;
  const history = (tag: string, registry: string) => ({
    status: { tags: [{ tag, items: [{ image: digest, dockerImageReference: `${registry}/x@${digest}` }] }] },
  });

  test.each([
    ['of the same stream', streamOf([latest, following('latest')]), ['a.io']],
    ['of the same stream with its name', streamOf([latest, following('app:latest')]), ['a.io']],
    ['that follows another one', streamOf([{ ...following('1.0'), name: '1' }, latest, following('latest')]), ['a.io']],
    ['of another stream of the input', streamOf([following('base:latest')]) + streamOf([latest], {}, 'base'), ['a.io']],
    ['that was imported', streamOf([following('old')], history('old', 'b.io')), ['b.io']],
    [
      'by the digest of its image',
      streamOf([{ name: '1.0', from: { kind: 'ImageStreamImage', name: `app@${digest}` } }], history('old', 'b.io')),
      ['b.io'],
    ],
    ['as an ImageStreamTag', streamOf([latest]) + streamOf([], { tag: following('latest') }, 'app:1.0', 'ImageStreamTag'), ['a.io']],
  ])('a tag that follows a tag %s is known', (_title, objects, registries) => {
    const tried = tryText(objects);
    expect(registriesOf(tried)).toEqual(registries);
    expect(tried.text).not.toMatch(/not known yet|internalRegistries/);
  });

  test.each([
    ['the stream does not contain', streamOf([latest, following('none')]), '"none"'],
    ['has no image', streamOf([{ name: 'latest' }, following('latest')]), '"latest"'],
    ['refers to itself', streamOf([following('1.0')]), '"1.0"'],
    ['is in another namespace', streamOf([latest, following('app:latest', { namespace: 'other' })]), '"app:latest"'],
    ['of an unknown stream', streamOf([latest, following('base:latest')]), '"base:latest"'],
  ])('a tag that follows a tag that %s is not known yet', (_title, objects, name) => {
    expect(tryText(objects).notes.unknown).toEqual([
      expect.stringMatching(
        `^ImageStream default/app, spec\\.tags\\[\\d\\]\\.from\\.name: ImageStreamTag ${name} is resolved only when it is used$`,
      ),
    ]);
  });

  test('long lists are cut', () => {
    const { text } = tryText(Array.from({ length: 30 }, (_, index) => pod(['://'], 'shop', `p${index}`)).join(''));
    expect(text.match(/^# - Pod/gm)).toHaveLength(10);
    expect(text).toContain('# - and 20 more\n');
  });

  test('what was not evaluated is listed', () => {
    const { text, evaluation } = tryText('apiVersion: example.com/v1\nkind: App\nmetadata: {name: a}\nspec: {image: a.io/x}\n');
    expect(evaluation.notEvaluated).toHaveLength(1);
    expect(text).toContain('# Not evaluated, so their registries may need a rule:\n# - objects.yaml:1: App default/a ');
  });
});

describe('with these rules enforced, nothing is denied that a rule can allow', () => {
  function expectNothingDenied({ denied, enforced, lint, draft }: Tried): void {
    const withoutRule = new Set(draft.unlikely.flatMap(({ images }) => images));
    const place = ({ object }: (typeof denied)[number]) => `${object.file}:${object.line}`;
    const expected = new Set(denied.map(place));
    const newlyDenied = enforced.results.filter(
      (result) =>
        result.outcome === 'denied' && !expected.has(place(result)) && !result.images.some(({ image = '' }) => withoutRule.has(image)),
    );
    expect({ newlyDenied, lint }).toEqual({ newlyDenied: [], lint: [] });
  }

  test.each(cases)('in the case $name', ({ manifests, namespace }) => {
    for (const perPath of [false, true]) expectNothingDenied(tryDraft({ manifests, problems: [] }, { namespace, perPath }));
  });

  const folders = readdirSync(join(root, 'deploy'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(root, 'deploy', path)).isDirectory(),
  );
  test.each(['.', ...folders])('in deploy/%s', async (folder) => {
    const input = await readManifests([join(root, 'deploy', folder)], async () => '');
    for (const perPath of [false, true]) expectNothingDenied(tryDraft(input, { perPath }));
  });

  const image = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        'nginx',
        'a/b:1',
        'docker.io/x',
        'registry-1.docker.io/a/b',
        'quay.io/a/b',
        'reg:443/x',
        'REG/x',
        'github.com/a/b',
        '10.0.0.5/24',
        'a.io/v2/x',
        'a.io/v1',
        'a.io/x',
        'registry.hub.docker.com/a/b',
        'image-registry.openshift-image-registry.svc:5000/a/b',
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.domain(), fc.constantFrom('', ':443', ':5000'), fc.constantFrom('x', 'a/b', `a/b/c@sha256:${'1'.repeat(64)}`))
        .map(([host, port, path]) => `${host}${port}/${path}`),
    },
    { weight: 1, arbitrary: fc.string() },
  );
  const listOfSecrets = fc.array(fc.constantFrom('a', 'b', 'default-dockercfg-x7k2p', 'A b', ''), { maxLength: 3 });
  const anyPod = fc
    .record({
      images: fc.array(image, { minLength: 1, maxLength: 4 }),
      secrets: listOfSecrets,
      namespace: fc.oneof(fc.constantFrom('a', 'b'), fc.string({ minLength: 1 })),
      name: fc.string(),
    })
    .map(({ images, secrets, namespace, name }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace },
        spec: {
          imagePullSecrets: secrets.map((each) => ({ name: each })),
          containers: images.map((each, index) => ({ name: `c${index}`, image: each })),
        },
      },
    }));
  const anyOther = fc.oneof(
    ...kindsWithImages.map(({ group, version, kind }) => {
      const apiVersion = group === '' ? version : `${group}/${version}`;
      return (anyObjectOf[`${kind}.${group}`] ?? fc.constant({})).map((object) => ({
        apiVersion,
        kind,
        object: { ...object, apiVersion, kind },
      }));
    }),
  );

  test(
    'for random objects of every kind',
    () => {
      fc.assert(
        fc.property(fc.array(fc.oneof(anyPod, anyOther), { maxLength: 8 }), fc.boolean(), (objects, perPath) => {
          const manifests = objects.map((each, index) => ({ ...each, file: 'objects.yaml', line: index + 1 }));
          const tried = tryDraft({ manifests, problems: [] }, { perPath });
          const isLintedHub = registriesOf(tried).some((registry) => registry.startsWith('registry.hub.docker.com'));
          expectNothingDenied(isLintedHub ? { ...tried, lint: [] } : tried);
        }),
        runs(500),
      );
    },
    propertyTimeout,
  );
});

test('a different name of Docker Hub keeps its rule, because its images run, and lint warns about it', () => {
  const tried = tryText(pod(['nginx', 'registry.hub.docker.com/library/nginx']));
  expect(registriesOf(tried)).toEqual(['docker.io', 'registry.hub.docker.com']);
  expect(tried.lint).toEqual(['unlikely-pattern']);
});
