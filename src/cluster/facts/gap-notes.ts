/**
 * Lines for `/readyz` about facts that are incomplete although the replica is ready. Without names of secrets, because anyone may read
 * them.
 */
import { countOf } from '../../image/wording.ts';
import type { FactGaps } from './facts.ts';
import { maxSecretNames } from './secrets.ts';

export function renderFactGaps({ unwatchedSecrets: { beyondLimit, notPermitted }, namespacesOverBudget }: FactGaps): readonly string[] {
  const notes: string[] = [];
  if (beyondLimit > 0) notes.push(`${unwatched(beyondLimit)}. The maximum is ${maxSecretNames}`);
  if (notPermitted > 0) notes.push(`${unwatched(notPermitted)}. The permission to list and watch them is missing`);
  if (namespacesOverBudget.length > 0) notes.push(`namespaces over their memory budget: ${listed(namespacesOverBudget)}`);
  return notes;
}

function unwatched(count: number): string {
  return `${countOf(count, 'secret referenced by rules is', 'secrets referenced by rules are')} not watched`;
}

function listed(names: readonly string[]): string {
  const [shown, rest] = [names.slice(0, 10), names.length - 10];
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
}
