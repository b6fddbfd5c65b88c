/** Finds the object that people know, such as a Deployment, for a Pod whose owner is a ReplicaSet, or for the ReplicaSet itself. */
import type { ApiClient, KubeObject } from '../../kube/api-client.ts';
import { isNotFound } from '../../kube/api-client.ts';
import { controllerReferenceOf, type OwnerReference } from '../../object/owner.ts';
import { isNamespaceName, isObjectName, type Regarding } from './event.ts';

export type TopOwners = {
  /**
   * The owner, or the owner's own controller for a ReplicaSet, Job or ReplicationController. The owner is read and must have the uid of the
   * reference. Undefined if it does not, or if the kind is not one of these.
   *
   * @throws ApiError
   */
  find(namespace: string, owner: OwnerReference, signal: AbortSignal): Promise<Regarding | undefined>;
};

/** Kinds whose objects create Pods, or objects that do, with their collection. `passesOn`: another controller creates these objects. */
const kinds: Readonly<Record<string, { readonly collection: string; readonly passesOn: boolean }>> = {
  'apps/v1 Deployment': { collection: 'deployments', passesOn: false },
  'apps/v1 ReplicaSet': { collection: 'replicasets', passesOn: true },
  'apps/v1 StatefulSet': { collection: 'statefulsets', passesOn: false },
  'apps/v1 DaemonSet': { collection: 'daemonsets', passesOn: false },
  'batch/v1 CronJob': { collection: 'cronjobs', passesOn: false },
  'batch/v1 Job': { collection: 'jobs', passesOn: true },
  'v1 ReplicationController': { collection: 'replicationcontrollers', passesOn: true },
  'apps.openshift.io/v1 DeploymentConfig': { collection: 'deploymentconfigs', passesOn: false },
};

/** Owners whose result is remembered. Owners change only when a controller adopts or releases them. */
const maxRemembered = 1_000;
const requestMilliseconds = 5_000;
/** The owners are in the metadata. The rest of the object is not requested. */
const metadataOnly = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';

/** Whether the owner can be read back. */
export function canReadBack({ apiVersion, kind }: Pick<OwnerReference, 'apiVersion' | 'kind'>): boolean {
  return Object.hasOwn(kinds, `${apiVersion} ${kind}`);
}

export function createTopOwners(client: Pick<ApiClient, 'request'>): TopOwners {
  const remembered = new Map<string, Regarding>();
  return {
    async find(namespace, owner, signal) {
      const row = canReadBack(owner) ? kinds[`${owner.apiVersion} ${owner.kind}`] : undefined;
      if (!row || !isNamespaceName(namespace) || !isObjectName(owner.name)) return undefined;
      const key = JSON.stringify([namespace, owner.apiVersion, owner.kind, owner.name, owner.uid]);
      const known = remembered.get(key);
      if (known) return known;
      const live = await read(client, pathOf(namespace, owner, row.collection), signal);
      if (live?.metadata.uid !== owner.uid) return undefined;
      const top = (row.passesOn && controllerReferenceOf(live)) || owner;
      remembered.set(key, top);
      const [oldest] = remembered.keys();
      if (remembered.size > maxRemembered && oldest !== undefined) remembered.delete(oldest);
      return top;
    },
  };
}

function pathOf(namespace: string, { apiVersion, name }: OwnerReference, collection: string): string {
  return `/${apiVersion === 'v1' ? 'api' : 'apis'}/${apiVersion}/namespaces/${namespace}/${collection}/${name}`;
}

async function read(client: Pick<ApiClient, 'request'>, path: string, signal: AbortSignal): Promise<KubeObject | undefined> {
  try {
    return await client.request<KubeObject>({
      method: 'GET',
      path,
      accept: metadataOnly,
      signal,
      timeoutMilliseconds: requestMilliseconds,
    });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
