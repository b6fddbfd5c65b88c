/**
 * Installation and removal, with the Pods of regkeeper's own Deployment on a simulated node. An installation goes from an empty cluster to the
 * first Pod with its secret, without manual steps or certificates. Also tests an installation without rules and manual changes of the
 * webhook configurations.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { firstRules, install, overlayWithRules, renderTimes } from '../first-install.ts';
import { type StandInNode, startStandInNode } from '../stand-in-node.ts';
import { target, waitFor } from '../target.ts';
import { pod, running } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;
const deploy = join(import.meta.dirname, '../../../deploy');
const serverSide = ['apply', '--server-side', '--field-manager=regkeeper-install', '-k'];
const configurations = ['mutatingwebhookconfiguration', 'validatingwebhookconfiguration'] as const;

let admin: ApiClient;
let node: StandInNode;
let folder = '';
let overlay = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-installing-'));
  admin = connectApi(await loadKubeConfig({ file: cluster.kubeconfig, env: {} }));
  const services = { route: cluster.routeService, unroute: cluster.unrouteService };
  node = await startStandInNode({ kubeconfig: cluster.kubeconfig, directory: folder, services });
  overlay = await overlayWithRules(join(folder, 'overlay'), { patches: [shortGracePeriod] });
});

afterAll(async () => {
  for (const kind of configurations) await kubectl(['delete', kind, 'regkeeper', '--ignore-not-found']);
  await kubectl(['delete', 'clusterrole,clusterrolebinding', '-l', 'app.kubernetes.io/name=regkeeper']);
  await kubectl(['delete', 'namespace', 'regkeeper', '--ignore-not-found', '--timeout=60s']);
  await node?.end();
  await admin?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A short grace period, because the namespace controller waits for half of it. Two seconds more than the drain and the idle time after it. */
const shortGracePeriod = {
  target: { kind: 'Deployment', name: 'regkeeper' },
  patch: JSON.stringify([
    { op: 'replace', path: '/spec/template/spec/terminationGracePeriodSeconds', value: 8 },
    { op: 'add', path: '/spec/template/spec/containers/0/args/-', value: '--shutdown-delay-seconds=2' },
  ]),
};

test('kubectl apply -k deploy/base and an edit of its rules: a Pod gets its secret, and removal loses no request', async () => {
  const command = ['apply', '-k', join(deploy, 'base')];
  await installing(command, () => writeRules('regkeeper-rules', firstRules));
  expect(await errorOf('unknown.example.com/x')).toContain('denied the request');
  await kubectl(['rollout', 'status', 'deployment/regkeeper', '-n', 'regkeeper', '--timeout=30s']);

  const stopCreating = keepCreating();
  await kubectl(['delete', '-k', join(deploy, 'base'), '--timeout=60s']);
  expect(await stopCreating()).toEqual([]);
  await expectNothingLeft();
});

test('the same server-side, with an overlay with its own rules; deleting the namespace first deletes the configurations too', async () => {
  await installing([...serverSide, overlay]);
  expect(await errorOf('unknown.example.com/x')).toContain('denied the request');

  const stopCreating = keepCreating();
  await kubectl(['delete', 'namespace', 'regkeeper', '--timeout=60s']);
  await waitFor(async () => (await remaining()).length === 0, { deadlineSeconds: 60, what: 'the configurations to be collected' });
  expect(await stopCreating()).toEqual([]);
  await kubectl(['delete', 'clusterrole,clusterrolebinding', '-l', 'app.kubernetes.io/name=regkeeper']);
  await expectNothingLeft();
});

describe('an installation whose rules were deleted before it started', () => {
  test('calls no webhook, and reports what is missing', async () => {
    const before = node.servers().length;
    await kubectl([...serverSide, overlay]);
    await kubectl(['delete', 'configmap', 'our-rules', '-n', 'regkeeper']);
    const starting = await waitFor(() => node.servers().at(before), { deadlineSeconds: 60, what: 'the first server' });
    const missing = await waitFor(
      async () => {
        const text = await (await fetch(`http://127.0.0.1:${starting.healthPort}/readyz`)).text();
        return /^\[-\] rules: .*there are no rules.*$/m.exec(text)?.[0];
      },
      { deadlineSeconds: 60, what: 'the server to report that there are no rules' },
    );
    expect(missing).toContain('there are no rules');
    for (const kind of configurations) expect(await entriesOf(kind)).toEqual([]);
    expect(await errorOf('unknown.example.com/x')).toBeUndefined();
  });

  test('continues automatically when rules exist', async () => {
    await kubectl([...serverSide, overlay]);
    await waitFor(async () => (await errorOf('unknown.example.com/x'))?.includes('denied the request'), {
      deadlineSeconds: 60,
      what: 'the rules to take effect',
    });
    expect(await secretsOf('registry.example.com/x')).toEqual(['corp-pull']);
  });
});

