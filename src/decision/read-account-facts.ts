/** Reads the facts of a ServiceAccount object, within a limit: users control its names, which must not fill the memory of the server. */
import { isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import type { ServiceAccountFacts } from './facts.ts';

/** Far more than any real account has: OpenShift adds one or two. */
export const mostPullSecrets = 1_000;
export const mostPullSecretCharacters = 64 * 1024;

/**
 * Values of a wrong type are ignored. `too-large`, without names, for more than {@link mostPullSecrets} names or
 * {@link mostPullSecretCharacters} characters of names.
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
