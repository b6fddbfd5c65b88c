/** The registry Secrets of a cluster, where the caller may read them. Only the keys of their entries are kept. */
import { parseRegistrySecret, registrySecretTypes } from '../credentials/registry-secret.ts';
import { isOfInternalRegistry } from '../draft/find-secrets.ts';
import { indexRegistrySecrets, type RegistrySecrets } from '../draft/registry-secrets.ts';
import type { ApiClient, KubeObject } from '../kube/api-client.ts';
import type { JsonObject } from '../object/json.ts';
import { describeNotRead } from './not-read.ts';

export type LiveSecrets = {
  readonly secrets: RegistrySecrets;
  /** What is wrong with Secrets, one sentence each, without anything of their contents but the keys of entries. */
  readonly problems: readonly string[];
  /** Why they could not be read. */
  readonly gap?: string;
};

export async function readLiveSecrets(client: ApiClient, namespace: string | undefined): Promise<LiveSecrets> {
  const path = `/api/v1${namespace === undefined ? '' : `/namespaces/${namespace}`}/secrets`;
  const secrets = indexRegistrySecrets();
  const problems = new Set<string>();
  const keep = (secret: KubeObject) => {
    const { name, namespace: place = '' } = secret.metadata;
    // OpenShift has one for each service account, for its internal registry alone.
    if (isOfInternalRegistry(name)) return undefined;
    secrets.add(place, name, secret as unknown as JsonObject);
    for (const { message } of parseRegistrySecret(secret as unknown as JsonObject)?.problems ?? []) {
      problems.add(`Secret ${place}/${name}: ${message}`);
    }
    return undefined;
  };
  try {
    for (const type of registrySecretTypes) await client.list<KubeObject>(path, { fieldSelector: `type=${type}` }, { keep });
    return { secrets, problems: [...problems] };
  } catch (error) {
    const { message } = describeNotRead(error, { resource: 'secrets', namespace, path, verb: 'list' });
    const effect = 'so a rule gets a secret only if it is unambiguous';
    return { secrets: indexRegistrySecrets(), problems: [], gap: `cannot read Secrets, ${effect}: ${message}` };
  }
}
