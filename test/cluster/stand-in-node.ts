/**
 * A simulated node for regkeeper's own Pods. It binds each Pod and starts a server process with the Pod's arguments, its environment and a token
 * bound to the Pod. It runs the Pod's probes, reports the status, and ends the process when the Pod is deleted. It also routes the Service
 * according to its EndpointSlices. Image pulls and container starts take no time.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiClient, KubeObject } from '../../src/kube/api-client.ts';
import { connectApi } from '../../src/kube/client/connect-api.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import type { ServiceRoutes } from './egress.ts';
import { freePorts } from './free-ports.ts';
import { boundToThisProcess } from './local-process.ts';
import { programFile } from './program.ts';
import { ownNamespace } from './regkeeper.ts';

const nodeName = 'stand-in';
const service = { namespace: ownNamespace, service: 'regkeeper', port: 443 };

export type StandInNode = {
  /** The servers of all Pods so far, including deleted ones, in the order in which they started. */
  servers(): readonly ServerInPod[];
  /** Ends every server. The Pods are left as they are. */
  end(): Promise<void>;
};

export type ServerInPod = {
  readonly pod: string;
  readonly healthPort: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Epoch milliseconds of the first probe that succeeded. */
  readonly readyAt: number | undefined;
  readonly process: ChildProcess;
  log(): readonly Record<string, unknown>[];
};

export type StandInSettings = {
  /** An administrator's. */
  readonly kubeconfig: string;
  readonly directory: string;
  readonly services: ServiceRoutes;
};

type Probe = { httpGet: { path: string; port: string }; periodSeconds?: number; initialDelaySeconds?: number };
type Pod = KubeObject & {
  metadata: { uid: string; deletionTimestamp?: string; deletionGracePeriodSeconds?: number };
  spec: {
    nodeName?: string;
    serviceAccountName: string;
    containers: [{ name: string; image: string; args: string[]; env?: EnvVar[]; readinessProbe?: Probe; startupProbe?: Probe }];
  };
};
type EnvVar = { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } };
type EndpointSlice = KubeObject & { endpoints?: { addresses: string[]; conditions: { ready?: boolean } }[] | null };

const pods = `/api/v1/namespaces/${ownNamespace}/pods`;
/** Servers are not killed before, also where a test shortens the grace period: on a busy machine they need longer for the same work. */
const leastGraceSeconds = 30;

export async function startStandInNode({ kubeconfig, directory, services }: StandInSettings): Promise<StandInNode> {
  const kubeConfig = await loadKubeConfig({ file: kubeconfig, env: {} });
  const client = connectApi(kubeConfig);
  const ofServer = kubeConfig.getCurrentCluster();
  const running = new Map<string, Running>();
  const failures: unknown[] = [];
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };

  await client.create<object>('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName } });

  const onPod = async (pod: Pod): Promise<void> => {
    const { name, uid, deletionTimestamp, deletionGracePeriodSeconds = 30 } = pod.metadata;
    if (deletionTimestamp !== undefined) {
      await running.get(uid)?.end(deletionGracePeriodSeconds && Math.max(deletionGracePeriodSeconds, leastGraceSeconds));
      await remove(client, pod);
    } else if (pod.spec.nodeName === undefined) {
      await client.create<object>(`${pods}/${name}/binding`, {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name },
        target: { kind: 'Node', name: nodeName },
      });
    } else if (!running.has(uid)) {
      const address = `10.244.0.${running.size + 10}`;
      running.set(uid, startServer({ client, pod, address, folder: join(directory, name), server: ofServer, onFailure }));
    }
  };
  const onFailure = (error: unknown) => void failures.push(error);

  const watched = createInformer<Pod>({
    client,
    path: pods,
    labelSelector: 'app.kubernetes.io/name=regkeeper',
    log: quiet,
    onChange({ type, object, items }) {
      for (const pod of object ? [object] : items) {
        if (type === 'deleted') void running.get(pod.metadata.uid)?.end(0);
        else void onPod(pod).catch(onFailure);
      }
    },
  });
  const slices = createInformer<EndpointSlice>({
    client,
    path: `/apis/discovery.k8s.io/v1/namespaces/${ownNamespace}/endpointslices`,
    labelSelector: 'kubernetes.io/service-name=regkeeper',
    log: quiet,
    onChange({ items }) {
      const ready = [...items].flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions.ready);
      const addresses = new Set(ready.flatMap(({ addresses }) => addresses));
      const target = [...running.values()].find(({ address }) => addresses.has(address));
      void (target ? services.route(service, target.port()) : services.unroute(service)).catch(onFailure);
    },
  });
  watched.start();
  slices.start();

  return {
    servers: () => {
      if (failures.length > 0) throw failures[0];
      return [...running.values()].flatMap((each) => each.server() ?? []);
    },
    async end() {
      await Promise.all([watched.stop(), slices.stop()]);
      await Promise.all([...running.values()].map((each) => each.end(0)));
      await services.unroute(service);
      await client.delete(`/api/v1/nodes/${nodeName}`);
      await client.close();
    },
  };
}

type Running = {
  readonly address: string;
  port(): number;
  server(): ServerInPod | undefined;
  /** Sends SIGTERM, and SIGKILL after the grace period. */
  end(graceSeconds: number): Promise<void>;
};

type Starting = {
  readonly client: ApiClient;
  readonly pod: Pod;
  readonly address: string;
  readonly folder: string;
  readonly server: object | null;
  readonly onFailure: (error: unknown) => void;
};

