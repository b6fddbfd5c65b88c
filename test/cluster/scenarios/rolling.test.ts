/**
 * Rolling restarts and certificate rotation under load. A balancer distributes connections to three servers
 * while Pods are created all the time. The failurePolicy is Fail, so every lost answer is a Pod that is not created.
 */
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { configurationPaths } from '../../../src/cluster/registration/live-configuration.ts';
import type { ApiClient, KubeObject } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { announceNext, type Rotation, secretData, takeOver } from '../../unit/certificates/rotation/rotation-by-hand.ts';
import { type Balancer, startBalancer } from '../balancer.ts';
import { times } from '../length.ts';
import {
  applyBase,
  deleteBase,
  launchRegkeeper,
  ownNamespace,
  publishedBundles,
  type Regkeeper,
  serviceAccountKubeconfig,
  waitUntilFilled,
  waitUntilReady,
} from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';

const restarts = times(2, 20);
const rotations = times(2, 4);
const replicas = 3;

// A terminating endpoint gets new connections for at most 2.25 s: the probe period (0.25 s), the probe timeout (1 s) and the lag (1 s).
// The drain must be longer, because a busy machine delays probes. It must also be longer than the time between two bursts, which is seconds on
// a busy machine. Otherwise a connection can be idle for the whole drain, and a request sent at the moment when it is closed is lost.
// The test does not wait for drains.
const balancing = { probeMilliseconds: 250, lagMilliseconds: 1000 };
const shutdownDelaySeconds = 8;

const cluster = target();
const { kubectl, kubeconfig, routeService } = cluster;

let folder = '';
let admin: ApiClient;
let balancer: Balancer;
let account: string;
/** The current replicas of the Deployment, without those that are terminating. */
const serving: Regkeeper[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-rolling-'));
  admin = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
  await applyBase(kubectl);
  const rules = 'mode: enforce\nunconfigured: deny\nrules:\n- registry: good.example.com\n  pullSecret: corp\n';
  const patch = JSON.stringify({ data: { 'rules.yaml': rules } });
  await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch]);
  account = await serviceAccountKubeconfig({ kubectl, directory: folder });
  balancer = await startBalancer(balancing);
  await routeService({ namespace: ownNamespace, service: 'regkeeper', port: 443 }, balancer.port);
  for (let each = 1; each <= replicas; each += 1) serving.push(await startReplica(`first-${each}`));
  await waitUntilFilled(kubectl);
  await waitFor(
    async () => {
      for (const expectation of ['admitted', 'refused'] as const) {
        const problem = await problemWith(expectation);
        if (problem !== undefined) throw new Error(problem);
      }
      return true;
    },
    { deadlineSeconds: 60, what: 'Pods to be evaluated' },
  );
});

afterAll(async () => {
  await admin?.close();
  await Promise.all(serving.map((each) => each.end('SIGKILL')));
  await balancer?.close();
  await deleteBase(kubectl);
  await rm(folder, { recursive: true, force: true });
});

test(`${restarts} rolling restarts lose no request`, { timeout: 600_000 }, async () => {
  // Before the first endpoint was ready, the server's own reachability probe through the Service was rejected.
  const rejectedBefore = balancer.rejected.length;
  const load = keepAdmitting();
  await load.more(100);
  const ended: Promise<unknown>[] = [];
  for (let round = 1; round <= restarts; round += 1) {
    for (const [index, before] of [...serving].entries()) {
      // Like a Deployment with maxSurge 1 and maxUnavailable 0: when a new replica is ready, an old one is terminated. The next one starts while
      // that drains. The balancer learns of both changes later.
      serving[index] = await startReplica(`round-${round}-${index}`);
      ended.push(endAndReport(before));
    }
    expect(load.failures).toEqual([]);
  }
  const outcomes = await Promise.all(ended);
  await load.more(100);
  const { failures, summary } = await load.end();
  process.stdout.write(`${ended.length} replicas replaced: ${summary}\n`);
  expect(failures).toEqual([]);
  expect(balancer.rejected.slice(rejectedBefore)).toEqual([]);
  expect(outcomes).toEqual(Array(restarts * replicas).fill({ code: 0, last: 'stopped. All requests have been served' }));
});

