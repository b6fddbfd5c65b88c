/** Tests that clients never see a certificate that they do not trust while certificates and CAs rotate. */
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { waitForPublishedCa } from '../../../../src/certificates/rotation/wait-for-published-ca.ts';
import { manageCertificateSecret } from '../../../../src/certificates/sources/secret.ts';
import type { WebhookEntry } from '../../../../src/cluster/registration/desired.ts';
import { createRegistration } from '../../../../src/cluster/registration/registration.ts';
import { createPublishedCas } from '../../../../src/cluster/registration/watch-published-cas.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { kindsWithImages } from '../../../../src/object/kinds.ts';
import { createWebhookServer, tlsContext } from '../../../../src/server/webhook-server.ts';
import type { Clock } from '../../../../src/time/clock.ts';
import { eventually } from '../../../eventually.ts';
import { unwatched } from '../../decision/changes.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import { pod, reviewOf } from '../../server/reviews.ts';
import { announceNext, forgetOld, newCertificates, type Rotation, secretData, takeOver, withNewLeaf } from './rotation-by-hand.ts';

const host = 'regkeeper.regkeeper.svc';
const place = { namespace: 'regkeeper', service: 'regkeeper' };
const secretPath = '/api/v1/namespaces/regkeeper/secrets/regkeeper-tls';
const configurations = ['mutating', 'validating'].map(
  (kind) => `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/regkeeper`,
);
const soon = { timeout: 60_000, interval: 5 };

test('CAs and certificates that change all the time fail no request of a client that trusts what is published', async () => {
  const { write, replicas, published, load } = await stage();
  let { rotation } = load;
  const become = async (next: Rotation) => {
    rotation = write(next);
    await eventually(() => {
      for (const { source } of replicas) expect(source.current().certificate).toBe(next.leaf.certificate);
    }, soon);
    await load.more(60);
  };
  for (let turn = 0; turn < 8 && load.failures.length === 0; turn += 1) {
    const announced = announceNext(rotation);
    write(announced);
    await eventually(() => expect(published().every((bundle) => bundle.includes(announced.next.certificate))).toBe(true), soon);
    await load.more(60);
    await become(takeOver(announced));
    await become(withNewLeaf(rotation));
    const { ca } = write(forgetOld(rotation));
    await eventually(() => {
      // Ten minutes.
      for (const { passTime } of replicas) passTime();
      expect(published()).toEqual([ca.certificate, ca.certificate]);
    }, soon);
    await load.more(60);
  }
  const { failures, answered, shown } = await load.end();
  expect(failures).toEqual([]);
  expect(answered).toBeGreaterThanOrEqual(8 * 4 * 60);
  expect(shown.size).toBe(1 + 8 * 2);
}, 120_000);

test('nor does a CA that replaces another one without an overlap', async () => {
  const { write, replicas, load } = await stage();
  for (let turn = 0; turn < 5 && load.failures.length === 0; turn += 1) {
    const { leaf } = write(newCertificates());
    await eventually(() => {
      for (const { source } of replicas) expect(source.current().certificate).toBe(leaf.certificate);
    }, soon);
    await load.more(20);
  }
  const { failures, shown } = await load.end();
  expect(failures).toEqual([]);
  expect(shown.size).toBe(6);
}, 120_000);

/**
 * Two replicas with one Secret, and six clients that connect all the time and verify with the published bundle. Half of them do a
 * handshake each time.
 */
