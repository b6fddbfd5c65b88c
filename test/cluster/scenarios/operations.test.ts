/**
 * Failures in operation: an unavailable API server, replaced certificates, two replicas that start at the same time, a Role without a permission, a Service
 * that does not reach regkeeper, a deleted namespace. Uses its own control plane, because it kills the API server.
 */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { AdmissionAnswer } from '../../../src/admission/response.ts';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { manageCertificateSecret } from '../../../src/certificates/sources/secret.ts';
import { createReachabilityProbe } from '../../../src/cluster/registration/prove-reachable.ts';
import { createRegistration } from '../../../src/cluster/registration/registration.ts';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { createWebhookServer } from '../../../src/server/webhook-server.ts';
import { reviewOf } from '../../unit/server/reviews.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { createKubectl, type Kubectl, kubectlOf } from '../kubectl.ts';
import {
  applyBase,
  launchRegkeeper,
  ownNamespace,
  publishedBundles,
  type Regkeeper,
  readiness,
  routeTo,
  serviceAccountKubeconfig,
  waitUntilFilled,
  waitUntilReady,
} from '../regkeeper.ts';
import { waitFor } from '../wait-for.ts';

let plane: ControlPlane;
let kubectl: Kubectl;
let admin: ApiClient;
/** The replica that the Service is routed to. */
let serving: Regkeeper;

const trusting = (registry: string) => `mode: enforce\nunconfigured: deny\nrules:\n- registry: ${registry}\n`;

beforeAll(async () => {
  plane = await startControlPlane();
  kubectl = kubectlOf(plane);
  admin = connectApi(await loadKubeConfig({ file: plane.kubeconfig, env: {} }));
  await applyBase(kubectl);
});

afterAll(async () => {
  await admin?.close();
  await serving?.end('SIGKILL');
  await plane?.stop();
});

test('two replicas that start at the same time with an empty Secret agree on one certificate', async () => {
  const [one, other] = await Promise.all([launch('one'), launch('other')]);
  const shown = async () => [
    await fingerprintOf(one),
    await fingerprintOf(other),
    new X509Certificate(await secretText('tls.crt')).fingerprint256,
  ];
  await waitFor(async () => new Set(await shown()).size === 1, { deadlineSeconds: 60, what: 'one certificate' });
  await serveFrom(one);
  await waitUntilFilled(kubectl);
  await writeRules(trusting('a.example.com'));
  await waitUntilTrusted('a.example.com', 'b.example.com');
  await other.end('SIGKILL');
});

test('a server certificate that was removed is replaced without losing a request', async () => {
  const load = keepCreating('a.example.com');
  const before = await fingerprintOf(serving);
  await patchSecret([{ op: 'remove', path: '/data/tls.crt' }]);
  await waitFor(async () => (await fingerprintOf(serving)) !== before, { deadlineSeconds: 60, what: 'another certificate' });
  await load.more(20);
  expect(await load.end()).toEqual([]);
});

test('a Secret that was emptied with its CA is filled again without losing a request, because the new CA is published before it is used', async () => {
  const load = keepCreating('a.example.com');
  const before = await fingerprintOf(serving);
  await patchSecret([{ op: 'remove', path: '/data' }]);
  await waitFor(async () => (await fingerprintOf(serving)) !== before, { deadlineSeconds: 60, what: 'another certificate' });
  await load.more(20);
  expect(await load.end()).toEqual([]);
  await waitUntilTrusted('a.example.com', 'b.example.com');
});

