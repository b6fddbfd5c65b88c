/**
 * A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager, and the egress proxy for Services.
 * There is no node, no scheduler and no kubelet: Pods are admitted and stored, and stay Pending. test/node adds them.
 */

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get as httpGet } from 'node:http';
import { Agent, get as httpsGet } from 'node:https';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Binaries, findBinaries } from './binaries.ts';
import { type ServiceAddress, type ServiceRoutes, startEgress } from './egress.ts';
import { freePorts } from './free-ports.ts';
import { type LocalProcess, startLocalProcess } from './local-process.ts';
import { waitFor } from './wait-for.ts';

export interface ControlPlane {
  /** Path of a kubeconfig for an administrator (group system:masters, by token). */
  readonly kubeconfig: string;
  /** URL of the API server. */
  readonly server: string;
  /** PEM file with the CA of the API server's certificate. */
  readonly caFile: string;
  /** Contains all files of this control plane, including logs. stop() removes it. */
  readonly directory: string;
  readonly binaries: Binaries;
  /** Routes Services to loopback ports. See egress.ts. */
  readonly services: ServiceRoutes;
  /** The socket through which other processes do so, with remoteServiceRoutes. */
  readonly egressSocket: string;
  /** Path of a file with one audit.k8s.io/v1 Event per line. Only written with `auditOf`. */
  readonly auditLog: string;
  /** Path of a kubeconfig for one of the `accounts`. */
  kubeconfigOf(user: string): string;
  /** Kills the API server with SIGKILL, as in a power failure. etcd keeps the stored objects. */
  killApiServer(): Promise<void>;
  /** Starts a killed API server again, on the same port, and returns when it is ready. */
  startApiServer(): Promise<void>;
  /** Runs another API server on the same etcd while `work` runs. `work` gets the path of an administrator's kubeconfig for it. */
  throughAnotherApiServer<T>(work: (kubeconfig: string) => Promise<T>): Promise<T>;
  /** Ends the programs and removes the directory. This also happens when this process exits or gets SIGINT, SIGTERM or SIGHUP. */
  stop(): Promise<void>;
}

export interface ControlPlaneOptions {
  /** A user whose requests are recorded in `auditLog`. */
  readonly auditOf?: string;
  /** Path of an AdmissionConfiguration, for instance with the API server's client certificate for webhooks. */
  readonly admissionConfiguration?: string;
  /** Admission plugins in addition to the default ones. */
  readonly admissionPlugins?: readonly string[];
  /** By default `RBAC`. */
  readonly authorizationMode?: string;
  /** Controllers in addition to the default ones. */
  readonly controllers?: readonly string[];
  /** Further users, each with a token and a kubeconfig. */
  readonly accounts?: readonly Account[];
  /** Addresses of Services, such as `fd00:10:96::/112`, or two ranges for dual-stack. By default `10.96.0.0/16`. */
  readonly serviceRange?: string;
  /** Additional variables of the API server, such as GODEBUG. */
  readonly apiServerEnv?: Readonly<Record<string, string>>;
}

export interface Account {
  readonly user: string;
  readonly group?: string;
}

