/** What a scenario sees of the cluster. */

import { afterAll, inject } from 'vitest';
import type { ApiClient } from '../../src/kube/api-client.ts';
import { clusterOfWorker } from './clusters.ts';
import { remoteServiceRoutes, type ServiceAddress } from './egress.ts';
import { createKubectl, type Kubectl } from './kubectl.ts';
import { waitFor } from './wait-for.ts';

export { waitFor };

export interface Target {
  /** Acts as administrator. `--as=USER` and `--as-group=GROUP` act as anybody. */
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  /** The cluster was started for this run. False with REGKEEPER_TEST_KUBECONFIG. */
  readonly local: boolean;
  /** PEM file with the CA of the API server; of the local cluster only. */
  readonly caFile: string | undefined;
  /** kubectl with a bearer token in place of the administrator's. */
  kubectlAs(token: string): Kubectl;
  /**
   * A new namespace, its name generated, with its default service account there, so that Pods can be made at once.
   * Deleted after the file's tests.
   */
  namespace(labels?: Readonly<Record<string, string>>): Promise<string>;
  /**
   * Brings what the API server sends to this Service port to 127.0.0.1:targetPort. The Service must have a ClusterIP; it may be created
   * later. Undone after the file's tests. Throws where the cluster is not local.
   */
  routeService(address: ServiceAddress, targetPort: number): Promise<void>;
  /** New connections to this Service port are refused, as when no Pod stands behind it. */
  unrouteService(address: ServiceAddress): Promise<void>;
}

const given = inject('cluster');
// The first file of a worker waits here until its control plane has started.
const cluster = 'socket' in given ? await clusterOfWorker(given.socket, process.env.VITEST_POOL_ID ?? '') : given;

/** Call it once, at the top of a scenario file: it registers the cleaning up of what it hands out. */
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
    // Not waited for: the namespace controller takes its time, and no other file uses these names.
    if (namespaces.length > 0) await kubectl(['delete', 'namespace', '--wait=false', '--ignore-not-found', ...namespaces]);
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

async function createNamespace(api: ApiClient, labels: Readonly<Record<string, string>>): Promise<string> {
  const manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { generateName: 'regkeeper-test-', name: '', labels } };
  const created = await api.create('/api/v1/namespaces', manifest);
  return created.metadata.name;
}

// A Pod whose service account does not exist yet is refused.
async function waitForDefaultServiceAccount(api: ApiClient, namespace: string): Promise<void> {
  await waitFor(() => api.get<object>(`/api/v1/namespaces/${namespace}/serviceaccounts/default`), {
    deadlineSeconds: 30,
    what: `the default service account of namespace ${namespace}`,
  });
}
