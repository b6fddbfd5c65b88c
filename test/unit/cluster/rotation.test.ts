import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { KubeObject } from '../../../src/cluster/api.ts';
import { watchPublished } from '../../../src/cluster/published.ts';
import { keepRegistered, type WebhookEntry } from '../../../src/cluster/registration.ts';
import { keepOwnCertificate } from '../../../src/cluster/self-certificates.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';
import { createWebhookServer, minimumTlsVersion } from '../../../src/server/webhook.ts';
import { type CertificateWithKey, createCertificateAuthority, issueServerCertificate } from '../../../src/tls/certificates.ts';
import { holdUntilTrusted } from '../../../src/tls/hold.ts';
import { unwatched } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { pod, reviewOf } from '../server/reviews.ts';
import { handSchedule, memoryApi } from './memory-api.ts';
import { recordingLog } from './scripted-api.ts';

const hour = 3_600_000;
const life = () => ({ notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + 1_000 * hour) });
const names = ['regkeeper.regkeeper.svc', 'regkeeper.regkeeper.svc.cluster.local', 'regkeeper.regkeeper', 'regkeeper'];
const host = 'regkeeper.regkeeper.svc';
const place = { namespace: 'regkeeper', service: 'regkeeper' };
const secretPath = '/api/v1/namespaces/regkeeper/secrets/regkeeper-tls';
const configurations = ['mutating', 'validating'].map(
  (kind) => `/apis/admissionregistration.k8s.io/v1/${kind}webhookconfigurations/regkeeper`,
);
const soon = { timeout: 15_000, interval: 5 };

type State = { authority: CertificateWithKey; next?: CertificateWithKey; trusted: string[]; leaf: CertificateWithKey };

const newAuthority = () => createCertificateAuthority({ commonName: 'rotation', ...life() });
const newLeaf = (authority: CertificateWithKey) =>
  issueServerCertificate({ authority, commonName: 'regkeeper', dnsNames: names, ipAddresses: [], ...life() });

const newState = (): State => {
  const authority = newAuthority();
  return { authority, trusted: [authority.certificate], leaf: newLeaf(authority) };
};

test('authorities and certificates that change all the time cost no request of a client that trusts what is published', async () => {
  const { become, replicas, published, load } = await stage();
  let { state } = load;
  for (let rotation = 0; rotation < 8 && load.failures.length === 0; rotation += 1) {
    const { authority } = state;
    const next = newAuthority();
    state = become({ ...state, next, trusted: [authority.certificate, next.certificate] });
    await vi.waitFor(() => expect(published().every((bundle) => bundle.includes(next.certificate))).toBe(true), soon);
    await load.more(20);
    state = become({ authority: next, trusted: [next.certificate, authority.certificate], leaf: newLeaf(next) });
    await vi.waitFor(() => {
      for (const { source } of replicas) expect(source.current().certificate).toBe(state.leaf.certificate);
    }, soon);
    await load.more(20);
    state = become({ ...state, trusted: [next.certificate] });
    await vi.waitFor(() => expect(published()).toEqual([next.certificate, next.certificate]), soon);
    await load.more(20);
  }
  const { failures, answered, shown } = await load.end();
  expect(failures).toEqual([]);
  expect(answered).toBeGreaterThanOrEqual(8 * 60);
  expect(shown.size).toBe(9);
}, 60_000);

test('nor does an authority that is put in the place of another all at once', async () => {
  const { become, replicas, load } = await stage();
  for (let turn = 0; turn < 5 && load.failures.length === 0; turn += 1) {
    const { leaf } = become(newState());
    await vi.waitFor(() => {
      for (const { source } of replicas) expect(source.current().certificate).toBe(leaf.certificate);
    }, soon);
    await load.more(20);
  }
  const { failures, shown } = await load.end();
  expect(failures).toEqual([]);
  expect(shown.size).toBe(6);
}, 60_000);

