/** Tests how a kubelet finds credentials. The conformance tests compare with the kubelet's own cases. */
import { describe, expect, test } from 'vitest';
import { findCredentials, lookUp } from '../../../src/credentials/kubelet.ts';
import { referenceOf } from '../rules/documents.ts';
import { hub, keysThatDoNotMatch, keysThatMatch } from './keyring-rows.ts';

/** The keys that are tried, in order. */
function found(image: string, ...keys: readonly string[]): readonly string[] {
  return findCredentials(
    keys.map((key) => ({ key })),
    referenceOf(image),
  ).map(({ key }) => key);
}

describe('a key finds an image', () => {
  test.each(keysThatMatch)('%s', (_name, key, image) => {
    expect(found(image, key)).toEqual([key]);
  });
});

describe('a key does not find an image', () => {
  test.each(keysThatDoNotMatch)('%s', (_name, key, image) => {
    expect(found(image, key)).toEqual([]);
  });
});

describe('of several entries', () => {
  test('more specific ones are tried first', () => {
    const keys = ['reg.io', 'reg.io/team/app', '*.io', 'reg.io/team'];
    expect(found('reg.io/team/app', ...keys)).toEqual(['reg.io/team/app', 'reg.io/team', 'reg.io', '*.io']);
  });

  test('those of one registry keep the order of the secrets', () => {
    const entries = [
      { key: 'https://reg.io', secret: 'a' },
      { key: 'reg.io', secret: 'b' },
    ];
    expect(lookUp(entries, 'reg.io/app').map(({ secret }) => secret)).toEqual(['a', 'b']);
  });

  test('the one for Docker Hub is only tried if no other one is found', () => {
    expect(found('nginx', hub, 'docker.io')).toEqual(['docker.io']);
  });
});

test('a label with ten thousand wildcards takes no longer than the product of both lengths', () => {
  const key = `${'*a'.repeat(10_000)}b.example.com`;
  expect(lookUp([{ key }], `${'a'.repeat(63)}.example.com/app`)).toEqual([]);
});
