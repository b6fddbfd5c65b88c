/** Finds or builds the executables of the node. Those of Kubernetes come from the module of test/cluster, containerd from go.mod here. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BinarySearch,
  buildWithGo,
  cacheRoot,
  findBinaries,
  findKubernetesTool,
  findOnPath,
  isExecutable,
  notFound,
  searchOfThisProcess,
} from '../cluster/binaries.ts';

export interface NodeBinaries {
  readonly kubelet: string;
  readonly kubeScheduler: string;
  /** Folder with containerd, containerd-shim-runc-v2 and ctr. */
  readonly containerd: string;
}

/** Programs of the system that the node runs, with their Debian packages. */
export const debianPackages = {
  runc: 'runc',
  bridge: 'containernetworking-plugins',
  'host-local': 'containernetworking-plugins',
  busybox: 'busybox-static',
  ip: 'iproute2',
  iptables: 'iptables',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  mount: 'mount',
} as const;

/** Where Debian installs the CNI plugins. */
export const cniFolder = '/usr/lib/cni';

const moduleFolder = import.meta.dirname;
const importPath = 'github.com/containerd/containerd/v2';

/** Builds what is missing, also of the control plane. @throws Error that lists the searched locations and the possible fixes */
export async function findNodeBinaries(search: BinarySearch = searchOfThisProcess()): Promise<NodeBinaries> {
  await findBinaries(search);
  return {
    kubelet: await findKubernetesTool('kubelet', search),
    kubeScheduler: await findKubernetesTool('kube-scheduler', search),
    containerd: await findContainerd(search),
  };
}

/** The release to build, such as `v2.2.9`, from go.mod. */
export function containerdVersion(): string {
  const required = /^\s*github\.com\/containerd\/containerd\/v2 (v\S+)/m.exec(readFileSync(join(moduleFolder, 'go.mod'), 'utf8'))?.[1];
  if (required === undefined) throw new Error('test/node/go.mod does not require containerd');
  return required;
}

async function findContainerd({ env, say }: BinarySearch): Promise<string> {
  const folder = join(cacheRoot(env), 'node', `containerd-${containerdVersion()}`);
  for (const name of ['containerd', 'containerd-shim-runc-v2', 'ctr']) {
    const destination = join(folder, name);
    if (await isExecutable(destination)) continue;
    const go = await findOnPath('go', env.PATH);
    if (go === undefined) throw new Error(notFound(name, [destination, 'a build with Go (no `go` in PATH)'], ['install Go and run again']));
    say(`Building ${name} ${containerdVersion()} from source into ${destination}: once only.`);
    const tags = ['no_btrfs', 'no_devmapper', 'no_zfs'];
    const source = `${importPath}/cmd/${name}`;
    await buildWithGo({ go, env, name, source, module: moduleFolder, linkerFlags: '-s -w', tags, destination });
  }
  return folder;
}
