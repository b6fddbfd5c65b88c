/** Image streams that are resolved to images, and the decisions about them. */
import { describe, expect, test } from 'vitest';
import type { ImageDecision } from '../../../src/decision/decision.ts';
import { resolveStream } from '../../../src/decision/resolve-stream.ts';
import { canonicalName } from '../../../src/image/reference.ts';
import type { StreamReference } from '../../../src/object/object-shape.ts';
import { describeImage } from '../../../src/observe/audit/image.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { change, decided, inject, type Kind, unwatched } from './changes.ts';
import { streams } from './stream-facts.ts';

const one = `sha256:${'1'.repeat(64)}`;
const two = `sha256:${'2'.repeat(64)}`;
const registry = 'image-registry.openshift-image-registry.svc:5000';
const dockerImage = (name: string) => ({ kind: 'DockerImage', name });
const follow = (name: string, namespace?: string) => ({ kind: 'ImageStreamTag', name, ...(namespace && { namespace }) });

const facts = streams({
  'openshift/node': {
    repository: `${registry}/openshift/node`,
    tags: {
      '24': { from: dockerImage('quay.io/lib/node:24'), images: [{ image: one, reference: `quay.io/lib/node@${one}` }] },
      local: { from: dockerImage('quay.io/lib/node:24'), local: true, images: [{ image: one, reference: `quay.io/lib/node@${one}` }] },
      latest: { from: follow('24'), images: [{ image: one, reference: `quay.io/lib/node@${one}` }] },
      moved: { from: dockerImage('new.io/node:25'), images: [{ image: one, reference: `quay.io/lib/node@${one}` }] },
      'by-reference': { from: dockerImage('quay.io/lib/node:24'), local: true, images: [{ image: '', reference: 'quay.io/lib/node:24' }] },
    },
  },
  'shop/new': {
    repository: `${registry}/shop/new`,
    tags: {
      '1': { from: dockerImage('quay.io/shop/new:1') },
      local: { from: dockerImage('quay.io/shop/new:1'), local: true },
      hub: { from: dockerImage('nginx:1') },
      same: { from: follow('1') },
      written: { from: follow('new:1') },
      elsewhere: { from: follow('node:24', 'openshift') },
      strayed: { from: follow('node:24') },
      'source-of-local': { from: follow('node:local', 'openshift') },
      digest: { from: { kind: 'ImageStreamImage', namespace: 'openshift', name: `node@${one}` } },
      'digest-nobody-has': { from: { kind: 'ImageStreamImage', namespace: 'openshift', name: `node@${two}` } },
      round: { from: follow('and-round') },
      'and-round': { from: follow('round') },
      nothing: { local: false },
    },
  },
  'shop/pushed': {
    repository: `${registry}/shop/pushed`,
    tags: {
      latest: {
        images: [
          { image: two, reference: `${registry}/shop/pushed@${two}`, created: '2026-11-02T00:00:00Z' },
          { image: one, reference: `${registry}/shop/pushed@${one}`, created: '2026-11-01T00:00:00Z' },
        ],
      },
    },
  },
  'shop/history': {
    repository: `${registry}/shop/history`,
    tags: {
      old: { from: dockerImage('old.io/x'), images: [{ image: one, reference: `old.io/x@${one}`, created: '2026-01-01T00:00:00Z' }] },
      new: {
        from: dockerImage('new.io/x'),
        local: true,
        images: [{ image: one, reference: `new.io/x@${one}`, created: '2026-02-01T00:00:00Z' }],
      },
    },
  },
  'shop/no-registry': {
    tags: { '1': { from: dockerImage('quay.io/x:1'), local: true, images: [{ image: one, reference: `quay.io/x@${one}` }] } },
  },
  'shop/odd': {
    repository: 'not a name',
    tags: { '1': { from: dockerImage('quay.io/x:1'), local: true, images: [{ image: one, reference: `quay.io/x@${one}` }] } },
  },
});

