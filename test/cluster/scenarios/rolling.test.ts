/**
 * Replicas that come and go under load. Three servers stand behind a balancer, and the API server,
 * whose failurePolicy is Fail, has Pods admitted all the time: an answer that is lost is a Pod that is not made.
 */
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { configurationPaths } from '../../../src/cluster/registration/live.ts';
import { type ApiClient, connectApi, type KubeObject } from '../../../src/kube/api-client.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { announceNext, type Rotation, secretData, takeOver } from '../../unit/certificates/rotation/rotation-by-hand.ts';
import { type Balancer, startBalancer } from '../balancer.ts';
import {
  applyBase,
  deleteBase,
  launchRegkeeper,
  ownNamespace,
  publishedBundles,
  type Regkeeper,
  readiness,
  serviceAccountKubeconfig,
  waitUntilFilled,
} from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';

const restarts = 20;
const replicas = 3;

// An endpoint that ends gets new connections for a probe (0.25 s, and a second where it is not answered) and the lag: 2.25 s at the most.
// The drain must be longer, by what a busy machine delays the probe, and longer than the time between two bursts, which is seconds there: what is
// sent on a connection that has rested for the whole drain, in the instant in which it ends, is lost. Nobody waits for the drain.
const balancing = { probeMilliseconds: 250, lagMilliseconds: 1000 };
const drainSeconds = 8;

const cluster = target();
const { kubectl, kubeconfig, routeService } = cluster;

let folder = '';
let admin: ApiClient;
let balancer: Balancer;
let account: string;
/** The replicas of the Deployment; those that end are not among them any more. */
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
    { deadlineSeconds: 30, what: 'Pods to be judged' },
  );
});

afterAll(async () => {
  await admin?.close();
  await Promise.all(serving.map((each) => each.end('SIGKILL')));
  await balancer?.close();
  await deleteBase(kubectl);
  await rm(folder, { recursive: true, force: true });
});

test(`${restarts} rolling restarts lose no admission`, { timeout: 600_000 }, async () => {
  // While the first replica was awaited the server asked through the Service whether it is reached, and was not.
  const refusedBefore = balancer.refused.length;
  const load = keepAdmitting();
  await load.more(100);
  const ended: Promise<unknown>[] = [];
  for (let round = 1; round <= restarts; round += 1) {
    for (const [index, before] of [...serving].entries()) {
      // As a Deployment with maxSurge 1 and maxUnavailable 0: one is ready, another is told to end, and while it drains the next one starts.
      // The one is not in use by then, nor the other out of use: both come later, when the balancer knows.
      serving[index] = await startReplica(`round-${round}-${index}`);
      ended.push(endAndTell(before));
    }
    expect(load.failures).toEqual([]);
  }
  const outcomes = await Promise.all(ended);
  await load.more(100);
  const { failures, summary } = await load.end();
  process.stdout.write(`${ended.length} replicas replaced: ${summary}\n`);
  expect(failures).toEqual([]);
  expect(balancer.refused.slice(refusedBefore)).toEqual([]);
  expect(outcomes).toEqual(Array(restarts * replicas).fill({ code: 0, last: 'stopped: every request was answered' }));
});

test('certificates and authorities that follow one another every few seconds lose no admission', { timeout: 300_000 }, async () => {
  const load = keepAdmitting();
  const verified = keepVerifying();
  await load.more(100);
  let rotation = await readRotation();
  const shown = new Set<string>();
  for (let each = 1; each <= 4; each += 1) {
    const announced = announceNext(rotation);
    await writeRotation(announced);
    await waitFor(async () => (await publishedBundles(admin)).every((bundle) => bundle.includes(announced.next.certificate)), {
      deadlineSeconds: 30,
      what: 'the next authority to be published',
    });
    await untilTaken(`announced-${each}`);
    await load.moreConnections(20);
    rotation = takeOver(announced);
    await writeRotation(rotation);
    await untilShown(rotation.leaf.certificate);
    shown.add(rotation.leaf.certificate);
    await load.moreConnections(20);
    // Somebody takes the certificate away: a replica makes another one of the same authority.
    await patchSecret([{ op: 'remove', path: '/data/tls.crt' }]);
    const remade = await waitFor(async () => (await readSecret())['tls.crt'], { deadlineSeconds: 20, what: 'another certificate' });
    await untilShown(remade);
    shown.add(remade);
    rotation = { ...rotation, leaf: { certificate: remade, key: (await readSecret())['tls.key'] ?? '' } };
    await load.moreConnections(20);
    expect(load.failures).toEqual([]);
  }
  // Somebody empties the Secret: another authority, which nobody was told of before.
  await patchSecret([{ op: 'remove', path: '/data' }]);
  const afresh = await waitFor(async () => (await readSecret())['tls.crt'], { deadlineSeconds: 20, what: 'another authority' });
  await untilShown(afresh);
  shown.add(afresh);
  await load.moreConnections(20);
  const { failures, summary } = await load.end();
  const handshakes = await verified.end();
  process.stdout.write(`5 authorities and ${shown.size} certificates: ${summary}; ${handshakes.count} further handshakes\n`);
  expect(failures).toEqual([]);
  expect(handshakes.failures).toEqual([]);
  expect(shown.size).toBe(9);
});

