/**
 * An ordinary user: a ServiceAccount with `edit` in one namespace and nothing elsewhere. As on OpenShift, `edit` there includes builds, image
 * streams and deployment configs, which the test cluster serves as custom resources.
 *
 *     const tenant = await createTenant({ kubectl: cluster.kubectl, kubeconfig: cluster.kubeconfig, namespace });
 *     await tenant.client.create(`/apis/build.openshift.io/v1/namespaces/${namespace}/buildconfigs`, hostile);
 */
import { onTestFinished } from 'vitest';
import type { ApiClient } from '../../src/kube/api-client.ts';
import { connectApi } from '../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import type { Kubectl } from './kubectl.ts';
import { waitFor } from './wait-for.ts';

export type Tenant = {
  /** Closed when the test ends. */
  readonly client: ApiClient;
  /** A bearer token, for `cluster.kubectlAs(token)`. */
  readonly token: string;
  /** The user name in requests and audit records. */
  readonly user: string;
  readonly namespace: string;
};

export type TenantOptions = {
  /** An administrator's. */
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  readonly namespace: string;
  /** Name of the ServiceAccount and its RoleBinding. By default `tenant`. */
  readonly name?: string;
};

/** Call it inside a test. Returns when the API server allows the tenant to create Pods and BuildConfigs. */
export async function createTenant({ kubectl, kubeconfig, namespace, name = 'tenant' }: TenantOptions): Promise<Tenant> {
  await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(editOfOpenShift) });
  await kubectl(['create', 'serviceaccount', name, '-n', namespace]);
  await kubectl(['create', 'rolebinding', name, '--clusterrole=edit', `--serviceaccount=${namespace}:${name}`, '-n', namespace]);
  const { stdout } = await kubectl(['create', 'token', name, '-n', namespace, '--duration=1h']);
  const token = stdout.trim();

  const config = await loadKubeConfig({ file: kubeconfig, env: {} });
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`${kubeconfig} has no current cluster`);
  const user = { name, token };
  const context = { name, user: name, cluster: cluster.name };
  config.loadFromOptions({ clusters: [cluster], users: [user], contexts: [context], currentContext: name });
  const client = connectApi(config);
  onTestFinished(() => client.close());

  for (const [group, resource] of [['', 'pods'] as const, ['build.openshift.io', 'buildconfigs'] as const]) {
    await waitFor(() => may(client, { namespace, verb: 'create', group, resource }), {
      deadlineSeconds: 60,
      what: `the tenant to be allowed to create ${resource}`,
    });
  }
  return { client, token, user: `system:serviceaccount:${namespace}:${name}`, namespace };
}

/** The aggregation controller adds it to `edit` and `admin`. It is not deleted, because the cluster only serves the tests. */
const editOfOpenShift = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'scenario-openshift-edit', labels: { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true' } },
  rules: [
    {
      apiGroups: ['apps.openshift.io', 'build.openshift.io', 'image.openshift.io'],
      resources: ['*'],
      verbs: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'],
    },
  ],
};

type Right = { readonly namespace: string; readonly verb: string; readonly group: string; readonly resource: string };

async function may(client: ApiClient, resourceAttributes: Right): Promise<boolean> {
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
    status: { allowed: false },
  };
  const { status } = await client.create('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review);
  return status.allowed;
}