const tag = (name: string, namespace?: string): StreamReference => ({ kind: 'ImageStreamTag', name, ...(namespace && { namespace }) });
const digest = (name: string, namespace?: string): StreamReference => ({ kind: 'ImageStreamImage', name, ...(namespace && { namespace }) });

describe('a stream is resolved to', () => {
  test.each<[sentence: string, reference: StreamReference, image: string]>([
    ['what was imported last, in its source registry', tag('node:24', 'openshift'), `quay.io/lib/node@${one}`],
    ['the internal registry’s copy, if its policy is Local', tag('node:local', 'openshift'), `${registry}/openshift/node@${one}`],
    ['the image that a tag has copied from the tag it follows', tag('node:latest', 'openshift'), `quay.io/lib/node@${one}`],
    ['what was imported, not what the spec has for the next import', tag('node:moved', 'openshift'), `quay.io/lib/node@${one}`],
    [
      'the image in the spec of a tag that is only a reference, even if Local',
      tag('node:by-reference', 'openshift'),
      'quay.io/lib/node:24',
    ],
    ['what was pushed last', tag('pushed:latest'), `${registry}/shop/pushed@${two}`],
    ['the image in the spec, before the first import', tag('new:1'), 'quay.io/shop/new:1'],
    ['the internal registry, before the first import under Local', tag('new:local'), `${registry}/shop/new:local`],
    ['Docker Hub, if there is no registry: streams know no search list', tag('new:hub'), 'docker.io/library/nginx:1'],
    ['the image in the spec of the followed tag of the same stream', tag('new:same'), 'quay.io/shop/new:1'],
    ['the same if the reference includes the stream', tag('new:written'), 'quay.io/shop/new:1'],
    ['the contents of a tag in another namespace', tag('new:elsewhere'), `quay.io/lib/node@${one}`],
    [
      'the source of a Local tag’s image, for a tag with policy Source that follows it',
      tag('new:source-of-local'),
      `quay.io/lib/node@${one}`,
    ],
    ['an image by digest from another stream', tag('new:digest'), `quay.io/lib/node@${one}`],
    ['an image in its history, by digest', digest(`pushed@${one}`), `${registry}/shop/pushed@${one}`],
    ['the same by a prefix of the digest', digest('pushed@sha256:2222'), `${registry}/shop/pushed@${two}`],
    ['the same without the algorithm', digest('pushed@1111'), `${registry}/shop/pushed@${one}`],
    [
      'the newest entry with a digest that two tags have, with the policy of its tag',
      digest(`history@${one}`),
      `${registry}/shop/history@${one}`,
    ],
    ['its source, under Local without an internal registry', tag('no-registry:1'), `quay.io/x@${one}`],
    ['its source, under Local with a repository that is not a valid name', tag('odd:1'), `quay.io/x@${one}`],
  ])('%s', (_sentence, reference, image) => {
    expect(resolveStream(reference, 'shop', facts)).toMatchObject({
      kind: 'resolved',
      stream: `${reference.namespace ?? 'shop'}/${reference.name}`,
      image,
    });
  });
});

