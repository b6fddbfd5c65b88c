/** Secrets of BuildConfigs and Builds. */
import { describe, expect, test } from 'vitest';
import { ruleSetOf } from '../../rules/documents.ts';
import { change, decided, inject } from '../changes.ts';

const rules = ruleSetOf(`
internalRegistries: [internal.svc:5000]
rules:
- {registry: "external-registry.example.com:5000", pullSecret: external-registry, pushSecret: external-registry}
- {registry: a.io, pullSecret: [a-pull, shared], pushSecret: a-push}
- {registry: b.io, pullSecret: [b-pull, shared]}
- {registry: c.io, pullSecret: c-pull}
- {registry: public.io}
`);

type Build = { metadata?: object; spec: { strategy: Record<string, unknown>; source?: unknown; output?: unknown } };
const image = (name: string) => ({ kind: 'DockerImage', name });
const stream = (name: string) => ({ kind: 'ImageStreamTag', name });
const s2i = (from: unknown, more: object = {}, rest: object = {}): Build => ({
  spec: { strategy: { sourceStrategy: { from, ...more } }, ...rest },
});
const docker = (from: unknown, dockerfile?: string, images: readonly object[] = []): Build => ({
  spec: {
    strategy: { dockerStrategy: from === undefined ? {} : { from } },
    source: { ...(dockerfile !== undefined && { dockerfile }), images },
  },
});
const marked = (build: Build, mark: object): Build => ({
  ...build,
  metadata: { annotations: { 'regkeeper.io/injected': JSON.stringify(mark) } },
});

test('a build from and to an external registry gets a pull secret and a push secret', () => {
  const registry = 'external-registry.example.com:5000';
  const before = s2i(image(`${registry}/s2i/nodejs:20`), {}, { output: { to: image(`${registry}/shop/web:latest`) } });
  expect(inject(change('BuildConfig', before), rules)).toEqual({
    metadata: {
      annotations: {
        'regkeeper.io/injected':
          '{"spec.strategy.sourceStrategy.pullSecret":"external-registry","spec.output.pushSecret":"external-registry"}',
      },
    },
    spec: {
      strategy: { sourceStrategy: { from: image(`${registry}/s2i/nodejs:20`), pullSecret: { name: 'external-registry' } } },
      output: { to: image(`${registry}/shop/web:latest`), pushSecret: { name: 'external-registry' } },
    },
  });
});