describe('the configurations of a running installation', () => {
  test('if both are emptied, they are proved and filled again', async () => {
    const before = await Promise.all(configurations.map(entriesOf));
    for (const kind of configurations) await kubectl(['patch', kind, 'regkeeper', '--type=merge', '-p', '{"webhooks":[]}']);
    await waitFor(
      async () => (await Promise.all(configurations.map(entriesOf))).every(({ length }, index) => length === before[index]?.length),
      {
        deadlineSeconds: 60,
        what: 'the entries to be back',
      },
    );
    expect(await Promise.all(configurations.map(entriesOf))).toEqual(before);
  });

  test('if one of the two is deleted, it is not recreated, the other stays, and applying the installation again restores it', async () => {
    const before = await Promise.all(configurations.map(entriesOf));
    await kubectl(['delete', 'validatingwebhookconfiguration', 'regkeeper']);
    await waitFor(async () => (await errorOf('unknown.example.com/x')) === undefined, {
      deadlineSeconds: 60,
      what: 'requests to be unevaluated',
    });
    const isLogged = () =>
      node.servers().some((server) => server.log().some(({ msg }) => String(msg).includes('so requests are not being evaluated')));
    await waitFor(isLogged, { deadlineSeconds: 60, what: 'the log line' });
    expect(await secretsOf('registry.example.com/x')).toEqual(['corp-pull']);
    expect(await remaining()).toEqual(['mutatingwebhookconfiguration']);

    await kubectl([...serverSide, overlay]);
    await waitFor(async () => (await entriesOf('validatingwebhookconfiguration')).length === before[1]?.length, {
      deadlineSeconds: 60,
      what: 'the entries of the configuration that was recreated',
    });
    expect(await Promise.all(configurations.map(entriesOf))).toEqual(before);
  });

  test('if both are deleted, the emergency exit, kubectl apply recreates them, and they are filled', async () => {
    for (const kind of configurations) await kubectl(['delete', kind, 'regkeeper']);
    await waitFor(async () => (await secretsOf('registry.example.com/x')).length === 0, {
      deadlineSeconds: 60,
      what: 'no webhook to be called',
    });
    await kubectl([...serverSide, overlay]);
    await waitFor(async () => (await secretsOf('registry.example.com/x')).includes('corp-pull'), {
      deadlineSeconds: 60,
      what: 'a Pod with its secret',
    });
  });
});

async function installing(command: readonly string[], then?: () => Promise<void>): Promise<void> {
  const times = await install({ kubectl, admin, node, command, ...(then && { then }) });
  console.log(`kubectl ${command.slice(0, -1).join(' ')}: ${renderTimes(times)}`);
}

async function tryPod(image: string): Promise<{ spec: { imagePullSecrets?: { name: string }[] } }> {
  return await admin.create('/api/v1/namespaces/default/pods', pod('try', running(image)) as never, { dryRun: 'All' });
}

async function secretsOf(image: string): Promise<string[]> {
  return ((await tryPod(image)).spec.imagePullSecrets ?? []).map(({ name }) => name);
}

async function errorOf(image: string): Promise<string | undefined> {
  try {
    await tryPod(image);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Creates Pods of a trusted registry (dry run), one after another. Call the returned function to stop. It returns the error of every failed request. */
function keepCreating(): () => Promise<string[]> {
  const errors: string[] = [];
  let ending = false;
  onTestFinished(() => {
    ending = true;
  });
  const creating = (async () => {
    while (!ending) {
      const error = await errorOf('registry.example.com/x');
      if (error !== undefined) errors.push(error);
      // Leaves CPU time for the other workers.
      await pause(20);
    }
  })();
  return async () => {
    ending = true;
    await creating;
    return errors;
  };
}

async function remaining(): Promise<string[]> {
  const found = await Promise.all(configurations.map((kind) => kubectl(['get', kind, 'regkeeper', '--ignore-not-found', '-o', 'name'])));
  return configurations.filter((_, index) => found[index]?.stdout !== '');
}

async function expectNothingLeft(): Promise<void> {
  expect(await remaining()).toEqual([]);
  const { stdout } = await kubectl(['get', 'clusterroles,clusterrolebindings', '-l', 'app.kubernetes.io/name=regkeeper', '-o', 'name']);
  expect(stdout).toBe('');
  expect(await errorOf('unknown.example.com/x')).toBeUndefined();
  const servers = node.servers().map(({ process }) => process);
  expect(servers.map(({ exitCode }) => exitCode)).toEqual(servers.map(() => 0));
}

async function entriesOf(kind: (typeof configurations)[number]): Promise<{ name: string }[]> {
  const { webhooks = [] } = await kubectl.json<{ webhooks?: { name: string }[] }>(['get', kind, 'regkeeper']);
  return webhooks;
}

async function writeRules(name: string, text: string): Promise<void> {
  const patch = JSON.stringify({ data: { 'rules.yaml': text } });
  await kubectl(['patch', 'configmap', name, '-n', 'regkeeper', '--type=merge', '-p', patch]);
}