test('rules are followed again after an outage of the API server, by running replicas and by those that started meanwhile', async () => {
  const account = await serviceAccountKubeconfig({ kubectl, directory: join(plane.directory, 'starting') });
  const asked = keepEvaluatingDirectly(serving, await secretText('ca.crt'), ['a.example.com', 'b.example.com']);
  await plane.killApiServer();
  // The start waits until the API server is available again.
  const starting = launch('starting', { account, serveWithinSeconds: 100 });
  starting.catch(() => undefined);
  await waitFor(() => logOf('starting').includes('Waiting for the API server'), { deadlineSeconds: 60, what: 'the start to wait' });
  const { binaries, directory } = plane;
  await plane.throughAnotherApiServer(async (kubeconfig) => {
    await writeRules(
      trusting('b.example.com'),
      createKubectl({ binary: binaries.kubectl, kubeconfig, cacheFolder: join(directory, 'another') }),
    );
  });
  await asked.more(20);
  await plane.startApiServer();
  await waitUntilTrusted('b.example.com', 'a.example.com');
  await asked.more(20);
  // The server answered every request, with the old rules during the outage and with the new ones afterwards.
  const answers = await asked.end();
  expect(answers.filter((each, index) => each !== answers[index - 1])).toEqual([
    'a.example.com is allowed, b.example.com refused',
    'b.example.com is allowed, a.example.com refused',
  ]);
  await kubectl(['create', 'namespace', 'later']);
  await waitFor(async () => (await tryPod('b.example.com', 'later')) === undefined, {
    deadlineSeconds: 60,
    what: 'a Pod of a new account',
  });

  await serveFrom(await starting, { endTheOther: true });
  await waitUntilTrusted('b.example.com', 'a.example.com');
});

test('without permission to list ConfigMaps a server is not ready, and logs the missing permission', async () => {
  onTestFinished(() => applyBaseProgram());
  const rules = [{ op: 'replace', path: '/rules/0/verbs', value: ['get'] }];
  await kubectl(['patch', 'role', 'regkeeper-rules', '-n', ownNamespace, '--type=json', '-p', JSON.stringify(rules)]);
  const lacking = await launch('lacking');
  await waitFor(() => logOf('lacking').includes('with a Role in namespace regkeeper:'), {
    deadlineSeconds: 60,
    what: 'the advice',
  });
  const { ready, text } = await readiness(lacking);
  expect(ready).toBe(false);
  expect(text).toContain('[-] rules: the rules have not been read yet');
  await lacking.end('SIGKILL');
});