describe('a stream cannot be resolved yet', () => {
  test.each<[sentence: string, reference: StreamReference, why: string]>([
    ['if it does not exist', tag('none:1'), 'image stream shop/none does not exist yet'],
    ['if the namespace is omitted and another one is meant', tag('node:24'), 'image stream shop/node does not exist yet'],
    ['if it has no such tag', tag('new:none'), 'image stream shop/new has no tag "none" yet'],
    ['if the tag contains nothing', tag('new:nothing'), 'image stream tag shop/new:nothing has no image yet'],
    ['if tags follow each other in a cycle', tag('new:round'), 'image stream tag shop/new:round refers to itself'],
    ['if it follows a stream of its own namespace that does not exist', tag('new:strayed'), 'image stream shop/node does not exist yet'],
    ['for a digest that it does not have', digest(`pushed@sha256:3`), 'image stream shop/pushed has no image sha256:3'],
    [
      'for a tag with a digest that no image has',
      tag('new:digest-nobody-has'),
      'image stream tag shop/new:digest-nobody-has refers to an image that was not imported',
    ],
    ['for a tag without a colon', tag('new'), '"new" is not of the form stream:tag'],
    ['for an empty tag', tag('new:'), '"new:" is not of the form stream:tag'],
    ['for an image without a digest', digest('new'), '"new" is not of the form stream@digest'],
  ])('%s', (_sentence, reference, why) => {
    expect(resolveStream(reference, 'shop', facts)).toMatchObject({ kind: 'unresolved', why });
  });

  test('if streams are not watched, and there is nothing to report', () => {
    expect(resolveStream(tag('node:24'), 'shop', unwatched)).toEqual({ kind: 'unresolved', stream: 'shop/node:24' });
  });
});

const rules = ruleSetOf(`
internalRegistries: ["${registry}"]
rules:
- {registry: quay.io/lib, pullSecret: quay-pull}
- {registry: a.io, pullSecret: [a-pull, quay-pull]}
- {registry: b.io, pullSecret: b-pull}
- {registry: public.io}
- {registry: old.io, trust: false, reason: closed}
`);
const build = (from: object, more: object = {}) => ({ spec: { strategy: { sourceStrategy: { from, ...more } } } });
const stream = (name: string, namespace?: string) => ({ kind: 'ImageStreamTag', name, ...(namespace && { namespace }) });
const triggered = (image: string, from: object) => ({
  spec: {
    triggers: [{ type: 'ImageChange', imageChangeParams: { automatic: true, containerNames: ['web'], from } }],
    template: { spec: { containers: [{ name: 'web', image }] } },
  },
});
const withOld = streams({
  'shop/old': { tags: { '1': { from: dockerImage('old.io/x:1') } } },
  'shop/quay': { tags: { '1': { from: dockerImage('quay.io/lib/x:1') } } },
  'shop/public': { tags: { '1': { from: dockerImage('public.io/x:1') } } },
  'shop/inside': { repository: `${registry}/shop/inside`, tags: { '1': { from: dockerImage('quay.io/lib/x:1'), local: true } } },
});

describe('a build from an image stream', () => {
  test('is denied because of what the stream contains', () => {
    const { outcome, findings } = decided(change('BuildConfig', build(stream('old:1'))), rules, withOld);
    expect(outcome).toBe('denied');
    expect(findings[0]?.message).toBe(
      'spec.strategy.sourceStrategy.from: image stream "shop/old:1" contains "old.io/x", which is from an untrusted registry (rule "old.io", a.yaml:8:14): closed.',
    );
  });

  test.each<[sentence: string, from: object, verdict: string]>([
    ['is trusted if its rule trusts it', stream('quay:1'), 'trusted'],
    ['is trusted if the internal registry serves it', stream('inside:1'), 'trusted'],
    ['stays unresolved if the stream does not exist yet', stream('later:1'), 'unresolved'],
  ])('%s', (_sentence, from, verdict) => {
    const { outcome, images } = decided(change('BuildConfig', build(from)), rules, withOld);
    expect([outcome, images[0]?.verdict]).toEqual(['allowed', verdict]);
  });

  test('is not denied for what its stream got later', () => {
    const { outcome, findings } = decided(
      change('BuildConfig', build(stream('old:1'), { env: [] }), build(stream('old:1'))),
      rules,
      withOld,
    );
    expect([outcome, findings[0]?.image.reason]).toEqual(['warned', 'not-introduced']);
  });

  test('is not denied when it refers to a stream instead of the same image', () => {
    const { outcome } = decided(change('BuildConfig', build(stream('old:1')), build(dockerImage('old.io/x:1'))), rules, withOld);
    expect(outcome).toBe('warned');
  });

  test('is denied when it switches to another stream with the same contents', () => {
    const { outcome } = decided(change('BuildConfig', build(stream('old:1')), build(stream('quay:1'))), rules, withOld);
    expect(outcome).toBe('denied');
  });
});

