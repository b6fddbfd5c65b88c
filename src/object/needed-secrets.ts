/**
 * Reads and renders the annotation that lists the secrets with delivery that an object needs, such as `corp-pull,team-pull`. It is on the
 * object's own metadata, never in a pod template, where it would start a rollout.
 *
 * Any user can write the annotation. It chooses only when a namespace gets a copy, and never whether it may have one.
 */
import { isObject } from './json.ts';

export const neededSecretsAnnotation = 'regkeeper.io/secrets';

/** In characters. The names of all secrets with delivery, 250 of at most 253 characters, fit. */
const longestText = 65_536;
const mostNames = 250;

/** The names in an object's annotations, without duplicates. Empty for a text that is too long. Unknown names are for the caller to drop. */
export function readNeededSecrets(annotations: unknown): readonly string[] {
  const text =
    isObject(annotations) && Object.hasOwn(annotations, neededSecretsAnnotation) ? annotations[neededSecretsAnnotation] : undefined;
  if (typeof text !== 'string' || text.length > longestText) return [];
  const names = new Set(text.split(',', mostNames).map((name) => name.trim()));
  names.delete('');
  return [...names];
}

/** The text of the annotation, whatever the order of the names. Undefined for no names. */
export function renderNeededSecrets(names: Iterable<string>): string | undefined {
  const sorted = [...new Set(names)].sort();
  return sorted.length > 0 ? sorted.join(',') : undefined;
}
