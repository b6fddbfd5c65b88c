/** Tests the errors of `review`. What it sends and prints is tested with a running server, in process.test.ts. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createPlainServer, type RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ConfigurationError } from '../../../../src/settings/configuration-error.ts';
import { sampleCa, sampleServer } from '../../certificates/samples.ts';
import { runCommand } from '../run.ts';

const life = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
const ca = sampleCa(life);
const { certificate, key } = sampleServer({ ca, ...life });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-review-'));
  await Promise.all([
    writeFile(join(folder, 'ca.crt'), ca.certificate),
    writeFile(join(folder, 'other.crt'), sampleCa(life).certificate),
    writeFile(join(folder, 'empty.yaml'), '# nothing yet\n'),
    writeFile(join(folder, 'rules.yaml'), 'rules: []\n'),
    writeFile(
      join(folder, 'pod.yaml'),
      'apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: a.io/x}]}\n',
    ),
  ]);
});
afterAll(() => rm(folder, { recursive: true }));

async function listening(answer: RequestListener, { tls = true } = {}): Promise<string> {
  const server = tls ? createServer({ cert: certificate, key }, answer) : createPlainServer(answer);
  await once(server.listen(0, 'localhost'), 'listening');
  onTestFinished(() => void server.close());
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

const review = (server: string, { manifest = 'pod.yaml', caFile = 'ca.crt' } = {}) =>
  runCommand('review', '--server', server, '--ca', join(folder, caFile), join(folder, manifest));

test.each(['localhost:8443', 'http://localhost:8443', ':8443', ''])('--server must be an https address: "%s"', async (server) => {
  const { exitCode, err } = await review(server);
  expect({ exitCode, err }).toEqual({ exitCode: 2, err: expect.stringContaining('is invalid. Use https://host:port.') });
});

test.each<[string, RequestListener, RegExp]>([
  [
    'an HTML page',
    (_request, response) => response.end('<h1>It works!</h1>'),
    /\/mutate responded with 200, without an AdmissionReview\. Is this/,
  ],
  ['an error page', (_request, response) => response.writeHead(404).end('no'), /\/mutate responded with 404, without an AdmissionReview/],
  ['a list', (_request, response) => response.end('[]'), /\/mutate responded with 200, without an AdmissionReview/],
  ['a Status', (_request, response) => response.writeHead(503).end('{"message":"not yet"}'), /\/mutate responded with 503: not yet$/],
  ['a closed connection', (request) => request.socket.destroy(), /\. Is the server running \("npm start"\)\?/],
])('a server that responds with %s', async (_name, answer, message) => {
  const error = await review(await listening(answer)).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as Error).message).toMatch(message);
});

test.each<[string, Parameters<typeof listening>[1], string, RegExp]>([
  ['another CA', {}, 'other.crt', /signed by an unknown CA\. Check the CA that is configured for it \(--ca \S+other\.crt\)$/],
  ['a port without TLS', { tls: false }, 'ca.crt', /does not use TLS on this port/],
  ['a CA file that is not PEM', {}, 'pod.yaml', /^--ca \S+pod\.yaml is not a PEM certificate$/],
  ['a CA that is a directory', {}, '.', /^--ca \S+: EISDIR/],
])('%s', async (_name, options, caFile, message) => {
  await expect(review(await listening(() => {}, options), { caFile })).rejects.toThrow(message);
});

test('kinds without images are not sent, since the API server would not send them', async () => {
  await writeFile(
    join(folder, 'service.yaml'),
    ['Service', 'ConfigMap', 'ConfigMap'].map((kind) => `---\napiVersion: v1\nkind: ${kind}\nmetadata: {name: a}\n`).join(''),
  );
  const sent: string[] = [];
  const server = await listening((request, response) => {
    sent.push(request.url ?? '');
    response.end();
  });
  expect(await review(server, { manifest: 'service.yaml' })).toEqual({
    exitCode: 0,
    out: '',
    err: 'regkeeper: objects that contain no images: 1 Service (v1), 2 ConfigMap (v1)\n',
  });
  expect(sent).toEqual([]);
});

test.each([
  ['nothing to send', 'empty.yaml', /empty\.yaml: no Kubernetes objects found$/],
  ['rules', 'rules.yaml', /This looks like registry rules\. Pass them as rules, not as manifests$/],
])('%s is not success', async (_name, manifest, message) => {
  await expect(review('https://localhost:1', { manifest })).rejects.toThrow(message);
});