/** Starts everything and returns when the API server is ready and the controllers work. @throws Error with the end of the failed program's log */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await findBinaries();
  const directory = await mkdtemp(join(tmpdir(), 'rk-'));
  const cleanup = cleanUpAtExit(directory);
  try {
    const [etcdPort, etcdPeerPort, apiPort] = await freePorts(3);
    const server = `https://127.0.0.1:${apiPort}`;
    const files = await writeFiles(directory, server, options);

    const api = apiClient(server, files.caFile, files.adminToken);
    const egress = await startEgress(files.egressSocket, (clusterIP, port) => findService(api, clusterIP, port));
    cleanup.onStop(egress.close);

    const start = async (name: string, binary: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
      const logFile = join(directory, `${name}.log`);
      const started = await startLocalProcess({ name, binary, args, folder: directory, logFile, env });
      cleanup.add(started);
      return started;
    };

    const etcd = await start('etcd', binaries.etcd, etcdArgs(directory, etcdPort, etcdPeerPort));
    await waitUntilReady('etcd', etcd, () => answersOk(`http://127.0.0.1:${etcdPort}/health`));

    const startApiServer = async () => {
      const args = apiserverArgs(files, apiPort, etcdPort, options);
      const apiserver = await start('kube-apiserver', binaries.kubeApiserver, args, options.apiServerEnv);
      await waitUntilReady('kube-apiserver', apiserver, async () => (await api('/readyz')).status === 200);
      return apiserver;
    };
    let apiserver = await startApiServer();

    await writeKubeconfig(files.kubeconfig, server, files.caFile, files.adminToken);
    await writeKubeconfig(files.controllerKubeconfig, server, files.caFile, files.controllerToken);
    for (const { token, kubeconfig } of files.accounts.values()) await writeKubeconfig(kubeconfig, server, files.caFile, token);
    const controllers = await start('kube-controller-manager', binaries.kubeControllerManager, controllerManagerArgs(files, options));
    await waitUntilReady('kube-controller-manager', controllers, async () => {
      return (await api('/api/v1/namespaces/default/serviceaccounts/default')).status === 200;
    });

    const throughAnotherApiServer = async <T>(work: (kubeconfig: string) => Promise<T>): Promise<T> => {
      const [port] = await freePorts(1);
      const address = `https://127.0.0.1:${port}`;
      const another = await start('another-kube-apiserver', binaries.kubeApiserver, apiserverArgs(files, port, etcdPort, options));
      try {
        const ask = apiClient(address, files.caFile, files.adminToken);
        await waitUntilReady('another-kube-apiserver', another, async () => (await ask('/readyz')).status === 200);
        const kubeconfig = join(directory, 'another.kubeconfig');
        await writeKubeconfig(kubeconfig, address, files.caFile, files.adminToken);
        return await work(kubeconfig);
      } finally {
        await another.end();
      }
    };

    const { kubeconfig, caFile, egressSocket, auditLog } = files;
    return {
      kubeconfig,
      server,
      caFile,
      directory,
      binaries,
      services: egress.routes,
      egressSocket,
      auditLog,
      kubeconfigOf: (user) => {
        const account = files.accounts.get(user);
        if (account === undefined) throw new Error(`${user} is not among the accounts of this control plane`);
        return account.kubeconfig;
      },
      killApiServer: () => apiserver.end(),
      startApiServer: async () => {
        apiserver = await startApiServer();
      },
      throughAnotherApiServer,
      stop: cleanup.stop,
    };
  } catch (error) {
    await cleanup.stop();
    throw error;
  }
}

interface Cleanup {
  add(started: LocalProcess): void;
  onStop(work: () => Promise<void>): void;
  stop(): Promise<void>;
}

