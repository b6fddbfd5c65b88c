/** The node as scenarios use it, in addition to the cluster of test/cluster/target.ts. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { waitFor } from '../cluster/wait-for.ts';
import type { Acting, PodLike } from '../cluster/workloads.ts';
import { running } from '../cluster/workloads.ts';
import { password, type RegistryRequest } from './registries.ts';

const provided = inject('node');

export const { folder: nodeFolder, kubeletKubeconfig: nodeKubeconfig } = provided;

/** What the registries were asked for a repository, in order. */
export function requestsFor(repository: string): RegistryRequest[] {
  const lines = readFileSync(provided.registryLog, 'utf8').split('\n');
  const requests = lines.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as RegistryRequest] : []));
  return requests.filter(({ path }) => path.startsWith(`/v2/${repository}/`));
}

/** Runs `ctr` for the images and containers of Kubernetes. Returns what it prints. */
export async function ctr(...args: readonly string[]): Promise<string> {
  const socket = join(provided.folder, 'containerd.sock');
  return (await promisify(execFile)(join(provided.containerd, 'ctr'), ['-a', socket, '-n', 'k8s.io', ...args])).stdout;
}

/** Stops or starts the kubelet and containerd. Containers stay. */
export function controlNode(action: 'start' | 'stop'): Promise<void> {
  return new Promise((settle, reject) => {
    const call = request({ socketPath: provided.controlSocket, path: `/${action}`, method: 'POST', agent: false }, (response) => {
      text(response).then((body) => (response.statusCode === 200 ? settle() : reject(new Error(body))), reject);
    });
    call.once('error', reject).end();
  });
}

/** The spec of a Pod that only sleeps and ends at once. */
export function sleeping(image: string, more: object = {}) {
  return running(image, { automountServiceAccountToken: false, enableServiceLinks: false, terminationGracePeriodSeconds: 0, ...more });
}

/** A registry secret. Each host gets the user name that it is given, and a password that the registries accept. */
export function registrySecret(name: string, users: Readonly<Record<string, string>>, secretPassword: string = password) {
  const auths = Object.fromEntries(Object.entries(users).map(([key, username]) => [key, { username, password: secretPassword }]));
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/dockerconfigjson',
    metadata: { name },
    stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
  };
}

export interface PodStatus extends PodLike {
  readonly status: {
    readonly phase?: string;
    readonly startTime?: string;
    readonly podIP?: string;
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly ephemeralContainerStatuses?: readonly ContainerStatus[];
  };
}

interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly imageID: string;
  readonly state: {
    readonly running?: object;
    readonly terminated?: { readonly exitCode: number };
    readonly waiting?: { readonly reason: string; readonly message?: string };
  };
}

/** Waits until the only Pod with this label runs, or the Pod of this name. */
export async function untilRunning(acting: Acting, ...what: readonly string[]): Promise<PodStatus> {
  return await untilPod(acting, what, 'to run', ({ status }) => status.phase === 'Running');
}

const pullFailures = ['ErrImagePull', 'ImagePullBackOff'];

/** Waits until the node could not pull an image of the Pod. */
export async function untilPullFails(acting: Acting, ...what: readonly string[]): Promise<PodStatus> {
  return await untilPod(acting, what, 'to fail its pull', (pod) =>
    statusesOf(pod).some(({ state }) => state.waiting && pullFailures.includes(state.waiting.reason)),
  );
}

export async function untilPod(
  acting: Acting,
  what: readonly string[],
  goal: string,
  condition: (pod: PodStatus) => boolean | undefined,
): Promise<PodStatus> {
  let last: readonly PodStatus[] = [];
  const found = async () => {
    last = await acting.list<PodStatus>('pods', ...what);
    return last.find(condition);
  };
  try {
    return await waitFor(found, { deadlineSeconds: 45, what: `Pod ${what.join(' ')} ${goal}` });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${JSON.stringify(last.map(({ status }) => status))}`);
  }
}

function statusesOf({ status }: PodStatus): readonly ContainerStatus[] {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = status;
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
}

/** Arguments of `kubectl get pods` for a Pod by its name. */
export function named(name: string): string {
  return `--field-selector=metadata.name=${name}`;
}
