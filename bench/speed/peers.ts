/**
 * The Node servers that regkeeper is compared with. Each reads whole AdmissionReviews over HTTPS and allows everything:
 *
 * - `no-parse` answers without parsing the body
 * - `parse-only` parses the body with JSON.parse and answers with its uid
 * - `fastify` is `parse-only` with fastify and its own body parser
 *
 * Usage: node peers.ts NAME CERTIFICATE KEY. Prints the port on standard error.
 */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import fastify from 'fastify';

const [name, certificate = '', key = ''] = process.argv.slice(2);
const tls = { cert: readFileSync(certificate), key: readFileSync(key) };
const limit = 20 * 1024 * 1024;

type Review = { readonly request: { readonly uid: string } };

function answerTo(uid: string) {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true } };
}

function serve(answer: (body: Buffer) => object): void {
  const server = createServer(tls, (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const [first] = chunks;
      const text = JSON.stringify(answer(chunks.length === 1 && first ? first : Buffer.concat(chunks)));
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      response.end(text);
    });
  });
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1', () => report((server.address() as AddressInfo).port));
}

function report(port: number): void {
  process.stderr.write(`port ${port}\n`);
}

switch (name) {
  case 'no-parse':
    serve(() => answerTo('00000000-0000-0000-0000-000000000000'));
    break;
  case 'parse-only':
    serve((body) => answerTo((JSON.parse(body.toString('utf8')) as Review).request.uid));
    break;
  case 'fastify': {
    const app = fastify({ https: tls, bodyLimit: limit, keepAliveTimeout: 120_000, logger: false });
    app.post('/*', (request) => answerTo((request.body as Review).request.uid));
    await app.listen({ host: '127.0.0.1', port: 0 });
    report((app.server.address() as AddressInfo).port);
    break;
  }
  default:
    throw new Error(`unknown server ${name}`);
}