test('with a Secret that is not in the Role, or an unknown token, the start fails with code 2 and shows what to do', async () => {
  const misnamed = launch('misnamed', { flags: ['--service', 'keeper'] });
  await expect(misnamed).rejects.toThrow(
    /exit code 2:[\s\S]*\nregkeeper: GET .*: Forbidden \(403\): .*\. Grant these permissions with a Role .*: .*\["keeper-tls"\].*\. Alternatively, correct --service and --namespace/,
  );
  const account = await serviceAccountKubeconfig({ kubectl, directory: join(plane.directory, 'unknown') });
  await writeFile(account, readFileSync(account, 'utf8').replace(/"token":"[^"]+"/, '"token":"nobody"'));
  const rules = join(import.meta.dirname, '../../../deploy/examples/rules');
  await expect(launch('unknown', { account, flags: ['--rules', rules] })).rejects.toThrow(
    /exit code 2:[\s\S]*\nregkeeper: GET .*: Unauthorized \(401\): .*\. The API server rejected the credential\. /,
  );
});

test('certificates from files are followed, and their CA is published to the API server', async () => {
  const file = (name: string) => join(plane.directory, name);
  for (const key of ['tls.crt', 'tls.key', 'ca.crt']) await writeFile(file(key), await secretText(key));
  const before = serving;
  const tls = ['--tls', 'files', '--tls-cert', file('tls.crt'), '--tls-key', file('tls.key'), '--tls-ca', file('ca.crt')];
  await serveFrom(await launch('files', { flags: tls }));
  await waitUntilTrusted('b.example.com', 'a.example.com');

  const load = keepCreating('b.example.com');
  const shown = await fingerprintOf(serving);
  await patchSecret([{ op: 'remove', path: '/data/tls.crt' }]);
  await waitFor(async () => (await fingerprintOf(before)) !== shown, { deadlineSeconds: 60, what: 'another certificate' });
  for (const key of ['tls.crt', 'tls.key']) await writeFile(file(key), await secretText(key));
  await waitFor(async () => (await fingerprintOf(serving)) !== shown, { deadlineSeconds: 60, what: 'the files to be read' });
  await load.more(20);
  expect(await before.end()).toBe(0);

  // Replaces the CA and the certificate at the same time, as cert-manager does when it renews its CA. Replicas whose mounted files are not yet
  // updated still present the previous certificate.
  const fromSecret = await secretText('ca.crt');
  const another = issueWithNewCa();
  await writeFile(file('ca.crt'), another.ca);
  await writeFile(file('tls.crt'), another.certificate);
  await writeFile(file('tls.key'), another.key);
  const { fingerprint256 } = new X509Certificate(another.certificate);
  await waitFor(async () => (await fingerprintOf(serving)) === fingerprint256, { deadlineSeconds: 60, what: 'the other certificate' });
  const trustsBoth = (bundle: string) => bundle.includes(another.ca) && bundle.includes(fromSecret);
  expect((await publishedBundles(admin)).every(trustsBoth)).toBe(true);
  await load.more(20);

  // A replica that starts with files of a third CA publishes that CA itself and removes none.
  const ahead = issueWithNewCa();
  for (const [key, text] of Object.entries(ahead)) await writeFile(file(`ahead.${key}`), text);
  const aheadTls = ['--tls-cert', file('ahead.certificate'), '--tls-key', file('ahead.key'), '--tls-ca', file('ahead.ca')];
  const starting = await launch('ahead', { flags: ['--tls', 'files', ...aheadTls] });
  await waitUntilReady(starting, { deadlineSeconds: 60, what: 'the one that is ahead' });
  const trustsAll = (bundle: string) => trustsBoth(bundle) && bundle.includes(ahead.ca);
  expect((await publishedBundles(admin)).every(trustsAll)).toBe(true);
  await load.more(20);
  expect(await load.end()).toEqual([]);
  await starting.end('SIGKILL');

  const again = await launch('self-again');
  await waitUntilReady(again, { deadlineSeconds: 60, what: 'the next replica' });
  await serveFrom(again, { endTheOther: true });
  await waitUntilTrusted('b.example.com', 'a.example.com');
});

test('a namespace that is being deleted removes its webhooks before no replica is left to respond', async () => {
  const load = keepCreating('b.example.com');
  await kubectl(['delete', 'namespace', ownNamespace, '--wait=false']);
  await waitFor(async () => (await webhooksOf('mutating')) + (await webhooksOf('validating')) === 0, {
    deadlineSeconds: 4.5,
    what: 'empty webhook configurations, before the namespace controller begins',
  });
  await waitFor(async () => (await tryPod('unknown.example.com')) === undefined, {
    deadlineSeconds: 60,
    what: 'no webhook to be called',
  });
  // Requests that began before the webhooks were gone are answered first.
  await load.more(20);
  await serving.end('SIGKILL');
  await load.more(20);
  expect(await load.end()).toEqual([]);
  await kubectl(['wait', '--for=delete', `namespace/${ownNamespace}`, '--timeout=30s']);
});

test('a Service without a working target blocks no request, because nothing is registered before a dry run has succeeded', async () => {
  await applyBase(kubectl);
  const client = connectApi(
    await loadKubeConfig({ file: await serviceAccountKubeconfig({ kubectl, directory: plane.directory }), env: {} }),
  );
  const problems: string[] = [];
  const log = { debug: ignore, info: ignore, warn: ignore, error: (_fields: object, message: string) => void problems.push(message) };
  const ours = { client, namespace: ownNamespace, service: 'regkeeper', log };
  const certificates = await manageCertificateSecret({ ...ours, secretName: 'regkeeper-tls' });
  const server = createWebhookServer(
    { rules: () => undefined, facts: () => undefined, audit: ignore, reportBug: ignore, failed: ignore },
    { tls: certificates.current() },
  );
  const port = Number(new URL(await server.listen({ host: '127.0.0.1', port: 0 })).port);
  await plane.services.unroute(service);
  const prove = createReachabilityProbe({ ...ours, certificates });
  const registration = createRegistration({ ...ours, certificates, ready: () => true, prove });
  registration.start();
  onTestFinished(async () => {
    await registration.stop();
    certificates.close();
    await client.close();
    await server.close();
  });

  await waitFor(() => problems.length > 0, { deadlineSeconds: 60, what: 'the problem to be logged' });
  expect(problems).toEqual([expect.stringContaining('cannot reach regkeeper through the Service regkeeper/regkeeper')]);
  expect(await tryPod('unknown.example.com')).toBeUndefined();
  await plane.services.route(service, port);
  await waitUntilFilled(kubectl);
});

const service = { namespace: ownNamespace, service: 'regkeeper', port: 443 };

function ignore(): void {}

function launch(name: string, more: { account?: string; flags?: readonly string[]; serveWithinSeconds?: number } = {}): Promise<Regkeeper> {
  const { kubeconfig, directory, services } = plane;
  const { flags = [], ...others } = more;
  return launchRegkeeper({
    kubectl,
    kubeconfig,
    directory: join(directory, name),
    routeService: services.route,
    flags: ['--shutdown-delay-seconds', '0.5', ...flags],
    ...others,
  });
}

/** A certificate of a new, unpublished CA, its key, and that CA's certificate, as PEM. */
function issueWithNewCa() {
  const validity = { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 3_600_000) };
  const ca = issueCa({ commonName: 'another', ...validity });
  const dnsNames = [`regkeeper.${ownNamespace}.svc`];
  const { certificate, key } = issueServerCertificate({ ca, commonName: 'regkeeper', dnsNames, ipAddresses: [], ...validity });
  return { certificate, key, ca: ca.certificate };
}

