/**
 * Limits what lists in one entry multiply to. A rule with a list of registries becomes one rule for each registry, and each has all the secrets
 * and namespaces. So a short document can describe rules that need more memory than the process has.
 */

import { formatCount } from '../../image/wording.ts';
import type { Origin, Problem } from '../language/problem.ts';
import { lengthOf } from '../match/namespaces.ts';
import type { NamespaceSelector } from '../rule-set.ts';

/** A rule or an exemption. Those that come from one list share their lists of secrets and namespaces. */
type Combined = { readonly pullSecrets?: readonly string[]; readonly namespaces?: NamespaceSelector; readonly origin: Origin };

/** For all documents of the cluster. They need about half a second and 100 MiB if all of them are namespace patterns. */
export const maxCombinations = 500_000;
/** For all documents of one namespace, which may have 200 rules. */
export const maxCombinationsOfNamespace = 20_000;

/** A problem at the first entry with which there are more combinations than `most`. Empty if there are not. */
export function tooManyCombinations(entries: readonly Combined[], most: number): readonly Problem[] {
  let left = most;
  for (const { pullSecrets = [], namespaces, origin } of entries) {
    left -= pullSecrets.length + lengthOf(namespaces);
    if (left >= 0) continue;
    const message = `there are more than ${formatCount(most)} combinations of a registry with a secret or namespace. Each registry in a list counts once for each secret and each name or label value in the same entry. Use patterns for namespaces, labels, or shorter lists.`;
    return [{ code: 'too-many-combinations', message, origin }];
  }
  return [];
}
