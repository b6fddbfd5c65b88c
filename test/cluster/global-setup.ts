/** Runs once in vitest's main process: starts the cluster that all scenarios share, or uses an existing one, and provides it to the workers. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findOnPath } from './binaries.ts';
import { startControlPlane } from './control-plane.ts';
import { installCrds } from './crds.ts';
import { createKubectl } from './kubectl.ts';

/** What a worker needs to reach the cluster. Strings only, because it crosses a process boundary. */
export interface ProvidedCluster {
  readonly kubeconfig: string;
  readonly kubectlBinary: string;
  readonly kubectlCache: string;
  /** Absent for an existing cluster, where Services cannot be routed to loopback ports. */
  readonly egressSocket?: string;
  /** Absent for an existing cluster. */
  readonly caFile?: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly cluster: ProvidedCluster;
  }
}

type Teardown = () => Promise<void>;

export default async function provideCluster(project: TestProject): Promise<Teardown> {
  const existing = process.env.REGKEEPER_TEST_KUBECONFIG;
  return existing ? await useCluster(project, existing) : await startCluster(project);
}

async function startCluster(project: TestProject): Promise<Teardown> {
  const controlPlane = await startControlPlane();
  try {
    const { kubeconfig, egressSocket, caFile } = controlPlane;
    const kubectlBinary = controlPlane.binaries.kubectl;
    const kubectlCache = join(controlPlane.directory, 'kubectl-cache');
    await installCrds(createKubectl({ binary: kubectlBinary, kubeconfig, cacheFolder: kubectlCache }));
    project.provide('cluster', { kubeconfig, kubectlBinary, kubectlCache, egressSocket, caFile });
    return controlPlane.stop;
  } catch (error) {
    await controlPlane.stop();
    throw error;
  }
}

/** Uses an existing cluster. Nothing is started or installed in it, so it must already serve the kinds that the scenarios use. */
async function useCluster(project: TestProject, kubeconfig: string): Promise<Teardown> {
  const kubectlBinary = await findOnPath('kubectl', process.env.PATH);
  if (kubectlBinary === undefined) throw new Error('REGKEEPER_TEST_KUBECONFIG is set, but there is no kubectl in PATH');
  const kubectlCache = await mkdtemp(join(tmpdir(), 'regkeeper-kubectl-'));
  project.provide('cluster', { kubeconfig, kubectlBinary, kubectlCache });
  return () => rm(kubectlCache, { recursive: true, force: true });
}
