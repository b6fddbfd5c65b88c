/**
 * `npm run test:kind`: creates a kind cluster, installs regkeeper with kustomize and then with Helm, and each time runs the scenarios of
 * test/cluster, and those of test/node that pull images, against it. `--rehearse` does the same without a container engine: the control plane of test/cluster replaces kind, and one
 * local process replaces the Pods.
 */

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { installCrds } from '../cluster/crds.ts';
import { createHelm, findHelm } from '../cluster/helm.ts';
import { createKubectl } from '../cluster/kubectl.ts';
import { waitUntilFilled } from '../cluster/regkeeper.ts';
import { waitFor } from '../cluster/wait-for.ts';
import type { Ground } from './ground.ts';
import { startKind } from './kind.ts';
import { rehearse } from './rehearsal.ts';
import { pullingScenarios } from './vitest.config.ts';
import { nothingIsLeft, ways } from './ways.ts';

const root = resolve(import.meta.dirname, '../..');
const configOfPulls = 'test/kind/vitest.config.ts';
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
  const selected = suitesOf(scenarios);
  const ground = flags.includes('--rehearse') ? await rehearse() : await startKind({ root, keep: flags.includes('--keep'), log });
  try {
    const kubectl = createKubectl({ binary: ground.kubectl, kubeconfig: ground.kubeconfig });
    const helmBinary = await findHelm();
    const helm = createHelm({ binary: helmBinary, kubeconfig: ground.kubeconfig });
    await installCrds(kubectl);
    const suites = selected.filter(({ config }) => ground.registryPort !== undefined || config !== configOfPulls);
    if (suites.length < selected.length) {
      log('NOT RUN: the scenarios that pull images, because this cluster has no nodes. npm run test:node runs them.');
    }
    if (suites.length === 0) throw new Error('no scenario was run');
    let failed = 0;
    for (const way of ways()) {
      log(`regkeeper is installed with ${way.name}`);
      await way.install(kubectl, helm);
      await ground.podsReady(kubectl);
      await waitUntilFilled(kubectl);
      if (ground.runsPods) await way.test?.(helm);
      const passed = [];
      for (const suite of suites) passed.push(await runScenarios(ground, helmBinary, suite));
      if (passed.includes(false)) {
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

type Suite = { readonly config: string; readonly names: readonly string[] };

/** What is run for these parts of file names, or all of it where there are none. @throws Error for a name that no file contains */
function suitesOf(names: readonly string[]): readonly Suite[] {
  const files = {
    'test/cluster/vitest.config.ts': readdirSync(join(root, 'test/cluster/scenarios')),
    [configOfPulls]: pullingScenarios.map((name) => `${name}.test.ts`),
  };
  const unknown = names.filter(
    (name) =>
      !Object.values(files)
        .flat()
        .some((file) => file.includes(name)),
  );
  if (unknown.length > 0) throw new Error(`no scenario has a name with ${unknown.join(' or ')}`);
  const suites = Object.entries(files).map(([config, all]) => ({
    config,
    names: names.filter((name) => all.some((file) => file.includes(name))),
  }));
  return names.length === 0 ? suites : suites.filter((suite) => suite.names.length > 0);
}

function runScenarios({ kubeconfig, kubectl, registryPort }: Ground, helm: string, { config, names }: Suite): Promise<boolean> {
  const env = {
    ...process.env,
    REGKEEPER_TEST_KUBECONFIG: kubeconfig,
    TEST_REGISTRY_PORT: String(registryPort),
    HELM: helm,
    // The scenarios use the kubectl in PATH.
    PATH: `${dirname(kubectl)}:${process.env.PATH}`,
  };
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--config', config, ...names];
  return new Promise((settle, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => settle(code === 0));
  });
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}
