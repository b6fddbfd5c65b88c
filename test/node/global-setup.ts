/** Runs once in vitest's main process, inside the namespaces: starts the node, installs regkeeper on it, and provides the workers with its address. */

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { createHelm, findHelm } from '../cluster/helm.ts';
import { kubectlOf } from '../cluster/kubectl.ts';
import { buildProgram } from '../cluster/program.ts';
import { ways } from '../kind/ways.ts';
import { installOnNode, prepareInstallation } from './installation.ts';
import { prepareNamespaces } from './namespaces.ts';
import { type NodeCluster, startNodeCluster } from './node.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly node: ProvidedNode;
  }
}

export interface ProvidedNode {
  /** One JSON line for each request to a registry. */
  readonly registryLog: string;
  /** Only for a node that was started here, and not for the nodes of kind. */
  readonly own?: OwnNode;
}

export interface OwnNode {
  readonly folder: string;
  /** A unix socket. `POST /start` and `POST /stop` do so with the kubelet and containerd. */
  readonly controlSocket: string;
  /** The kubelet's own. */
  readonly kubeletKubeconfig: string;
  /** Folder with `ctr`. */
  readonly containerd: string;
}

/** From the start of the control plane, with all programs built. About 15 are usual. */
const mostSecondsToInstall = 60;

export default async function provideNode(project: TestProject): Promise<() => Promise<void>> {
  try {
    return await startAndProvide(project);
  } catch (error) {
    // vitest prints the error, then waits for what was started. run.ts ends all of it with this process.
    setTimeout(() => process.exit(1), 5_000).unref();
    throw error;
  }
}

async function startAndProvide(project: TestProject): Promise<() => Promise<void>> {
  const folder = process.env.TEST_NODE;
  if (folder === undefined) throw new Error('start the scenarios with npm run test:node');
  await prepareNamespaces(folder);
  await buildProgram(folder);
  const seconds = stopwatch();
  const node = await startNodeCluster(folder);
  process.stderr.write(`The node is Ready ${seconds()} s after the start of the control plane.\n`);

  const { kubeconfig, binaries, directory } = node.plane;
  const endPreparation = await prepareInstallation(node.plane, folder, node.containerd);
  const helm = createHelm({ binary: await findHelm(), kubeconfig });
  const [kustomize] = ways();
  if (kustomize) await installOnNode(kustomize, kubectlOf(node.plane), helm);
  process.stderr.write(`regkeeper is installed with ${kustomize?.name} after ${seconds()} s. The load is ${loadavg()[0]?.toFixed(1)}.\n`);
  if (Number(seconds()) > mostSecondsToInstall) throw new Error(`the start took longer than ${mostSecondsToInstall} s`);

  const controlSocket = join(folder, 'control.sock');
  const control = await serveControl(controlSocket, node);
  // Without the socket of the egress proxy: regkeeper is installed already, as in the clusters of REGKEEPER_TEST_KUBECONFIG.
  project.provide('cluster', { kubeconfig, kubectlBinary: binaries.kubectl, kubectlCache: join(directory, 'kubectl-cache') });
  const { registryLog, kubeletKubeconfig, containerd } = node;
  project.provide('node', { registryLog, own: { folder, controlSocket, kubeletKubeconfig, containerd } });
  return async () => {
    await reportLateSecrets(join(folder, 'kubelet.log'));
    control.close();
    await endPreparation();
    await node.stop();
  };
}

/** A kubelet that could not read a secret within a second has pulled without it. A scenario that fails may have failed for that. */
async function reportLateSecrets(kubeletLog: string): Promise<void> {
  const lines = (await readFile(kubeletLog, 'utf8')).split('\n');
  const pods = lines.flatMap((line) => (/failed to sync secret cache/.test(line) ? (/ pod="([^"]*)"/.exec(line)?.[1] ?? []) : []));
  if (pods.length > 0) process.stderr.write(`The kubelet could not read secrets within a second for ${pods.join(', ')}.\n`);
}

function stopwatch(): () => string {
  const started = performance.now();
  return () => ((performance.now() - started) / 1000).toFixed(1);
}

async function serveControl(socket: string, node: NodeCluster): Promise<Server> {
  const actions: Readonly<Record<string, () => Promise<void>>> = { '/start': node.startNode, '/stop': node.stopNode };
  const server = createServer((request, response) => {
    const action = actions[request.url ?? ''] ?? (() => Promise.reject(new Error(`no action ${request.url}`)));
    action().then(
      () => response.end(),
      (error: Error) => {
        response.statusCode = 500;
        response.end(error.message);
      },
    );
  });
  await new Promise<void>((settle, reject) => server.once('error', reject).listen(socket, settle));
  return server;
}
