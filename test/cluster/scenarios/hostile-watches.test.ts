/**
 * A tenant fills the collections that regkeeper watches, with accounts of tens of thousands of pull secrets, more names than a namespace's
 * budget, and large image streams. The Pods of others must not be affected, and a replica with the shipped memory limit must start.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { annotatedAccounts, fatAccounts, fatStreams, type HostileObject, longNamedAccounts } from '../../hostile/accounts.ts';
import { startHonestRequests } from '../honest-requests.ts';
import { launchRegkeeper, type Regkeeper, readiness, routeTo, shippedHeap, waitUntilReady } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { createTenant, type Tenant } from '../tenant.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl, kubeconfig } = cluster;
const rules = 'mode: enforce\nrules:\n- {registry: good.example.com, pullSecret: corp}\n';
const keeper = withRegkeeper(cluster, rules, { nodeFlags: [shippedHeap] });
const honestImages = { image: 'good.example.com/app', deniedImage: 'bad.example.com/app', pullSecret: 'corp' };
const names = 60_000;

type Pod = { readonly spec: { readonly imagePullSecrets?: readonly { readonly name: string }[] } };

describe('service accounts with tens of thousands of pull secrets, and more names than a namespace may have', () => {
  test('delay no one, and a replica with the shipped memory limit starts despite them', { timeout: 300_000 }, async () => {
    const tenant = await newTenant();
    const other = await newTenant();
    const honest = await startHonestRequests({ kubeconfig, namespace: keeper.namespace, ...honestImages });
    for (const object of fatAccounts(tenant.namespace, { count: 100, names })) await create(tenant, object);
    for (const object of longNamedAccounts(other.namespace, { count: 60, names: 900, length: 60 })) await create(other, object);
    for (const object of annotatedAccounts(other.namespace, { count: 20 })) await create(other, object);
    for (const object of fatStreams(other.namespace, { count: 5, tags: 300, registry: 'good.example.com' })) await create(other, object);

    const first = keeper.server;
    const began = performance.now();
    const second = await startSecondReplica();
    const seconds = (performance.now() - began) / 1_000;
    await honest.atLeast(200);
    const { failed, summary } = await honest.stop();
    const used = [first, second].map(async (server) => (server ? usage(server) : ''));
    process.stdout.write(
      `hostile accounts: ${summary}; a replica was ready after ${seconds.toFixed(1)} s; ${(await Promise.all(used)).join('; ')}\n`,
    );
    expect(failed).toEqual([]);
    // Latencies are printed, not asserted, because they depend on the machine. A request that exceeds the webhook's timeout fails.
    if (!first || !second) return;
    expect([first.process.exitCode, second.process.exitCode]).toEqual([null, null]);
    for (const server of [first, second]) {
      await waitFor(async () => (await metrics(server)).includes(`regkeeper_namespace_over_budget{namespace="${other.namespace}"} 1`), {
        deadlineSeconds: 60,
        what: 'the metric to name the namespace',
      });
      expect((await readiness(server)).text).toContain(`[!] cluster: namespaces over their memory budget: ${other.namespace}`);
      const warnings = server.log().filter(({ namespace, level }) => namespace === other.namespace && level === 'warn');
      expect(warnings).toHaveLength(1);
    }
  });
});

describe('an account with more pull secrets than are kept', () => {
  let admin: ApiClient;
  let namespace = '';

  beforeAll(async () => {
    admin = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
    namespace = await cluster.namespace();
    const [fat] = fatAccounts(namespace, { count: 1, names: 2_000 });
    const [strict] = fatAccounts(namespace, { count: 1, names: 2_000 });
    if (!fat || !strict) throw new Error('there are two accounts');
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await admin.create(accounts, fat);
    const annotations = { 'kubernetes.io/enforce-mountable-secrets': 'true' };
    await admin.create(accounts, { ...strict, metadata: { ...strict.metadata, name: 'strict', annotations } });
    return () => admin.close();
  });

  const pod = (serviceAccountName: string) => ({ serviceAccountName, containers: [{ name: 'app', image: 'good.example.com/app' }] });
  const dryRun = async (serviceAccountName: string) =>
    admin.create<Pod & { metadata: object }>(
      `/api/v1/namespaces/${namespace}/pods`,
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: pod(serviceAccountName) } as never,
      { dryRun: 'All' },
    );
  const listOf = ({ spec }: Pod) => (spec.imagePullSecrets ?? []).map(({ name }) => name);

  test('Pods with a too large account get all of its secrets, followed by the secret of the rule', async () => {
    await waitFor(async () => listOf(await dryRun('fat-0')).length === 2_001, { deadlineSeconds: 60, what: 'the account to be known' });
    expect(listOf(await dryRun('fat-0')).slice(-2)).toEqual(['p1999', 'corp']);
  });

  test('templates with a too large account are left alone, so that the API server copies its list into their Pods', async () => {
    const template = { metadata: { labels: { app: 'web' } }, spec: pod('fat-0') };
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: { selector: { matchLabels: { app: 'web' } }, template },
    };
    const created = await admin.create<{ spec: { template: Pod } }>(
      `/apis/apps/v1/namespaces/${namespace}/deployments`,
      deployment as never,
      { dryRun: 'All' },
    );
    expect(listOf(created.spec.template)).toEqual([]);
  });

  test('Pods with a too large account that allows only listed secrets get no others, and are created', async () => {
    expect(listOf(await dryRun('strict'))).toHaveLength(2_000);
  });
});

async function newTenant(): Promise<Tenant> {
  return createTenant({ kubectl, kubeconfig, namespace: await cluster.namespace() });
}

async function create({ client, namespace }: Tenant, object: HostileObject): Promise<void> {
  const collection =
    object.kind === 'ServiceAccount'
      ? `/api/v1/namespaces/${namespace}/serviceaccounts`
      : `/apis/image.openshift.io/v1/namespaces/${namespace}/imagestreams`;
  await client.create(collection, object as never);
}

/** Starts a second replica, as a rollout does. When it is ready, the Service is routed to it. The first one stays until the test ends. */
async function startSecondReplica(): Promise<Regkeeper | undefined> {
  if (!cluster.local) return undefined;
  const { routeService } = cluster;
  const directory = join(keeper.folder, 'second');
  const second = await launchRegkeeper({
    kubectl,
    kubeconfig,
    directory,
    routeService,
    nodeFlags: [shippedHeap],
    flags: ['--shutdown-delay-seconds', '1'],
  });
  onTestFinished(async () => {
    if (keeper.server) await routeTo(keeper.server, { routeService });
    await second.end();
  });
  await waitUntilReady(second, { deadlineSeconds: 60, what: 'the second replica to be ready' });
  await routeTo(second, { routeService });
  return second;
}

async function metrics({ healthPort }: Regkeeper): Promise<string> {
  return (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
}

/** CPU time and memory of a server, as text. */
async function usage(server: Regkeeper): Promise<string> {
  const text = await metrics(server);
  const value = (name: string) => Number(text.match(new RegExp(`^${name} (.*)$`, 'm'))?.[1] ?? Number.NaN);
  const memory = Math.round(value('process_resident_memory_bytes') / 2 ** 20);
  return `${value('process_cpu_seconds_total').toFixed(1)} s of processor, ${memory} MiB, heap ${Math.round(value('nodejs_heap_size_used_bytes') / 2 ** 20)} MiB`;
}
