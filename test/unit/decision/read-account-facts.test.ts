/** The facts that are read from a ServiceAccount object, and their size limit. */
import { expect, test } from 'vitest';
import { mostPullSecretCharacters, mostPullSecrets, readServiceAccountFacts } from '../../../src/decision/read-account-facts.ts';

const names = (count: number, length = 1) => Array.from({ length: count }, (_, index) => ({ name: `${index}`.padEnd(length, 'n') }));
const enforcing = { annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } };

test.each<[sentence: string, imagePullSecrets: unknown, expected: object]>([
  ['no list means no secret', undefined, { kind: 'known', pullSecrets: [] }],
  ['the order is that of the account', [{ name: 'b' }, { name: 'a' }], { kind: 'known', pullSecrets: ['b', 'a'] }],
  ['an invalid name is omitted', [{ name: 5 }, null, 'x', {}, { name: '' }, { name: 'a' }], { kind: 'known', pullSecrets: ['a'] }],
  ['a value that is not a list means no secret', 'a', { kind: 'known', pullSecrets: [] }],
  ['as many names as are kept', names(mostPullSecrets), { kind: 'known', pullSecrets: expect.any(Array) }],
  ['one name more is too large', names(mostPullSecrets + 1), { kind: 'too-large', why: expect.stringContaining('1,000') }],
  [
    'names with as many characters as are kept',
    names(256, mostPullSecretCharacters / 256),
    { kind: 'known', pullSecrets: expect.any(Array) },
  ],
  [
    'one character more is too large',
    [...names(256, mostPullSecretCharacters / 256), { name: 'x' }],
    { kind: 'too-large', why: expect.any(String) },
  ],
])('%s', (_sentence, imagePullSecrets, expected) => {
  expect(readServiceAccountFacts({ metadata: {}, imagePullSecrets })).toEqual({ ...expected, onlyListedSecrets: false });
});

test.each([[names(1)], [names(60_000)]])('whether only listed secrets are allowed is known whatever the size', (imagePullSecrets) => {
  expect(readServiceAccountFacts({ metadata: enforcing, imagePullSecrets })).toMatchObject({ onlyListedSecrets: true });
});
