/** What a machine needs for `npm run test:node`, and what this one lacks. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath } from '../cluster/binaries.ts';
import { cniFolder, debianPackages } from './binaries.ts';
import { insideNamespaces } from './namespaces.ts';

/** Each missing requirement with its fix. Empty where the node can run. */
export async function missingRequirements(): Promise<readonly string[]> {
  if (process.platform !== 'linux') return [`the system is ${process.platform}: run it on Linux`];
  if (process.getuid?.() !== 0) return ['the user is not root: run it as root'];
  const missing: string[] = [];
  const filesystems = await readFile('/proc/filesystems', 'utf8');
  if (!/\boverlay$/m.test(filesystems)) missing.push('the kernel has no overlay file system: modprobe overlay');
  const path = `${process.env.PATH}:${cniFolder}`;
  for (const [program, debianPackage] of Object.entries(debianPackages)) {
    if ((await findOnPath(program, path)) === undefined) missing.push(`${program} was not found: apt-get install ${debianPackage}`);
  }
  if (missing.length === 0) missing.push(...(await deniedByTheKernel()));
  return missing;
}

/** Containers often may not create namespaces, mounts or interfaces, whatever their user. */
async function deniedByTheKernel(): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'rk-trial-'));
  const overlay = `mount -t overlay overlay -o lowerdir=/opt,upperdir=${folder}/upper,workdir=${folder}/work /opt`;
  const trial = ['set -e', 'ip link add rktrial0 type bridge', `mkdir ${folder}/upper ${folder}/work`, overlay];
  const [program, ...args] = insideNamespaces(['sh', '-c', trial.join('\n')]);
  try {
    await promisify(execFile)(program, args);
    return [];
  } catch (error) {
    return [`namespaces, mounts or interfaces are not allowed here: ${(error as { stderr?: string }).stderr?.trim() || error}`];
  } finally {
    await rm(folder, { recursive: true });
  }
}