describe('the secrets of a build', () => {
  const push = { output: { to: image('a.io/out') } };
  const extract = (name: string, more: object = {}) => ({ from: image(name), paths: [{ sourcePath: '/x', destinationDir: 'x' }], ...more });
  const share = (name: string) => ({ from: image(name), as: [] });

  test.each<{ name: string; before: Build; found: Record<string, string>; notices?: readonly string[] }>([
    { name: 'are none if no rule has one', before: s2i(image('public.io/x')), found: {} },
    {
      name: 'are none if all images come from image streams',
      before: s2i(stream('x:1'), {}, { output: { to: stream('y:1') } }),
      found: {},
    },
    { name: 'are none for an internal image', before: s2i(image('internal.svc:5000/p/x')), found: {} },
    { name: 'are none for an untrusted image', before: s2i(image('unknown.io/x')), found: {} },
    {
      name: 'are none without a strategy that has a base image',
      before: { spec: { strategy: { jenkinsPipelineStrategy: {} } } },
      found: {},
    },
    {
      name: "keep the author's choice",
      before: s2i(image('a.io/x'), { pullSecret: { name: 'mine' } }),
      found: { sourceStrategy: 'mine' },
    },
    {
      name: "keep the author's choice for pushing",
      before: s2i(stream('x:1'), {}, { output: { to: image('a.io/o'), pushSecret: { name: 'mine' } } }),
      found: { push: 'mine' },
    },
    { name: 'are for pushing to a registry', before: s2i(stream('x:1'), {}, push), found: { push: 'a-push' } },
    {
      name: 'are for pushing to a registry whose rule has no push secret',
      before: s2i(stream('x:1'), {}, { output: { to: image('b.io/o') } }),
      found: {},
    },
    { name: 'fill an empty reference', before: s2i(image('a.io/x'), { pullSecret: {} }), found: { sourceStrategy: 'a-pull' } },
    {
      name: 'are for a custom strategy',
      before: { spec: { strategy: { customStrategy: { from: image('a.io/x') } } } },
      found: { customStrategy: 'a-pull' },
    },
    { name: 'are for the base of an unseen Dockerfile', before: docker(image('a.io/x')), found: { dockerStrategy: 'a-pull' } },
    {
      name: 'are for the last FROM of an inline Dockerfile',
      before: docker(undefined, 'FROM a.io/x'),
      found: { dockerStrategy: 'a-pull' },
    },
    {
      name: 'are for an image that is extracted beforehand, with its own field',
      before: { spec: { ...s2i(image('a.io/x')).spec, source: { images: [extract('b.io/y')] } } },
      found: { sourceStrategy: 'a-pull', 'images[0]': 'b-pull' },
    },
    {
      name: "keep the author's choice for an extracted image",
      before: { spec: { ...s2i(stream('x:1')).spec, source: { images: [extract('b.io/y', { pullSecret: { name: 'mine' } })] } } },
      found: { 'images[0]': 'mine' },
    },
    {
      name: 'are the one that covers every image, if a rule has it',
      before: docker(undefined, 'FROM a.io/x\nCOPY --from=b.io/y p q'),
      found: { dockerStrategy: 'shared' },
    },
    {
      name: 'are the one that covers every image, base or not',
      before: docker(image('b.io/x'), 'FROM a.io/x AS s\nFROM replaced'),
      found: { dockerStrategy: 'shared' },
    },
    {
      name: 'are those of the last FROM if none covers all',
      before: docker(undefined, 'FROM c.io/y AS s\nFROM a.io/x'),
      found: { dockerStrategy: 'a-pull' },
      notices: [
        'build-other-images: spec.strategy.dockerStrategy.pullSecret can reference only one secret, so "a-pull" was chosen. Ask the owners of the rules to use one secret for all registries of this build. Images without a secret: "c.io/y".',
      ],
    },
    {
      name: 'ignore an image that the build replaces',
      before: docker(undefined, 'FROM c.io/y AS s\nFROM a.io/x', [{ from: image('a.io/z'), as: ['c.io/y'] }]),
      found: { dockerStrategy: 'a-pull' },
    },
    {
      name: 'ignore a FROM that the base replaces',
      before: docker(image('a.io/x'), 'FROM c.io/y'),
      found: { dockerStrategy: 'a-pull' },
    },
    {
      name: 'stay empty if another image comes from a stream and the base needs none',
      before: docker(stream('x:1'), 'FROM c.io/y AS s\nFROM replaced'),
      found: {},
      notices: [
        `build-internal-images: spec.strategy.dockerStrategy.pullSecret was left empty, because other images of this build may come from the internal registry and need the secrets of the builder service account. Images without a secret: "c.io/y".`,
      ],
    },
    {
      name: 'cover only the base if another image may be internal',
      before: { spec: { ...s2i(image('a.io/x')).spec, source: { images: [share('internal.svc:5000/p/x')] } } },
      found: { sourceStrategy: 'a-pull' },
      notices: [
        `build-internal-images: spec.strategy.sourceStrategy.pullSecret is "a-pull", so images of this build from the internal registry are pulled without the secrets of the builder service account.`,
      ],
    },
    {
      name: 'cover the base and as many as possible if another image may be internal',
      before: docker(image('a.io/x'), undefined, [share('b.io/y')]),
      found: { dockerStrategy: 'shared' },
      notices: [
        `build-internal-images: spec.strategy.dockerStrategy.pullSecret is "shared", so images of this build from the internal registry are pulled without the secrets of the builder service account.`,
      ],
    },
    {
      name: 'stay empty if an argument hides an image and the base is only in the Dockerfile',
      before: docker(undefined, 'ARG X\nFROM $X AS s\nFROM a.io/x'),
      found: {},
      notices: [
        `build-internal-images: spec.strategy.dockerStrategy.pullSecret was left empty, because other images of this build may come from the internal registry and need the secrets of the builder service account. Images without a secret: "a.io/x".`,
      ],
    },
    {
      name: 'are not explained if the author chose',
      before: {
        spec: { strategy: { dockerStrategy: { pullSecret: { name: 'mine' } } }, source: { dockerfile: 'FROM c.io/y AS s\nFROM a.io/x' } },
      },
      found: { dockerStrategy: 'mine' },
    },
  ])('$name', ({ before, found, notices = [] }) => {
    const request = change('BuildConfig', before);
    expect(secretsOf(inject(request, rules))).toEqual(found);
    expect(decided(request, rules).notices.map(({ reason, message }) => `${reason}: ${message}`)).toEqual(notices);
  });
});

