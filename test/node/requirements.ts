/** What a machine needs for `npm run test:node`, and what this one lacks. */

import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, copyFile, mkdir, mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath } from '../cluster/binaries.ts';
import { cniFolder, debianPackages } from './binaries.ts';
import { isVersion2 } from './machine.ts';
import { insideNamespaces, temporaryFolder } from './namespaces.ts';

const gibibyte = 2 ** 30;

/** Bytes. A run uses about half of each. */
const memoryNeeded = 3 * gibibyte;
const diskNeeded = 3 * gibibyte;

/** Each missing requirement with its fix. Empty where the node can run. `onlyTried` excludes machines of a kind on which it has never run. */
export async function missingRequirements({ onlyTried }: { readonly onlyTried: boolean }): Promise<readonly string[]> {
  if (process.platform !== 'linux') return [`the system is ${process.platform}: run it on Linux`];
  if (process.getuid?.() !== 0) return ['the user is not root: run it as root'];
  const missing: string[] = [];
  const filesystems = await readFile('/proc/filesystems', 'utf8');
  if (!/\boverlay$/m.test(filesystems)) missing.push('the kernel has no overlay file system: modprobe overlay');
  await access('/dev/kmsg', constants.R_OK).catch(() => missing.push('/dev/kmsg cannot be read, and no kubelet starts without it'));
  const available = 1024 * Number(/^MemAvailable: *(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]);
  if (available < memoryNeeded) missing.push(`less than ${memoryNeeded / gibibyte} GiB of memory is available`);
  const { bavail, bsize, blocks } = await statfs(temporaryFolder);
  // A kubelet starts no Pod where less than 1 % of the disk is free.
  if (bavail * bsize < diskNeeded || bavail < blocks / 50) {
    missing.push(`less than ${diskNeeded / gibibyte} GiB or 2 % of the disk of ${temporaryFolder} are free`);
  }
  if (onlyTried && isVersion2()) missing.push('control groups have version 2, which has not been tried: npm run test:node tries it');
  if (availableParallelism() < 2) missing.push('there is one processor only, and the deadlines of the scenarios are for two');
  const path = `${process.env.PATH}:${cniFolder}`;
  for (const [program, debianPackage] of Object.entries(debianPackages)) {
    if ((await findOnPath(program, path)) === undefined) missing.push(`${program} was not found: apt-get install ${debianPackage}`);
  }
  if (missing.length === 0) missing.push(...(await deniedByTheKernel()));
  return missing;
}

/**
 * Containers often may not create namespaces, mounts, interfaces or control groups, whatever their user. So this tries all of it: runc runs a
 * program from an overlay, in a control group with a memory limit, as containerd will.
 */
async function deniedByTheKernel(): Promise<readonly string[]> {
  const folder = await mkdtemp(join(temporaryFolder, 'rk-trial-'));
  const path = (name: string) => join(folder, name);
  try {
    for (const each of ['lower/bin', 'lower/proc', 'upper', 'work', 'rootfs', 'optional/upper', 'optional/work']) {
      await mkdir(path(each), { recursive: true });
    }
    await copyFile('/bin/busybox', path('lower/bin/true'));
    await writeFile(path('config.json'), JSON.stringify(trialContainer(path('rootfs'))));
    await writeFile(path('setting'), await readFile('/proc/sys/vm/overcommit_memory'));
    const commands = [
      'set -e',
      'ip link add rktrial0 type bridge',
      `mount -t overlay overlay -o lowerdir=/opt,upperdir=${path('optional/upper')},workdir=${path('optional/work')} /opt`,
      `mount --bind ${path('setting')} /proc/sys/vm/overcommit_memory`,
      `mount -t overlay overlay -o lowerdir=${path('lower')},upperdir=${path('upper')},workdir=${path('work')} ${path('rootfs')}`,
      `runc --root ${path('runc')} run --bundle ${folder} rk-trial-${process.pid}`,
    ];
    const [program, ...args] = insideNamespaces(['sh', '-c', commands.join('\n')]);
    await promisify(execFile)(program, args, { timeout: 60_000, killSignal: 'SIGKILL' });
    return [];
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return [`namespaces, mounts, interfaces or control groups are not allowed here: ${stderr?.trim() || message}`];
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The bundle's configuration, with the field names of the OCI runtime specification. */
function trialContainer(rootfs: string): object {
  const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  return {
    ociVersion: '1.0.2',
    process: { args: ['/bin/true'], cwd: '/', env: [], user: { uid: 65532, gid: 65532 } },
    root: { path: rootfs, readonly: true },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: {
      namespaces,
      cgroupsPath: `/regkeeper-test-trial-${process.pid}`,
      resources: { memory: { limit: 64 * 2 ** 20 }, pids: { limit: 100 } },
    },
  };
}
