/** A tenant floods its namespace with rules ConfigMaps: the cluster's rules, rules reviews and the Pods of others must not be affected. */
import { expect, onTestFinished, test } from 'vitest';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { type HostileDocument, hostileConfigMap, largestConfigMap, twentyConfigMaps } from '../../hostile/rules.ts';
import { startHonestRequests } from '../honest-requests.ts';
import { shippedHeap } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { createTenant, type Tenant } from '../tenant.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

/** Duration of the flood. The figures in docs/sizing.md are from 60 seconds. */
const seconds = Number(process.env.FLOOD_SECONDS ?? 15);

const cluster = target();
const { kubectl, kubeconfig } = cluster;
const rules = (edit: number) =>
  `mode: enforce\nrules:\n- {registry: good.example.com, pullSecret: corp}\n- registry: edit-${edit}.example.com\n`;
const keeper = withRegkeeper(cluster, rules(0), {
  flags: ['--namespace-rules'],
  manifests: ['namespace-rules/rbac.yaml'],
  nodeFlags: [shippedHeap],
});
const honestImages = { image: 'good.example.com/app', deniedImage: 'bad.example.com/app', pullSecret: 'corp' };

test('twenty ConfigMaps of a megabyte of commas are all denied with the reason, and delay no other request', async () => {
  const tenant = await newTenant();
  const honest = await startHonestRequests({ kubeconfig, namespace: keeper.namespace, ...honestImages });
  const answers = await Promise.all(
    twentyConfigMaps('commas', tenant.namespace).map((configMap) =>
      write(tenant, { name: configMap.metadata.name, data: configMap.data, exists: false }),
    ),
  );
  const quota = answers.filter((answer) => answer?.includes('(namespace-quota)'));
  process.stdout.write(`20 ConfigMaps: ${quota.length} denied as too much${await usage()}\n`);
  const waited = await secondsUntilInForce(1);
  await honest.atLeast(200);
  const { failed, summary } = await honest.stop();
  process.stdout.write(`20 ConfigMaps: a cluster rule edit in force after ${waited.toFixed(2)} s; ${summary}${await usage()}\n`);
  expect(answers.map((answer) => answer?.match(/\((namespace-quota)\)/)?.[1] ?? answer)).toEqual(answers.map(() => 'namespace-quota'));
  expect(failed).toEqual([]);
});

test('fifty writes a second of one namespace delay neither an edit of the cluster rules nor the Pods of another namespace', {
  timeout: (seconds + 120) * 1_000,
}, async () => {
  const tenant = await newTenant();
  const honest = await startHonestRequests({ kubeconfig, namespace: keeper.namespace, ...honestImages });
  // The flood consists of updates. Without these ConfigMaps most would be answered with 404 before a webhook is called.
  for (const name of floodNames)
    expect(await write(tenant, { name, data: { 'rules.yaml': 'rules: []\n' }, exists: false })).toBeUndefined();
  const flood = startFlood(tenant);
  const waited: number[] = [];
  const began = performance.now();
  for (let edit = 2; performance.now() - began < seconds * 1_000; edit += 1) waited.push(await secondsUntilInForce(edit));
  const { asked, allowed, denied, others } = await flood.stop();
  await honest.atLeast(200);
  const { failed, summary } = await honest.stop();
  waited.sort((one, other) => one - other);
  const rank = (share: number) => (waited[Math.max(0, Math.ceil(waited.length * share) - 1)] ?? 0).toFixed(2);
  process.stdout.write(
    `flood of ${seconds} s: ${asked} writes, ${allowed} allowed, ${denied} denied, ${others.length} otherwise; ` +
      `${waited.length} edits in force after p50 ${rank(0.5)} s, p99 ${rank(0.99)} s; ${summary}${await usage()}\n`,
  );
  const kindsOfOthers = Map.groupBy(others, (answer) => answer?.replaceAll(/\d+/g, 'N').slice(0, 200));
  for (const [answer, alike] of kindsOfOthers) process.stdout.write(`flood: ${alike.length} answered ${answer}\n`);
  expect(failed).toEqual([]);
  expect(others).toEqual([]);
  // Latencies are printed, not asserted, because they depend on the machine. A request that exceeds the webhook's timeout fails.
  if (keeper.server) {
    const aboutTenant = keeper.server.log().filter((line) => line.namespace === tenant.namespace);
    expect(aboutTenant.length).toBeLessThanOrEqual(seconds / 10 + 3);
  }
});

