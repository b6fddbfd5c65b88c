/** Builds and image streams, as far as custom resources can simulate OpenShift's API: without its subresources and controllers. */
import { describe, expect, test } from 'vitest';
import { target } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;

const keeper = withRegkeeper(
  cluster,
  `
mode: enforce
unconfigured: deny
internalRegistries: [image-registry.openshift-image-registry.svc:5000]
rules:
- {registry: good.example.com, pullSecret: corp-pull, pushSecret: corp-push}
`,
);

type Row = { readonly kind: string; readonly resource: string; naming(image: string): object };
const from = (name: string) => ({ from: { kind: 'DockerImage', name } });
const naming: readonly Row[] = [
  { kind: 'ImageStream', resource: 'imagestreams', naming: (image) => ({ spec: { tags: [{ name: '1', ...from(image) }] } }) },
  { kind: 'ImageStreamTag', resource: 'imagestreamtags', naming: (image) => ({ tag: { name: '1', ...from(image) } }) },
  { kind: 'ImageTag', resource: 'imagetags', naming: (image) => ({ spec: { name: '1', ...from(image) } }) },
  { kind: 'ImageStreamImport', resource: 'imagestreamimports', naming: (image) => ({ spec: { import: true, repository: from(image) } }) },
  { kind: 'ImageStreamMapping', resource: 'imagestreammappings', naming: (image) => ({ image: { dockerImageReference: image } }) },
];

describe.each(naming)('$kind', ({ kind, resource, naming }) => {
  const named = (name: string, image: string) => ({
    apiVersion: 'image.openshift.io/v1',
    kind,
    metadata: { name },
    ...naming(image),
  });

  test('from a trusted registry is stored as it was sent', async () => {
    await create(named('good', 'good.example.com/app'));
    const stored = await kubectl.json<object>(['get', `${resource}.image.openshift.io`, 'good', '-n', keeper.namespace]);
    expect(stored).toMatchObject(naming('good.example.com/app'));
    expect(JSON.stringify(stored)).not.toContain('regkeeper.io');
  });

  test('from an unknown registry is denied', async () => {
    const { code, stderr } = await tryTo('create', named('bad', 'unknown.example.com/app'));
    expect(code).not.toBe(0);
    expect(stderr).toContain(`${kind} ${keeper.namespace}/bad`);
    expect(stderr).toContain('unknown.example.com/app');
  });
});

test('an ImageStreamImport that only queries an image stores nothing, and is allowed', async () => {
  await create({
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStreamImport',
    metadata: { name: 'looking' },
    spec: { import: false, images: [from('unknown.example.com/app')] },
  });
});

describe('an existing ImageStream', () => {
  const stream = (...images: string[]) => ({
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStream',
    metadata: { name: 'grown' },
    spec: { tags: images.map((image, index) => ({ name: String(index), ...from(image) })) },
  });

  test('is denied a new tag, and keeps the existing one', async () => {
    await create(stream('good.example.com/a'));
    expect((await tryTo('apply', stream('good.example.com/a', 'unknown.example.com/b'))).stderr).toContain('spec.tags[1].from');
    await create({ ...stream('good.example.com/a'), metadata: { name: 'labelled' } });
    await kubectl(['label', 'imagestream.image.openshift.io', 'labelled', 'a=b', '-n', keeper.namespace]);
  });

  test('an image from an unknown registry is denied in the status of a stream too, from which builds would use it', async () => {
    const holding = (...references: string[]) =>
      JSON.stringify({
        status: {
          tags: [{ tag: '0', items: references.map((dockerImageReference) => ({ dockerImageReference, image: 'x', generation: 1 })) }],
        },
      });
    const patch = [
      'patch',
      'imagestream.image.openshift.io',
      'grown',
      '-n',
      keeper.namespace,
      '--subresource=status',
      '--type=merge',
      '-p',
    ];
    await kubectl([...patch, holding('good.example.com/a:1')]);
    const { code, stderr } = await kubectl([...patch, holding('unknown.example.com/a:1', 'good.example.com/a:1')], { allowFailure: true });
    expect(code).not.toBe(0);
    expect(stderr).toContain('status.tags[0].items[0].dockerImageReference: image "unknown.example.com/a:1"');
    await kubectl([...patch, holding()]);
  });
});

describe('a Build', () => {
  const build = (name: string, image: string, more: object = {}) => ({
    apiVersion: 'build.openshift.io/v1',
    kind: 'Build',
    metadata: { name },
    spec: {
      source: { git: { uri: 'https://git.example.com/app.git' } },
      strategy: { sourceStrategy: { ...from(image), ...more } },
      output: { to: from('good.example.com/out').from },
    },
  });
  const specOf = async (name: string) =>
    (await kubectl.json<{ spec: object }>(['get', 'build.build.openshift.io', name, '-n', keeper.namespace])).spec;

  test('a Build that a user creates directly gets its secrets', async () => {
    await create(build('direct', 'good.example.com/builder'));
    expect(await specOf('direct')).toMatchObject({
      strategy: { sourceStrategy: { pullSecret: { name: 'corp-pull' } } },
      output: { pushSecret: { name: 'corp-push' } },
    });
  });

  test('keeps a user-supplied secret', async () => {
    await create(build('filled', 'good.example.com/builder', { pullSecret: { name: 'mine' } }));
    expect(await specOf('filled')).toMatchObject({ strategy: { sourceStrategy: { pullSecret: { name: 'mine' } } } });
  });

  test('from an unknown registry is denied, although no BuildConfig was', async () => {
    const { stderr } = await tryTo('create', build('bad', 'unknown.example.com/builder'));
    expect(stderr).toContain('spec.strategy.sourceStrategy.from');
  });

  test('an existing Build keeps secrets that its own file lacks', async () => {
    const file = build('again', 'good.example.com/builder');
    await create(file);
    const before = await specOf('again');
    const stored = await kubectl.json<{ metadata: { resourceVersion: string } }>([
      'get',
      'build.build.openshift.io',
      'again',
      '-n',
      keeper.namespace,
    ]);
    const { code, stderr } = await tryTo('replace', {
      ...file,
      metadata: { name: 'again', resourceVersion: stored.metadata.resourceVersion },
    });
    expect([code, stderr]).toEqual([0, '']);
    expect(await specOf('again')).toEqual(before);
  });

  test('an existing Build is not changed', async () => {
    const before = await specOf('filled');
    const patch = JSON.stringify({ spec: { output: { pushSecret: { name: 'set-by-controller' } } } });
    await kubectl(['patch', 'build.build.openshift.io', 'filled', '-n', keeper.namespace, '--type=merge', '-p', patch]);
    expect(await specOf('filled')).toEqual({
      ...before,
      output: { to: from('good.example.com/out').from, pushSecret: { name: 'set-by-controller' } },
    });
  });
});

async function create(object: object): Promise<void> {
  await kubectl(['create', '-f', '-', '-n', keeper.namespace], { stdin: JSON.stringify(object) });
}

function tryTo(verb: 'create' | 'apply' | 'replace', object: object) {
  return kubectl([verb, '-f', '-', '-n', keeper.namespace], { stdin: JSON.stringify(object), allowFailure: true });
}