function startServer({ client, pod, address, folder, server: ofServer, onFailure }: Starting): Running {
  const { name } = pod.metadata;
  const [container] = pod.spec.containers;
  const logFile = join(folder, 'log');
  let port = 0;
  let server: (Omit<ServerInPod, 'readyAt'> & { readyAt?: number }) | undefined;
  let ending = false;
  let gone: Promise<unknown> = Promise.resolve();
  let stopProbing = () => {};

  const start = async () => {
    await mkdir(folder, { recursive: true });
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(ofServer, await tokenFor(client, pod))), { mode: 0o600 });
    const [ownPort, healthPort] = await freePorts(2);
    port = ownPort;
    // The Pods share this machine's addresses, so each gets its own ports. The token comes from a kubeconfig, because nothing mounts it.
    const here = ['--host', '127.0.0.1', '--port', String(port), '--health-port', String(healthPort), '--kubeconfig', kubeconfig];
    const args = [programFile(), ...container.args, ...here, '--audit-log', join(folder, 'audit')];
    const [command, ...words] = await boundToThisProcess(process.execPath, args);
    if (ending) return;
    const log = openSync(logFile, 'w');
    const child = spawn(command, words, {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, ...environmentOf(pod) },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const endWithUs = () => child.kill('SIGKILL');
    process.once('exit', endWithUs);
    gone = new Promise((settle) => child.once('exit', settle)).finally(() => process.off('exit', endWithUs));
    const started = { pod: name, healthPort, startedAt: Date.now(), process: child, log: () => jsonLines(readFileSync(logFile, 'utf8')) };
    server = started;
    await report(client, pod, address, { ready: false });
    stopProbing = keepProbing(container, healthPort, async (ready) => {
      if (ready) server = { readyAt: Date.now(), ...started, ...server };
      await report(client, pod, address, { ready });
    });
  };

  const starting = start().catch(onFailure);
  return {
    address,
    port: () => port,
    server: () => server as ServerInPod | undefined,
    async end(graceSeconds) {
      ending = true;
      await starting;
      stopProbing();
      server?.process.kill(graceSeconds > 0 ? 'SIGTERM' : 'SIGKILL');
      const timer = setTimeout(() => server?.process.kill('SIGKILL'), graceSeconds * 1000);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** Probes like a kubelet: immediately, and then with the Pod's period. The readiness probe starts when the startup probe, if any, has succeeded. */
function keepProbing(
  { startupProbe, readinessProbe }: Pod['spec']['containers'][0],
  healthPort: number,
  onReadiness: (ready: boolean) => Promise<void>,
): () => void {
  let probe = startupProbe ?? readinessProbe;
  let ready = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const round = async () => {
    const passed = probe === undefined || (await answersOk(`http://127.0.0.1:${healthPort}${probe.httpGet.path}`));
    if (stopped) return;
    if (passed && probe !== undefined && probe === startupProbe && readinessProbe) {
      probe = readinessProbe;
      void round();
      return;
    }
    if (passed !== ready) await onReadiness(passed).catch(() => undefined);
    ready = passed;
    if (!stopped) timer = setTimeout(round, (probe?.periodSeconds ?? 10) * 1000);
  };
  void round();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

/** Writes the Pod's status as a kubelet does. */
async function report(client: ApiClient, { metadata: { name }, spec }: Pod, address: string, { ready }: { ready: boolean }): Promise<void> {
  const [container] = spec.containers;
  const status = ready ? 'True' : 'False';
  await client.request({
    method: 'PATCH',
    path: `${pods}/${name}/status`,
    contentType: 'application/strategic-merge-patch+json',
    body: {
      status: {
        phase: 'Running',
        podIP: address,
        podIPs: [{ ip: address }],
        conditions: ['Ready', 'ContainersReady'].map((type) => ({ type, status, lastTransitionTime: new Date().toISOString() })),
        containerStatuses: [
          { name: container.name, image: container.image, imageID: '', ready, started: true, restartCount: 0, state: { running: {} } },
        ],
      },
    },
  });
}

async function remove(client: ApiClient, { metadata: { name, uid } }: Pod): Promise<void> {
  // The precondition protects a new Pod of the same name. The Pod may be gone already.
  await client.delete(`${pods}/${name}`, { gracePeriodSeconds: 0, preconditions: { uid } }).catch(() => undefined);
}

async function tokenFor(client: ApiClient, { metadata: { name, uid }, spec }: Pod): Promise<string> {
  const path = `/api/v1/namespaces/${ownNamespace}/serviceaccounts/${spec.serviceAccountName}/token`;
  const { status } = await client.create<{ spec: object; status?: { token: string } }>(path, {
    spec: { expirationSeconds: 3607, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
  });
  return status?.token ?? '';
}

function kubeconfigOf(server: object | null, token: string): object {
  const { server: url, caFile, caData } = server as { server: string; caFile?: string; caData?: string };
  const ca = caData === undefined ? { 'certificate-authority': caFile } : { 'certificate-authority-data': caData };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: { server: url, ...ca } }],
    users: [{ name: 'regkeeper', user: { token } }],
    contexts: [{ name: 'regkeeper', context: { cluster: 'cluster', user: 'regkeeper' } }],
    'current-context': 'regkeeper',
  };
}

function environmentOf({ metadata, spec }: Pod): Record<string, string> {
  const fields: Record<string, string | undefined> = {
    'metadata.namespace': metadata.namespace,
    'metadata.name': metadata.name,
    'metadata.uid': metadata.uid,
    'spec.nodeName': nodeName,
  };
  const entries = (spec.containers[0].env ?? []).map(({ name, value, valueFrom }) => {
    const path = valueFrom?.fieldRef?.fieldPath;
    const text = path === undefined ? (value ?? '') : fields[path];
    if (text === undefined) throw new Error(`the stand-in for a node does not know the field ${path} of a Pod`);
    return [name, text];
  });
  return Object.fromEntries(entries);
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
}