test('certificates and CAs that change every few seconds lose no request', { timeout: 300_000 }, async () => {
  const load = keepAdmitting();
  const verified = keepVerifying();
  await load.more(100);
  let rotation = await readRotation();
  const shown = new Set<string>();
  for (let each = 1; each <= rotations; each += 1) {
    const announced = announceNext(rotation);
    await writeRotation(announced);
    await waitFor(async () => (await publishedBundles(admin)).every((bundle) => bundle.includes(announced.next.certificate)), {
      deadlineSeconds: 60,
      what: 'the next authority to be published',
    });
    await untilInEffect(`announced-${each}`);
    await load.moreConnections(20);
    rotation = takeOver(announced);
    await writeRotation(rotation);
    await untilShown(rotation.leaf.certificate);
    shown.add(rotation.leaf.certificate);
    await load.moreConnections(20);
    // When the certificate is deleted, a replica issues a new one with the same CA.
    await patchSecret([{ op: 'remove', path: '/data/tls.crt' }]);
    const remade = await waitFor(async () => (await readSecret())['tls.crt'], { deadlineSeconds: 60, what: 'another certificate' });
    await untilShown(remade);
    shown.add(remade);
    rotation = { ...rotation, leaf: { certificate: remade, key: (await readSecret())['tls.key'] ?? '' } };
    await load.moreConnections(20);
    expect(load.failures).toEqual([]);
  }
  // When the Secret is emptied, a replica creates a new CA, which was not published before.
  await patchSecret([{ op: 'remove', path: '/data' }]);
  const ofNewCa = await waitFor(async () => (await readSecret())['tls.crt'], { deadlineSeconds: 60, what: 'another authority' });
  await untilShown(ofNewCa);
  shown.add(ofNewCa);
  await load.moreConnections(20);
  const { failures, summary } = await load.end();
  const handshakes = await verified.end();
  process.stdout.write(`${rotations + 1} authorities and ${shown.size} certificates: ${summary}; ${handshakes.count} further handshakes\n`);
  expect(failures).toEqual([]);
  expect(handshakes.failures).toEqual([]);
  expect(shown.size).toBe(2 * rotations + 1);
});

/** Starts a replica and returns when its own /readyz is ready. The balancer probes it separately. */
async function startReplica(name: string): Promise<Regkeeper> {
  const replica = await launchRegkeeper({
    kubectl,
    kubeconfig,
    directory: join(folder, name),
    routeService,
    account,
    flags: ['--shutdown-delay-seconds', String(shutdownDelaySeconds)],
  });
  balancer.add(replica);
  await waitUntilReady(replica, { deadlineSeconds: 60, what: `${name} to be ready` });
  return replica;
}

/** Sends SIGTERM and resolves with the exit code and the last log message. */
async function endAndReport(replica: Regkeeper) {
  const code = await replica.end();
  balancer.remove(replica);
  return { code, last: replica.log().at(-1)?.msg };
}

type Expectation = 'admitted' | 'refused' | 'made';

/** Describes how the answer to one Pod differs from the expected one. Undefined where it does not. */
async function problemWith(expectation: Expectation): Promise<string | undefined> {
  const registry = expectation === 'refused' ? 'bad.example.com' : 'good.example.com';
  const pods = '/api/v1/namespaces/default/pods';
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'load-', name: '' },
    spec: { containers: [{ name: 'app', image: `${registry}/app` }] },
  };
  const denial =
    /admission webhook "pods\.validate\.regkeeper\.io" denied the request: .* image "bad\.example\.com\/app" is not from a configured registry/;
  try {
    const created = await admin.create<KubeObject & { spec: { imagePullSecrets?: { name: string }[] } }>(
      pods,
      pod as never,
      expectation === 'made' ? {} : { dryRun: 'All' },
    );
    if (expectation === 'made') await admin.delete(`${pods}/${created.metadata.name}`, { gracePeriodSeconds: 0 });
    if (expectation === 'refused') return 'a Pod of bad.example.com was let in';
    const secrets = JSON.stringify(created.spec.imagePullSecrets);
    return secrets === '[{"name":"corp"}]' ? undefined : `the Pod was let in with the secrets ${secrets}`;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return expectation === 'refused' && denial.test(message) ? undefined : message;
  }
}

/** The pause between a response and the next request: the replicas and the other workers need CPU time too. */
const restMilliseconds = 100;

/** The API server keeps at most 25 idle connections per entry (client-go's transport). For more concurrent requests it opens and closes others. */
const atOnce = 40;

/**
 * Creates Pods continuously, and in bursts from time to time, so that the API server opens connections, leaves them idle for a while, and
 * reuses them. Each answer is checked.
 */
function keepAdmitting() {
  const failures: string[] = [];
  const durations: number[] = [];
  const began = performance.now();
  const openedBefore = balancer.opened();
  let ending = false;
  // Stops after a failed test too.
  onTestFinished(() => {
    ending = true;
  });
  const ask = async (expectation: Expectation) => {
    const asked = performance.now();
    const problem = await problemWith(expectation);
    durations.push(performance.now() - asked);
    if (problem !== undefined) failures.push(`after ${((asked - began) / 1000).toFixed(1)} s, to be ${expectation}: ${problem}`);
  };
  const more = async (count: number) => {
    const goal = durations.length + count;
    await waitFor(() => ending || durations.length >= goal, { deadlineSeconds: 60, what: `${count} more answers` });
  };
  /** Waits for so many new connections, each of which verified the certificate of a replica. */
  const moreConnections = async (count: number) => {
    const goal = balancer.opened() + count;
    await waitFor(() => balancer.opened() >= goal, { deadlineSeconds: 60, what: `${count} more connections` });
  };
  const turns: readonly Expectation[] = ['admitted', 'refused', 'admitted', 'made'];
  const turnOf = (index: number) => turns[index % turns.length] ?? 'admitted';
  const steady = Array.from({ length: 4 }, async (_, offset) => {
    for (let turn = offset; !ending; turn += 1) {
      await ask(turnOf(turn));
      await pause(restMilliseconds);
    }
  });
  const bursts = (async () => {
    while (!ending) {
      await Promise.all(Array.from({ length: atOnce }, (_, turn) => ask(turnOf(turn))));
      await more(atOnce);
    }
  })();
  return {
    failures,
    /** Waits until so many more requests have been answered. */
    more,
    moreConnections,
    end: async () => {
      ending = true;
      await Promise.all([...steady, bursts]);
      const seconds = (performance.now() - began) / 1000;
      const sorted = durations.toSorted((one, other) => one - other);
      const share = (part: number) => `${(sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(0)} ms`;
      const rate = (sorted.length / seconds).toFixed(0);
      const summary =
        `${sorted.length} Pods asked for in ${seconds.toFixed(0)} s (${rate} a second), ${failures.length} failed; ` +
        `${balancer.opened() - openedBefore} connections; ` +
        `median ${share(0.5)}, p99 ${share(0.99)}, longest ${share(1 - 1 / sorted.length)}`;
      return { failures, summary };
    },
  };
}

