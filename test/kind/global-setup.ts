/** Runs once in vitest's main process: starts the registries that the nodes of kind pull from. regkeeper is installed already. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findOnPath } from '../cluster/binaries.ts';
import { busyboxLayer } from '../node/images.ts';
import { startRegistries } from '../node/registries.ts';

export default async function provideNodes(project: TestProject): Promise<() => Promise<void>> {
  const { REGKEEPER_TEST_KUBECONFIG: kubeconfig, TEST_REGISTRY_PORT: port } = process.env;
  const kubectlBinary = await findOnPath('kubectl', process.env.PATH);
  if (kubeconfig === undefined || port === undefined || kubectlBinary === undefined) throw new Error('start it with npm run test:kind');
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-registries-'));
  const logFile = join(folder, 'registries.log');
  await writeFile(logFile, '');
  // The nodes are containers, which do not reach loopback addresses of this machine.
  const registries = await startRegistries({ logFile, layer: await busyboxLayer(), port: Number(port), address: '0.0.0.0' });
  project.provide('cluster', { kubeconfig, kubectlBinary, kubectlCache: join(folder, 'kubectl-cache') });
  project.provide('node', { registryLog: logFile });
  return async () => {
    await registries.close();
    await rm(dirname(logFile), { recursive: true });
  };
}
