/** Starts containerd, the kubelet and the scheduler against a control plane, as processes of this machine. */

import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '../cluster/control-plane.ts';
import { joinConnections } from '../cluster/egress.ts';
import { kubectlOf } from '../cluster/kubectl.ts';
import { type LocalProcess, startLocalProcess } from '../cluster/local-process.ts';
import { waitFor } from '../cluster/wait-for.ts';
import { cniFolder, findNodeBinaries, type NodeBinaries } from './binaries.ts';
import { preload, runCtr, socketIn } from './ctr.ts';
import { busyboxLayer, layoutArchive, makeImage, sleepingImage } from './images.ts';
import { nodeCgroup } from './machine.ts';
import { address } from './namespaces.ts';
import { hostsToml, registries, startRegistries } from './registries.ts';

const run = promisify(execFile);

export const nodeName = 'node-1';
const kubeletUser = `system:node:${nodeName}`;
const schedulerUser = 'system:kube-scheduler';
const podNetwork = '10.244.77.0/24';
const sandboxImage = 'localhost/pause:1';

/** Address of the Service `kubernetes`, the first of the control plane's range. Clients in Pods use it. */
const apiServiceAddress = '10.96.0.1';

export interface NodeCluster {
  readonly plane: ControlPlane;
  /** One JSON line for each request to a registry. */
  readonly registryLog: string;
  readonly kubeletKubeconfig: string;
  /** Folder with containerd and ctr. */
  readonly containerd: string;
  /** Kills the kubelet and containerd. Containers stay. */
  stopNode(): Promise<void>;
  /** Starts both again. */
  startNode(): Promise<void>;
  /** Ends what was started, except containers. They end with the namespaces. */
  stop(): Promise<void>;
}

/** To be called in prepared namespaces. Returns when the node is Ready. */
export async function startNodeCluster(folder: string): Promise<NodeCluster> {
  const binaries = await findNodeBinaries();
  // containerd finds its shim there.
  process.env.PATH = `${binaries.containerd}:${process.env.PATH}`;
  const files = await writeFiles(folder);
  const registryLog = join(folder, 'registries.log');
  await writeFile(registryLog, '');
  const layer = await busyboxLayer();
  const [{ plane, stopPlane }, containerd, registry] = await Promise.all([
    startPlaneForNode(),
    startContainerd(folder, binaries, files),
    startRegistries({ logFile: registryLog, layer, port: 80, address: '127.0.0.1' }),
  ]);
  const sandbox = makeImage([layer], sleepingImage);
  await preload(folder, binaries.containerd, layoutArchive(sandboxImage, sandbox));

  const scheduler = await startProcess(folder, 'kube-scheduler', binaries.kubeScheduler, [
    `--kubeconfig=${plane.kubeconfigOf(schedulerUser)}`,
    '--leader-elect=false',
    '--secure-port=0',
  ]);
  const node = { containerd, kubelet: await startKubelet(folder, binaries, files, plane) };
  const stopNode = async () => {
    await node.kubelet.end();
    await node.containerd.end();
  };
  return {
    plane,
    registryLog,
    kubeletKubeconfig: plane.kubeconfigOf(kubeletUser),
    containerd: binaries.containerd,
    stopNode,
    async startNode() {
      node.containerd = await startContainerd(folder, binaries, files);
      node.kubelet = await startKubelet(folder, binaries, files, plane);
    },
    async stop() {
      await Promise.all([stopNode(), scheduler.end(), registry.close()]);
      await stopPlane();
    },
  };
}

async function startPlaneForNode(): Promise<{ plane: ControlPlane; stopPlane: () => Promise<void> }> {
  const options: ControlPlaneOptions = {
    authorizationMode: 'Node,RBAC',
    admissionPlugins: ['NodeRestriction'],
    controllers: ['node-lifecycle-controller'],
    accounts: [{ user: kubeletUser, group: 'system:nodes' }, { user: schedulerUser }],
  };
  const plane = await startControlPlane(options);
  await run('ip', ['address', 'add', `${apiServiceAddress}/32`, 'dev', 'lo']);
  const forwarder = await forward(apiServiceAddress, 443, Number(new URL(plane.server).port));
  const stopPlane = async () => {
    forwarder.close();
    await plane.stop();
  };
  return { plane, stopPlane };
}

/** Nothing routes ClusterIPs, so the address of the API server is one of this machine. */
async function forward(address: string, port: number, targetPort: number): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) =>
    joinConnections(socket, createConnection({ port: targetPort, host: '127.0.0.1', noDelay: true })),
  );
  await new Promise<void>((settle, reject) => server.once('error', reject).listen(port, address, settle));
  return server;
}

interface NodeFiles {
  readonly containerdConfig: string;
  readonly containerdSocket: string;
  readonly kubeletConfig: string;
}

