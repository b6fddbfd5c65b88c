/** The defaults of OpenShift's API that decide which images an object has. */
import { describe, expect, test } from 'vitest';
import { withApiDefaults } from '../../../src/object/openshift/api-defaults.ts';

const dockerfile = 'FROM reg.io/base';
const stream = (name: string) => ({ kind: 'ImageStreamTag', name });

describe.each([
  ['BuildConfig', 'build.openshift.io'],
  ['Build', 'build.openshift.io'],
  ['BuildConfig', ''],
])('%s of group "%s"', (kind, group) => {
  test.each([
    ['only type: Docker', { type: 'Docker' }, { type: 'Docker', dockerStrategy: {} }],
    ['type: Docker with an absent strategy', { type: 'Docker', dockerStrategy: null }, { type: 'Docker', dockerStrategy: {} }],
    ['a base image without a kind', { dockerStrategy: { from: { name: 'a:1' } } }, { dockerStrategy: { from: stream('a:1') } }],
    ['an empty kind', { sourceStrategy: { from: { kind: '', name: 'a:1' } } }, { sourceStrategy: { from: stream('a:1') } }],
    ['a whole stream', { customStrategy: { from: { kind: 'ImageStream', name: 'a' } } }, { customStrategy: { from: stream('a:latest') } }],
    [
      'a stream of another namespace',
      { sourceStrategy: { from: { kind: 'ImageStream', name: 'a', namespace: 'b' } } },
      { sourceStrategy: { from: { ...stream('a:latest'), namespace: 'b' } } },
    ],
  ])('%s', (_what, strategy, expected) => {
    const object = { spec: { strategy, source: { dockerfile } } };
    const before = structuredClone(object);
    expect(withApiDefaults({ group, kind }, object)).toEqual({ spec: { strategy: expected, source: { dockerfile } } });
    expect(object).toEqual(before);
  });

  test.each([
    ['its own strategy', { type: 'Docker', dockerStrategy: { noCache: true } }],
    ['a different type', { type: 'Source' }],
    ['a different spelling', { type: 'docker' }],
    ['no strategy', undefined],
    ['a wrong type', 'Docker'],
    ['an image', { sourceStrategy: { from: { kind: 'DockerImage', name: 'reg.io/a' } } }],
    ['an unknown kind', { sourceStrategy: { from: { kind: 'Image', name: 'a' } } }],
    ['a reference of a wrong type', { sourceStrategy: { from: 'a' } }],
  ])('is unchanged: %s', (_what, strategy) => {
    const object = { spec: { strategy } };
    expect(withApiDefaults({ group, kind }, object)).toEqual(object);
  });
});

describe('DeploymentConfig', () => {
  const config = (...triggers: readonly unknown[]) => ({ spec: { triggers } });
  const trigger = (from: unknown) => ({ type: 'ImageChange', imageChangeParams: { containerNames: ['app'], from } });

  test.each([
    ['no kind', { name: 'a:1' }, stream('a:1')],
    ['a whole stream', { kind: 'ImageStream', name: 'a' }, stream('a:latest')],
    ['a whole stream with a tag', { kind: 'ImageStream', name: 'a:1' }, stream('a:1')],
    ['the legacy name of a stream', { kind: 'ImageRepository', name: 'a' }, stream('a:latest')],
    ['a tag', stream('a:1'), stream('a:1')],
    ['an image, which the API rejects', { kind: 'DockerImage', name: 'a' }, { kind: 'DockerImage', name: 'a' }],
  ])('a trigger from %s', (_what, from, expected) => {
    const object = config({ type: 'ConfigChange' }, trigger(from));
    const complete = withApiDefaults({ group: 'apps.openshift.io', kind: 'DeploymentConfig' }, object);
    expect(complete).toEqual(config({ type: 'ConfigChange' }, trigger(expected)));
  });

  test.each([[undefined], [null], ['a'], [[null, 7, { imageChangeParams: [] }]]])('triggers that are %j are unchanged', (triggers) => {
    const object = { spec: { triggers } };
    expect(withApiDefaults({ group: 'apps.openshift.io', kind: 'DeploymentConfig' }, object)).toEqual(object);
  });
});

test.each([
  ['BuildConfig', 'example.com'],
  ['constructor', ''],
  ['Pod', ''],
])('%s of group "%s" is unchanged', (kind, group) => {
  const object = { spec: { strategy: { type: 'Docker' } } };
  expect(withApiDefaults({ group, kind }, object)).toBe(object);
});
