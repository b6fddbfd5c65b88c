/** What of a ServiceAccount object matters, and how much of it is held: names that a tenant writes must not fill the memory of all. */
import { isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import type { ServiceAccountFacts } from './facts.ts';

/** Far more than any account that is used: OpenShift writes one or two. */
export const mostPullSecrets = 1_000;
export const mostPullSecretCharacters = 64 * 1024;

/**
 * Nothing is trusted to have its type: what has not is left out. `too-large` beyond {@link mostPullSecrets} names or
 * {@link mostPullSecretCharacters} characters of names; no name is held then.
 */
export function readServiceAccountFacts(object: JsonObject): ServiceAccountFacts {
  const listed = valueAt(object, ['imagePullSecrets']);
  const onlyListedSecrets = valueAt(object, ['metadata', 'annotations', 'kubernetes.io/enforce-mountable-secrets']) === 'true';
  const pullSecrets: string[] = [];
  let characters = 0;
  for (const secret of Array.isArray(listed) ? listed : []) {
    const name = isObject(secret) ? textAt(secret, ['name']) : undefined;
    if (name === undefined || name === '') continue;
    characters += name.length;
    if (pullSecrets.length === mostPullSecrets || characters > mostPullSecretCharacters)
      return { kind: 'too-large', why, onlyListedSecrets };
    pullSecrets.push(name);
  }
  return { kind: 'known', pullSecrets, onlyListedSecrets };
}

const why = 'it lists more than 1,000 pull secrets, or more than 64 KiB of names';
