/** Everything of `npm run test:kind` but the engine: the control plane of test/cluster, and a process with the rights of the Pods. */

import { join } from 'node:path';
import { startControlPlane } from '../cluster/control-plane.ts';
import { createKubectl } from '../cluster/kubectl.ts';
import { type Regkeeper, startRegkeeper } from '../cluster/regkeeper.ts';
import type { Ground } from './ground.ts';

export async function rehearse(): Promise<Ground> {
  const plane = await startControlPlane();
  const { kubeconfig, binaries, directory, services } = plane;
  const kubectlHere = createKubectl({ binary: binaries.kubectl, kubeconfig });
  // A DaemonSet makes Pods for it, and no kubelet takes them.
  await kubectlHere(['create', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'rehearsal' } }) });
  let server: Regkeeper | undefined;
  let round = 0;
  return {
    kubeconfig,
    kubectl: binaries.kubectl,
    async podsReady(kubectl) {
      round += 1;
      server = await startRegkeeper({ kubectl, kubeconfig, directory: join(directory, `pods-${round}`), routeService: services.route });
    },
    podsGone: async () => void (await server?.end('SIGKILL')),
    async stop() {
      await server?.end('SIGKILL');
      await plane.stop();
    },
  };
}
