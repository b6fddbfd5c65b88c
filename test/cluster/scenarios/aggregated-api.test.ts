/** One aggregated API is slow or unavailable: the entries of all other kinds are registered and repaired, and those of its kinds stay. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { type AggregatedApi, startAggregatedApi } from '../aggregated-api.ts';
import { installCrds } from '../crds.ts';
import { startHonestRequests } from '../honest-requests.ts';
import { times } from '../length.ts';
import { applyBase, deleteBase, ownNamespace, publishedBundles, type Regkeeper, readiness, startRegkeeper } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { admits, changeConfiguration, entriesOf, paths, repairedAtOnce, timeRepair } from '../webhook-configurations.ts';

const cluster = target();
const { kubectl, kubeconfig } = cluster;
const api = 'apps.openshift.io/v1';
const own = 'deploymentconfigs.apps.openshift.io';
const untrusted = 'unknown.example.com/x';

let admin: ApiClient;
let aggregated: AggregatedApi;
let server: Regkeeper | undefined;
let folder = '';
let namespace = '';

describe.runIf(cluster.local)('while an aggregated API', () => {
  beforeAll(async () => {
    admin = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
    folder = await mkdtemp(join(tmpdir(), 'regkeeper-scenario-'));
    namespace = await cluster.namespace();
    // The CRD has its own, automatically registered APIService of the same name.
    await kubectl(['delete', 'crd', own]);
    aggregated = await startAggregatedApi({
      cluster,
      group: 'apps.openshift.io',
      version: 'v1',
      resources: [{ name: 'deploymentconfigs', kind: 'DeploymentConfig' }],
    });
  });

  afterAll(async () => {
    await server?.end();
    // A namespace cannot be deleted while the discovery of an API fails.
    await aggregated.remove();
    await deleteBase(kubectl);
    await installCrds(kubectl);
    await rm(folder, { recursive: true, force: true });
    await admin.close();
  });

  test.each([
    ['is unavailable', () => aggregated.beUnavailable()],
    ['is slow', () => aggregated.beSlow()],
    ['has not installed its resources yet', () => aggregated.knowNothing()],
  ])('%s, a fresh install registers every kind, including those of the API with all their entry points', async (_how, change) => {
    // First, or kubectl would wait for the API: half a minute where it is slow.
    await applyBase(kubectl);
    await change();
    await startWithRules();
    const since = performance.now();
    const [mutating, validating] = await waitFor(
      async () => {
        const both = await Promise.all([entriesOf(admin, paths.mutating), entriesOf(admin, paths.validating)]);
        return both.every((entries) => entries.length > 1) && both;
      },
      { deadlineSeconds: 60, what: 'both configurations to be filled' },
    );
    console.info(`filled ${Math.round(performance.now() - since)} ms after the server was ready`);
    const names = (entries: { name: string }[]) => entries.map(({ name }) => name);
    expect(names(mutating ?? [])).toEqual(expect.arrayContaining([`${own}.mutate.regkeeper.io`, 'pods.mutate.regkeeper.io']));
    expect(names(validating ?? [])).toEqual(expect.arrayContaining([`${own}.validate.regkeeper.io`, 'pods.validate.regkeeper.io']));
    await denies();
    const readinessReport = () => readiness(server as Regkeeper);
    await waitFor(async () => (await readinessReport()).text.includes(`[!] cluster: API ${api} has been unavailable since`), {
      deadlineSeconds: 60,
      what: 'the note on /readyz',
    });
    expect((await readinessReport()).ready).toBe(true);
    expect(await metric(`regkeeper_api_unavailable{api="${api}"}`)).toBe(1);
    expect(apiFailures()).toHaveLength(1);
    await uninstall();
  });

  describe('is unavailable', () => {
    beforeAll(async () => {
      await aggregated.answer();
      await install();
      await denies();
      await aggregated.beUnavailable();
    });

    test('removed or emptied entries are repaired immediately, and no untrusted Pod is allowed for longer than that', async () => {
      const honest = await startHonestRequests({
        kubeconfig,
        namespace: await cluster.namespace(),
        image: 'good.example.com/app',
        perSecond: 20,
      });
      const breaks: [string, () => Promise<void>][] = [
        ['pods.validate removed', () => withoutEntry(paths.validating, 'pods.validate.regkeeper.io')],
        ['pods.mutate removed', () => withoutEntry(paths.mutating, 'pods.mutate.regkeeper.io')],
        [`${own}.validate removed`, () => withoutEntry(paths.validating, `${own}.validate.regkeeper.io`)],
        ['validating emptied', () => withoutEntry(paths.validating)],
      ];
      for (const [what, breakIt] of breaks) {
        const [mutating, validating] = [await entriesOf(admin, paths.mutating), await entriesOf(admin, paths.validating)];
        const repair = await timeRepair({
          breakIt,
          isRepaired: async () =>
            (await entriesOf(admin, paths.validating)).length === validating.length &&
            (await entriesOf(admin, paths.mutating)).length === mutating.length,
          tryPod: () => admits(admin, namespace, untrusted),
        });
        console.info(`${what}: repaired after ${repair.milliseconds} ms, ${repair.admitted} of ${repair.tried} untrusted Pods admitted`);
        expect(repair).toSatisfy(repairedAtOnce);
        await denies();
      }
      await honest.atLeast(times(80, 200));
      const result = await honest.stop();
      console.info(`honest requests beside it: ${result.summary}`);
      expect(result.failed).toEqual([]);
      // Latencies are printed, not asserted, because they depend on the machine. A request that exceeds the webhook's timeout fails.
    });

    test('a new CA is published in every entry, including those of the API', async () => {
      const before = new Set(await publishedBundles(admin));
      const count = (await entriesOf(admin, paths.validating)).length;
      // Without the key of the CA regkeeper creates a new CA, which must reach the API server.
      const patch = JSON.stringify([{ op: 'remove', path: '/data/ca.key' }]);
      await kubectl(['patch', 'secret', 'regkeeper-tls', '-n', ownNamespace, '--type=json', '-p', patch]);
      const since = performance.now();
      await waitFor(
        async () => {
          const bundles = new Set(await publishedBundles(admin));
          return bundles.size === 1 && ![...bundles].some((bundle) => before.has(bundle));
        },
        { deadlineSeconds: 60, what: 'one new bundle in every entry' },
      );
      console.info(`new CA in every entry after ${Math.round(performance.now() - since)} ms`);
      expect(await entriesOf(admin, paths.validating)).toHaveLength(count);
      await denies();
    });

    test('a server that starts keeps the entries of the API unchanged', async () => {
      const before = await entriesOf(admin, paths.validating);
      await server?.end();
      server = await start();
      await waitFor(() => leads(), { deadlineSeconds: 40, what: 'the new server to lead' });
      await withoutEntry(paths.validating, 'pods.validate.regkeeper.io');
      await waitFor(async () => (await entriesOf(admin, paths.validating)).length === before.length, {
        deadlineSeconds: 60,
        what: 'the repair',
      });
      const rulesOf = (entries: typeof before) => new Map(entries.map(({ name, rules }) => [name, rules]));
      expect(rulesOf(await entriesOf(admin, paths.validating))).toEqual(rulesOf(before));
    });

    test('when it is available again, it is queried again, and nothing is written because of that', async () => {
      const before = await admin.get<{ metadata: { generation: number } }>(paths.validating);
      await aggregated.answer();
      await waitFor(() => server?.log().some(({ msg }) => msg === `API ${api} is available again`), {
        deadlineSeconds: 90,
        what: 'the recovery',
      });
      expect(await metric(`regkeeper_api_unavailable{api="${api}"}`)).toBe(0);
      expect((await readiness(server as Regkeeper)).text).not.toContain('[!]');
      expect((await admin.get<typeof before>(paths.validating)).metadata.generation).toBe(before.metadata.generation);
    });

    test('when it is no longer served, its entries are removed', async () => {
      await aggregated.remove();
      await waitFor(async () => !(await entriesOf(admin, paths.validating)).some(({ name }) => name.startsWith(own)), {
        deadlineSeconds: 90,
        what: 'the entries to go',
      });
    });
  });
});

async function install(): Promise<void> {
  await applyBase(kubectl);
  await startWithRules();
}

async function startWithRules(): Promise<void> {
  server = await start();
  const data = { 'rules.yaml': 'mode: enforce\nunconfigured: deny\nrules:\n- {registry: good.example.com}\n' };
  const path = `/api/v1/namespaces/${ownNamespace}/configmaps/regkeeper-rules`;
  await admin.request({ method: 'PATCH', path, body: { data }, contentType: 'application/merge-patch+json' });
}

async function uninstall(): Promise<void> {
  await server?.end();
  // A namespace cannot be deleted while the discovery of an API fails.
  await aggregated.answer();
  await deleteBase(kubectl);
}

function start(): Promise<Regkeeper> {
  return startRegkeeper({
    kubectl,
    kubeconfig,
    directory: folder,
    routeService: cluster.routeService,
    flags: ['--shutdown-delay-seconds', '0'],
  });
}

async function denies(): Promise<void> {
  await waitFor(async () => !(await admits(admin, namespace, untrusted)), { deadlineSeconds: 60, what: 'an untrusted Pod to be denied' });
}

async function leads(): Promise<boolean> {
  return (await metric('regkeeper_leader')) === 1;
}

async function metric(name: string): Promise<number | undefined> {
  const text = await (await fetch(`http://localhost:${server?.healthPort}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

function apiFailures(): readonly Record<string, unknown>[] {
  return server?.log().filter(({ msg }) => String(msg).startsWith(`discovery of the API ${api} failed`)) ?? [];
}

/** Removes the entry with this name, or all entries where no name is passed. */
async function withoutEntry(path: string, name?: string): Promise<void> {
  await changeConfiguration(admin, path, (live) => {
    live.webhooks = live.webhooks?.filter((entry) => name !== undefined && entry.name !== name) ?? [];
  });
}