/** CPU time, memory and event loop lag of the server, as text. Empty where the server was not started by this test. */
async function usage(): Promise<string> {
  if (!keeper.server) return '';
  const text = await (await fetch(`http://127.0.0.1:${keeper.server.healthPort}/metrics`)).text();
  const value = (name: string) => Number(text.match(new RegExp(`^${name} (.*)$`, 'm'))?.[1] ?? Number.NaN);
  const [cpu, memory] = [value('process_cpu_seconds_total'), value('process_resident_memory_bytes') / 2 ** 20];
  return `; the server has used ${cpu.toFixed(1)} s of processor and has ${Math.round(memory)} MiB, loop lag at most ${value('nodejs_eventloop_lag_max_seconds').toFixed(2)} s`;
}

async function newTenant(): Promise<Tenant> {
  return createTenant({ kubectl, kubeconfig, namespace: await cluster.namespace() });
}

/**
 * Writes the ConfigMap. Returns undefined where it was allowed, or else the message. Uses JSON, because the API server needs a second of CPU
 * time to apply a megabyte of YAML, which would distort the measurement.
 */
async function write({ client, namespace }: Tenant, { name, data, exists }: Version): Promise<string | undefined> {
  const metadata = { name, labels: { 'regkeeper.io/rules': 'namespace' } };
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
  try {
    await (exists ? client.replace(`${path}/${name}`, configMap) : client.create(path, configMap));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Sends fifty writes a second: valid rules that change each time, the largest hostile documents, and ConfigMaps beyond the quota. */
function startFlood(tenant: Tenant) {
  const answers: (string | undefined)[] = [];
  const underWay = new Set<Promise<void>>();
  const began = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    for (; sent * 20 <= performance.now() - began && underWay.size < 100; sent += 1) {
      const request = write(tenant, versionOf(sent, tenant.namespace))
        .then((answer) => void answers.push(answer))
        .finally(() => underWay.delete(request));
      underWay.add(request);
    }
  }, 20);
  const stop = async () => {
    clearInterval(timer);
    await Promise.all(underWay);
    const denied = answers.filter((answer) => answer?.includes('configmaps.guard.regkeeper.io'));
    const others = answers.filter((answer) => answer !== undefined && !denied.includes(answer));
    return { asked: answers.length, allowed: answers.length - denied.length - others.length, denied: denied.length, others };
  };
  onTestFinished(() => clearInterval(timer));
  return { stop };
}

const kinds: readonly HostileDocument[] = ['commas', 'comments and a rule', 'rules without registry', 'unknown fields'];

type Version = { readonly name: string; readonly data: Readonly<Record<string, string>>; readonly exists: boolean };

const floodNames = ['good', 'largest', 'too-much'];

function versionOf(sent: number, namespace: string): Version {
  // One in five is hostile, with each kind in turn.
  const kind = kinds[Math.floor(sent / 10) % kinds.length] ?? 'commas';
  if (sent % 10 === 9) {
    const { data } = hostileConfigMap(kind, { namespace, name: 'too-much', keys: 62, length: 1_000, version: sent });
    return { name: 'too-much', data, exists: true };
  }
  if (sent % 5 === 4) return { name: 'largest', data: largestConfigMap(kind, namespace, sent).data, exists: true };
  const registries = Array.from({ length: 100 }, (_, index) => `- {registry: r${index}-${sent}.example.com, trust: false}`);
  return { name: 'good', data: { 'rules.yaml': `rules:\n${registries.join('\n')}\n` }, exists: true };
}

/** Edits the cluster's rules. Returns the seconds from the answer until a Pod is allowed by the new rule. */
async function secondsUntilInForce(edit: number): Promise<number> {
  const client = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
  try {
    await keeper.writeRules(rules(edit));
    const began = performance.now();
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'edit-', name: '' },
      spec: { containers: [{ name: 'app', image: `edit-${edit}.example.com/app` }] },
    };
    const isAllowed = () =>
      client.create(`/api/v1/namespaces/${keeper.namespace}/pods`, pod as never, { dryRun: 'All' }).then(
        () => true,
        () => false,
      );
    await waitFor(isAllowed, { deadlineSeconds: 60, what: `edit ${edit} to be in force` });
    return (performance.now() - began) / 1_000;
  } finally {
    await client.close();
  }
}
