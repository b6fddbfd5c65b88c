/** The facts that are read from an ImageStream object, and their size limit. */
import { expect, test } from 'vitest';
import { readImageStreamFacts } from '../../../src/decision/read-stream-facts.ts';

const digest = `sha256:${'1'.repeat(64)}`;

test('a stream resolves local names only if its lookup policy is local', () => {
  const read = (lookupPolicy: unknown) => readImageStreamFacts({ spec: { lookupPolicy } });
  expect(read({ local: true })).toMatchObject({ localLookup: true });
  for (const policy of [{ local: false }, { local: 'true' }, {}, null, true, undefined])
    expect(read(policy)).not.toHaveProperty('localLookup');
});

test('a stream consists of its repository, the spec of each tag, and the contents of each tag', () => {
  const stream = readImageStreamFacts({
    metadata: { name: 'node' },
    spec: {
      tags: [
        {
          name: '24',
          annotations: { description: 'long' },
          from: { kind: 'DockerImage', name: 'quay.io/lib/node:24' },
          importPolicy: { insecure: 'true' },
          referencePolicy: { type: 'Local' },
        },
        { name: 'latest', from: { kind: 'ImageStreamTag', namespace: 'openshift', name: 'node:24' }, referencePolicy: { type: 'Source' } },
        { name: 'bare', from: null },
      ],
    },
    status: {
      dockerImageRepository: 'image-registry.openshift-image-registry.svc:5000/shop/node',
      tags: [
        { tag: '24', items: [{ created: '2026-11-01T00:00:00Z', dockerImageReference: `quay.io/lib/node@${digest}`, image: digest }] },
        { tag: 'pushed', items: [{ dockerImageReference: 'quay.io/x', image: '', generation: 1 }] },
        { tag: 'failed', items: null, conditions: [{ type: 'ImportSuccess', status: 'False' }] },
      ],
    },
  });
  if (stream.kind !== 'known') throw new Error(stream.why);
  expect(stream.repository).toBe('image-registry.openshift-image-registry.svc:5000/shop/node');
  expect([...stream.tags]).toEqual([
    [
      '24',
      {
        spec: { from: { kind: 'DockerImage', name: 'quay.io/lib/node:24' }, local: true },
        images: [{ image: digest, reference: `quay.io/lib/node@${digest}`, created: '2026-11-01T00:00:00Z' }],
      },
    ],
    ['latest', { spec: { from: { kind: 'ImageStreamTag', namespace: 'openshift', name: 'node:24' }, local: false }, images: [] }],
    ['bare', { spec: { local: false }, images: [] }],
    ['pushed', { images: [{ image: '', reference: 'quay.io/x' }] }],
    ['failed', { images: [] }],
  ]);
});

test.each<[sentence: string, object: Record<string, unknown>]>([
  ['without spec and status', {}],
  ['with lists of a wrong type', { spec: { tags: 'x' }, status: { tags: { 0: {} }, dockerImageRepository: '' } }],
  ['with entries of a wrong type', { spec: { tags: [null, 'x', { name: 5 }] }, status: { tags: [7, { tag: '' }] } }],
])('a stream %s contains nothing', (_sentence, object) => {
  expect(readImageStreamFacts(object)).toEqual({ kind: 'known', tags: new Map() });
});
