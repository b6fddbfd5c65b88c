/** Starts the scripted API server of `cluster-api.ts`, and writes a kubeconfig for it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { kubeconfigWithCa } from '../kubeconfig.ts';
import { hasPriority } from './servers.ts';

export type ClusterSize = { readonly accounts: number; readonly namespaces: number };
export type ScriptedCluster = { readonly kubeconfig: string; end(): void };

export async function startCluster(folder: string, { accounts, namespaces }: ClusterSize): Promise<ScriptedCluster> {
  const child = fork(join(import.meta.dirname, 'cluster-api.ts'), [String(accounts), String(namespaces)]);
  if (hasPriority && child.pid !== undefined) setPriority(child.pid, -15);
  const end = () => void child.kill();
  process.once('exit', end);
  const [{ url, ca }] = (await once(child, 'message')) as [{ url: string; ca: string }];
  const kubeconfig = join(folder, `kubeconfig-${accounts}-${namespaces}.json`);
  writeFileSync(kubeconfig, kubeconfigWithCa(url, ca));
  return { kubeconfig, end };
}