async function stage() {
  const rotation = newCertificates();
  const api = memoryApi({
    '/api/v1/namespaces/regkeeper': { metadata: { name: 'regkeeper' } },
    [secretPath]: secretOf(rotation),
    ...Object.fromEntries(configurations.map((path) => [path, { metadata: { name: 'regkeeper' }, webhooks: [] } as KubeObject])),
  });
  const published = () =>
    configurations.map((path) => {
      const [entry] = (api.get(path) as { webhooks?: WebhookEntry[] } | undefined)?.webhooks ?? [];
      const { caBundle = '' } = (entry?.clientConfig ?? {}) as { caBundle?: string };
      return Buffer.from(caBundle, 'base64').toString();
    });
  let asking = false;
  /** How many connections each client has started. */
  const begun = [0, 0, 0, 0, 0, 0];
  /** A certificate waits until clients trust its CA: here until each of them has read the bundle once more. */
  const settle = (work: () => void) => {
    const before = [...begun];
    let cancelled = false;
    const look = () => {
      if (cancelled) return;
      if (!asking || begun.every((count, client) => count > (before[client] ?? 0))) work();
      else globalThis.setImmediate(look);
    };
    look();
    return () => {
      cancelled = true;
    };
  };
  const replicas = await Promise.all([replicaOn(api, settle), replicaOn(api, settle)]);
  await eventually(() => expect(published()).toEqual([rotation.ca.certificate, rotation.ca.certificate]), soon);

  let answered = 0;
  asking = true;
  const failures: unknown[] = [];
  const shown = new Set<string>();
  const ask = async (client: number, requestsEach: number) => {
    for (let turn = client; asking; turn += 1) {
      // Like the API server: a bundle per configuration, any replica, and a connection is reused while the bundle stays the same.
      const port = replicas[turn % replicas.length]?.port ?? 0;
      const ca = published()[turn % 2] ?? '';
      begun[client] = (begun[client] ?? 0) + 1;
      const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
      for (let each = 0; each < requestsEach && asking && published()[turn % 2] === ca; each += 1) {
        const answer = await review(port, agent).catch((error) => ({ allowed: error, fingerprint: '' }));
        shown.add(answer.fingerprint);
        if (answer.allowed === true) answered += 1;
        else failures.push(answer.allowed);
      }
      agent.destroy();
    }
  };
  const clients = begun.map((_, client) => ask(client, client < 3 ? 1 : 20));
  return {
    replicas,
    published,
    /** Like the replica that renews, but in hundredths of a second instead of months. */
    write: <R extends Rotation>(next: R): R => {
      api.put(secretPath, secretOf(next));
      return next;
    },
    load: {
      rotation,
      failures,
      more: async (count: number) => {
        const enough = answered + count;
        while (answered < enough && failures.length === 0) await setImmediate();
      },
      end: async () => {
        asking = false;
        await Promise.all(clients);
        // What the test wrote was valid, so no replica renewed anything.
        expect(api.calls.filter(({ method }) => method === 'replace')).toEqual([]);
        return { failures, answered, shown };
      },
    },
  };
}

/** The certificate, the registration and the HTTPS side, wired as in `serve.ts`. */
async function replicaOn(api: ReturnType<typeof memoryApi>, settle: (work: () => void) => () => void) {
  const { clock, passTime } = handClock();
  const common = { client: api.client, ...place, log: recordingLog(), clock };
  const own = await manageCertificateSecret({ ...common, secretName: 'regkeeper-tls' });
  const trusted = createPublishedCas(common);
  trusted.start();
  const holding: Clock = {
    ...clock,
    schedule: (work, milliseconds) => (milliseconds === 10_000 ? settle(work) : clock.schedule(work, milliseconds)),
  };
  const source = waitForPublishedCa(own, { trusted, clocks: () => [Date.now()], clock: holding, onProgress: () => {} });
  const rules = ruleSetOf('rules:\n- registry: reg.example.com\n');
  const collaborators = {
    rules: () => rules,
    facts: () => unwatched,
    audit: () => {},
    reportBug: () => {},
    failed: () => {},
  };
  const webhook = createWebhookServer(collaborators, { tls: source.current() });
  source.onChange((next) => webhook.server.setSecureContext(tlsContext(next, undefined)));
  await webhook.listen({ host: '127.0.0.1', port: 0 });
  const kinds = kindsWithImages.slice(0, 1);
  const registration = createRegistration({ ...common, kinds, guard: false, certificates: source, ready: () => true, prove: undefined });
  registration.start();
  onTestFinished(async () => {
    await registration.stop();
    source.close();
    await trusted.stop();
    await webhook.close();
  });
  return { source, passTime, port: (webhook.server.address() as AddressInfo).port };
}

function review(port: number, agent: Agent): Promise<{ allowed: boolean; fingerprint: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const call = request({ host: '127.0.0.1', port, path: '/validate', method: 'POST', agent, servername: host, headers });
    call.once('error', reject);
    call.once('response', async (response) => {
      const { fingerprint256 } = (response.socket as import('node:tls').TLSSocket).getPeerCertificate();
      try {
        const text = Buffer.concat(await response.toArray()).toString();
        resolve({ allowed: JSON.parse(text).response.allowed, fingerprint: fingerprint256 });
      } catch (error) {
        reject(error);
      }
    });
    call.end(JSON.stringify(reviewOf(pod('reg.example.com/app'))));
  });
}

function secretOf(rotation: Rotation): KubeObject {
  const metadata = { namespace: 'regkeeper', name: 'regkeeper-tls', labels: { 'regkeeper.io/certificate': 'self' } };
  return { metadata, data: secretData(rotation) } as KubeObject;
}
