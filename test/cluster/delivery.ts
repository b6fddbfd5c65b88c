/** Runs `regkeeper deliver` in the test cluster with the identity and the permissions of its ServiceAccount. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { runProgram } from '../../src/cli/program.ts';
import { deliveredLabel, fencePolicy } from '../../src/delivery/names.ts';
import type { Kubectl } from './kubectl.ts';
import { ownNamespace, readiness, serviceAccountKubeconfig, spawnProgram } from './regkeeper.ts';
import { deleteAll } from './target.ts';
import { waitFor } from './wait-for.ts';

const deploy = resolve(import.meta.dirname, '../../deploy');

export type DeliveryProcess = Omit<Awaited<ReturnType<typeof spawnProgram>>, 'readyLine'> & {
  readonly healthPort: number;
  /** The value of a metric with these labels, such as `name{a="b"}`. */
  metric(series: string): Promise<number | undefined>;
};

export type DeliverySettings = {
  readonly kubectl: Kubectl;
  /** Folder for logs and the kubeconfig of the service account. */
  readonly directory: string;
  readonly flags?: readonly string[];
  readonly nodeFlags?: readonly string[];
};

/** Applies the component of `deploy/secret-delivery`. On a cluster without nodes, the Deployment has no Pods. */
export async function applyDelivery(kubectl: Kubectl, directory: string): Promise<void> {
  const overlay = overlayIn(directory);
  await mkdir(overlay, { recursive: true });
  const component = relative(overlay, join(deploy, 'secret-delivery'));
  await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify({ components: [component] }));
  await kubectl(['apply', '--server-side', '-k', overlay]);
}

/** Deletes what `applyDelivery` has applied. */
export async function withdrawDelivery(kubectl: Kubectl, directory: string): Promise<void> {
  await kubectl(['delete', '-k', overlayIn(directory), '--ignore-not-found']);
}

function overlayIn(directory: string): string {
  return join(directory, 'delivery-overlay');
}

/** Applies the output of `regkeeper rbac --deliver` for these rules. */
export async function applyDeliveryRights(
  kubectl: Kubectl,
  directory: string,
  rules: string,
  flags: readonly string[] = [],
): Promise<void> {
  const file = join(directory, 'rules-for-rights.yaml');
  await writeFile(file, rules);
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { stdin: await deliveryRightsText(file, flags) });
}

/** Applies the source `corp-source`, with a credential for this host. */
export async function applySource(kubectl: Kubectl, host: string): Promise<void> {
  const source = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'corp-source', namespace: ownNamespace, labels: { 'regkeeper.io/source': 'true' } },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [host]: { auth: btoa('robot:one') } } }) },
  };
  await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(source) });
}

export async function deliveryRightsText(file: string, flags: readonly string[] = []): Promise<string> {
  const lines: string[] = [];
  const output = { out: (text: string) => void lines.push(text), err: (text: string) => void lines.push(text) };
  const nothing = async () => {};
  await runProgram(
    ['rbac', '--deliver', '--rules', file, '--namespace', ownNamespace, ...flags],
    { serve: nothing, deliver: nothing, connect: () => Promise.reject(new Error('not needed')) },
    output,
  );
  return lines.join('');
}

export async function deleteDelivery(kubectl: Kubectl): Promise<void> {
  const api = await kubectl.api();
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  // First the permission, so that no copy is recreated.
  const roles = ['regkeeper-delivered-secrets', 'regkeeper-deliver', 'regkeeper-deliver-custom-kinds'];
  await deleteAll(
    kubectl,
    roles.flatMap((name) => [`${rbac}/clusterroles/${name}`, `${rbac}/clusterrolebindings/${name}`]),
  );
  const { items } = await api.list('/api/v1/secrets', { labelSelector: `${deliveredLabel}=true` });
  const policies = ['validatingadmissionpolicies', 'validatingadmissionpolicybindings'];
  await deleteAll(kubectl, [
    ...items.map(({ metadata }) => `/api/v1/namespaces/${metadata.namespace}/secrets/${metadata.name}`),
    ...policies.map((plural) => `/apis/admissionregistration.k8s.io/v1/${plural}/${fencePolicy}`),
  ]);
}

/** Starts the process, and returns when it listens. */
export async function launchDelivery({ kubectl, directory, flags = [], nodeFlags = [] }: DeliverySettings): Promise<DeliveryProcess> {
  await mkdir(directory, { recursive: true });
  const kubeconfig = await serviceAccountKubeconfig({ kubectl, directory }, 'regkeeper-deliver');
  const args = ['deliver', '--kubeconfig', kubeconfig, '--namespace', ownNamespace, '--host', '127.0.0.1', '--health-port', '0', ...flags];
  const { readyLine, ...program } = await spawnProgram(args, {
    directory,
    nodeFlags,
    ready: 'secret delivery is running',
    readyWithinSeconds: 30,
  });
  const healthPort = Number(new URL((readyLine as { healthUrl: string }).healthUrl).port);
  const metric = async (series: string) => {
    const text = await (await fetch(`http://localhost:${healthPort}/metrics`)).text();
    const line = text.split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  return { ...program, healthPort, metric };
}

/** The same, and waits until it is the leader and may write. */
export async function startDelivery(settings: DeliverySettings): Promise<DeliveryProcess> {
  const delivery = await launchDelivery(settings);
  await waitFor(async () => (await readiness(delivery)).ready && (await delivery.metric('regkeeper_leader')) === 1, {
    deadlineSeconds: 60,
    what: 'the delivery to be the leader',
  });
  return delivery;
}