async function writeFiles(folder: string): Promise<NodeFiles> {
  const files: NodeFiles = {
    containerdConfig: join(folder, 'containerd.toml'),
    containerdSocket: socketIn(folder),
    kubeletConfig: join(folder, 'kubelet.json'),
  };
  const cni = join(folder, 'cni');
  const hosts = join(folder, 'certs.d');
  for (const each of [cni, hosts]) await mkdir(each, { recursive: true });
  await writeFile(join(cni, '10-bridge.conflist'), JSON.stringify(cniConfiguration(join(folder, 'ipam'))));
  await writeFile(files.containerdConfig, containerdConfiguration({ folder, socket: files.containerdSocket, cni, hosts }));
  await writeFile(files.kubeletConfig, JSON.stringify(kubeletConfiguration(folder, files.containerdSocket)));
  for (const host of Object.keys(registries)) await writeHost(hosts, host, host);
  await writeHost(hosts, '_default', 'nothing.test');
  await writeFile('/etc/hosts', `127.0.0.1 localhost ${Object.keys(registries).join(' ')}\n${address} ${nodeName}\n`);
  // Rejects every query immediately. Without it the kubelet waits 20 s for the address of its own name.
  await writeFile('/etc/resolv.conf', 'nameserver 127.0.0.1\n');
  return files;
}

/** Images of `host` come from `server`. */
async function writeHost(folder: string, host: string, server: string): Promise<void> {
  await mkdir(join(folder, host), { recursive: true });
  await writeFile(join(folder, host, 'hosts.toml'), hostsToml(host, server));
}

function containerdConfiguration({ folder, socket, cni, hosts }: { folder: string; socket: string; cni: string; hosts: string }): string {
  return `version = 3
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
[grpc]
address = "${socket}"
[ttrpc]
address = "${socket}.ttrpc"
[plugins.'io.containerd.cri.v1.runtime']
# Without CAP_SYS_RESOURCE no process may lower its score.
restrict_oom_score_adj = true
disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["${cniFolder}"]
conf_dir = "${cni}"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "${sandboxImage}"
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "${hosts}"
`;
}

function cniConfiguration(dataDir: string): object {
  const ipam = { type: 'host-local', dataDir, ranges: [[{ subnet: podNetwork }]], routes: [{ dst: '0.0.0.0/0' }] };
  const bridge = { type: 'bridge', bridge: 'rknode0', isGateway: true, ipMasq: false, ipam };
  return { cniVersion: '0.4.0', name: 'node', plugins: [bridge] };
}

function kubeletConfiguration(folder: string, socket: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${nodeCgroup}`,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    localStorageCapacityIsolation: false,
    containerRuntimeEndpoint: `unix://${socket}`,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    address: '127.0.0.1',
    readOnlyPort: 0,
    healthzPort: 0,
    podCIDR: podNetwork,
    // The default of 110 is too few for the full number of namespaces with delivered secrets.
    maxPods: 250,
    resolvConf: '',
    podLogsDir: join(folder, 'pod-logs'),
    volumePluginDir: join(folder, 'volume-plugins'),
    staticPodPath: join(folder, 'static-pods'),
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%', 'nodefs.inodesFree': '1%' },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    // With the default limit, many Pods at once would fail with "pull QPS exceeded".
    registryPullQPS: 0,
    // A kubelet waits a second for a secret, then pulls without it. Many Pods at once would exceed the default limit of 50 requests a second.
    kubeAPIQPS: 1000,
    kubeAPIBurst: 2000,
  };
}

function startProcess(folder: string, name: string, binary: string, args: readonly string[]): Promise<LocalProcess> {
  return startLocalProcess({ name, binary, args, folder, logFile: join(folder, `${name}.log`) });
}

async function startContainerd(folder: string, binaries: NodeBinaries, files: NodeFiles): Promise<LocalProcess> {
  const started = await startProcess(folder, 'containerd', join(binaries.containerd, 'containerd'), ['--config', files.containerdConfig]);
  await untilReady(
    'containerd to answer',
    () => started,
    async () => {
      await runCtr(folder, binaries.containerd, ['version']);
      return true;
    },
  );
  return started;
}

async function startKubelet(folder: string, binaries: NodeBinaries, files: NodeFiles, plane: ControlPlane): Promise<LocalProcess> {
  await mkdir(join(folder, 'static-pods'), { recursive: true });
  const startedAt = Date.now();
  const start = () =>
    startProcess(folder, 'kubelet', binaries.kubelet, [
      `--config=${files.kubeletConfig}`,
      `--kubeconfig=${plane.kubeconfigOf(kubeletUser)}`,
      `--root-dir=${join(folder, 'kubelet')}`,
      `--cert-dir=${join(folder, 'kubelet-pki')}`,
      `--hostname-override=${nodeName}`,
    ]);
  let started = await start();
  const api = await kubectlOf(plane).api();
  await untilReady(
    'the node to be Ready',
    () => started,
    async () => {
      // containerd answers before it has found the containers of an earlier run. The kubelet ends then, and a service manager restarts it.
      if (started.failure()?.message.includes('server is not initialized yet')) started = await start();
      const { spec, status } = await api.get<Node>(`/api/v1/nodes/${nodeName}`);
      const ready = status.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' && Date.parse(ready.lastHeartbeatTime) >= startedAt - 1000 && !spec.taints?.length;
    },
  );
  return started;
}

interface Node {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly taints?: readonly object[] };
  readonly status: { readonly conditions?: readonly { type: string; status: string; lastHeartbeatTime: string }[] };
}

async function untilReady(what: string, running: () => LocalProcess, condition: () => Promise<boolean>): Promise<void> {
  try {
    await waitFor(condition, { deadlineSeconds: 60, what });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n${running().logTail()}`);
  }
}
