/**
 * Runs the commands of the documentation, page by page, and compares the documented output. The first of them install regkeeper on kind, with a
 * simulated kind, docker and node. `UPDATE_GOLDEN=1` writes the actual output into the pages. Commands that cannot run here are listed
 * in test/unit/docs/commands.ts.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { inlineCommands, pagesWithOwnScenario, pagesWithSteps, runnable, stepsOf } from '../../unit/docs/commands.ts';
import { pages as everyPage } from '../../unit/docs/pages.ts';
import { findBinaries } from '../binaries.ts';
import { type ActualOutput, runStep, writeOutputs } from '../docs-steps.ts';
import { createWorld, filesShownIn, rulesConfigMap, usualDeployment, usualRules, type World } from '../docs-world.ts';
import { findHelm } from '../helm.ts';
import { type StandInNode, startStandInNode } from '../stand-in-node.ts';
import { target, waitFor } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;

let admin: ApiClient;
let node: StandInNode;
let world: World;
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rk-docs-'));
  admin = await kubectl.api();
  const servers = join(folder, 'servers');
  const services = { route: cluster.routeService, unroute: cluster.unrouteService };
  node = await startStandInNode({ kubeconfig: cluster.kubeconfig, directory: servers, services });
  const binaries = await findBinaries();
  world = await createWorld({
    folder,
    kubeconfig: cluster.kubeconfig,
    kubectl: binaries.kubectl,
    helm: await findHelm(),
    servers,
  });
}, 600_000);

afterAll(async () => {
  await kubectl(['delete', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', 'regkeeper', '--ignore-not-found']);
  await kubectl([
    'delete',
    'clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding',
    '-l',
    'app.kubernetes.io/name=regkeeper',
  ]);
  await kubectl(['delete', 'clusterrolebinding', 'regkeeper-report-namespace-rules', '--ignore-not-found']);
  await kubectl(['delete', 'namespace', 'regkeeper', 'shop', '--ignore-not-found', '--timeout=60s']);
  await node?.end();
  await rm(folder, { recursive: true, force: true });
});

/** The quick start installs regkeeper and creates the namespace `shop`. */
const first = 'docs/quick-start.md';
const pages = [first, ...pagesWithSteps.filter((page) => page !== first && !pagesWithOwnScenario.includes(page))];
const actual: ActualOutput[] = [];

describe.each(pages)('%s', (page) => {
  const steps = stepsOf(page).flatMap((step) => {
    const script = runnable(step.script);
    return script === undefined ? [] : [{ ...step, script }];
  });

  beforeAll(async () => {
    await world.enter(page);
    if (page !== first) await prepareShop(page);
  });

  test.each(steps)(
    'line $line',
    async (step) => {
      actual.push(await runStep(world, step));
    },
    300_000,
  );
});

describe('commands in the text have options that their programs support', () => {
  const mentioned = ['kubectl', 'helm'].flatMap((program) =>
    everyPage.flatMap((page) => inlineCommands(page, program).map((text) => ({ page, command: text.split(/ [|&]|;/)[0] ?? '' }))),
  );
  // Many are on several pages.
  const commands = [...Map.groupBy(mentioned, ({ command }) => command)].map(([command, on]) => ({
    command,
    on: [...new Set(on.map(({ page }) => page))].join(', '),
  }));

  test.each(commands)('$command ($on)', async ({ command }) => {
    // With --help options are parsed, and nothing is done.
    const { output, exitCode } = await world.run(`${command} --help`);
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/^Usage:$/m);
  });
});

afterAll(async () => {
  if (process.env.UPDATE_GOLDEN) for (const page of pages) await writeOutputs(page, actual);
});

/** The rules of the page, or the usual ones, and one Pod and one Deployment that are older than them. */
async function prepareShop(page: string): Promise<void> {
  const namespaced = '/api/v1/namespaces/shop';
  const removeAll = (path: string) =>
    admin.request({ method: 'DELETE', path, body: { gracePeriodSeconds: 0, propagationPolicy: 'Background' } });
  await removeAll('/apis/apps/v1/namespaces/shop/deployments');
  await removeAll('/apis/apps/v1/namespaces/shop/replicasets');
  await removeAll(`${namespaced}/pods`);
  await removeAll(`${namespaced}/secrets`);
  await waitFor(async () => (await admin.list(`${namespaced}/pods`)).items.length === 0, { deadlineSeconds: 60, what: 'shop to be empty' });
  await applyRules(filesShownIn(page).get('rules.yaml') ?? usualRules);
  // README.md creates its objects itself. The rules of secret-delivery.md deny the usual ones.
  if (page === 'README.md' || page === 'docs/secret-delivery.md') return;
  const secret = (name: string) =>
    kubectl(
      `create secret docker-registry ${name} -n shop --docker-server=registry.example.com:5000 --docker-username=ci --docker-password=secret`.split(
        ' ',
      ),
    );
  if (page !== 'docs/guides/registry-secrets.md') await secret('corp-pull');
  if (page === 'docs/guides/migrate.md') await secret('image-pull-secret');
  const account = JSON.stringify({ imagePullSecrets: [{ name: 'image-pull-secret' }] });
  await kubectl(['patch', 'serviceaccount', 'default', '-n', 'shop', '-p', account]);
  await kubectl(['apply', '-f', '-'], { stdin: usualDeployment });
  await kubectl(['run', 'web', '-n', 'shop', '--image=registry.example.com:5000/shop/web:1.4']);
}

/** Text that is a ConfigMap is left to the page's own commands. */
async function applyRules(text: string): Promise<void> {
  if (/^kind: ConfigMap$/m.test(text)) return;
  await kubectl(['apply', '--server-side', '--force-conflicts', '--field-manager=regkeeper-install', '-f', '-'], {
    stdin: rulesConfigMap(text),
  });
  const { metadata: stored } = await admin.get<{ metadata: { resourceVersion: string } }>(
    '/api/v1/namespaces/regkeeper/configmaps/regkeeper-rules',
  );
  const isInForce = async () => {
    const { data = {} } = await admin.get<{ data?: Record<string, string> }>(
      '/api/v1/namespaces/regkeeper/configmaps/regkeeper-rules-snapshot',
    );
    return Object.values(data).some((value) => value.includes(stored.resourceVersion));
  };
  await waitFor(isInForce, { deadlineSeconds: 60, what: 'the rules to take effect' });
}
