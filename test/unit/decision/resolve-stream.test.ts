/** Image streams that are resolved to images, and the decisions about them. */
import { describe, expect, test } from 'vitest';
import { resolveStream } from '../../../src/decision/resolve-stream.ts';
import { canonicalName } from '../../../src/image/reference.ts';
import type { StreamReference } from '../../../src/object/object-shape.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { change, decided, inject, unwatched } from './changes.ts';
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

describe('a stream stands for', () => {
  test.each<[sentence: string, reference: StreamReference, image: string]>([
    ['what was imported last, from where it was imported', tag('node:24', 'openshift'), `quay.io/lib/node@${one}`],
    ['the internal registry’s copy, where its policy is Local', tag('node:local', 'openshift'), `${registry}/openshift/node@${one}`],
    ['what a tag that follows another has taken over', tag('node:latest', 'openshift'), `quay.io/lib/node@${one}`],
    ['what was imported, not what is written for the next import', tag('node:moved', 'openshift'), `quay.io/lib/node@${one}`],
    ['the written image of a tag that is only a reference, even if Local', tag('node:by-reference', 'openshift'), 'quay.io/lib/node:24'],
    ['what was pushed last', tag('pushed:latest'), `${registry}/shop/pushed@${two}`],
    ['what is written, before the first import', tag('new:1'), 'quay.io/shop/new:1'],
    ['the internal registry, before the first import under Local', tag('new:local'), `${registry}/shop/new:local`],
    ['Docker Hub, where no registry is written: streams know no search list', tag('new:hub'), 'docker.io/library/nginx:1'],
    ['what the followed tag of the same stream is written to be', tag('new:same'), 'quay.io/shop/new:1'],
    ['the same with the stream written too', tag('new:written'), 'quay.io/shop/new:1'],
    ['what a tag of another namespace holds', tag('new:elsewhere'), `quay.io/lib/node@${one}`],
    [
      'where a Local tag’s image came from, for one with policy Source that follows it',
      tag('new:source-of-local'),
      `quay.io/lib/node@${one}`,
    ],
    ['an image by digest out of another stream', tag('new:digest'), `quay.io/lib/node@${one}`],
    ['an image of its history, by digest', digest(`pushed@${one}`), `${registry}/shop/pushed@${one}`],
    ['the same by the beginning of the digest', digest('pushed@sha256:2222'), `${registry}/shop/pushed@${two}`],
    ['the same without the algorithm', digest('pushed@1111'), `${registry}/shop/pushed@${one}`],
    [
      'the newest entry of a digest that two tags have, with the policy of its tag',
      digest(`history@${one}`),
      `${registry}/shop/history@${one}`,
    ],
    ['where it came from, under Local without an internal registry', tag('no-registry:1'), `quay.io/x@${one}`],
    ['where it came from, under Local with a repository that is no name', tag('odd:1'), `quay.io/x@${one}`],
  ])('%s', (_sentence, reference, image) => {
    expect(resolveStream(reference, 'shop', facts)).toEqual({
      kind: 'resolved',
      stream: `${reference.namespace ?? 'shop'}/${reference.name}`,
      image,
    });
  });
});

