/** What the node changes outside its namespaces: control groups and kernel settings. Restores both, and compares the machine before and after. */

import { readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '../cluster/wait-for.ts';

const cgroupRoot = '/sys/fs/cgroup';

/** The kubelet puts all Pods below this group, so groups of another kubelet on the machine stay as they are. */
export const nodeCgroup = 'regkeeper-test-node';

/** Kernel settings that a kubelet writes and that have no namespace. */
const kernelSettings = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];

export interface Machine {
  /** By name of what is compared. */
  readonly [what: string]: readonly string[];
}

/** Processes and namespaces of other users of the machine come and go. So only processes in other process namespaces than this one's are compared. */
export function lookAtMachine(): Machine {
  return {
    'process in another namespace': processesElsewhere(),
    mount: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? ''),
    interface: readdirSync('/sys/class/net'),
    'control group': cgroups().filter((path) => runtimeGroup.test(path)),
    'kernel setting': kernelSettings.map((name) => `${name} = ${readSetting(name)}`),
    path: fixedPaths.flatMap((path) => entriesOf(path)),
  };
}

/** Where containerd, runc, the CNI plugins and the kubelet write, whatever their configuration. */
const fixedPaths = [
  '/etc/cni',
  '/opt',
  '/run/containerd',
  '/run/netns',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/containers',
  '/var/log/pods',
];

/** Groups that a kubelet or a container runtime makes. Those of services and sessions come and go by themselves. */
const runtimeGroup = new RegExp(`${nodeCgroup}|kubepods|containerd|k8s\\.io|runc`);

/** What appeared and what disappeared, one line each. */
export function differences(before: Machine, after: Machine): string[] {
  return Object.keys(before).flatMap((what) => {
    const [old = [], now = []] = [before[what], after[what]];
    return [
      ...now.filter((each) => !old.includes(each)).map((each) => `left behind: ${what} ${each}`),
      ...old.filter((each) => !now.includes(each)).map((each) => `missing afterwards: ${what} ${each}`),
    ];
  });
}

/** Creates the control group. Returns what undoes it and the kernel settings, which may be called when every process of the node has ended. */
export async function borrowMachine(): Promise<() => Promise<void>> {
  const settings = kernelSettings.map((name) => [name, readSetting(name)] as const);
  for (const hierarchy of hierarchies()) {
    removeCgroups(join(hierarchy, nodeCgroup));
    await mkdir(join(hierarchy, nodeCgroup), { recursive: true });
  }
  return async () => {
    for (const [name, value] of settings) if (value !== undefined) writeFileSync(`/proc/sys/${name}`, value);
    // A group counts as busy for a moment after its last process has ended.
    await waitFor(() => hierarchies().every((hierarchy) => removeCgroups(join(hierarchy, nodeCgroup))), {
      deadlineSeconds: 20,
      what: 'the control groups of the node to be removed',
    });
  };
}

/** Bytes that a container of a burstable Pod may use, and has used at most. */
export function memoryOf(podUid: string, container: string): { readonly limit: number; readonly peak: number } {
  const isVersion1 = !isVersion2();
  const hierarchy = isVersion1 ? join(cgroupRoot, 'memory') : cgroupRoot;
  const group = join(hierarchy, nodeCgroup, 'kubepods/burstable', `pod${podUid}`, container);
  const [limit, peak] = isVersion1 ? ['memory.limit_in_bytes', 'memory.max_usage_in_bytes'] : ['memory.max', 'memory.peak'];
  const read = (file = '') => Number(readFileSync(join(group, file), 'utf8'));
  return { limit: read(limit), peak: read(peak) };
}

/** Version 1 has a hierarchy for each controller, version 2 has one in all. */
function hierarchies(): string[] {
  return isVersion2() ? [cgroupRoot] : foldersIn(cgroupRoot);
}

function isVersion2(): boolean {
  return readdirSync(cgroupRoot).includes('cgroup.controllers');
}

function removeCgroups(folder: string): true {
  for (const child of foldersIn(folder)) removeCgroups(child);
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return true;
}

function cgroups(folder = cgroupRoot): string[] {
  return foldersIn(folder).flatMap((child) => [child, ...cgroups(child)]);
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [join(folder, entry.name)] : []));
  } catch {
    return [];
  }
}

function entriesOf(path: string): string[] {
  try {
    return [path, ...readdirSync(path).map((name) => join(path, name))];
  } catch {
    return [];
  }
}

function processesElsewhere(): string[] {
  const own = readlinkSync('/proc/self/ns/pid');
  return readdirSync('/proc').flatMap((id) => {
    if (!/^\d+$/.test(id)) return [];
    try {
      if (readlinkSync(`/proc/${id}/ns/pid`) === own) return [];
      return [`${id} (${readFileSync(`/proc/${id}/comm`, 'utf8').trim()})`];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

function readSetting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
