/**
 * Runs regkeeper in the test cluster: applies `deploy/base` unchanged and starts the server as a process on this machine. The process has the
 * identity and the permissions of the ServiceAccount. The egress proxy routes the Service to it.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { configurationPaths } from '../../src/cluster/registration/live-configuration.ts';
import type { ApiClient, KubeObject, Query } from '../../src/kube/api-client.ts';
import type { ServiceAddress } from './egress.ts';
import type { Kubectl } from './kubectl.ts';
import { boundToThisProcess } from './local-process.ts';
import { programFile } from './program.ts';
import { type WaitOptions, waitFor } from './wait-for.ts';

const root = resolve(import.meta.dirname, '../..');
export const ownNamespace = 'regkeeper';
const service: ServiceAddress = { namespace: ownNamespace, service: 'regkeeper', port: 443 };

export type RegkeeperSettings = {
  readonly kubectl: Kubectl;
  /** An administrator's. Only the address and the CA of the API server are used. */
  readonly kubeconfig: string;
  /** Folder for logs and the kubeconfig of the service account. */
  readonly directory: string;
  readonly routeService: (address: ServiceAddress, targetPort: number) => Promise<void>;
  /** Kubeconfig of the service account, from `serviceAccountKubeconfig`. By default a new one is written. */
  readonly account?: string;
  /** Additional flags of `regkeeper serve`. */
  readonly flags?: readonly string[];
  /** Flags of Node itself, such as {@link shippedHeap}. */
  readonly nodeFlags?: readonly string[];
  /** How long a start may take. By default 30. */
  readonly serveWithinSeconds?: number | undefined;
};

/** The heap limit that Node derives inside a container from the memory limit in `deploy/`, 768 MiB. Outside a container it needs this flag. */
export const shippedHeap = '--max-old-space-size=453';

export type Regkeeper = {
  readonly process: ChildProcess;
  readonly port: number;
  readonly healthPort: number;
  /** The log lines so far. */
  log(): readonly Record<string, unknown>[];
  /** The audit records so far. */
  audit(): readonly Record<string, unknown>[];
  /** Sends the signal and resolves with the exit code when the process has ended. */
  end(signal?: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
};

let base: Promise<readonly KubeObject[]> | undefined;

/**
 * Applies `deploy/base` as deploy/README.md does, but not with kubectl, which sends five requests per second. `installing.test.ts` uses kubectl.
 * Idempotent.
 */
export async function applyBase(kubectl: Kubectl): Promise<void> {
  base ??= kubectl(['kustomize', join(root, 'deploy/base')]).then(({ stdout }) =>
    parseAllDocuments(stdout).map((document) => document.toJS() as KubeObject),
  );
  await applyAll(kubectl, await base, 'regkeeper-install');
}

/** Applies the objects on the server side at the same time, but namespaces first. */
export async function applyAll(kubectl: Kubectl, objects: readonly KubeObject[], fieldManager = 'test'): Promise<void> {
  const api = await kubectl.api();
  for (const isFirst of [true, false]) {
    const now = objects.filter(({ kind }) => (kind === 'Namespace') === isFirst);
    await Promise.all(now.map((object) => api.patchApply(pathOf(object), object, { fieldManager, force: true })));
  }
}

function pathOf({ apiVersion = '', kind = '', metadata: { name, namespace } }: KubeObject): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = `${kind.toLowerCase()}s`.replace(/ys$/, 'ies');
  return `${root}/${namespace === undefined ? '' : `namespaces/${namespace}/`}${plural}/${name}`;
}

/**
 * Deletes all objects of `deploy/base` and of its namespace, but not the namespace itself: the namespace controller waits five seconds
 * before it starts with one that is deleted.
 */
