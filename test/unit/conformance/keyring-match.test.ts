/** Compares the lookup of credentials with the tests of the kubelet's keyring (kubernetes pkg/credentialprovider). */
import { describe, expect, test } from 'vitest';
import { isOnDockerHub, lookUp } from '../../../src/credentials/kubelet.ts';
import { readTable } from './corpus.ts';

const columns = ['test', 'idx', 'auth_key', 'image', 'expect', 'note'] as const;
const rows = readTable({ file: 'keyring_match.tsv', columns, rows: 62 });

describe.runIf(rows.length > 0)('the kubelet', () => {
  test.each(rows)('$test $idx: $auth_key for "$image" is $expect', ({ auth_key, image, expect: expected }) => {
    expect(resultOf(auth_key, image, expected)).toBe(expected);
  });
});

/** `match`, `no-match`, or with the names of the logins: `match:ada,grace`. Rows about Docker Hub alone have no key. */
function resultOf(keys: string, image: string, expected: string): string {
  if (expected.endsWith('default') || expected.startsWith('default')) return isOnDockerHub(image) ? 'default-registry' : 'not-default';
  const entries = keys.split(' ; ').map((text) => {
    const [key = '', user] = text.split('=');
    return { key, user };
  });
  const found = lookUp(entries, image);
  if (found.length === 0) return 'no-match';
  const users = found.flatMap(({ user }) => user ?? []);
  return users.length > 0 ? `match:${users.join(',')}` : 'match';
}
