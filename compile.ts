/**
 * Runs once when the image is built, with the Node.js of the image: starts a server that watches an empty cluster, sends it requests, and
 * saves the code that V8 has compiled by then. If that fails, the image has no compiled code and starts more slowly.
 */
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { compiledCode, encodeCompiledCode, loadProgram } from './src/compiled-program.ts';

const directory = import.meta.dirname;
const maxMilliseconds = 60_000;

let saved = false;
const giveUp = (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exit();
};
process.once('uncaughtException', giveUp);
// The program itself ends the process when it cannot start.
process.once('exit', () => {
  if (saved) return;
  process.stderr.write('The program was not compiled in advance, so its start takes longer.\n');
  writeFileSync(compiledCode(directory), '');
  process.exitCode = 0;
});
setTimeout(() => giveUp('The server did not become ready in time.'), maxMilliseconds);

const folder = mkdtempSync(join(tmpdir(), 'regkeeper-'));
process.chdir(folder);
const api = createServer(answerAsApiServer);
await once(api.listen(0, '127.0.0.1'), 'listening');
const [port, healthPort] = [await freePort(), await freePort()];
process.argv.splice(2, process.argv.length, 'serve', ...writeSettings((api.address() as AddressInfo).port));
const program = loadProgram(directory);
program.run();
while (!(await isReady())) await pause(20);
for (const path of ['/mutate', '/validate']) await postReview(path);
const code = encodeCompiledCode(program);
writeFileSync(compiledCode(directory), code);
saved = true;
process.stderr.write(`compiled code: ${(code.length / 1_000_000).toFixed(1)} MB\n`);
process.exit(0);

/** Its certificate is issued on the spot, as in a cluster. */
function writeSettings(apiPort: number): readonly string[] {
  const kubeconfig = {
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${apiPort}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 'unused' } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'c',
  };
  writeFileSync('kubeconfig', JSON.stringify(kubeconfig));
  writeFileSync('rules.yaml', 'unconfigured: deny\nrules: [{registry: quay.io/shop, pullSecret: shop-pull}]\n');
  const cluster = ['--rules', 'rules.yaml', '--kubeconfig', 'kubeconfig', '--events', 'off'];
  const network = ['--tls', 'dev', '--host', '127.0.0.1', '--port', String(port), '--health-port', String(healthPort)];
  return [...cluster, ...network, '--log-level', 'error', '--audit-log', 'audit.log'];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An API server without OpenShift and without objects, which streams initial states. */
function answerAsApiServer({ url = '/' }: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(url, 'http://api');
  const headers = { 'content-type': 'application/json' };
  if (pathname.includes('openshift.io')) {
    response.writeHead(404, headers).end('{"kind":"Status","code":404,"reason":"NotFound"}');
  } else if (searchParams.get('watch') === 'true') {
    const metadata = { name: 'default', namespace: 'default', resourceVersion: '1', annotations: { 'k8s.io/initial-events-end': 'true' } };
    const added = JSON.stringify({ type: 'ADDED', object: { metadata } });
    response.writeHead(200, headers).write(`${added}\n${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
  } else response.writeHead(200, headers).end('{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}');
}

async function isReady(): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${healthPort}/readyz`).catch(() => undefined);
  await answer?.text();
  return answer?.ok === true;
}

function postReview(path: string): Promise<void> {
  const spec = {
    containers: [
      { name: 'app', image: 'quay.io/shop/web:v1' },
      { name: 'other', image: 'docker.io/library/nginx' },
    ],
  };
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'default' }, spec };
  const kind = { group: '', version: 'v1', kind: 'Pod' };
  const review = { uid: 'compile', operation: 'CREATE', kind, namespace: 'default', name: 'web', userInfo: { username: 'build' }, object };
  const body = JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: review });
  return new Promise((resolve, reject) => {
    // The server issued its certificate a moment ago.
    const options = {
      host: '127.0.0.1',
      port,
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      rejectUnauthorized: false,
    };
    request(options, (response) => response.resume().once('end', resolve))
      .once('error', reject)
      .end(body);
  });
}