describe('a stream in another namespace', () => {
  const across = (imported: string) =>
    streams({
      'other/base': { tags: { '1': { from: dockerImage(imported) } } },
      'shop/following': { tags: { '1': { from: follow('base:1', 'other') } } },
      'shop/copied': { tags: { '1': { from: follow('base:1', 'other'), images: [{ image: one, reference: imported }] } } },
    });
  const shown = (decision: ReturnType<typeof decided>) =>
    JSON.stringify([decision.findings.map(({ image: _image, ...finding }) => finding), decision.notices]);
  const hidden = /old\.io|unknown\.io|closed|a\.yaml/;
  const contained = (name: string) => `the image in image stream "${name}" is denied by the rules for this namespace.`;

  test.each<[sentence: string, from: object, name: string]>([
    ['is denied', stream('base:1', 'other'), 'other/base:1'],
    ["is denied if a stream in the build's namespace follows it", stream('following:1'), 'shop/following:1'],
    ['is denied by its digest', { kind: 'ImageStreamImage', namespace: 'other', name: `base@${one}` }, `other/base@${one}`],
  ])('%s without its contents, which are only in the record', (_sentence, from, name) => {
    for (const image of ['old.io/x:1', 'unknown.io/x:1', 'http://old.io/x']) {
      const known = across(image);
      const facts = streams({ 'other/base': { tags: { '1': { from: dockerImage(image), images: [{ image: one, reference: image }] } } } });
      const decision = decided(change('BuildConfig', build(from)), rules, name.includes('@') ? facts : known);
      expect([decision.outcome, decision.findings[0]?.message, decision.findings[0]?.reason]).toEqual([
        'denied',
        `spec.strategy.sourceStrategy.from: ${contained(name)}`,
        'untrusted',
      ]);
      expect(shown(decision)).not.toMatch(hidden);
      expect(describeImage(decision.images[0] as ImageDecision).image).toBe(image);
    }
  });

  test("is shown with its image if the build's namespace has a copy of it, which its users may read", () => {
    const { findings } = decided(change('BuildConfig', build(stream('copied:1'))), rules, across('old.io/x:1'));
    expect(findings[0]?.message).toContain('image stream "shop/copied:1" contains "old.io/x"');
  });

  test.each<[sentence: string, decision: () => ReturnType<typeof decided>, message: string]>([
    [
      'for a placeholder',
      () => decided(change('DeploymentConfig', triggered('web', stream('base:1', 'other'))), rules, across('old.io/x:1')),
      `allowed now, but denied once a trigger sets the image: container "web": ${contained('other/base:1')}`,
    ],
    [
      'if the update does not introduce it',
      () =>
        decided(
          change('BuildConfig', build(stream('base:1', 'other'), { env: [] }), build(stream('base:1', 'other'))),
          rules,
          across('old.io/x:1'),
        ),
      `already in use, so this update is allowed: spec.strategy.sourceStrategy.from: ${contained('other/base:1')}`,
    ],
    [
      'if images without a rule only cause warnings',
      () => decided(change('BuildConfig', build(stream('base:1', 'other'))), ruleSetOf('unconfigured: warn'), across('unknown.io/x:1')),
      'spec.strategy.sourceStrategy.from: the image in image stream "other/base:1" is not trusted in this namespace.',
    ],
    [
      'if a stream is too large',
      () =>
        decided(change('BuildConfig', build(stream('base:1', 'other'))), rules, {
          ...unwatched,
          imageStream: () => ({ kind: 'too-large', why: 'it has old.io' }),
        }),
      'spec.strategy.sourceStrategy.from: image stream other/base:1 is too large to be evaluated. Reference the image directly (kind DockerImage), or remove tags from the stream.',
    ],
  ])('does not show its image in a warning either: %s', (_sentence, decide, message) => {
    const decision = decide();
    expect(decision.findings.map(({ message }) => message)).toEqual([message]);
    expect(shown(decision)).not.toMatch(hidden);
  });

  test('does not confirm a guess of its image in an object that had it before', () => {
    const decision = decided(
      change('BuildConfig', build(stream('base:1', 'other')), build(dockerImage('old.io/x:1'))),
      rules,
      across('old.io/x:1'),
    );
    expect(decision.outcome).toBe('denied');
  });

  test('does not show its image in a notice about ports', () => {
    const object = {
      spec: {
        strategy: { dockerStrategy: { from: stream('base:1', 'other') } },
        source: { dockerfile: 'FROM x\nCOPY --from=b.io/x /x /x\nFROM y' },
      },
    };
    const decision = decided(change('BuildConfig', object), rules, across('b.io:443/secret/x'));
    expect(decision.injected).toEqual([{ path: 'spec.strategy.dockerStrategy.pullSecret', secret: 'b-pull', from: 'rule' }]);
    expect(shown(decision)).not.toContain('b.io:443');
  });
});