export async function deleteBase(kubectl: Kubectl): Promise<void> {
  const api = await kubectl.api();
  const ours = { labelSelector: 'app.kubernetes.io/name=regkeeper' };
  const remove = async (path: string, query: Query = ours) => {
    await api.request({ method: 'DELETE', path, query, body: { gracePeriodSeconds: 0, propagationPolicy: 'Background' } });
  };
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const core = `/api/v1/namespaces/${ownNamespace}`;
  const inNamespace = (groupVersion: string, plural: string) => `/apis/${groupVersion}/namespaces/${ownNamespace}/${plural}`;
  await Promise.all(configurationPaths.map((path) => remove(path)));
  // Each before what it makes again.
  const workloads = [
    inNamespace('batch/v1', 'cronjobs'),
    inNamespace('batch/v1', 'jobs'),
    inNamespace('apps/v1', 'deployments'),
    inNamespace('apps/v1', 'replicasets'),
    `${core}/pods`,
  ];
  for (const path of workloads) await remove(path, {});
  await Promise.all([
    remove(`${rbac}/clusterroles`),
    remove(`${rbac}/clusterrolebindings`),
    remove(inNamespace('rbac.authorization.k8s.io/v1', 'roles'), {}),
    remove(inNamespace('rbac.authorization.k8s.io/v1', 'rolebindings'), {}),
    remove(inNamespace('coordination.k8s.io/v1', 'leases'), {}),
    remove(inNamespace('policy/v1', 'poddisruptionbudgets'), {}),
    remove(inNamespace('networking.k8s.io/v1', 'networkpolicies'), {}),
    remove(`${core}/resourcequotas`, {}),
    remove(`${core}/services`, {}),
    remove(`${core}/secrets`, {}),
    // These are made again, by controllers.
    remove(`${core}/configmaps`, { fieldSelector: 'metadata.name!=kube-root-ca.crt' }),
    remove(`${core}/serviceaccounts`, { fieldSelector: 'metadata.name!=default' }),
  ]);
  await waitFor(async () => (await api.list(`${core}/pods`)).items.length === 0, {
    deadlineSeconds: 60,
    what: 'the Pods of the base to go',
  });
}

/** Starts one server and returns when it is ready and both webhook configurations are filled. */
export async function startRegkeeper(settings: RegkeeperSettings): Promise<Regkeeper> {
  const regkeeper = await launchRegkeeper(settings);
  try {
    await routeTo(regkeeper, settings);
    // On a busy machine, and after a scenario that left thousands of objects, reading them takes half a minute.
    await waitUntilReady(regkeeper, { deadlineSeconds: 90, what: 'regkeeper to be ready' });
    await waitUntilFilled(settings.kubectl);
    return regkeeper;
  } catch (error) {
    await regkeeper.end('SIGKILL');
    throw error;
  }
}

/** @throws Error at the deadline, with what the server still waits for */
export async function waitUntilReady(regkeeper: Pick<Regkeeper, 'healthPort'>, options: WaitOptions): Promise<void> {
  const isReady = async () => {
    const { ready, text } = await readiness(regkeeper);
    if (!ready) throw new Error(text);
    return true;
  };
  await waitFor(isReady, options);
}

/** Routes the Service to this server from now on. */
export async function routeTo({ port }: Regkeeper, { routeService }: Pick<RegkeeperSettings, 'routeService'>): Promise<void> {
  await routeService(service, port);
}

export async function readiness({ healthPort }: Pick<Regkeeper, 'healthPort'>): Promise<{ ready: boolean; text: string }> {
  const response = await fetch(`http://localhost:${healthPort}/readyz`);
  return { ready: response.ok, text: await response.text() };
}

/** Starts one server and returns when it listens. It may not be ready, and the Service is not routed to it yet. */
export async function launchRegkeeper(settings: RegkeeperSettings): Promise<Regkeeper> {
  const { directory, flags = [], nodeFlags = [], serveWithinSeconds = 30 } = settings;
  await mkdir(directory, { recursive: true });
  const kubeconfig = settings.account ?? (await serviceAccountKubeconfig(settings));
  const args = [
    'serve',
    '--kubeconfig',
    kubeconfig,
    '--namespace',
    ownNamespace,
    '--tls',
    'self',
    '--service',
    'regkeeper',
    '--manage-webhooks',
  ];
  const network = ['--host', '127.0.0.1', '--port', '0', '--health-port', '0'];
  const program = await spawnProgram([...args, ...network, ...flags], {
    directory,
    nodeFlags,
    ready: 'serving',
    readyWithinSeconds: serveWithinSeconds,
  });
  const { url, healthUrl } = program.readyLine as { url: string; healthUrl: string };
  return { ...program, port: Number(new URL(url).port), healthPort: Number(new URL(healthUrl).port) };
}

