/** `npm run dev:cluster`: the test cluster, left running until Ctrl-C. */

import { join } from 'node:path';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { installCrds } from './crds.ts';
import { createKubectl } from './kubectl.ts';

const controlPlane = await startControlPlane();
await furnish(controlPlane);

process.stdout.write(`export KUBECONFIG=${controlPlane.kubeconfig}\n`);
process.stderr.write(`The API server is at ${controlPlane.server}; kubectl is ${controlPlane.binaries.kubectl}.\n`);
process.stderr.write(`Logs are in ${controlPlane.directory}. Ctrl-C ends everything and removes it.\n`);
// The open socket of the egress proxy keeps this process alive; the control plane's own signal handlers end it.

/** Puts into the cluster what a developer expects to find there. */
async function furnish({ binaries, kubeconfig, directory }: ControlPlane): Promise<void> {
  const kubectl = createKubectl({ binary: binaries.kubectl, kubeconfig, cacheFolder: join(directory, 'kubectl-cache') });
  await installCrds(kubectl);
}