describe('a DockerImage of a BuildConfig with the name of a stream', () => {
  const looking = streams({
    'shop/lk': { localLookup: true, tags: { latest: { from: dockerImage('old.io/x:1') }, '1': { from: dockerImage('quay.io/lib/x:1') } } },
    'shop/plain': { tags: { latest: { from: dockerImage('quay.io/lib/x:1') } } },
    'other/far': { localLookup: true, tags: { latest: { from: dockerImage('quay.io/lib/x:1') } } },
  });
  const hub = ruleSetOf(
    'rules: [{registry: quay.io/lib, pullSecret: quay-pull}, {registry: old.io, trust: false}, {registry: docker.io, trust: false}]',
  );
  const outcomeOf = (kind: Kind, object: object) => {
    const { outcome, images } = decided(change(kind, object), hub, looking);
    return [outcome, images[0]?.verdict];
  };

  test.each([
    ['lk:1', 'allowed', 'trusted'],
    ['lk', 'denied', 'untrusted'],
    ['lk:later', 'allowed', 'unresolved'],
    ['plain', 'denied', 'untrusted'],
    ['far', 'denied', 'untrusted'],
    ['none', 'denied', 'untrusted'],
    ['library/lk:1', 'denied', 'untrusted'],
    ['docker.io/lk:1', 'denied', 'untrusted'],
    [`lk@${one}`, 'denied', 'untrusted'],
  ])('%s is %s: %s', (name, ...expected) => {
    expect(outcomeOf('BuildConfig', build(dockerImage(name)))).toEqual(expected);
    expect(outcomeOf('BuildRequest', { from: dockerImage(name) })).toEqual(expected);
    const source = { images: [{ from: dockerImage(name), paths: [{ sourcePath: '/x', destinationDir: 'x' }] }] };
    expect(outcomeOf('BuildConfig', { spec: { strategy: { customStrategy: {} }, source } })).toEqual(expected);
  });

  test('is that stream’s image in the message and in the record, and gets no secret', () => {
    const { findings, images } = decided(change('BuildConfig', build(dockerImage('lk'))), hub, looking);
    expect(findings[0]?.message).toContain('image stream "shop/lk:latest" contains "old.io/x"');
    expect(describeImage(images[0] as ImageDecision)).toMatchObject({ image: 'old.io/x:1', stream: 'shop/lk:latest' });
    expect(inject(change('BuildConfig', build(dockerImage('lk:1'))), hub, looking)).toEqual(build(dockerImage('lk:1')));
  });

  test('is an image if it is pulled by its name: in a Build, in a Dockerfile, in a Pod, and in a push', () => {
    expect(outcomeOf('Build', build(dockerImage('lk:1')))).toEqual(['denied', 'untrusted']);
    expect(outcomeOf('BuildConfig', { spec: { strategy: { dockerStrategy: {} }, source: { dockerfile: 'FROM lk:1' } } })).toEqual([
      'denied',
      'untrusted',
    ]);
    expect(outcomeOf('Pod', { spec: { containers: [{ name: 'a', image: 'lk:1' }] } })).toEqual(['denied', 'untrusted']);
    expect(outcomeOf('BuildConfig', { spec: { strategy: {}, output: { to: dockerImage('lk:1') } } })).toEqual(['denied', 'untrusted']);
  });

  test.each([
    ['the name of a stream with an image of that name', 'lk:1', 'docker.io/library/lk:1', 'untrusted'],
    ['the name of a stream with an image of that name, in a path', 'lk:1', 'library/lk:1', 'untrusted'],
    ['an image with the stream of its name', 'docker.io/library/lk', 'lk', 'untrusted'],
  ])('an update that replaces %s introduces an image', (_what, before, after, reason) => {
    const { outcome, images } = decided(change('BuildConfig', build(dockerImage(after)), build(dockerImage(before))), hub, looking);
    expect([outcome, images[0]?.reason]).toEqual(['denied', reason]);
  });

  test.each([
    ['the stream by its kind', 'lk', { kind: 'ImageStreamTag', name: 'lk:latest' }],
    ['the default tag', 'lk', dockerImage('lk:latest')],
    ['the registry of a name that is not a stream', 'plain', dockerImage('docker.io/library/plain:latest')],
  ])('an update that only makes %s explicit introduces none', (_what, before, after) => {
    const { outcome, images } = decided(change('BuildConfig', build(after), build(dockerImage(before))), hub, looking);
    expect([outcome, images[0]?.reason]).toEqual(['warned', 'not-introduced']);
  });

  test('is not introduced by an update that keeps it, whatever the stream now contains', () => {
    const { images } = decided(change('BuildConfig', build(dockerImage('lk'), { env: [] }), build(dockerImage('lk:latest'))), hub, looking);
    expect(images[0]?.reason).toBe('not-introduced');
  });
});

