/** The registry Secrets among objects, and which of them serve an image. Only their keys are read, never a password. */
import { findBuilderCredential } from '../credentials/builder.ts';
import { findCredentials } from '../credentials/kubelet.ts';
import { parseRegistrySecret, type RegistryAuth, registrySecretProblems } from '../credentials/registry-secret.ts';
import type { Lookup } from '../credentials/usual-key.ts';
import type { Manifest } from '../evaluate/parse-manifests.ts';
import type { ImageReference } from '../image/reference.ts';
import { type JsonObject, textAt } from '../object/json.ts';

export type RegistrySecrets = {
  /** Whether the Secret has a credential for the image. Undefined if it is not among the objects, so that its keys are unknown. */
  serves(namespace: string, name: string, image: ImageReference, lookup: Lookup): boolean | undefined;
  /** The names of the Secrets in the namespace that have a credential for the image. None in a namespace with very many Secrets. */
  serving(namespace: string, image: ImageReference, lookup: Lookup): readonly string[];
};

/** Registry Secrets in a namespace that are tried for an image that lists none. Otherwise the work would be their number times the images. */
const mostTried = 100;

export function registrySecrets(manifests: readonly Manifest[], defaultNamespace: string): RegistrySecrets {
  const index = indexRegistrySecrets();
  for (const { apiVersion, kind, object } of manifests) {
    if (apiVersion !== 'v1' || kind !== 'Secret') continue;
    index.add(textAt(object, ['metadata', 'namespace']) ?? defaultNamespace, textAt(object, ['metadata', 'name']) ?? '', object);
  }
  return index;
}

/** To which Secrets are added one after the other. Of each, only the keys are kept. */
export function indexRegistrySecrets(): RegistrySecrets & { add(namespace: string, name: string, secret: JsonObject): void } {
  const byNamespace = new Map<string, Map<string, readonly RegistryAuth[]>>();
  const secretsIn = (namespace: string) => byNamespace.get(namespace) ?? new Map<string, readonly RegistryAuth[]>();
  return {
    add(namespace, name, secret) {
      byNamespace.set(namespace, secretsIn(namespace).set(name, usableAuths(secret)));
    },
    serves(namespace, name, image, lookup) {
      const auths = secretsIn(namespace).get(name);
      return auths && hasCredential(auths, image, lookup);
    },
    serving(namespace, image, lookup) {
      const secrets = [...secretsIn(namespace)].filter(([, auths]) => auths.length > 0);
      return secrets.length > mostTried ? [] : secrets.flatMap(([name, auths]) => (hasCredential(auths, image, lookup) ? [name] : []));
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
