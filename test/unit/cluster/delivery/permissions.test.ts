/** Tests which secrets the account may deliver, by the answer of the API server. */
import { expect, test } from 'vitest';
import { reviewPermissions } from '../../../../src/cluster/delivery/permissions.ts';
import { type ApiClient, ApiError } from '../../../../src/kube/api-client.ts';

const copyVerbs = ['create', 'patch', 'delete', 'list', 'watch'];
const copies = (...resourceNames: string[]) => ({ apiGroups: [''], resources: ['secrets'], resourceNames, verbs: copyVerbs });
const sources = (...resourceNames: string[]) => ({
  apiGroups: [''],
  resources: ['secrets'],
  resourceNames,
  verbs: ['get', 'list', 'watch'],
});
const everything = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] };

function review(resourceRules: unknown) {
  const client = { request: async () => ({ status: { resourceRules, incomplete: false } }) } as unknown as ApiClient;
  return reviewPermissions(client, 'regkeeper', new AbortController().signal);
}

const shown = (names: ReadonlySet<string> | 'all') => (names === 'all' ? names : [...names]);

test.each<[string, unknown[], unknown, unknown]>([
  ['nothing', [], [], []],
  ['what the shipped roles permit', [copies('a', 'b'), sources('s')], ['a', 'b'], ['s']],
  ['other resources', [{ ...copies('a'), resources: ['configmaps'] }], [], []],
  ['other groups', [{ ...copies('a'), apiGroups: ['apps'] }], [], []],
  [
    'verbs in several rules',
    [
      { ...copies('a'), verbs: ['create', 'patch'] },
      { ...copies('a', 'b'), verbs: ['delete', 'list', 'watch'] },
    ],
    ['a'],
    [],
  ],
  ['a verb that is missing', [{ ...copies('a'), verbs: ['create', 'patch', 'list', 'watch'] }], [], []],
  ['an administrator', [everything], 'all', 'all'],
  ['an administrator of Secrets', [{ apiGroups: [''], resources: ['secrets'], verbs: ['*'] }], 'all', 'all'],
  ['an empty list of names, which is not a limit', [copies()], 'all', []],
  ['rules with a wrong type', [null, 7, { apiGroups: '' }], [], []],
])('for %s', async (_who, rules, expectedCopies, expectedSources) => {
  const { copies: found, sources: readable } = await review(rules);
  expect([shown(found), shown(readable)]).toEqual([expectedCopies, expectedSources]);
});

test('a response that is not a review is an error', async () => {
  await expect(review(undefined)).rejects.toThrow(ApiError);
});