/** Starts one and returns when its own probe says that it is ready; the balancer finds out by itself. */
async function startReplica(name: string): Promise<Regkeeper> {
  const replica = await launchRegkeeper({
    kubectl,
    kubeconfig,
    directory: join(folder, name),
    routeService,
    account,
    flags: ['--drain-seconds', String(drainSeconds)],
  });
  balancer.add(replica);
  await waitFor(async () => (await readiness(replica)).ready, { deadlineSeconds: 60, what: `${name} to be ready` });
  return replica;
}

/** Tells it to end, and resolves with how it did. */
async function endAndTell(replica: Regkeeper) {
  const code = await replica.end();
  balancer.remove(replica);
  return { code, last: replica.log().at(-1)?.msg };
}

type Expectation = 'admitted' | 'refused' | 'made';

/** What is wrong with the answer to one Pod; undefined when it is as it has to be. */
async function problemWith(expectation: Expectation): Promise<string | undefined> {
  const registry = expectation === 'refused' ? 'bad.example.com' : 'good.example.com';
  const pods = '/api/v1/namespaces/default/pods';
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'load-', name: '' },
    spec: { containers: [{ name: 'app', image: `${registry}/app` }] },
  };
  const refusal =
    /admission webhook "pods\.validate\.regkeeper\.io" denied the request: .* image "bad\.example\.com\/app" comes from a registry that no rule names/;
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
    return expectation === 'refused' && refusal.test(message) ? undefined : message;
  }
}

/** Between an answer and the next question of whoever asks all the time: the replicas need the processors too, and so do other files' scenarios. */
const restMilliseconds = 100;

/** The API server keeps 25 resting connections for each entry (client-go's transport): of more at once it makes new ones, and ends them again. */
const atOnce = 40;

/**
 * Asks all the time: some one after the other, and now and then many at once, so that the API server opens connections, lets
 * them rest for a while, and uses them again. Each answer is checked.
 */
function keepAdmitting() {
  const failures: string[] = [];
  const durations: number[] = [];
  const began = performance.now();
  const openedBefore = balancer.opened();
  let ending = false;
  // A test that failed must not go on asking.
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
  /** Each of these saw the certificate of some replica. */
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
    /** Waits until so many more have been answered. */
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
 * Connects to each replica as somebody who trusts what both configurations publish, and nothing else. The API server hides many a failure: a request
 * whose new connection fails takes another one that has become free meanwhile.
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

/** What the replicas made at their start: one authority. */
async function readRotation(): Promise<Rotation> {
  const { 'ca.crt': certificate = '', 'ca.key': key = '', 'tls.crt': leaf = '', 'tls.key': leafKey = '' } = await readSecret();
  return { authority: { certificate, key }, trusted: [certificate], leaf: { certificate: leaf, key: leafKey } };
}

async function writeRotation(rotation: Rotation): Promise<void> {
  const data = { 'next-ca.key': null, ...secretData(rotation) };
  await admin.request({ method: 'PATCH', path: secretPath, body: { data }, contentType: 'application/merge-patch+json' });
}

async function patchSecret(operations: readonly object[]): Promise<void> {
  await admin.request({ method: 'PATCH', path: secretPath, body: operations, contentType: 'application/json-patch+json' });
}

/**
 * Waits until the API server goes by what the two configurations hold now, which it takes over some time after it has stored it: an entry
 * that is added to each then stops a ConfigMap of the marker's name, since nobody answers at its address.
 */
async function untilTaken(marker: string): Promise<void> {
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
        const refusal = await admin.create('/api/v1/namespaces/default/configmaps', configMap, { dryRun: 'All' }).then(
          () => undefined,
          (error: Error) => error.message,
        );
        return refusal?.includes(`failed calling webhook "${name}"`);
      },
      { deadlineSeconds: 20, what: `the API server to go by the ${kind}` },
    );
  }
}

async function untilShown(certificate: string): Promise<void> {
  const wanted = new X509Certificate(certificate).fingerprint256;
  const all = () => Promise.all(serving.map((replica) => fingerprintOf(replica, { rejectUnauthorized: false })));
  await waitFor(async () => (await all()).every((shown) => shown === wanted), {
    // A certificate of an unknown authority is held back until that has been published for ten seconds.
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