describe('a stream says nothing yet', () => {
  test.each<[sentence: string, reference: StreamReference, why: string]>([
    ['where there is none', tag('none:1'), 'image stream shop/none does not exist yet'],
    ['where the namespace is not written and another is meant', tag('node:24'), 'image stream shop/node does not exist yet'],
    ['where it has no such tag', tag('new:none'), 'image stream shop/new has no tag "none" yet'],
    ['where the tag holds nothing', tag('new:nothing'), 'image stream tag shop/new:nothing has no image yet'],
    ['where tags follow each other round', tag('new:round'), 'image stream tag shop/new:round follows itself'],
    ['where it follows a stream of its own namespace that is not there', tag('new:strayed'), 'image stream shop/node does not exist yet'],
    ['for a digest that it has not', digest(`pushed@sha256:3`), 'image stream shop/pushed has no image sha256:3'],
    [
      'for a tag of a digest that nobody has',
      tag('new:digest-nobody-has'),
      'image stream tag shop/new:digest-nobody-has refers to an image that was not imported',
    ],
    ['for a tag without colon', tag('new'), '"new" is not of the form stream:tag'],
    ['for an empty tag', tag('new:'), '"new:" is not of the form stream:tag'],
    ['for an image without digest', digest('new'), '"new" is not of the form stream@digest'],
  ])('%s', (_sentence, reference, why) => {
    expect(resolveStream(reference, 'shop', facts)).toMatchObject({ kind: 'unresolved', why });
  });

  test('where nobody watches streams, and there is no reason to tell', () => {
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
const withOld = streams({
  'shop/old': { tags: { '1': { from: dockerImage('old.io/x:1') } } },
  'shop/quay': { tags: { '1': { from: dockerImage('quay.io/lib/x:1') } } },
  'shop/public': { tags: { '1': { from: dockerImage('public.io/x:1') } } },
  'shop/inside': { repository: `${registry}/shop/inside`, tags: { '1': { from: dockerImage('quay.io/lib/x:1'), local: true } } },
});

describe('a build from an image stream', () => {
  test('is refused for what the stream holds', () => {
    const { outcome, findings } = decided(change('BuildConfig', build(stream('old:1'))), rules, withOld);
    expect(outcome).toBe('denied');
    expect(findings[0]?.message).toBe(
      'spec.strategy.sourceStrategy.from: image stream "shop/old:1" contains "old.io/x", which is from an untrusted registry (rule "old.io", a.yaml:8:14): closed.',
    );
  });

  test.each<[sentence: string, from: object, verdict: string]>([
    ['is trusted where its rule trusts it', stream('quay:1'), 'trusted'],
    ['is trusted where the internal registry serves it', stream('inside:1'), 'trusted'],
    ['stays open where the stream is not there yet', stream('later:1'), 'unresolved'],
  ])('%s', (_sentence, from, verdict) => {
    const { outcome, images } = decided(change('BuildConfig', build(from)), rules, withOld);
    expect([outcome, images[0]?.verdict]).toEqual(['allowed', verdict]);
  });

  test('is not refused for what came into its stream after it was written', () => {
    const { outcome, findings } = decided(
      change('BuildConfig', build(stream('old:1'), { env: [] }), build(stream('old:1'))),
      rules,
      withOld,
    );
    expect([outcome, findings[0]?.image.reason]).toEqual(['warned', 'not-introduced']);
  });

  test('is not refused when it names by stream what it named by image', () => {
    const { outcome } = decided(change('BuildConfig', build(stream('old:1')), build(dockerImage('old.io/x:1'))), rules, withOld);
    expect(outcome).toBe('warned');
  });

  test('is refused when it moves to another stream that holds the like', () => {
    const { outcome } = decided(change('BuildConfig', build(stream('old:1')), build(stream('quay:1'))), rules, withOld);
    expect(outcome).toBe('denied');
  });
});

describe('the pull secret of a build', () => {
  const docker = (from: object, dockerfile: string) => ({ spec: { strategy: { dockerStrategy: { from } }, source: { dockerfile } } });
  const extra = (image: string) => `FROM scratch\nCOPY --from=${image} /x /x\nFROM y\n`;
  const secretOf = (object: object) =>
    (object as { spec: { strategy: { dockerStrategy: { pullSecret?: { name: string } } } } }).spec.strategy.dockerStrategy.pullSecret?.name;

  test('is never written for a stream alone, whatever it holds', () => {
    expect(inject(change('BuildConfig', build(stream('quay:1'))), rules, withOld)).toEqual(build(stream('quay:1')));
  });

  test.each<[sentence: string, from: object, image: string, secret: string | undefined, reasons: readonly string[]]>([
    ['serves another image where the stream holds a public one', stream('public:1'), 'b.io/x', 'b-pull', []],
    ['is one that the stream’s image takes too', stream('quay:1'), 'a.io/x', 'quay-pull', []],
    ['is left empty where the stream’s image needs another', stream('quay:1'), 'b.io/x', undefined, ['build-other-images']],
    ['is left empty where the stream is internal', stream('inside:1'), 'b.io/x', undefined, ['build-internal-images']],
    ['is left empty where nobody knows what the stream holds', stream('later:1'), 'b.io/x', undefined, ['build-internal-images']],
    ['is that of the base where a stream beside it is public', dockerImage('b.io/base'), 'public.io/x', 'b-pull', []],
  ])('%s', (_sentence, from, image, secret, reasons) => {
    const request = change('BuildConfig', docker(from, extra(image)));
    expect(secretOf(inject(request, rules, withOld))).toBe(secret);
    expect(decided(request, rules, withOld).notices.map(({ reason }) => reason)).toEqual(reasons);
  });
});

describe('a placeholder that an image trigger fills', () => {
  const deploymentConfig = (image: string, from: object) => ({
    spec: {
      triggers: [{ type: 'ImageChange', imageChangeParams: { automatic: true, containerNames: ['web'], from } }],
      template: { spec: { containers: [{ name: 'web', image }] } },
    },
  });

  test.each(['web', ' '])('is told of early where the stream holds what will be refused, and is not refused: %j', (image) => {
    const { outcome, findings, images } = decided(change('DeploymentConfig', deploymentConfig(image, stream('old:1'))), rules, withOld);
    expect([outcome, images[0]?.reason]).toEqual(['warned', 'placeholder']);
    expect(findings[0]?.message).toBe(
      'allowed now, but will be denied when the image trigger sets the image: container "web": image stream "shop/old:1" contains "old.io/x", which is from an untrusted registry (rule "old.io", a.yaml:8:14): closed.',
    );
  });

  test('of a Deployment, by its annotation, is told of too', () => {
    const triggers = [{ from: stream('old:1'), fieldPath: 'spec.template.spec.containers[?(@.name=="web")].image' }];
    const object = {
      metadata: { annotations: { 'image.openshift.io/triggers': JSON.stringify(triggers) } },
      spec: { template: { spec: { containers: [{ name: 'web', image: 'web' }] } } },
    };
    const { outcome, findings } = decided(change('Deployment', object), rules, withOld);
    expect([outcome, findings[0]?.image.reason]).toEqual(['warned', 'placeholder']);
  });

  test('gets its secret when the image is there, so that no rollout comes before', () => {
    const object = deploymentConfig('web', stream('quay:1'));
    expect(inject(change('DeploymentConfig', object), rules, withOld)).toEqual(object);
  });

  test('says nothing where the stream holds what is trusted, or nothing yet', () => {
    for (const name of ['quay:1', 'later:1'])
      expect(decided(change('DeploymentConfig', deploymentConfig('web', stream(name))), rules, withOld).outcome).toBe('allowed');
  });

  test('is still refused in a Pod, which nothing fills', () => {
    const object = { metadata: {}, spec: { containers: [{ name: 'web', image: ' ' }] } };
    expect(decided(change('Pod', object), rules, withOld).outcome).toBe('denied');
  });
});

describe('what is imported without a registry is Docker Hub’s, whatever nodes search', () => {
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
