/** Decisions about configured kinds. */
import { describe, expect, test } from 'vitest';
import type { ChangeRequest } from '../../../src/decision/decision.ts';
import { customKindRow } from '../../../src/object/custom-kind.ts';
import { kindsOf, kindsWithImages } from '../../../src/object/kinds.ts';
import { describeImage } from '../../../src/observe/audit/image.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { accounts, change, credentialsOf, decided, deployment, inject, type PodObject, pod, unwatched } from './changes.ts';

const kind = { group: 'argoproj.io', version: 'v1alpha1', resource: 'rollouts', kind: 'Rollout' };
const row = customKindRow({ ...kind, template: ['spec', 'template'], podSpecs: [], images: [{ pattern: ['spec', 'extraImage'] }] });
const facts = { ...accounts({ default: ['dockercfg'] }), kinds: kindsOf([...kindsWithImages, row]) };
const rules = ruleSetOf(
  'rules:\n- {registry: corp.io, pullSecret: corp}\n- {registry: other.io, pullSecret: other}\n- {registry: public.io}',
);

type Rollout = ReturnType<typeof deployment>;
const changeOf = (object: Rollout, oldObject?: Rollout): ChangeRequest & { object: Rollout } => ({
  ...change('Deployment', object, oldObject),
  ...kind,
});
const templateOf = ({ spec }: Rollout) => credentialsOf(spec.template);
const rolloutOf = (image: string, list?: readonly string[], mark?: unknown): Rollout => deployment(pod(image, list, mark) as PodObject);

describe('the template of a custom resource', () => {
  const injected = { list: ['corp', 'dockercfg'], mark: { rules: ['corp'], serviceAccount: ['dockercfg'] } };

  test('that has no list gets the secrets of its images and of its account', () => {
    expect(templateOf(inject(changeOf(rolloutOf('corp.io/a')), rules, facts))).toEqual(injected);
    expect(templateOf(inject(changeOf(rolloutOf('corp.io/a', [])), rules, facts))).toEqual(injected);
  });

  test('that has a list keeps it, and gets none', () => {
    const listed = rolloutOf('corp.io/a', ['mine']);
    expect(decided(changeOf(listed), rules, facts)).toMatchObject({ outcome: 'allowed', patch: [], notices: [] });
    expect(decided(changeOf(rolloutOf('other.io/a', ['mine']), listed), rules, facts).patch).toEqual([]);
  });

  test('whose list contains only ours is updated with its images', () => {
    const before = inject(changeOf(rolloutOf('corp.io/a')), rules, facts);
    const after = inject(changeOf(rolloutOf('other.io/a', injected.list, injected.mark), before), rules, facts);
    expect(templateOf(after)).toEqual({ list: ['dockercfg', 'other'], mark: { rules: ['other'], serviceAccount: ['dockercfg'] } });
  });

  test('that lost only ours gets it back, so nothing has changed', () => {
    const before = inject(changeOf(rolloutOf('corp.io/a')), rules, facts);
    expect(inject(changeOf(rolloutOf('corp.io/a'), before), rules, facts)).toEqual(before);
  });

  test('gets no secret for an image next to it, which is evaluated', () => {
    const withExtra = (image: string) => ({ ...rolloutOf('public.io/a'), spec: { ...rolloutOf('public.io/a').spec, extraImage: image } });
    expect(decided(changeOf(withExtra('corp.io/x')), rules, facts)).toMatchObject({ outcome: 'allowed', patch: [] });
    expect(decided(changeOf(withExtra('bad.io/x')), rules, facts).outcome).toBe('denied');
  });
});

describe('an image with a scheme', () => {
  const volume = { group: 'cdi.kubevirt.io', version: 'v1', resource: 'datavolumes', kind: 'DataVolume' };
  const row = customKindRow({ ...volume, podSpecs: [], images: [{ pattern: ['spec', 'url'], schemes: ['docker'] }] });
  const facts = { ...unwatched, kinds: kindsOf([...kindsWithImages, row]) };
  const objectOf = (url: string) => ({ metadata: { name: 'a' }, spec: { url } });
  const decide = (url: string, documents = 'rules: [{registry: corp.io}]', old?: string) =>
    decided({ ...change('Pod', objectOf(url), old === undefined ? undefined : objectOf(old)), ...volume }, ruleSetOf(documents), facts);

  test('is evaluated without it, and shown with it', () => {
    expect(decide('docker://corp.io/a:1')).toMatchObject({ outcome: 'allowed', images: [{ reference: { host: 'corp.io' } }] });
    const { outcome, images, findings } = decide('docker://Evil.io/a:1');
    expect({ outcome, canonical: images[0]?.reference?.host }).toEqual({ outcome: 'denied', canonical: 'evil.io' });
    expect(findings[0]?.message).toContain('spec.url: image "docker://Evil.io/a:1" (evil.io/a) is not from a configured registry.');
    expect(images.map((image) => describeImage(image))).toMatchObject([{ image: 'docker://Evil.io/a:1', canonical: 'evil.io/a' }]);
  });

  test.each([
    [
      'docker://corp.io/A',
      'image "docker://corp.io/A" has upper-case letters in "A". Repository names must be lower case. Use "docker://corp.io/a".',
    ],
    ['docker://corp.io/a ', 'image "docker://corp.io/a " has leading or trailing white space. Use "docker://corp.io/a".'],
    [
      'docker://u:p@corp.io/a',
      'image "***@corp.io/a" contains a user name or password. Put credentials in a pull secret. Use "docker://corp.io/a".',
    ],
    ['docker://docker://corp.io/a', 'image "docker://docker://corp.io/a" starts with a URL scheme. Use "docker://corp.io/a".'],
    [' docker://corp.io/a', 'image " docker://corp.io/a" has leading or trailing white space.'],
    ['docker://', 'image "docker://" is blank. Specify an image name.'],
    ['docker://evil.io', 'It looks like a registry host without a repository. Use docker://evil.io/REPOSITORY.'],
    ['docker://Evil/a', 'For a Docker Hub image, use "docker://evil/a".'],
  ])('%j is denied, with a name that has the scheme too', (url, message) => {
    const { outcome, findings } = decide(url);
    expect(outcome).toBe('denied');
    expect(findings[0]?.message).toContain(message);
  });

  test('is on Docker Hub if it has no registry, whatever registries the nodes search', () => {
    const rules = 'rules: [{registry: corp.io}]\nshortNames: ';
    expect(decide('docker://fedora', `${rules}[corp.io]`).outcome).toBe('denied');
    expect(decide('docker://fedora', `${rules}[corp.io]`.replace('rules: [', 'rules: [{registry: docker.io}, ')).outcome).toBe('allowed');
    const rejected = decide('docker://fedora', `${rules}reject`);
    expect(rejected.findings[0]?.message).toContain('Include the registry, for example "docker://docker.io/library/fedora".');
  });

  test('is new if the field had none before', () => {
    expect(decide('docker://evil.io/a', undefined, 'https://evil.io/a').outcome).toBe('denied');
    const unchanged = decide('docker://evil.io/a', undefined, 'docker://evil.io/a:latest');
    expect(unchanged).toMatchObject({ outcome: 'warned', images: [{ reason: 'not-introduced' }] });
    expect(decide('https://evil.io/a', undefined, 'docker://evil.io/a').images).toEqual([]);
  });
});

test('a custom resource that is not configured is ignored', () => {
  const { kinds: _kinds, ...unnamed } = facts;
  expect(() => decided(changeOf(rolloutOf('bad.io/x')), rules, unnamed)).toThrow('unknown-kind');
});
