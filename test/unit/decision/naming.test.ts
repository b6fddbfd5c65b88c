/** Kinds that contain images and have no field for a secret: evaluated like any other, and never written to. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/decision/decide.ts';
import { renderPath } from '../../../src/object/json.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { change, decided, type Kind, unwatched } from './changes.ts';

const rules = ruleSetOf(`
internalRegistries: [internal.svc:5000]
rules:
- {registry: good.io, pullSecret: corp, pushSecret: corp, onMissingSecret: deny}
`);
const from = (name: string, kind = 'DockerImage') => ({ from: { kind, name } });
const noSecrets = { ...unwatched, secret: () => 'absent' as const };

const rows: readonly { kind: Kind; naming: (image: string) => object }[] = [
  { kind: 'BuildRequest', naming: (image) => ({ triggeredByImage: from(image).from }) },
  { kind: 'BuildRequest', naming: (image) => from(image) },
  { kind: 'ImageStream', naming: (image) => ({ spec: { tags: [{ name: '1', ...from(image) }] } }) },
  { kind: 'ImageStream', naming: (image) => ({ spec: { dockerImageRepository: image } }) },
  { kind: 'ImageStreamTag', naming: (image) => ({ tag: { name: '1', ...from(image) } }) },
  { kind: 'ImageTag', naming: (image) => ({ spec: { name: '1', ...from(image) } }) },
  { kind: 'ImageStreamImport', naming: (image) => ({ spec: { import: true, repository: from(image) } }) },
  { kind: 'ImageStreamImport', naming: (image) => ({ spec: { import: true, images: [from(image)] } }) },
  { kind: 'ImageStreamMapping', naming: (image) => ({ image: { dockerImageReference: image } }) },
];

describe.each(rows)('$kind', ({ kind, naming }) => {
  test.each([
    { image: 'good.io/app', outcome: 'allowed' },
    { image: 'internal.svc:5000/p/app', outcome: 'allowed' },
    { image: 'unknown.io/app', outcome: 'denied' },
    { image: 'http://good.io/app', outcome: 'denied' },
  ])('with $image: $outcome, and nothing is written', ({ image, outcome }) => {
    const decision = decided(change(kind, naming(image)), rules, noSecrets);
    expect(decision).toMatchObject({ outcome, patch: [], injected: [], notices: [] });
  });

  test('with an image that it already had only causes a warning', () => {
    const decision = decided(change(kind, naming('unknown.io/app:2'), naming('unknown.io/app:2')), rules);
    expect(decision).toMatchObject({ outcome: 'warned', images: [{ reason: 'not-introduced' }] });
    expect(decided(change(kind, naming('unknown.io/app:2'), naming('unknown.io/app:1')), rules).outcome).toBe('denied');
  });
});

describe('an import that stores nothing', () => {
  const naming = (more: object) => ({
    spec: { repository: from('unknown.io/app'), images: [from('http://evil.io/x'), from('good.io/a')], ...more },
  });

  test.each([{ import: false }, {}, { import: null }])('is allowed and recorded: %j', (more) => {
    const decision = decided(change('ImageStreamImport', naming(more)), rules);
    expect(decision).toMatchObject({ outcome: 'allowed', outcomeBeforeMode: 'allowed', findings: [], notices: [], patch: [] });
    expect(decision.images.map(({ verdict, reason }) => [verdict, reason])).toEqual([
      ['unconfigured', 'lookup-only'],
      ['invalid', 'lookup-only'],
      ['trusted', 'trusted'],
    ]);
  });

  test('is only recognized by the value false', () => {
    expect(decided(change('ImageStreamImport', naming({ import: 'false' })), rules).outcome).toBe('denied');
    expect(decide(change('ImageStreamImport', naming({ images: [1] })), rules, unwatched).kind).toBe('malformed');
  });
});

describe('the status of an image stream', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const held = (...references: readonly string[]) => ({
    spec: { tags: [{ name: '1', ...from('unknown.io/in-spec') }] },
    status: {
      tags: [
        { tag: 'failed', items: null, conditions: [{ type: 'ImportSuccess', status: 'False' }] },
        { tag: '1', items: references.map((dockerImageReference) => ({ image: 'sha256:00', dockerImageReference })) },
      ],
    },
  });
  const update = (after: object, before: object) => decided({ ...change('ImageStream', after, before), subresource: 'status' }, rules);

  test('is evaluated for the images that a request introduces', () => {
    const { images, patch } = update(held(`evil.io/x@${digest}`, 'unknown.io/b'), held('unknown.io/b'));
    expect(images.map(({ slot, reason }) => [renderPath(slot.path), reason])).toEqual([
      ['status.tags[1].items[0].dockerImageReference', 'unconfigured'],
      ['status.tags[1].items[1].dockerImageReference', 'not-introduced'],
    ]);
    expect(patch).toEqual([]);
  });

  test('loses images without a denial, as when an administrator prunes', () => {
    expect(update(held('unknown.io/b'), held('unknown.io/a', 'unknown.io/b')).outcome).toBe('warned');
    expect(update(held(), held('unknown.io/a')).outcome).toBe('allowed');
  });

  test('may contain the internal registry, to which an image was pushed', () => {
    expect(update(held(`internal.svc:5000/p/app@${digest}`), held()).outcome).toBe('allowed');
  });

  test('means Docker Hub if it contains no registry', () => {
    expect(update(held('evil/x'), held()).images[0]?.reference).toMatchObject({ host: 'docker.io' });
  });
});

describe('an update of an image stream', () => {
  const following = (repository: string) => ({ spec: { dockerImageRepository: repository } });
  const importing = (image: string) => ({ spec: { tags: [{ name: 'latest', ...from(image) }] } });

  test.each([
    ['to all tags introduces images, if it only had the default tag', importing('unknown.io/app'), following('unknown.io/app'), 'denied'],
    ['that follows the same repository introduces none', following('unknown.io/app'), following('UNKNOWN.io/app'), 'warned'],
    ['that adds the default tag introduces none', importing('unknown.io/app'), importing('unknown.io/app:latest'), 'warned'],
    ['that adds docker.io introduces none, whatever nodes search', importing('evil/app'), importing('docker.io/evil/app:latest'), 'warned'],
  ])('%s', (_sentence, before, after, outcome) => {
    const searching = ruleSetOf('shortNames: [a.io, b.io]\nrules: [{registry: good.io}]');
    expect(decided(change('ImageStream', after, before), searching).outcome).toBe(outcome);
  });
});

test.each(['ImageStreamTag', 'ImageStreamImage'])('a stream tag that follows an %s is allowed, since that one was evaluated', (kind) => {
  const stream = { spec: { tags: [{ name: 'latest', ...from('app:1', kind) }] } };
  expect(decided(change('ImageStream', stream), rules)).toMatchObject({ outcome: 'allowed', images: [{ verdict: 'unresolved' }] });
});

test('of many tags, only the one that an update adds is denied', () => {
  const tag = (name: string, image: string) => ({ name, ...from(image) });
  const before = { spec: { tags: [tag('a', 'unknown.io/a')] } };
  const after = { spec: { tags: [tag('b', 'unknown.io/b'), tag('a', 'unknown.io/a'), tag('c', 'good.io/c')] } };
  const { images } = decided(change('ImageStream', after, before), rules);
  expect(images.map(({ outcomeBeforeMode }) => outcomeBeforeMode)).toEqual(['denied', 'warned', 'allowed']);
});
