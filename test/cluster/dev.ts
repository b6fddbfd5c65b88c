/**
 * `npm run dev:cluster`: the test cluster with regkeeper registered in it, left running until Ctrl-C. Arguments are further flags of
 * `regkeeper serve`.
 */

import { join, resolve } from 'node:path';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { installCrds } from './crds.ts';
import { kubectlOf } from './kubectl.ts';
import { applyBase, type Regkeeper, startRegkeeper } from './regkeeper.ts';

/** Without these permissions, a server with `--namespace-rules` does not become ready. */
const namespaceRulesRights = resolve(import.meta.dirname, '../../deploy/namespace-rules/rbac.yaml');

const controlPlane = await startControlPlane();
const regkeeper = await installRegkeeper(controlPlane);

process.stdout.write(`export KUBECONFIG=${controlPlane.kubeconfig}\n`);
process.stderr.write(`The API server is at ${controlPlane.server}; kubectl is ${controlPlane.binaries.kubectl}.\n`);
process.stderr.write(
  `regkeeper listens on port ${regkeeper.port}, its rules are in ConfigMap regkeeper/regkeeper-rules (mode audit to begin with).\n`,
);
process.stderr.write(
  `Logs are in ${controlPlane.directory}, audit records in regkeeper/audit.log there. Ctrl-C ends everything and removes it.\n`,
);
// The open socket of the egress proxy keeps this process alive. The control plane's signal handlers end it.

/** Installs the CRDs and regkeeper, and starts its server. */
async function installRegkeeper(plane: ControlPlane): Promise<Regkeeper> {
  const { kubeconfig, directory, services } = plane;
  const kubectl = kubectlOf(plane);
  await installCrds(kubectl);
  await applyBase(kubectl);
  const flags = process.argv.slice(2);
  if (flags.includes('--namespace-rules')) await kubectl(['apply', '--filename', namespaceRulesRights]);
  return await startRegkeeper({ kubectl, kubeconfig, directory: join(directory, 'regkeeper'), routeService: services.route, flags });
}