describe('the pull secret of a build', () => {
  const docker = (from: object, dockerfile: string) => ({ spec: { strategy: { dockerStrategy: { from } }, source: { dockerfile } } });
  const extra = (image: string) => `FROM scratch\nCOPY --from=${image} /x /x\nFROM y\n`;
  const secretOf = (object: object) =>
    (object as { spec: { strategy: { dockerStrategy: { pullSecret?: { name: string } } } } }).spec.strategy.dockerStrategy.pullSecret?.name;

  test('is never set only for a stream, whatever it contains', () => {
    expect(inject(change('BuildConfig', build(stream('quay:1'))), rules, withOld)).toEqual(build(stream('quay:1')));
  });

  test.each<[sentence: string, from: object, image: string, secret: string | undefined, reasons: readonly string[]]>([
    ['covers another image if the stream contains a public one', stream('public:1'), 'b.io/x', 'b-pull', []],
    ['is one that the stream’s image needs too', stream('quay:1'), 'a.io/x', 'quay-pull', []],
    ['stays empty if the stream’s image needs another one', stream('quay:1'), 'b.io/x', undefined, ['build-other-images']],
    ['stays empty if the stream is internal', stream('inside:1'), 'b.io/x', undefined, ['build-internal-images']],
    ['stays empty if the contents of the stream are unknown', stream('later:1'), 'b.io/x', undefined, ['build-internal-images']],
    ['is that of the base if a stream next to it is public', dockerImage('b.io/base'), 'public.io/x', 'b-pull', []],
  ])('%s', (_sentence, from, image, secret, reasons) => {
    const request = change('BuildConfig', docker(from, extra(image)));
    expect(secretOf(inject(request, rules, withOld))).toBe(secret);
    expect(decided(request, rules, withOld).notices.map(({ reason }) => reason)).toEqual(reasons);
  });
});

