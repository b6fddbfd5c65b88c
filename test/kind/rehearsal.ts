/** `npm run test:kind -- --rehearse`: the control plane of test/cluster replaces kind, and a process with the Pods' rights replaces the Pods. */

import { join } from 'node:path';
import { startControlPlane } from '../cluster/control-plane.ts';
import { createKubectl } from '../cluster/kubectl.ts';
import { type Regkeeper, startRegkeeper } from '../cluster/regkeeper.ts';
import type { Ground } from './ground.ts';

export async function rehearse(): Promise<Ground> {
  const plane = await startControlPlane();
  const { kubeconfig, binaries, directory, services } = plane;
  const planeKubectl = createKubectl({ binary: binaries.kubectl, kubeconfig });
  // The DaemonSet controller creates Pods for this Node, although no kubelet runs them.
  await planeKubectl(['create', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'rehearsal' } }) });
  let server: Regkeeper | undefined;
  let round = 0;
  return {
    kubeconfig,
    kubectl: binaries.kubectl,
    runsPods: false,
    registryPort: undefined,
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