/** Ends the started programs and removes the directory, however this process ends. */
function cleanUpAtExit(directory: string): Cleanup {
  const processes: LocalProcess[] = [];
  const work: (() => Promise<void>)[] = [];
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

  const endAtOnce = () => {
    for (const one of processes) one.endNow();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  const onSignal = (signal: NodeJS.Signals) => {
    endAtOnce();
    forget();
    // Where this was the only listener, the process exits. Exit handlers run then, unlike with the signal's default action.
    if (process.listenerCount(signal) === 0) process.exit(128 + constants.signals[signal]);
  };
  const forget = () => {
    process.off('exit', endAtOnce);
    for (const signal of signals) process.off(signal, onSignal);
  };
  process.once('exit', endAtOnce);
  for (const signal of signals) process.on(signal, onSignal);

  let stopped: Promise<void> | undefined;
  const stop = async () => {
    await Promise.all(processes.map((one) => one.end()));
    await Promise.all(work.map((close) => close()));
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    forget();
  };
  return {
    add: (started) => void processes.push(started),
    onStop: (close) => void work.push(close),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

interface Files {
  readonly caFile: string;
  readonly certificateFolder: string;
  readonly egressSocket: string;
  readonly egressConfig: string;
  readonly auditPolicy: string;
  readonly auditLog: string;
  readonly tokenFile: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  readonly kubeconfig: string;
  readonly controllerKubeconfig: string;
  readonly adminToken: string;
  readonly controllerToken: string;
  readonly accounts: ReadonlyMap<string, Account & { readonly token: string; readonly kubeconfig: string }>;
}

async function writeFiles(directory: string, server: string, { auditOf = '', accounts = [] }: ControlPlaneOptions): Promise<Files> {
  const certificateFolder = join(directory, 'certificates');
  const files: Files = {
    certificateFolder,
    // Without a configured certificate the API server generates one for 127.0.0.1 and writes it to this file, followed by its CA.
    // Using that one keeps the tests independent of bugs in src/certificates.
    caFile: join(certificateFolder, 'apiserver.crt'),
    egressSocket: join(directory, 'egress.sock'),
    egressConfig: join(directory, 'egress.json'),
    auditPolicy: join(directory, 'audit-policy.json'),
    auditLog: join(directory, 'audit.log'),
    tokenFile: join(directory, 'tokens.csv'),
    serviceAccountKey: join(directory, 'service-account.key'),
    serviceAccountPublicKey: join(directory, 'service-account.pub'),
    kubeconfig: join(directory, 'admin.kubeconfig'),
    controllerKubeconfig: join(directory, 'controllers.kubeconfig'),
    adminToken: randomBytes(24).toString('hex'),
    controllerToken: randomBytes(24).toString('hex'),
    accounts: new Map(
      accounts.map((account, index) => {
        const kubeconfig = join(directory, `account-${index}.kubeconfig`);
        return [account.user, { ...account, token: randomBytes(24).toString('hex'), kubeconfig }];
      }),
    ),
  };
  // The kernel's limit for a socket path is 108 bytes on Linux and 104 on macOS.
  if (files.egressSocket.length >= 100)
    throw new Error(`${server}: set TMPDIR to a shorter path, ${files.egressSocket} is too long for a unix socket`);

  const serviceAccounts = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const tokens = [
    `${files.adminToken},admin,admin,"system:masters"`,
    `${files.controllerToken},system:kube-controller-manager,system:kube-controller-manager`,
    ...[...files.accounts.values()].map(({ token, user, group = '' }) => `${token},${user},${user},"${group}"`),
  ];
  await mkdir(certificateFolder);
  await writeFile(files.serviceAccountKey, serviceAccounts.privateKey, { mode: 0o600 });
  await writeFile(files.serviceAccountPublicKey, serviceAccounts.publicKey);
  await writeFile(files.tokenFile, `${tokens.join('\n')}\n`, { mode: 0o600 });
  await writeFile(files.auditPolicy, JSON.stringify(auditPolicy(auditOf)));
  await writeFile(files.egressConfig, JSON.stringify(egressSelectorConfiguration(files.egressSocket)));
  return files;
}

function egressSelectorConfiguration(udsName: string): object {
  return {
    apiVersion: 'apiserver.k8s.io/v1beta1',
    kind: 'EgressSelectorConfiguration',
    egressSelections: [{ name: 'cluster', connection: { proxyProtocol: 'HTTPConnect', transport: { uds: { udsName } } } }],
  };
}

function auditPolicy(user: string): object {
  const rules = [{ level: 'Metadata', users: [user] }, { level: 'None' }];
  return { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules };
}

async function writeKubeconfig(path: string, server: string, caFile: string, token: string): Promise<void> {
  const caData = readFileSync(caFile).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': caData } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  };
  await writeFile(path, JSON.stringify(config, null, 2), { mode: 0o600 });
}

function etcdArgs(directory: string, port: number, peerPort: number): string[] {
  const client = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // What is stored need not outlive this machine, and each write would wait for the disk. It outlives the API server all the same.
    '--unsafe-no-fsync',
  ];
}

function apiserverArgs(files: Files, port: number, etcdPort: number, options: ControlPlaneOptions): string[] {
  const { auditOf, admissionConfiguration, admissionPlugins = [], authorizationMode = 'RBAC', serviceRange = '10.96.0.0/16' } = options;
  return [
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${files.certificateFolder}`,
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--authorization-mode=${authorizationMode}`,
    `--token-auth-file=${files.tokenFile}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    `--service-account-key-file=${files.serviceAccountPublicKey}`,
    `--service-cluster-ip-range=${serviceRange}`,
    // The addresses of Services must be of the family of this one. Nothing uses it.
    ...(serviceRange.includes(':') && !serviceRange.includes('.') ? ['--advertise-address=2001:db8::1'] : []),
    `--egress-selector-config-file=${files.egressConfig}`,
    '--allow-privileged=true',
    // A loopback address is not allowed in an EndpointSlice, and no component of this cluster would use it.
    '--endpoint-reconciler-type=none',
    ...(auditOf === undefined ? [] : [`--audit-policy-file=${files.auditPolicy}`, `--audit-log-path=${files.auditLog}`]),
    ...(admissionConfiguration === undefined ? [] : [`--admission-control-config-file=${admissionConfiguration}`]),
    ...(admissionPlugins.length > 0 ? [`--enable-admission-plugins=${admissionPlugins.join(',')}`] : []),
  ];
}

/** The controllers that create or delete objects because of others. The rest would only make the start slower. */
const defaultControllers = [
  'clusterrole-aggregation-controller',
  'cronjob-controller',
  'daemonset-controller',
  'deployment-controller',
  'endpointslice-controller',
  'garbage-collector-controller',
  'job-controller',
  'namespace-controller',
  'replicaset-controller',
  'replicationcontroller-controller',
  // Without it no Pod could be created in a namespace with a ResourceQuota.
  'resourcequota-controller',
  'root-ca-certificate-publisher-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'statefulset-controller',
];

function controllerManagerArgs(files: Files, { controllers = [] }: ControlPlaneOptions): string[] {
  return [
    `--kubeconfig=${files.controllerKubeconfig}`,
    `--controllers=${[...defaultControllers, ...controllers].join(',')}`,
    // As in real clusters, each controller uses its own service account, which audit records name.
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${files.serviceAccountKey}`,
    `--root-ca-file=${files.caFile}`,
    '--leader-elect=false',
    '--secure-port=0',
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ];
}

const readyDeadlineSeconds = 90;

async function waitUntilReady(name: string, running: LocalProcess, isReady: () => Promise<boolean>): Promise<void> {
  try {
    await waitFor(isReady, { deadlineSeconds: readyDeadlineSeconds, what: `${name} to get ready`, giveUp: running.failure });
  } catch (error) {
    throw running.failure() ?? new Error(`${error instanceof Error ? error.message : error}\n${running.logTail()}`);
  }
}

type ApiClient = (path: string) => Promise<{ status: number; body: string }>;

/** Sends GET requests as administrator. The CA is read when it is first needed, because the API server writes it during its start. */
function apiClient(server: string, caFile: string, token: string): ApiClient {
  let agent: Agent | undefined;
  return async (path) => {
    const trying = agent ?? new Agent({ keepAlive: true, ca: readFileSync(caFile) });
    const answer = await read(httpsGet(`${server}${path}`, { agent: trying, headers: { authorization: `Bearer ${token}` } }));
    // Only now: a starting API server may have written half of the file.
    agent = trying;
    return answer;
  };
}

async function answersOk(url: string): Promise<boolean> {
  return (await read(httpGet(url, { agent: false }))).status === 200;
}

function read(call: ReturnType<typeof httpGet>): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
  });
}

interface ServiceList {
  readonly items: readonly {
    readonly metadata: { readonly namespace: string; readonly name: string };
    readonly spec: { readonly clusterIPs?: readonly string[]; readonly ports?: readonly { readonly port: number }[] };
  }[];
}

async function findService(api: ApiClient, clusterIP: string, port: number): Promise<ServiceAddress | undefined> {
  const { status, body } = await api('/api/v1/services');
  if (status !== 200) throw new Error(`listing Services gave HTTP ${status}`);
  const { items } = JSON.parse(body) as ServiceList;
  const found = items.find(({ spec }) => spec.clusterIPs?.includes(clusterIP) && spec.ports?.some((one) => one.port === port));
  return found && { namespace: found.metadata.namespace, service: found.metadata.name, port };
}