/** Two replicas on one Secret, and six clients that ask them all the time by what is published. */
async function stage() {
  const state = newState();
  const api = memoryApi({
    '/api/v1/namespaces/regkeeper': { metadata: { name: 'regkeeper' } },
    [secretPath]: secretOf(state),
    ...Object.fromEntries(configurations.map((path) => [path, { metadata: { name: 'regkeeper' }, webhooks: [] } as KubeObject])),
  });
  const published = () =>
    configurations.map((path) => {
      const [entry] = (api.get(path) as { webhooks?: WebhookEntry[] } | undefined)?.webhooks ?? [];
      const { caBundle = '' } = (entry?.clientConfig ?? {}) as { caBundle?: string };
      return Buffer.from(caBundle, 'base64').toString();
    });
  const replicas = await Promise.all([replicaOn(api), replicaOn(api)]);
  await vi.waitFor(() => expect(published()).toEqual([state.authority.certificate, state.authority.certificate]), soon);

  let answered = 0;
  let asking = true;
  const failures: unknown[] = [];
  const shown = new Set<string>();
  const ask = async (offset: number) => {
    for (let turn = offset; asking; turn += 1) {
      // As the API server: each side by its own configuration, any replica.
      const port = replicas[turn % replicas.length]?.port ?? 0;
      const { allowed, fingerprint } = await review(port, published()[turn % 2] ?? '').catch((error) => ({
        allowed: error,
        fingerprint: '',
      }));
      shown.add(fingerprint);
      if (allowed === true) answered += 1;
      else failures.push(allowed);
    }
  };
  const clients = [0, 1, 2, 3, 4, 5].map(ask);
  return {
    replicas,
    published,
    /** As the replica that renews would: here by hand, in hundredths of a second instead of months. */
    become: (next: State) => {
      api.put(secretPath, secretOf(next));
      return next;
    },
    load: {
      state,
      failures,
      more: async (count: number) => {
        const enough = answered + count;
        while (answered < enough && failures.length === 0) await setImmediate();
      },
      end: async () => {
        asking = false;
        await Promise.all(clients);
        // What was written by hand was good, so nobody renewed anything.
        expect(api.calls.filter(({ method }) => method === 'replace')).toEqual([]);
        return { failures, answered, shown };
      },
    },
  };
}

/** The certificate, the registration and the HTTPS side, wired as in `serve.ts`. */
async function replicaOn(api: ReturnType<typeof memoryApi>) {
  const common = { client: api.client, ...place, log: recordingLog(), schedule: handSchedule(10_000).schedule };
  const own = await keepOwnCertificate({ ...common, secretName: 'regkeeper-tls' });
  const trusted = watchPublished(common);
  const source = holdUntilTrusted(own, { trusted, clocks: () => [Date.now()], schedule: common.schedule, onProgress: () => {} });
  const rules = ruleSetOf('rules:\n- registry: reg.example.com\n');
  const collaborators = {
    rules: () => rules,
    facts: () => unwatched,
    audit: () => {},
    reportBug: () => {},
    failed: () => {},
    monotonic: () => 0n,
  };
  const webhook = createWebhookServer(collaborators, { tls: source.current() });
  source.onChange(({ certificate, key }) => webhook.server.setSecureContext({ cert: certificate, key, minVersion: minimumTlsVersion }));
  await webhook.listen({ host: '127.0.0.1', port: 0 });
  const kinds = kindsWithImages.slice(0, 1);
  const registration = keepRegistered({ ...common, kinds, guard: false, certificates: source, ready: () => true, prove: undefined });
  onTestFinished(async () => {
    await registration.close();
    source.close();
    await trusted.close();
    await webhook.close();
  });
  return { source, port: (webhook.server.address() as AddressInfo).port };
}

/** One review on a connection of its own, so that every one sees a handshake. */
function review(port: number, ca: string): Promise<{ allowed: boolean; fingerprint: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const call = request({ host: '127.0.0.1', port, path: '/validate', method: 'POST', agent: false, ca, servername: host, headers });
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

function secretOf({ authority, next, trusted, leaf }: State): KubeObject {
  const texts = {
    'tls.crt': leaf.certificate,
    'tls.key': leaf.key,
    'ca.crt': trusted.map((each) => new X509Certificate(each).toString()).join(''),
    'ca.key': authority.key,
    ...(next && { 'next-ca.key': next.key }),
  };
  const data = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
  const metadata = { namespace: 'regkeeper', name: 'regkeeper-tls', labels: { 'regkeeper.io/certificate': 'self' } };
  return { metadata, data } as KubeObject;
}
