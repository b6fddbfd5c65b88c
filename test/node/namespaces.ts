/**
 * The node runs in its own mount, network and process namespaces. Kubelet and containerd leave processes, mounts, interfaces, iptables
 * chains and files at fixed paths. All of these end with the namespaces, however the run ends.
 */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { kernelSettings } from './machine.ts';

const run = promisify(execFile);

/** The node's address, from a range for documentation. */
export const address = '192.0.2.10';

/** For all files of a run. The kernel allows 107 characters for the path of a socket. */
export const temporaryFolder = tmpdir().length > 40 ? '/tmp' : tmpdir();

/** Folders in which containerd, runc, the CNI plugins and the kubelet write at fixed paths. */
const overlaid = ['/etc', '/opt', '/run', '/var'];

/**
 * The command line that runs a program in new namespaces. They end with the program, and when the process that started it ends, also after
 * SIGKILL. The shell is the first process there, and reaps processes that have lost their parent. With files
 * `cgroup.procs` of control groups, it enters these.
 */
export function insideNamespaces(
  [program, ...args]: readonly [string, ...string[]],
  groupFiles: readonly string[] = [],
): [string, ...string[]] {
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
  const enter = groupFiles.map((file) => `echo 0 > ${file} || exit\n`).join('');
  const firstProcess = ['sh', '-c', `${enter}"$@"; exit $?`, 'sh'];
  return ['setpriv', '--pdeathsig', 'KILL', '--', 'unshare', ...namespaces, '--', ...firstProcess, program, ...args];
}

/**
 * To be called inside. Changes to the system's folders go to `folder`. @throws Error where a mount is not allowed
 */
export async function prepareNamespaces(folder: string): Promise<void> {
  // The API server and the kubelet use the address of the interface with the default route as their own. Nothing answers behind it.
  const commands = ['link set lo up', 'link add uplink0 type bridge', `address add ${address}/24 dev uplink0`, 'link set uplink0 up'];
  for (const command of [...commands, 'route add default via 192.0.2.1']) await run('ip', command.split(' '));
  for (const lower of overlaid) {
    const upper = join(folder, 'overlays', lower, 'upper');
    const work = join(folder, 'overlays', lower, 'work');
    await mkdir(upper, { recursive: true });
    await mkdir(work, { recursive: true });
    await run('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`, lower]);
  }
  // What a kubelet writes there would remain in effect on this machine.
  for (const setting of kernelSettings.map((name) => join('/proc/sys', name)).filter((file) => existsSync(file))) {
    const copy = join(folder, 'kernel-settings', setting);
    await mkdir(dirname(copy), { recursive: true });
    await writeFile(copy, await readFile(setting));
    await run('mount', ['--bind', copy, setting]);
  }
}
