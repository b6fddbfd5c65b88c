/**
 * The API server authenticates to regkeeper with the two files of docs/caller-authentication.md, and other callers get 401. Runs on this file's own
 * control plane.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { makeClientCa, makeClientCertificate } from '../../unit/certificates/client-certificates.ts';
import { blocks, readPage, section } from '../../unit/docs/pages.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { type Kubectl, kubectlOf } from '../kubectl.ts';
import { applyBase, publishedBundles, type Regkeeper, startRegkeeper } from '../regkeeper.ts';
import { waitFor } from '../wait-for.ts';

const image = 'registry.example.com/app:1';
const rules = JSON.stringify({
  data: { 'rules.yaml': 'mode: enforce\nrules: [{registry: registry.example.com, pullSecret: corp-pull}]\n' },
});

let folder: string;
let caFile: string;
let clientCa: string;
let plane: ControlPlane;
let kubectl: Kubectl;
let server: Regkeeper;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rk-callers-'));
  caFile = join(folder, 'ca.crt');
  const ca = await makeClientCa();
  clientCa = ca.certificate;
  const client = await makeClientCertificate(ca);
  await writeFile(caFile, clientCa);
  await writeFile(join(folder, 'webhook-client.crt'), client.certificate);
  await writeFile(join(folder, 'webhook-client.key'), client.key, { mode: 0o600 });
  const documented = blocks(section(readPage('docs/caller-authentication.md'), '2. Configure every API server'));
  const [admission = '', kubeconfig = ''] = documented.map(({ text }) => text.replaceAll('/etc/kubernetes/webhooks', folder));
  await writeFile(join(folder, 'admission.yaml'), admission);
  await writeFile(join(folder, 'kubeconfig.yaml'), kubeconfig);

  plane = await startControlPlane({ admissionConfiguration: join(folder, 'admission.yaml') });
  kubectl = kubectlOf(plane);
  await applyBase(kubectl);
  await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', 'regkeeper', '--type=merge', '-p', rules]);
  const directory = join(plane.directory, 'server');
  await mkdir(directory);
  const flags = ['--shutdown-delay-seconds', '0', '--client-ca', caFile];
  server = await startRegkeeper({ kubectl, kubeconfig: plane.kubeconfig, directory, routeService: plane.services.route, flags });
  await waitFor(async () => (await run('docker.io/library/nginx')).includes('denied the request'), {
    deadlineSeconds: 60,
    what: 'the webhooks to take effect',
  });
});

afterAll(async () => {
  await server?.end('SIGKILL');
  await plane?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A dry run of a Pod. Returns what kubectl prints. */
async function run(name: string): Promise<string> {
  const { stdout, stderr } = await kubectl(['run', 'try', `--image=${name}`, '--dry-run=server', '-o', 'json'], { allowFailure: true });
  return stdout + stderr;
}

describe('the API server', () => {
  test('an authenticated API server gets responses: webhooks are registered, secrets are added and images are denied', async () => {
    expect(await run(image)).toContain('corp-pull');
    expect(await run('docker.io/library/nginx')).toContain('is not from a configured registry');
  });

  test('is recorded as authenticated in the audit records', () => {
    const records = server.audit().filter(({ event }) => event === 'decision');
    expect(records.length).toBeGreaterThan(0);
    expect(records.filter(({ callerAuthenticated }) => callerAuthenticated !== true)).toEqual([]);
  });

  test('gets 401 while its CA is not accepted, which its user sees, and gets responses again afterwards', async () => {
    onTestFinished(() => writeFile(caFile, clientCa));
    await writeFile(caFile, (await makeClientCa('another CA')).certificate);
    const answer = await waitFor(
      async () => {
        const printed = await run(image);
        return printed.includes('failed calling webhook') ? printed : undefined;
      },
      { deadlineSeconds: 60, what: 'the certificate to be rejected' },
    );
    expect(answer).toContain('regkeeper accepts requests only from authenticated API servers: the ');
    await writeFile(caFile, clientCa);
    await waitFor(async () => (await run(image)).includes('corp-pull'), { deadlineSeconds: 60, what: 'the certificate to be accepted' });
  });
});

test('another caller gets 401, and the health port stays open', async () => {
  const [ca = ''] = await publishedBundles(await kubectl.api());
  const dispatcher = new Agent({ connect: { ca, servername: 'regkeeper.regkeeper.svc' } });
  onTestFinished(() => dispatcher.close());
  const url = `https://127.0.0.1:${server.port}/validate`;
  const answer = await request(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}', dispatcher });
  expect(answer.statusCode).toBe(401);
  expect(await answer.body.json()).toMatchObject({ kind: 'Status', reason: 'Unauthorized' });
  expect((await fetch(`http://localhost:${server.healthPort}/readyz`)).status).toBe(200);
});

test('an API server without a certificate gets 401, which its user sees', async () => {
  await writeFile(
    join(folder, 'kubeconfig.yaml'),
    (await readFile(join(folder, 'kubeconfig.yaml'), 'utf8')).replace('regkeeper.svc', 'other.svc'),
  );
  await plane.killApiServer();
  await plane.startApiServer();
  const { stderr } = await kubectl(['run', 'try', `--image=${image}`, '--dry-run=server'], { allowFailure: true });
  expect(stderr).toContain('regkeeper accepts requests only from authenticated API servers: the client presented no certificate');
  const metrics = await (await fetch(`http://localhost:${server.healthPort}/metrics`)).text();
  expect(metrics).toMatch(/^regkeeper_admission_failures_total\{reason="unauthenticated"\} [1-9]/m);
});
