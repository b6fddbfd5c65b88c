/** The node as scenarios use it, in addition to the cluster of test/cluster/target.ts. */

import { globSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inject } from 'vitest';
import { ApiError, type KubeObject } from '../../src/kube/api-client.ts';
import type { Kubectl } from '../cluster/kubectl.ts';
import { ownNamespace } from '../cluster/regkeeper.ts';
import { waitFor } from '../cluster/wait-for.ts';
import { type Acting, actingIn, collectionPath, type PodLike, running } from '../cluster/workloads.ts';
import { preload as preloadLayout, runCtr } from './ctr.ts';
import type { OwnNode } from './global-setup.ts';
import { busyboxLayer, type Image, layoutArchive, makeImage, sleepingImage } from './images.ts';
import { password, type RegistryRequest } from './registries.ts';

const provided = inject('node');

/** What a test on nodes of kind is skipped for, in the last lines of the output. */
export const needsOwnNode = provided.own === undefined && 'these nodes cannot be accessed: npm run test:node runs this test';

/** The folder of the node, and its identity. @throws Error on nodes of kind */
export function ownNode(): OwnNode {
  if (provided.own === undefined) throw new Error('these nodes were not started here');
  return provided.own;
}

/** The requests to the registries for a repository, in order. */
export function requestsFor(repository: string): RegistryRequest[] {
  return allRequests().filter(({ path }) => path.startsWith(`/v2/${repository}/`));
}

/** The requests of users to the registries, in order. */
export function requestsOf(isUser: (user: string) => boolean): RegistryRequest[] {
  return allRequests().filter(({ user }) => isUser(user));
}

/** The users whose requests for a repository succeeded, as `user@host`. */
export function usersWhoPulled(repository: string): string[] {
  const passed = requestsFor(repository).filter(({ status, user }) => status === 200 && user !== '');
  return [...new Set(passed.map(({ host, user }) => `${user}@${host}`))];
}

/** The log grows to tens of thousands of lines, and conditions read it again and again. So each line is parsed once. */
function allRequests(): readonly RegistryRequest[] {
  const text = readFileSync(provided.registryLog);
  const end = text.lastIndexOf('\n') + 1;
  for (const line of text.subarray(requestsRead, end).toString().split('\n')) if (line !== '') requests.push(JSON.parse(line));
  requestsRead = end;
  return requests;
}

const requests: RegistryRequest[] = [];
let requestsRead = 0;

/** The audit records of all replicas that have run on the node, as their containers wrote them. */
export function auditRecords(): Record<string, unknown>[] {
  return globSync('pod-logs/regkeeper_*/regkeeper/*.log', { cwd: ownNode().folder }).flatMap((file) => {
    // The runtime writes the time, the stream, and `F` for a whole line or `P` for a part of one, before the text.
    const lines = readFileSync(join(ownNode().folder, file), 'utf8').split('\n');
    const texts = lines.map((line) => /^\S+ stdout F (\{.*\})$/.exec(line)?.[1]);
    return texts.flatMap((text) => (text === undefined ? [] : [JSON.parse(text) as Record<string, unknown>]));
  });
}

/** Puts an image on the node without a pull. */
export async function preload(name: string, image: Image): Promise<void> {
  const { folder, containerd } = ownNode();
  await preloadLayout(folder, containerd, layoutArchive(name, image));
}

/** Makes an image that only sleeps, puts it on the node without a pull, and returns its id. */
export async function preloadImage(name: string): Promise<string> {
  const image = makeImage([await busyboxLayer()], { ...sleepingImage, Labels: { name } });
  await preload(name, image);
  return image.config.digest;
}

/** A manifest or another blob that the node has. */
export async function contentOnNode(digest: string): Promise<string> {
  const { folder, containerd } = ownNode();
  return await runCtr(folder, containerd, ['content', 'get', digest]);
}

/** Stops or starts the kubelet and containerd. Containers stay. */
export function controlNode(action: 'start' | 'stop'): Promise<void> {
  const { controlSocket: socketPath } = ownNode();
  return new Promise((settle, reject) => {
    const call = request({ socketPath, path: `/${action}`, method: 'POST', agent: false }, (response) => {
      text(response).then((body) => (response.statusCode === 200 ? settle() : reject(new Error(body))), reject);
    });
    call.once('error', reject).end();
  });
}

export type ActingOnNode = Acting & {
  /** Deletes objects, such as `pod/web`, without waiting for their end. Absent ones are skipped. */
  remove(...names: readonly string[]): Promise<void>;
};

/** Like actingIn, but can also delete without kubectl. */
export function actingOnNode(kubectl: Kubectl, namespace: () => string): ActingOnNode {
  return Object.assign(actingIn(kubectl, namespace), {
    remove: async (...names: readonly string[]) => {
      const api = await kubectl.api();
      for (const each of names) {
        const [kind = '', name] = each.split('/');
        await api.delete(`${collectionPath({ apiVersion: 'v1', kind }, namespace())}/${name}`, { gracePeriodSeconds: 0 }).catch((error) => {
          if (!(error instanceof ApiError) || error.status !== 404) throw error;
        });
      }
    },
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

/** Creates or changes a Secret in regkeeper's namespace that `regkeeper deliver` may copy. */
export async function putSource(kubectl: Kubectl, name: string, users: Readonly<Record<string, string>>, password?: string): Promise<void> {
  const { stringData, ...secret } = registrySecret(name, users, password);
  const data = Object.fromEntries(Object.entries(stringData).map(([key, text]) => [key, btoa(text)]));
  const body = { ...secret, data, metadata: { name, labels: { 'regkeeper.io/source': 'true' } } };
  const api = await kubectl.api();
  await api.patchApply(`/api/v1/namespaces/${ownNamespace}/secrets/${name}`, body, { fieldManager: 'test', force: true });
}

/** Returns when the namespace has a copy with this user. */
export async function untilDelivered(kubectl: Kubectl, namespace: string, name: string, user: string): Promise<void> {
  const api = await kubectl.api();
  const isDelivered = async () => {
    const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
    const { data } = await api.get<KubeObject & { readonly data: Readonly<Record<string, string>> }>(path);
    return atob(data['.dockerconfigjson'] ?? '').includes(`"${user}"`);
  };
  await waitFor(isDelivered, { deadlineSeconds: 60, what: `the copy ${namespace}/${name} with the user ${user}` });
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
  return await untilPod(acting, what, 'to fail its pull', pullFailed);
}

/** Whether the last attempt to pull an image of the Pod failed. */
export function pullFailed(pod: PodStatus): boolean {
  return statusesOf(pod).some(({ state }) => state.waiting !== undefined && pullFailures.includes(state.waiting.reason));
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
    return await waitFor(found, { deadlineSeconds: 120, what: `Pod ${what.join(' ')} ${goal}` });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${last.map(describePod).join('\n')}`);
  }
}

function describePod(pod: PodStatus): string {
  return `${pod.metadata.name}: ${pod.status.phase} ${JSON.stringify(statusesOf(pod).map(({ name, state }) => ({ name, state })))}`;
}

function statusesOf({ status }: PodStatus): readonly ContainerStatus[] {
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = status;
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
}

/** Arguments of `kubectl get pods` for a Pod by its name. */
export function named(name: string): string {
  return `--field-selector=metadata.name=${name}`;
}