/** Routes the Service to this replica from now on. */
async function serveFrom(next: Regkeeper, { endTheOther = false } = {}): Promise<void> {
  const before = serving;
  await routeTo(next, { routeService: plane.services.route });
  serving = next;
  if (endTheOther) expect(await before.end()).toBe(0);
}

function logOf(name: string): string {
  return readFileSync(join(plane.directory, name, 'regkeeper.log'), { encoding: 'utf8', flag: 'a+' });
}

/** Creates a Pod with an image of this registry, with a dry run. Returns the error, or undefined where the Pod is allowed. */
async function tryPod(registry: string, namespace = 'default'): Promise<string | undefined> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'try-' },
    spec: { containers: [{ name: 'app', image: `${registry}/app` }] },
  };
  try {
    await admin.create<object>(`/api/v1/namespaces/${namespace}/pods`, pod, { dryRun: 'All' });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Waits until regkeeper's rules allow one registry and deny the other. */
async function waitUntilTrusted(trusted: string, denied: string): Promise<void> {
  let seen: (string | undefined)[] = [];
  await waitFor(
    async () => {
      seen = [await tryPod(trusted), await tryPod(denied)];
      return seen[0] === undefined && seen[1]?.includes('denied the request');
    },
    { deadlineSeconds: 60, what: `${trusted} to be allowed and ${denied} denied` },
  ).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}: ${seen.join(' | ')}`);
  });
}

/** The pause between a response and the next request, which leaves CPU time for the other workers. */
const restMilliseconds = 20;

/** Creates Pods of a trusted registry (dry run), four at a time, until `end` is called, which returns the error of every failed request. */
function keepCreating(registry: string) {
  const errors: string[] = [];
  let done = 0;
  let ending = false;
  // Stops after a failed test too.
  onTestFinished(() => {
    ending = true;
  });
  const senders = Array.from({ length: 4 }, async () => {
    while (!ending) {
      const error = await tryPod(registry);
      if (error !== undefined) errors.push(error);
      done += 1;
      await pause(restMilliseconds);
    }
  });
  return {
    /** Waits until so many more requests have been answered. */
    more: async (count: number) => {
      const goal = done + count;
      await waitFor(() => done >= goal, { deadlineSeconds: 60, what: `${count} more answers` });
    },
    end: async () => {
      ending = true;
      await Promise.all(senders);
      return errors;
    },
  };
}

/** Sends the server reviews of Pods of two registries, each on a new connection, and collects how it evaluated the two. */
function keepEvaluatingDirectly({ port }: Regkeeper, ca: string, [one, other]: readonly [string, string]) {
  const answers: string[] = [];
  let ending = false;
  onTestFinished(() => {
    ending = true;
  });
  const evaluate = async (registry: string): Promise<string> => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web' },
      spec: { containers: [{ name: 'app', image: `${registry}/app` }] },
    };
    const review = reviewOf({ ...pod, spec: { ...pod.spec, serviceAccountName: 'default' } }, { namespace: 'default' });
    try {
      const { response } = await post(port, ca, review);
      return response.allowed ? 'allowed' : response.status?.code === 403 ? 'refused' : `answered with ${JSON.stringify(response)}`;
    } catch (error) {
      return `not judged: ${error instanceof Error ? error.message : error}`;
    }
  };
  const evaluating = (async () => {
    while (!ending) {
      // The requests are sent one after another. Where the rules change between them, the first answer differs from the third: then all are retried.
      const [first, second, again] = [await evaluate(one), await evaluate(other), await evaluate(one)];
      await pause(restMilliseconds);
      if (first !== again) continue;
      answers.push(first === 'refused' ? `${other} is ${second}, ${one} ${first}` : `${one} is ${first}, ${other} ${second}`);
    }
  })();
  return {
    more: async (count: number) => {
      const goal = answers.length + count;
      await waitFor(() => answers.length >= goal, { deadlineSeconds: 60, what: `${count} more answers` });
    },
    end: async () => {
      ending = true;
      await evaluating;
      return answers;
    },
  };
}

function post(port: number, ca: string, body: unknown): Promise<AdmissionAnswer> {
  return new Promise((resolve, reject) => {
    const servername = `regkeeper.${ownNamespace}.svc`;
    const headers = { 'content-type': 'application/json' };
    const call = request({ host: '127.0.0.1', port, path: '/validate', method: 'POST', agent: false, ca, servername, headers });
    call.once('error', reject);
    call.once('response', (response) => json(response).then((answer) => resolve(answer as AdmissionAnswer), reject));
    call.end(JSON.stringify(body));
  });
}

function fingerprintOf({ port }: Regkeeper): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

async function secretText(key: string): Promise<string> {
  const { data } = await kubectl.json<{ data: Record<string, string> }>(['get', 'secret', 'regkeeper-tls', '-n', ownNamespace]);
  return Buffer.from(data[key] ?? '', 'base64').toString();
}

async function patchSecret(operations: readonly object[]): Promise<void> {
  await kubectl(['patch', 'secret', 'regkeeper-tls', '-n', ownNamespace, '--type=json', '-p', JSON.stringify(operations)]);
}

async function writeRules(text: string, through = kubectl): Promise<void> {
  const patch = JSON.stringify({ data: { 'rules.yaml': text } });
  await through(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch]);
}

async function webhooksOf(kind: 'mutating' | 'validating'): Promise<number> {
  const { webhooks = [] } = await kubectl.json<{ webhooks?: unknown[] }>(['get', `${kind}webhookconfiguration`, 'regkeeper']);
  return webhooks.length;
}

async function applyBaseProgram(): Promise<void> {
  await kubectl(['apply', '-k', join(import.meta.dirname, '../../../deploy/program')]);
}
