/** containerd's own client, for the images and containers of Kubernetes. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Where containerd listens. `folder` is that of the node. */
export function socketIn(folder: string): string {
  return join(folder, 'containerd.sock');
}

/** Runs `ctr` from the folder `containerd`, and returns what it prints. */
export async function runCtr(folder: string, containerd: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(join(containerd, 'ctr'), ['-a', socketIn(folder), '-n', 'k8s.io', ...args]);
  return stdout;
}

/** Puts the image of an OCI layout on the node, as if it had been there from the beginning. */
export async function preload(folder: string, containerd: string, layout: Buffer): Promise<void> {
  const temporary = await mkdtemp(join(folder, 'preload-'));
  const file = join(temporary, 'layout.tar');
  await writeFile(file, layout);
  await runCtr(folder, containerd, ['images', 'import', '--local', file]);
  await rm(temporary, { recursive: true });
}