/**
 * Connects to each replica continuously and trusts only the CA bundles in both configurations. This is needed because the API server can hide
 * failed handshakes: a request whose new connection fails may use another one that has become idle.
 */
function keepVerifying() {
  const failures: string[] = [];
  let count = 0;
  let ending = false;
  onTestFinished(() => {
    ending = true;
  });
  const verifying = (async () => {
    while (!ending) {
      const bundles = new Set(await publishedBundles(admin));
      for (const replica of serving) {
        for (const ca of bundles) {
          await fingerprintOf(replica, { ca, servername: `regkeeper.${ownNamespace}.svc` }).catch((error: Error) =>
            failures.push(error.message),
          );
          count += 1;
        }
      }
      await pause(restMilliseconds);
    }
  })();
  return {
    end: async () => {
      ending = true;
      await verifying;
      return { failures, count };
    },
  };
}

const secretPath = `/api/v1/namespaces/${ownNamespace}/secrets/regkeeper-tls`;
const configurations = configurationPaths.map((path) => `${path}/regkeeper`);

async function readSecret(): Promise<Record<string, string>> {
  const { data = {} } = await admin.get<{ data?: Record<string, string> }>(secretPath);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

/** The CA and the certificate that the replicas created at their start. */
async function readRotation(): Promise<Rotation> {
  const { 'ca.crt': certificate = '', 'ca.key': key = '', 'tls.crt': leaf = '', 'tls.key': leafKey = '' } = await readSecret();
  return { ca: { certificate, key }, trusted: [certificate], leaf: { certificate: leaf, key: leafKey } };
}

async function writeRotation(rotation: Rotation): Promise<void> {
  const data = { 'next-ca.key': null, ...secretData(rotation) };
  await admin.request({ method: 'PATCH', path: secretPath, body: { data }, contentType: 'application/merge-patch+json' });
}

async function patchSecret(operations: readonly object[]): Promise<void> {
  await admin.request({ method: 'PATCH', path: secretPath, body: operations, contentType: 'application/json-patch+json' });
}

/**
 * Waits until the API server uses the current state of the two configurations, which it does some time after it has stored them. Adds an
 * entry with an unreachable address to each. When it takes effect, a ConfigMap with the marker's name is denied.
 */
async function untilInEffect(marker: string): Promise<void> {
  for (const [index, path] of configurations.entries()) {
    const name = `${index}.marker.test`;
    const webhook = {
      name,
      admissionReviewVersions: ['v1'],
      clientConfig: { url: 'https://127.0.0.1:1/' },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'], scope: 'Namespaced' }],
      matchConditions: [{ name: 'marker', expression: `object.metadata.name == '${index}-${marker}'` }],
      failurePolicy: 'Fail',
      sideEffects: 'None',
    };
    const [kind] = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'].slice(index);
    const body = { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name: 'regkeeper' }, webhooks: [webhook] };
    await admin.patchApply(path, body, { fieldManager: 'marker', force: true });
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `${index}-${marker}` } };
    await waitFor(
      async () => {
        const error = await admin.create('/api/v1/namespaces/default/configmaps', configMap, { dryRun: 'All' }).then(
          () => undefined,
          (error: Error) => error.message,
        );
        return error?.includes(`failed calling webhook "${name}"`);
      },
      { deadlineSeconds: 60, what: `the API server to go by the ${kind}` },
    );
  }
}

async function untilShown(certificate: string): Promise<void> {
  const wanted = new X509Certificate(certificate).fingerprint256;
  const all = () => Promise.all(serving.map((replica) => fingerprintOf(replica, { rejectUnauthorized: false })));
  await waitFor(async () => (await all()).every((shown) => shown === wanted), {
    // A certificate of a new CA is only used after that CA has been published for ten seconds.
    deadlineSeconds: 60,
    what: 'every replica to show the new certificate',
  });
}

function fingerprintOf({ port }: Regkeeper, trust: ConnectionOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ...trust }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}