describe('an update of a build', () => {
  const at = 'spec.strategy.sourceStrategy.pullSecret';
  const ours = { pullSecret: { name: 'a-pull' } };
  const pushed = { output: { pushSecret: { name: 'a-push' } } };

  test.each<{ name: string; now: Build; found: Record<string, string>; mark?: object }>([
    {
      name: 'keeps our secret',
      now: marked(s2i(image('a.io/y'), ours), { [at]: 'a-pull' }),
      found: { sourceStrategy: 'a-pull' },
      mark: { [at]: 'a-pull' },
    },
    {
      name: 'replaces our secret',
      now: marked(s2i(image('c.io/y'), ours), { [at]: 'a-pull' }),
      found: { sourceStrategy: 'c-pull' },
      mark: { [at]: 'c-pull' },
    },
    { name: 'removes our secret after a switch to an image stream', now: marked(s2i(stream('x:1'), ours), { [at]: 'a-pull' }), found: {} },
    {
      name: 'removes our secret after a switch to an open registry',
      now: marked(s2i(image('public.io/x'), ours), { [at]: 'a-pull' }),
      found: {},
    },
    {
      name: 'removes our push secret after a switch to an image stream',
      now: marked(s2i(stream('x:1'), {}, { output: { to: stream('y:1'), ...pushed.output } }), { 'spec.output.pushSecret': 'a-push' }),
      found: {},
    },
    {
      name: 'removes our push secret when the output is gone',
      now: marked(s2i(stream('x:1'), {}, pushed), { 'spec.output.pushSecret': 'a-push' }),
      found: {},
    },
    { name: "keeps the author's push secret when the output is gone", now: s2i(stream('x:1'), {}, pushed), found: { push: 'a-push' } },
    {
      name: "keeps the author's change of ours",
      now: marked(s2i(image('a.io/x'), { pullSecret: { name: 'mine' } }), { [at]: 'a-pull' }),
      found: { sourceStrategy: 'mine' },
    },
    {
      name: 'recognizes our secret under another strategy',
      now: marked(s2i(stream('x:1'), ours), { 'spec.strategy.dockerStrategy.pullSecret': 'a-pull' }),
      found: {},
    },
    {
      name: 'recognizes our secret after an image before it was removed',
      now: marked(
        { spec: { ...s2i(stream('x:1')).spec, source: { images: [{ from: stream('z:1'), paths: [{}], ...ours }] } } },
        { 'spec.source.images[0].pullSecret': 'c-pull', 'spec.source.images[1].pullSecret': 'a-pull' },
      ),
      found: {},
    },
    {
      name: "keeps an author's secret in another place with the same name as ours",
      now: marked(
        {
          spec: {
            ...s2i(stream('x:1')).spec,
            source: {
              images: [
                { from: image('a.io/x'), paths: [{}], ...ours },
                { from: stream('z:1'), paths: [{}], ...ours },
              ],
            },
          },
        },
        { 'spec.source.images[0].pullSecret': 'a-pull' },
      ),
      found: { 'images[0]': 'a-pull', 'images[1]': 'a-pull' },
      mark: { 'spec.source.images[0].pullSecret': 'a-pull' },
    },
    { name: 'keeps the same name if our mark is gone', now: s2i(stream('x:1'), ours), found: { sourceStrategy: 'a-pull' } },
    {
      name: 'removes ours from an extracted image that is no longer extracted',
      now: marked(
        { spec: { ...s2i(stream('x:1')).spec, source: { images: [{ from: image('a.io/x'), ...ours }] } } },
        { 'spec.source.images[0].pullSecret': 'a-pull' },
      ),
      found: {},
    },
  ])('$name', ({ now, found, mark }) => {
    const after = inject(change('BuildConfig', now, s2i(image('a.io/old'))), rules);
    expect(secretsOf(after)).toEqual(found);
    const text = (after.metadata as { annotations?: Record<string, string> } | undefined)?.annotations?.['regkeeper.io/injected'];
    expect(text === undefined ? undefined : JSON.parse(text)).toEqual(mark);
  });
});

