/** Tests the lines about incomplete facts for `/readyz`. */
import { expect, test } from 'vitest';
import { renderFactGaps } from '../../../../src/cluster/facts/gap-notes.ts';

const complete = { unwatchedSecrets: { beyondLimit: 0, notPermitted: 0 }, namespacesOverBudget: [], heldBytes: 0 };

test('there are no lines if everything is known', () => {
  expect(renderFactGaps(complete)).toEqual([]);
});

test('gaps are shown by number, and namespaces by name, up to a limit', () => {
  const namespacesOverBudget = Array.from({ length: 12 }, (_, index) => `n${index}`);
  expect(renderFactGaps({ ...complete, unwatchedSecrets: { beyondLimit: 7, notPermitted: 2 }, namespacesOverBudget })).toEqual([
    '7 secrets referenced by rules are not watched. The maximum is 250',
    '2 secrets referenced by rules are not watched. The permission to list and watch them is missing',
    'namespaces over their memory budget: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9 and 2 more',
  ]);
});

test('a single secret is in the singular', () => {
  expect(renderFactGaps({ ...complete, unwatchedSecrets: { beyondLimit: 1, notPermitted: 1 } })).toEqual([
    '1 secret referenced by rules is not watched. The maximum is 250',
    '1 secret referenced by rules is not watched. The permission to list and watch them is missing',
  ]);
});
