/**
 * `npm run test:kind`: creates a kind cluster, installs regkeeper with kustomize and then with Helm, and each time runs the scenarios of
 * test/cluster against it. `--rehearse` does the same without a container engine: the control plane of test/cluster replaces kind, and one
 * local process replaces the Pods.
 */

import { spawn } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { installCrds } from '../cluster/crds.ts';
import { createHelm, findHelm } from '../cluster/helm.ts';
import { createKubectl } from '../cluster/kubectl.ts';
import { waitUntilFilled } from '../cluster/regkeeper.ts';
import { waitFor } from '../cluster/wait-for.ts';
import type { Ground } from './ground.ts';
import { startKind } from './kind.ts';
import { rehearse } from './rehearsal.ts';
import { nothingIsLeft, ways } from './ways.ts';

const root = resolve(import.meta.dirname, '../..');
const usage = 'usage: npm run test:kind -- [--rehearse | --keep] [SCENARIO…]';

const failures = await main(process.argv.slice(2)).catch((error: unknown) => {
  log(error instanceof Error ? error.message : String(error));
  return 1;
});
process.exitCode = failures === 0 ? 0 : 1;

/** Returns how many of the two installations failed. */
async function main(args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith('-'));
  const scenarios = args.filter((arg) => !arg.startsWith('-'));
  if (flags.some((flag) => !['--rehearse', '--keep'].includes(flag))) throw new Error(usage);
  const ground = flags.includes('--rehearse') ? await rehearse() : await startKind({ root, keep: flags.includes('--keep'), log });
  try {
    const kubectl = createKubectl({ binary: ground.kubectl, kubeconfig: ground.kubeconfig });
    const helmBinary = await findHelm();
    const helm = createHelm({ binary: helmBinary, kubeconfig: ground.kubeconfig });
    await installCrds(kubectl);
    let failed = 0;
    for (const way of ways()) {
      log(`regkeeper is installed with ${way.name}`);
      await way.install(kubectl, helm);
      await ground.podsReady(kubectl);
      await waitUntilFilled(kubectl);
      if (ground.runsPods) await way.test?.(helm);
      if (!(await runScenarios(ground, helmBinary, scenarios))) {
        log(`scenarios failed on the installation with ${way.name}`);
        failed += 1;
      }
      await way.remove(kubectl, helm);
      await waitFor(() => nothingIsLeft(kubectl), { deadlineSeconds: 60, what: `nothing to be left of ${way.name}` });
      await ground.podsGone();
    }
    return failed;
  } finally {
    await ground.stop();
  }
}

function runScenarios({ kubeconfig, kubectl }: Ground, helm: string, scenarios: readonly string[]): Promise<boolean> {
  const env = {
    ...process.env,
    REGKEEPER_TEST_KUBECONFIG: kubeconfig,
    HELM: helm,
    // The scenarios use the kubectl in PATH.
    PATH: `${dirname(kubectl)}:${process.env.PATH}`,
  };
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'test/cluster/vitest.config.ts', ...scenarios];
  return new Promise((settle, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => settle(code === 0));
  });
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}
