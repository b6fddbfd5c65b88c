/** Tests the facts that are derived from the objects themselves. */
import { expect, test } from 'vitest';
import { factsFromObjects } from '../../../src/evaluate/facts-from-objects.ts';
import type { Manifest } from '../../../src/evaluate/parse-manifests.ts';

function secretOf(type: string | undefined): Manifest {
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'corp', namespace: 'shop' }, ...(type !== undefined && { type }) };
  return { apiVersion: 'v1', kind: 'Secret', object } as unknown as Manifest;
}

test.each([
  ['kubernetes.io/dockerconfigjson', 'present'],
  ['kubernetes.io/dockercfg', 'present'],
  ['kubernetes.io/dockerconfigjson ', 'wrong-type'],
  ['kubernetes.io/basic-auth', 'wrong-type'],
  ['Opaque', 'wrong-type'],
  [undefined, 'wrong-type'],
])('a secret of type %j is %s', (type, expected) => {
  const facts = factsFromObjects([secretOf(type)], { namespace: 'default', assumeComplete: true, now: 0 });
  expect(facts.secret('shop', 'corp')).toBe(expected);
});
