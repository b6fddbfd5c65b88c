/** The registry Secrets among objects, and which of them serve an image. Only their keys are read, never a password. */
import { findBuilderCredential } from '../credentials/builder.ts';
import { findCredentials } from '../credentials/kubelet.ts';
import { parseRegistrySecret, type RegistryAuth, registrySecretProblems } from '../credentials/registry-secret.ts';
import type { Lookup } from '../credentials/usual-key.ts';
import type { Manifest } from '../evaluate/parse-manifests.ts';
import { type ImageReference, repositoryAsWritten } from '../image/reference.ts';
import { type JsonObject, textAt } from '../object/json.ts';

export type RegistrySecrets = {
  /** Whether the Secret is among the objects, so that its keys are known. */
  has(namespace: string, name: string): boolean;
  /** The names of the Secrets in the namespace that have a credential for the image, sorted. */
  serving(namespace: string, image: ImageReference, lookup: Lookup): readonly string[];
};

export function registrySecrets(manifests: readonly Manifest[], defaultNamespace: string): RegistrySecrets {
  const byNamespace = new Map<string, Map<string, readonly RegistryAuth[]>>();
  for (const { apiVersion, kind, object } of manifests) {
    if (apiVersion !== 'v1' || kind !== 'Secret') continue;
    const namespace = textAt(object, ['metadata', 'namespace']) ?? defaultNamespace;
    const secrets = byNamespace.get(namespace) ?? new Map<string, readonly RegistryAuth[]>();
    byNamespace.set(namespace, secrets.set(textAt(object, ['metadata', 'name']) ?? '', usableAuths(object)));
  }
  const memo = new Map<string, readonly string[]>();
  return {
    has: (namespace, name) => byNamespace.get(namespace)?.has(name) === true,
    serving(namespace, image, lookup) {
      const key = JSON.stringify([namespace, lookup, repositoryAsWritten(image)]);
      const secrets = [...(byNamespace.get(namespace) ?? [])];
      const names = memo.get(key) ?? secrets.flatMap(([name, auths]) => (hasCredential(auths, image, lookup) ? [name] : [])).sort();
      memo.set(key, names);
      return names;
    },
  };
}

/** None if the Secret breaks pulls, or is of another type. */
function usableAuths(secret: JsonObject): readonly RegistryAuth[] {
  const { auths, problems } = parseRegistrySecret(secret) ?? { auths: [], problems: [] };
  const isBroken = problems.some(({ code }) => registrySecretProblems[code] !== 'entry-ignored');
  return isBroken ? [] : auths.filter(({ hasLogin }) => hasLogin);
}

function hasCredential(auths: readonly RegistryAuth[], image: ImageReference, lookup: Lookup): boolean {
  return lookup.by === 'kubelet'
    ? findCredentials(auths, image).length > 0
    : findBuilderCredential(auths, image, lookup.action) !== undefined;
}