describe('a placeholder that an image trigger fills', () => {
  const deploymentConfig = triggered;

  test('is an image on a cluster without image streams, where no controller fills it', () => {
    const triggers = JSON.stringify([{ from: stream('quay:1'), fieldPath: 'spec.template.spec.containers[0].image' }]);
    const template = { spec: { containers: [{ name: 'web', image: 'evil/web' }] } };
    const annotated = { metadata: { annotations: { 'image.openshift.io/triggers': triggers } }, spec: { template } };
    for (const [served, outcome] of [
      [true, 'allowed'],
      [false, 'denied'],
    ] as const) {
      const facts = { ...withOld, imageStreamsServed: () => served };
      expect(decided(change('Deployment', annotated), rules, facts).outcome).toBe(outcome);
      expect(decided(change('DeploymentConfig', triggered('evil/web', stream('quay:1'))), rules, facts).outcome).toBe(outcome);
    }
  });

  test.each(['web', ' '])('causes an early warning if the stream contains an image that will be denied, and is not denied: %j', (image) => {
    const { outcome, findings, images } = decided(change('DeploymentConfig', deploymentConfig(image, stream('old:1'))), rules, withOld);
    expect([outcome, images[0]?.reason]).toEqual(['warned', 'placeholder']);
    expect(findings[0]?.message).toBe(
      'allowed now, but denied once a trigger sets the image: container "web": image stream "shop/old:1" contains "old.io/x", which is from an untrusted registry (rule "old.io", a.yaml:8:14): closed.',
    );
  });

  test('in a Deployment, because of its annotation, causes a warning too', () => {
    const triggers = [{ from: stream('old:1'), fieldPath: 'spec.template.spec.containers[?(@.name=="web")].image' }];
    const object = {
      metadata: { annotations: { 'image.openshift.io/triggers': JSON.stringify(triggers) } },
      spec: { template: { spec: { containers: [{ name: 'web', image: 'web' }] } } },
    };
    const { outcome, findings } = decided(change('Deployment', object), rules, withOld);
    expect([outcome, findings[0]?.image.reason]).toEqual(['warned', 'placeholder']);
  });

  test('gets its secret when the image is filled in, so that there is no earlier rollout', () => {
    const object = deploymentConfig('web', stream('quay:1'));
    expect(inject(change('DeploymentConfig', object), rules, withOld)).toEqual(object);
  });

  test('causes no message if the stream contains a trusted image, or nothing yet', () => {
    for (const name of ['quay:1', 'later:1'])
      expect(decided(change('DeploymentConfig', deploymentConfig('web', stream(name))), rules, withOld).outcome).toBe('allowed');
  });

  test('is still denied in a Pod, which no controller fills', () => {
    const object = { metadata: {}, spec: { containers: [{ name: 'web', image: ' ' }] } };
    expect(decided(change('Pod', object), rules, withOld).outcome).toBe('denied');
  });
});

describe('an image that is imported without a registry is Docker Hub’s, whatever nodes search', () => {
  const imported = (name: string) => ({ spec: { tags: [{ name: '1', from: dockerImage(name) }] } });
  const hub = '- {registry: docker.io/library}\n- {registry: docker.io/evil, trust: false, reason: no}\n- {registry: r.io}';
  test.each([
    ['nginx', 'shortNames: reject', 'allowed', 'docker.io/library/nginx'],
    ['evil/x', 'shortNames: [r.io]', 'denied', 'docker.io/evil/x'],
  ])('%s under %s', (name, shortNames, outcome, canonical) => {
    const decision = decided(change('ImageStream', imported(name)), ruleSetOf(`${shortNames}\nrules:\n${hub}`));
    const [image] = decision.images;
    expect([decision.outcome, image?.reference && canonicalName(image.reference)]).toEqual([outcome, canonical]);
  });
});
