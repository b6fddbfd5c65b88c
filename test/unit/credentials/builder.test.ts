/** Tests how a build of OpenShift finds its credential. */
import { describe, expect, test } from 'vitest';
import { findBuilderCredential } from '../../../src/credentials/builder.ts';
import { referenceOf } from '../rules/documents.ts';

function found(action: 'pull' | 'push', image: string, ...keys: readonly string[]): string | undefined {
  return findBuilderCredential(
    keys.map((key) => ({ key })),
    referenceOf(image),
    action,
  )?.key;
}

describe('a pull finds', () => {
  test.each([
    ['the registry', ['reg.io'], 'reg.io/team/app', 'reg.io'],
    ['the longest path first', ['reg.io', 'reg.io/team', 'reg.io/team/app'], 'reg.io/team/app:1', 'reg.io/team/app'],
    ['a path before the registry', ['reg.io', 'reg.io/team'], 'reg.io/team/app', 'reg.io/team'],
    ['a URL', ['https://reg.io/v1/'], 'reg.io/app', 'https://reg.io/v1/'],
    ['an exact string before a URL', ['http://reg.io', 'reg.io'], 'reg.io/app', 'reg.io'],
    ['Docker Hub by the key that docker login writes', ['https://index.docker.io/v1/'], 'nginx', 'https://index.docker.io/v1/'],
    ['Docker Hub by its server name', ['https://index.docker.io/v1/'], 'registry-1.docker.io/a/b', 'https://index.docker.io/v1/'],
    ['Docker Hub by its host name', ['registry-1.docker.io'], 'nginx', 'registry-1.docker.io'],
    ['no path that only has the same prefix', ['reg.io/tea'], 'reg.io/team/app', undefined],
    ['no wildcard', ['*.example.com'], 'reg.example.com/app', undefined],
    ['no URL without a scheme', ['index.docker.io/v1/'], 'nginx', undefined],
    ['no other spelling of the port', ['reg.io'], 'reg.io:443/app', undefined],
    ['no other spelling of the host', ['reg.io'], 'Reg.Io/app', undefined],
  ])('%s', (_name, keys, image, expected) => {
    expect(found('pull', image, ...keys)).toBe(expected);
  });
});

describe('a push is looked up like by the kubelet', () => {
  test.each([
    ['with wildcards', ['*.example.com'], 'reg.example.com/app', '*.example.com'],
    ['with the greatest key first', ['reg.io', 'reg.io/team'], 'reg.io/team/app', 'reg.io/team'],
    ['without Docker Hub’s server name', ['https://index.docker.io/v1/'], 'registry-1.docker.io/a/b', undefined],
  ])('%s', (_name, keys, image, expected) => {
    expect(found('push', image, ...keys)).toBe(expected);
  });
});
