/** Runs once in vitest's main process, inside the namespaces: starts the node, and provides the workers with its address. */

import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildProgram } from '../cluster/program.ts';
import { prepareNamespaces } from './namespaces.ts';
import { type NodeCluster, startNodeCluster } from './node.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly node: ProvidedNode;
  }
}

export interface ProvidedNode {
  readonly folder: string;
  readonly registryLog: string;
  /** A unix socket. `POST /start` and `POST /stop` do so with the kubelet and containerd. */
  readonly controlSocket: string;
  /** The kubelet's own. */
  readonly kubeletKubeconfig: string;
  /** Folder with `ctr`. */
  readonly containerd: string;
}

export default async function provideNode(project: TestProject): Promise<() => Promise<void>> {
  const folder = process.env.TEST_NODE;
  if (folder === undefined) throw new Error('start the scenarios with npm run test:node');
  await prepareNamespaces(folder);
  await buildProgram(folder);
  const started = performance.now();
  const node = await startNodeCluster(folder);
  process.stderr.write(`The node is Ready ${((performance.now() - started) / 1000).toFixed(1)} s after the start of the control plane.\n`);

  const controlSocket = join(folder, 'control.sock');
  const control = await serveControl(controlSocket, node);
  const { kubeconfig, egressSocket, caFile, binaries, directory } = node.plane;
  const kubectlCache = join(directory, 'kubectl-cache');
  project.provide('cluster', { kubeconfig, kubectlBinary: binaries.kubectl, kubectlCache, egressSocket, caFile });
  const { registryLog, kubeletKubeconfig, containerd } = node;
  project.provide('node', { folder, registryLog, controlSocket, kubeletKubeconfig, containerd });
  return async () => {
    control.close();
    await node.stop();
  };
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
