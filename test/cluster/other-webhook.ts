/** Another admission webhook in the same cluster as regkeeper, answered by the test. */

import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';
import { issueCa, issueServerCertificate } from '../../src/certificates/issue.ts';

export interface AdmissionRequest {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly operation: string;
  readonly dryRun: boolean;
  readonly object: unknown;
}

/** Serves on a loopback port until the file's tests end. `answer` returns the response without its uid. `caBundle` is base64, as in webhook configurations. */
export async function serveWebhook(
  host: string,
  answer: (request: AdmissionRequest) => object,
): Promise<{ readonly port: number; readonly caBundle: string }> {
  const notBefore = new Date(Date.now() - 60_000);
  const notAfter = new Date(Date.now() + 3_600_000);
  const ca = issueCa({ commonName: 'scenario', notBefore, notAfter });
  const leaf = issueServerCertificate({ ca, commonName: host, dnsNames: [host], ipAddresses: [], notBefore, notAfter });
  const server = createServer({ key: leaf.key, cert: leaf.certificate }, async (incoming, response) => {
    const { request } = JSON.parse(await textOf(incoming)) as { request: AdmissionRequest };
    const review = {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: request.uid, ...answer(request) },
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(review));
  });
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, caBundle: Buffer.from(ca.certificate).toString('base64') };
}

const closing: (() => void)[] = [];
afterAll(() => {
  for (const close of closing.splice(0)) close();
});

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