export type SpawnOptions = {
  readonly directory: string;
  readonly nodeFlags?: readonly string[];
  /** The message of the line in the log that ends the start. */
  readonly ready: string;
  readonly readyWithinSeconds: number;
};

/** Starts a process of regkeeper, and returns when its log has the line. */
export async function spawnProgram(args: readonly string[], { directory, nodeFlags = [], ready, readyWithinSeconds }: SpawnOptions) {
  const logFile = join(directory, 'regkeeper.log');
  const auditFile = join(directory, 'audit.log');
  const log = openSync(logFile, 'w');
  const [command, ...words] = await boundToThisProcess(process.execPath, [...nodeFlags, programFile(), ...args, '--audit-log', auditFile]);
  const child = spawn(command, words, {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const gone = new Promise<number | null>((settle) => {
    child.once('exit', (code) => {
      process.off('exit', endWithUs);
      settle(code);
    });
  });

  const readLog = () => jsonLines(readFileSync(logFile, 'utf8'));
  const readyLine = () => readLog().find(({ msg }) => msg === ready);
  const giveUp = () =>
    child.exitCode === null ? undefined : new Error(`regkeeper ended with exit code ${child.exitCode}:\n${readFileSync(logFile, 'utf8')}`);
  try {
    await waitFor(async () => readyLine() !== undefined, { deadlineSeconds: readyWithinSeconds, what: `the line "${ready}"`, giveUp });
  } catch (error) {
    endWithUs();
    throw error;
  }
  return {
    process: child,
    readyLine: readyLine() ?? {},
    log: readLog,
    audit: () => jsonLines(readFileSync(auditFile, 'utf8')),
    end: async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return await gone;
    },
  };
}

/** Waits until both webhook configurations have entries beyond the probe, so that the API server calls regkeeper. */
export async function waitUntilFilled(kubectl: Kubectl): Promise<void> {
  const api = await kubectl.api();
  for (const path of configurationPaths) {
    await waitFor(
      async () => {
        const { webhooks = [] } = await api.get<Configuration>(`${path}/regkeeper`);
        return webhooks.some(({ name }) => name !== 'probe.regkeeper.io');
      },
      { deadlineSeconds: 60, what: `${path}/regkeeper to be filled` },
    );
  }
}

type Configuration = { webhooks?: { name: string; clientConfig: { caBundle?: string } }[] };

/** The CA bundles with which the API server verifies regkeeper, as PEM, one for each entry. */
export async function publishedBundles(admin: ApiClient): Promise<string[]> {
  const live = await Promise.all(configurationPaths.map((path) => admin.get<Configuration>(`${path}/regkeeper`)));
  return live
    .flatMap(({ webhooks = [] }) => webhooks.filter(({ name }) => name.endsWith('.regkeeper.io')))
    .map(({ clientConfig: { caBundle = '' } }) => Buffer.from(caBundle, 'base64').toString());
}

/** Writes a kubeconfig with a token of a ServiceAccount that `deploy/` ships, and returns its path. */
export async function serviceAccountKubeconfig(
  { kubectl, directory }: Pick<RegkeeperSettings, 'kubectl' | 'directory'>,
  name = 'regkeeper',
): Promise<string> {
  await mkdir(directory, { recursive: true });
  const api = await kubectl.api();
  const account = `/api/v1/namespaces/${ownNamespace}/serviceaccounts/${name}`;
  const wanted = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 24 * 3600 } };
  const { status } = await api.create<typeof wanted & { status?: { token: string } }>(`${account}/token`, wanted);
  const view = await kubectl.json<{ clusters: { cluster: object }[] }>(['config', 'view', '--raw', '--minify', '--flatten']);
  const file = join(directory, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: view.clusters[0]?.cluster }],
    users: [{ name: 'regkeeper', user: { token: status?.token } }],
    contexts: [{ name: 'regkeeper', context: { cluster: 'cluster', user: 'regkeeper' } }],
    'current-context': 'regkeeper',
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
}