describe('keeps a secret that now belongs to the author, although it was ours', () => {
  const at = 'spec.strategy.sourceStrategy.pullSecret';
  const build = s2i(stream('x:1'), { pullSecret: { name: 'a-pull' } });
  const mark = { 'regkeeper.io/injected': JSON.stringify({ [at]: 'a-pull' }) };
  const applied = (file: object) => ({
    annotations: { ...mark, 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(file) },
  });
  const managed = (operation: string, pullSecret: object) => ({
    annotations: mark,
    managedFields: [{ operation, fieldsV1: { 'f:spec': { 'f:strategy': { 'f:sourceStrategy': pullSecret } } } }],
  });

  test.each<{ name: string; metadata: object; kept: boolean }>([
    { name: 'in the file of kubectl apply', metadata: applied(build), kept: true },
    { name: 'in the fields of server-side apply', metadata: managed('Apply', { 'f:pullSecret': { 'f:name': {} } }), kept: true },
    { name: 'not if the file does not contain it', metadata: applied(s2i(stream('x:1'))), kept: false },
    {
      name: 'not if the file is a copy of a live object, with its mark',
      metadata: applied(marked(build, { [at]: 'a-pull' })),
      kept: false,
    },
    { name: 'not in the fields of an update', metadata: managed('Update', { 'f:pullSecret': {} }), kept: false },
  ])('$name', ({ metadata, kept }) => {
    const after = inject(change('BuildConfig', { ...build, metadata }, s2i(image('a.io/old'))), rules);
    expect(secretsOf(after)).toEqual(kept ? { sourceStrategy: 'a-pull' } : {});
  });
});

test('build arguments have the values of the build', () => {
  const build = (buildArgs: readonly object[]): Build => ({
    spec: { strategy: { dockerStrategy: { buildArgs } }, source: { dockerfile: 'ARG R=a.io\nFROM $R/x' } },
  });
  const imagesOf = (buildArgs: readonly object[]) =>
    decided(change('BuildConfig', build(buildArgs)), rules).images.map(({ verdict, reference }) => reference?.host ?? verdict);
  expect(imagesOf([])).toEqual(['a.io']);
  expect(imagesOf([{ name: 'R', value: 'unknown.io' }])).toEqual(['unknown.io']);
  expect(imagesOf([{ name: 'R', valueFrom: { secretKeyRef: {} } }])).toEqual(['unresolved']);
});

function secretsOf({ spec }: Build): Record<string, string> {
  const found: Record<string, string> = {};
  const note = (place: string, holder: unknown, field: string) => {
    const name = (holder as Record<string, { name?: string }> | undefined)?.[field]?.name;
    if (name !== undefined) found[place] = name;
  };
  for (const [name, strategy] of Object.entries(spec.strategy)) note(name, strategy, 'pullSecret');
  for (const [index, entry] of ((spec.source as { images?: unknown[] })?.images ?? []).entries())
    note(`images[${index}]`, entry, 'pullSecret');
  note('push', spec.output, 'pushSecret');
  return found;
}

