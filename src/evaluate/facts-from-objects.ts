/** Derives facts from the objects themselves, for commands without a cluster. */
import { isRegistrySecretType } from '../credentials/registry-secret.ts';
import type { Facts, ImageStreamFacts, SecretFacts, ServiceAccountFacts } from '../decision/facts.ts';
import { readServiceAccountFacts } from '../decision/read-account-facts.ts';
import { readImageStreamFacts } from '../decision/read-stream-facts.ts';
import { isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import type { Kinds } from '../object/kinds.ts';
import type { Manifest } from './parse-manifests.ts';

export type FactsFromObjectsOptions = {
  /** Default namespace of the objects. */
  readonly namespace: string;
  /** True: anything that is not among the objects does not exist. False: it is unknown. */
  readonly assumeComplete: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly kinds?: Kinds;
};

/** Reads labels of namespaces, pull secrets of service accounts, types of secrets, and contents of image streams. */
export function factsFromObjects(
  manifests: readonly Manifest[],
  { namespace: defaultNamespace, assumeComplete, now, kinds }: FactsFromObjectsOptions,
): Facts {
  const namespaces = new Map<string, Readonly<Record<string, string>>>();
  const accounts = new Map<string, ServiceAccountFacts>();
  const secrets = new Map<string, SecretFacts>();
  const streams = new Map<string, ImageStreamFacts>();
  for (const { apiVersion, kind, object } of manifests) {
    const name = textAt(object, ['metadata', 'name']) ?? '';
    const key = keyOf(textAt(object, ['metadata', 'namespace']) ?? defaultNamespace, name);
    // Templates that are older than OpenShift's API groups use v1.
    if (kind === 'ImageStream' && (apiVersion === 'image.openshift.io/v1' || apiVersion === 'v1'))
      streams.set(key, readImageStreamFacts(object));
    if (apiVersion !== 'v1') continue;
    if (kind === 'Namespace') namespaces.set(name, labelsOf(object));
    if (kind === 'ServiceAccount') accounts.set(key, readServiceAccountFacts(object));
    if (kind === 'Secret') secrets.set(key, isRegistrySecretType(object.type) ? 'present' : 'wrong-type');
  }
  return {
    namespace(name) {
      const labels = namespaces.get(name);
      return labels || assumeComplete ? { kind: 'known', labels: { ...labels, [nameLabel]: name } } : { kind: 'unknown' };
    },
    serviceAccount(namespace, name) {
      const account = accounts.get(keyOf(namespace, name));
      if (account || !assumeComplete) return account ?? { kind: 'unknown' };
      // Kubernetes creates this service account in every namespace.
      return name === 'default' ? { kind: 'known', pullSecrets: [], onlyListedSecrets: false } : { kind: 'absent' };
    },
    secret: (namespace, name) => secrets.get(keyOf(namespace, name)) ?? (assumeComplete ? 'absent' : 'unknown'),
    imageStream: (namespace, name) => streams.get(keyOf(namespace, name)) ?? { kind: assumeComplete ? 'absent' : 'unknown' },
    namesAsWritten: true,
    now: () => now,
    ...(kinds && { kinds }),
  };
}

/** The API server sets this label on every namespace, whatever the manifest contains. */
const nameLabel = 'kubernetes.io/metadata.name';

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function labelsOf(object: JsonObject): Readonly<Record<string, string>> {
  const labels = valueAt(object, ['metadata', 'labels']);
  const entries = isObject(labels) ? Object.entries(labels) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}
