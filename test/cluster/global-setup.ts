/** Runs once in vitest's main process: provides the workers with the address of their clusters. */

import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findBinaries, findOnPath } from './binaries.ts';
import { type ProvidedCluster, startClusters } from './clusters.ts';
import { buildProgram } from './program.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A cluster, or the socket at which each worker asks for its own. */
    readonly cluster: ProvidedCluster | { readonly socket: string };
  }
}

type Teardown = () => Promise<void>;

export default async function provideCluster(project: TestProject): Promise<Teardown> {
  const existing = process.env.REGKEEPER_TEST_KUBECONFIG;
  return existing ? await useCluster(project, existing) : await startLocal(project);
}

async function startLocal(project: TestProject): Promise<Teardown> {
  // Builds what is missing, once and before the tests, since that takes minutes.
  await findBinaries();
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-program-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await buildProgram(folder);
  const { socket, stop } = await startClusters();
  project.provide('cluster', { socket });
  return stop;
}

/** Uses an existing cluster. Nothing is started or installed in it, so it must already serve the kinds that the scenarios use. */
async function useCluster(project: TestProject, kubeconfig: string): Promise<Teardown> {
  const kubectlBinary = await findOnPath('kubectl', process.env.PATH);
  if (kubectlBinary === undefined) throw new Error('REGKEEPER_TEST_KUBECONFIG is set, but there is no kubectl in PATH');
  const kubectlCache = await mkdtemp(join(tmpdir(), 'regkeeper-kubectl-'));
  project.provide('cluster', { kubeconfig, kubectlBinary, kubectlCache });
  return () => rm(kubectlCache, { recursive: true, force: true });
}
