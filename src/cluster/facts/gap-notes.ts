/**
 * Lines for `/readyz` about facts that are incomplete although the replica is ready. Without names of secrets, because anyone may read
 * them.
 */
import type { FactGaps } from './facts.ts';
import { maxSecretNames } from './secrets.ts';

export function renderFactGaps({ unwatchedSecrets: { beyondLimit, notPermitted }, namespacesOverBudget }: FactGaps): readonly string[] {
  const notes: string[] = [];
  if (beyondLimit > 0) notes.push(`${beyondLimit} secrets named in rules are not watched. The limit is ${maxSecretNames}`);
  if (notPermitted > 0)
    notes.push(`${notPermitted} secrets named in rules are not watched. The permission to list and watch them is missing`);
  if (namespacesOverBudget.length > 0) notes.push(`namespaces over their memory budget: ${listed(namespacesOverBudget)}`);
  return notes;
}

function listed(names: readonly string[]): string {
  const [shown, rest] = [names.slice(0, 10), names.length - 10];
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
}
