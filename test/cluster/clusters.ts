/** One control plane for each worker of vitest: started in the main process when the worker first asks, over a unix socket, and kept for its later files. */

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { installCrds } from './crds.ts';
import { kubectlOf } from './kubectl.ts';

/** What a worker needs to reach its cluster; it crosses a process boundary as JSON. */
export interface ProvidedCluster {
  readonly kubeconfig: string;
  readonly kubectlBinary: string;
  readonly kubectlCache: string;
  /** Absent when the cluster is not ours: then Services cannot be brought to loopback ports. */
  readonly egressSocket?: string;
  /** Absent when the cluster is not ours. */
  readonly caFile?: string;
}

export interface Clusters {
  /** For `clusterOfWorker`. */
  readonly socket: string;
  /** Ends every control plane that was started. */
  stop(): Promise<void>;
}

/** Listens on the socket. Control planes are started one by one, as workers ask. */
export async function startClusters(): Promise<Clusters> {
  const folder = await mkdtemp(join(tmpdir(), 'rk-clusters-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const socket = join(folder, 'socket');
  const planes = new Map<string, Promise<ControlPlane>>();
  const planeOf = (worker: string) => {
    const plane = planes.get(worker) ?? startPlane();
    planes.set(worker, plane);
    return plane;
  };
  const server = createServer((incoming, response) => {
    planeOf(incoming.url ?? '')
      .then((plane) => response.end(JSON.stringify(provided(plane))))
      .catch((error: Error) => {
        response.statusCode = 500;
        response.end(error.message);
      });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
  return {
    socket,
    async stop() {
      server.close();
      const started = await Promise.allSettled(planes.values());
      await Promise.all(started.flatMap((each) => (each.status === 'fulfilled' ? [each.value.stop()] : [])));
    },
  };
}

/** The control plane of this worker. A file has it to itself: a worker runs one file at a time, and its number is free only afterwards. */
export async function clusterOfWorker(socketPath: string, worker: string): Promise<ProvidedCluster> {
  return await new Promise((resolve, reject) => {
    const call = request({ socketPath, path: `/${worker}`, agent: false }, (response) => {
      text(response).then((body) => (response.statusCode === 200 ? resolve(JSON.parse(body)) : reject(new Error(body))), reject);
    });
    call.once('error', reject);
    call.end();
  });
}

async function startPlane(): Promise<ControlPlane> {
  const plane = await startControlPlane();
  try {
    await installCrds(kubectlOf(plane));
    return plane;
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

function provided(plane: ControlPlane): ProvidedCluster {
  const { kubeconfig, egressSocket, caFile, binaries, directory } = plane;
  return { kubeconfig, kubectlBinary: binaries.kubectl, kubectlCache: join(directory, 'kubectl-cache'), egressSocket, caFile };
}
