/** Starts the scripted API server of `cluster-api.ts`, and writes a kubeconfig for it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
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
  const cluster = { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  const config = {
    clusters: [{ name: 'scripted', cluster }],
    users: [{ name: 'bench', user: { token: 'unused' } }],
    contexts: [{ name: 'scripted', context: { cluster: 'scripted', user: 'bench' } }],
    'current-context': 'scripted',
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return { kubeconfig, end };
}
