/** What the node changes outside its namespaces, which is control groups, and a comparison of the machine before and after. */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../cluster/wait-for.ts';

const cgroupRoot = '/sys/fs/cgroup';

/** The kubelet puts all Pods below this group, so groups of another kubelet on the machine stay as they are. */
export const nodeCgroup = 'regkeeper-test-node';

/** Kernel settings that a kubelet writes and that have no namespace, below /proc/sys. */
export const kernelSettings = [
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

/** Processes of other users of the machine come and go. Those of the node stay in its control group, whatever they do. */
export function lookAtMachine(): Machine {
  return {
    process: hierarchies().flatMap((hierarchy) => processesIn(join(hierarchy, nodeCgroup))),
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

/** Creates the control group of the node, and in it a group for the processes that are not in Pods. */
export function createNodeGroups(): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, runnerGroup), { recursive: true });
  // As much processor time as the node's processes would get outside the group. By default, all of them would count as one process.
  const [hierarchy, file, weight] = isVersion2() ? ['', 'cpu.weight', 800] : ['cpu', 'cpu.shares', 8192];
  const path = join(cgroupRoot, hierarchy, nodeCgroup, file);
  if (existsSync(path)) writeFileSync(path, String(weight));
}

/**
 * A process that writes 0 to these files moves into the group of the node, with every process that it starts. So the Pods and the programs of
 * the node share the processor as on a real node, where neither is in the root group.
 */
export function runnerGroupFiles(): readonly string[] {
  const groups = isVersion2() ? [cgroupRoot] : ['cpu', 'pids'].map((name) => join(cgroupRoot, name));
  return groups.map((hierarchy) => join(hierarchy, runnerGroup, 'cgroup.procs'));
}

/** Also those of an earlier run that was killed. The kernel keeps a group that has a process. So this shows that every process has ended. @throws Error with the processes that are left */
export async function removeNodeGroups(): Promise<void> {
  await waitFor(() => hierarchies().every((hierarchy) => removeGroups(join(hierarchy, nodeCgroup))), {
    deadlineSeconds: 30,
    what: 'the processes of the node to end',
  });
}

const runnerGroup = join(nodeCgroup, 'runner');

export interface MemoryUse {
  /** Bytes that the container may use. */
  readonly limit: number;
  /** Bytes that it has used at most, with the pages of files that it was the first to read. */
  readonly peak: number;
  /** How many of its processes the kernel has killed for their memory. */
  readonly oomKills: number;
}

/** Of a container of a burstable Pod. */
export function memoryOf(podUid: string, container: string): MemoryUse {
  const hierarchy = isVersion2() ? cgroupRoot : join(cgroupRoot, 'memory');
  const group = join(hierarchy, nodeCgroup, 'kubepods/burstable', `pod${podUid}`, container);
  const read = (file: string) => readFileSync(join(group, file), 'utf8');
  const files = isVersion2()
    ? (['memory.max', 'memory.peak', 'memory.events'] as const)
    : (['memory.limit_in_bytes', 'memory.max_usage_in_bytes', 'memory.oom_control'] as const);
  const [limit, peak, events] = files.map(read);
  return { limit: Number(limit), peak: Number(peak), oomKills: Number(/^oom_kill (\d+)$/m.exec(events ?? '')?.[1]) };
}

/** Version 1 has a hierarchy for each controller, version 2 has one in all. */
function hierarchies(): string[] {
  return isVersion2() ? [cgroupRoot] : foldersIn(cgroupRoot);
}

/** Of the control groups of this machine. */
export function isVersion2(): boolean {
  return existsSync(join(cgroupRoot, 'cgroup.controllers'));
}

/** @throws Error with the processes that are in the group */
function removeGroups(folder: string): true {
  thaw(folder);
  for (const child of foldersIn(folder)) removeGroups(child);
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw new Error(`${error instanceof Error ? error.message : error}: ${processesIn(folder).join(', ')}`);
  }
  return true;
}

/**
 * A process in a frozen group of version 1 does not end, even if it was killed. runc freezes the processes of a container, so a run that ends
 * at that moment leaves them frozen.
 */
function thaw(group: string): void {
  const file = join(group, 'freezer.state');
  if (existsSync(file)) writeFileSync(file, 'THAWED');
}

/** Process ids and names, also of groups below. */
function processesIn(group: string): string[] {
  const ids = linesOf(join(group, 'cgroup.procs')).filter((id) => id !== '' && id !== '0');
  const own = ids.map((id) => `${id} (${linesOf(`/proc/${id}/comm`)[0] ?? 'ended'})`);
  return [...own, ...foldersIn(group).flatMap(processesIn)];
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
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

function readSetting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