describe('a Build', () => {
  const before = s2i(image('a.io/x'), {}, { output: { to: image('a.io/out') } });

  test('is filled when it is created, in its empty fields', () => {
    const { spec } = inject(change('Build', before), rules);
    expect(spec).toMatchObject({
      strategy: { sourceStrategy: { pullSecret: { name: 'a-pull' } } },
      output: { pushSecret: { name: 'a-push' } },
    });
  });

  test('keeps what its BuildConfig got, whose mark it has not inherited, because it counts as user-supplied', () => {
    const config = inject(change('BuildConfig', before), rules);
    const build: Build = {
      metadata: {},
      spec: { ...config.spec, strategy: s2i(image('c.io/y'), { pullSecret: { name: 'a-pull' } }).spec.strategy },
    };
    expect(decided(change('Build', build, undefined, 'system:apiserver'), rules).patch).toEqual([]);
  });

  test('gets nothing once it exists, since its spec cannot change, and is evaluated for what it introduces', () => {
    const changed = s2i(image('unknown.io/x'), {}, { output: { to: image('a.io/out') } });
    const decision = decided(change('Build', changed, before), rules);
    expect(decision.patch).toEqual([]);
    expect(decision.notices).toEqual([]);
    expect(decision.images.map(({ outcomeBeforeMode, reason }) => `${outcomeBeforeMode} ${reason}`)).toEqual([
      'denied unconfigured',
      'allowed trusted',
    ]);
  });

  describe("gets back what its author's own file lacks, because the API server would reject the change", () => {
    const withImages = { ...before, spec: { ...before.spec, source: { images: [{ from: image('c.io/y'), paths: [{}] }] } } };
    const stored = inject(change('Build', withImages), rules);

    test('if the file has none of it', () => {
      expect(secretsOf(stored)).toEqual({ sourceStrategy: 'a-pull', 'images[0]': 'c-pull', push: 'a-push' });
      expect(inject(change('Build', withImages, stored), rules)).toEqual(stored);
      expect(decided(change('Build', withImages, stored), rules).injected.map(({ secret }) => secret)).toEqual([
        'a-pull',
        'c-pull',
        'a-push',
      ]);
    });

    test('if the file has the field without a name', () => {
      const emptied = s2i(image('a.io/x'), { pullSecret: {} }, { output: { to: image('a.io/out'), pushSecret: null } });
      expect(secretsOf(inject(change('Build', emptied, inject(change('Build', before), rules)), rules))).toEqual({
        sourceStrategy: 'a-pull',
        push: 'a-push',
      });
    });

    test('even if the rules now have another secret, since the Build cannot change', () => {
      const now = ruleSetOf('rules: [{registry: a.io, pullSecret: new}, {registry: c.io}]');
      expect(inject(change('Build', withImages, stored), now)).toEqual(stored);
    });

    test.each([
      [
        'contains a different secret',
        s2i(image('a.io/x'), { pullSecret: { name: 'mine' } }),
        marked(s2i(image('a.io/x'), { pullSecret: { name: 'a-pull' } }), { 'spec.strategy.sourceStrategy.pullSecret': 'a-pull' }),
      ],
      ['removes a user-supplied secret', s2i(image('a.io/x')), s2i(image('a.io/x'), { pullSecret: { name: 'a-pull' } })],
      [
        'removes a secret that was replaced since',
        s2i(image('a.io/x')),
        marked(s2i(image('a.io/x'), { pullSecret: { name: 'mine' } }), { 'spec.strategy.sourceStrategy.pullSecret': 'a-pull' }),
      ],
    ])('but gets no secret back if it %s', (_what, now, old) => {
      expect(secretsOf(inject(change('Build', now, old), rules))).toEqual(secretsOf(now));
    });
  });

  test('with a custom strategy gets the secret in its field, and the build Pod gets it like any Pod', () => {
    const custom: Build = { spec: { strategy: { customStrategy: { from: image('a.io/x') } } } };
    expect(inject(change('Build', custom), rules).spec.strategy).toMatchObject({ customStrategy: { pullSecret: { name: 'a-pull' } } });
    const pod = { metadata: {}, spec: { containers: [{ name: 'custom-build', image: 'a.io/x' }] } };
    expect(inject(change('Pod', pod), rules).spec).toMatchObject({ imagePullSecrets: [{ name: 'a-pull' }, { name: 'shared' }] });
  });
});

describe('an unusual spelling of a registry in a build is reported, since the builder compares strings', () => {
  const spelled = ruleSetOf('rules: [{registry: [reg.io, docker.io], pullSecret: pull, pushSecret: push}]');
  const other = image('reg.io/s2i');
  test.each<{ name: string; build: Build; warns: boolean }>([
    { name: 'a pull in upper case', build: s2i(image('Reg.Io/s2i')), warns: true },
    { name: 'a pull with the default port', build: docker(undefined, 'FROM reg.io:443/base'), warns: true },
    { name: 'a push with the default port', build: s2i(other, {}, { output: { to: image('reg.io:443/web') } }), warns: true },
    {
      name: 'a push to the Docker Hub server',
      build: s2i(other, {}, { output: { to: image('registry-1.docker.io/a/b') } }),
      warns: true,
    },
    {
      name: 'but no pull from the Docker Hub server, which the builder knows',
      build: s2i(image('registry-1.docker.io/a/b')),
      warns: false,
    },
    { name: 'but no usual spelling', build: s2i(other, {}, { output: { to: image('reg.io/web') } }), warns: false },
  ])('$name', ({ build, warns }) => {
    const { notices } = decided(change('BuildConfig', build), spelled);
    expect(notices.map(({ reason }) => reason)).toEqual(warns ? ['registry-spelling'] : []);
  });
});
