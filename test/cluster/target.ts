/** The cluster as scenarios use it: kubectl, new namespaces, routes of Services, and the cleanup after each file. */

import { afterAll, inject } from 'vitest';
import { type ApiClient, isNotFound } from '../../src/kube/api-client.ts';
import { clusterOfWorker } from './clusters.ts';
import { remoteServiceRoutes, type ServiceAddress } from './egress.ts';
import { createKubectl, type Kubectl } from './kubectl.ts';
import { waitFor } from './wait-for.ts';

export { waitFor };

export interface Target {
  /** kubectl as administrator. `--as=USER` and `--as-group=GROUP` impersonate any user. */
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  /** True where the cluster was started for this run, false with REGKEEPER_TEST_KUBECONFIG. */
  readonly local: boolean;
  /** PEM file with the CA of the API server. Only for the local cluster. */
  readonly caFile: string | undefined;
  /** kubectl with this bearer token instead of the administrator's. */
  kubectlAs(token: string): Kubectl;
  /**
   * Creates a namespace with a generated name. Its default service account exists when this returns, so Pods can be created at once.
   * The namespace is deleted after the file's tests.
   */
  namespace(labels?: Readonly<Record<string, string>>): Promise<string>;
  /**
   * Routes the API server's connections to this Service port to 127.0.0.1:targetPort. The Service must have a ClusterIP, and may be created
   * later. Undone after the file's tests. @throws Error where the cluster is not local
   */
  routeService(address: ServiceAddress, targetPort: number): Promise<void>;
  /** Rejects new connections to this Service port from now on, as if the Service had no Pod. */
  unrouteService(address: ServiceAddress): Promise<void>;
}

const provided = inject('cluster');
// The first file of a worker waits here until its control plane has started.
const cluster = 'socket' in provided ? await clusterOfWorker(provided.socket, process.env.VITEST_POOL_ID ?? '') : provided;

/** Call it once, at the top of a scenario file, because it registers the cleanup of namespaces and routes. */
export function target(): Target {
  const { kubeconfig, kubectlBinary, kubectlCache, egressSocket, caFile } = cluster;
  const kubectl = createKubectl({ binary: kubectlBinary, kubeconfig, cacheFolder: kubectlCache });
  const namespaces: string[] = [];
  const routed: ServiceAddress[] = [];

  const routes = () => {
    if (egressSocket !== undefined) return remoteServiceRoutes(egressSocket);
    throw new Error('a Service can be routed to a loopback port in the local cluster only, not in that of REGKEEPER_TEST_KUBECONFIG');
  };

  afterAll(async () => {
    for (const address of routed) await routes().unroute(address);
    // Does not wait: deletion of a namespace takes a while, and no other file uses these names.
    await deleteAll(
      kubectl,
      namespaces.map((name) => `/api/v1/namespaces/${name}`),
    );
  });

  return {
    kubectl,
    kubeconfig,
    local: egressSocket !== undefined,
    caFile,
    kubectlAs: (token) => createKubectl({ binary: kubectlBinary, kubeconfig, cacheFolder: kubectlCache, token }),
    namespace: async (labels = {}) => {
      const api = await kubectl.api();
      const name = await createNamespace(api, labels);
      namespaces.push(name);
      await waitForDefaultServiceAccount(api, name);
      return name;
    },
    routeService: async (address, targetPort) => {
      await routes().route(address, targetPort);
      routed.push(address);
    },
    unrouteService: async (address) => await routes().unroute(address),
  };
}

/** Deletes the objects at these paths, whether they exist or not. kubectl would send five requests per second. */
export async function deleteAll(kubectl: Kubectl, paths: readonly string[]): Promise<void> {
  const api = await kubectl.api();
  const left = paths.values();
  const deleteNext = async () => {
    for (const path of left) {
      await api.delete(path).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: 10 }, deleteNext));
}

/** Namespaces of earlier scenarios are deleted in the background. Until then a scan finds what they contain. */
export async function waitUntilDeleted(kubectl: Kubectl): Promise<void> {
  const api = await kubectl.api();
  const isClean = async () => {
    const { items } = await api.list<{ metadata: { name: string; deletionTimestamp?: string } }>('/api/v1/namespaces');
    return items.every(({ metadata }) => metadata.deletionTimestamp === undefined);
  };
  await waitFor(isClean, { deadlineSeconds: 150, what: 'the namespaces of earlier scenarios to be deleted' });
}

// The name must not contain that of the product: uninstall.test.ts searches for it, and deleted namespaces remain for a while.
async function createNamespace(api: ApiClient, labels: Readonly<Record<string, string>>): Promise<string> {
  const manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'scenario-', name: '', labels } };
  const created = await api.create('/api/v1/namespaces', manifest);
  return created.metadata.name;
}

// The API server rejects a Pod whose service account does not exist yet.
async function waitForDefaultServiceAccount(api: ApiClient, namespace: string): Promise<void> {
  await waitFor(() => api.get<object>(`/api/v1/namespaces/${namespace}/serviceaccounts/default`), {
    deadlineSeconds: 60,
    what: `the default service account of namespace ${namespace}`,
  });
}
