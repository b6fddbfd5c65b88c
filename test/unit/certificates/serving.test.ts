/** Tests the certificates with real TLS connections. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { type AddressInfo, isIP } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CertificateWithKey } from '../../../src/certificates/issue.ts';
import { type CertificateSource, createCertificateSource } from '../../../src/certificates/source.ts';
import { watchCertificateFiles } from '../../../src/certificates/sources/files.ts';
import { END, sampleCa, sampleServer, temporaryFolder } from './samples.ts';

const notBefore = new Date(Date.now() - 3_600_000);
const notAfter = new Date(Date.now() + 3_600_000);
const tomorrow = new Date(Date.now() + 86_400_000);
const ca = sampleCa({ notBefore, notAfter: new Date(tomorrow.getTime() + 3_600_000) });

test.each([{ servername: 'localhost' }, { servername: 'regkeeper.regkeeper.svc' }, { servername: '127.0.0.1' }])(
  'Node accepts the certificate for $servername with the CA',
  async ({ servername }) => {
    const port = await serve(
      createCertificateSource(server({ dnsNames: ['localhost', 'regkeeper.regkeeper.svc'], ipAddresses: ['127.0.0.1'] })),
    );
    const socket = await opened(port, servername);
    expect(socket.authorized).toBe(true);
    expect(await answer(socket)).toBe('served');
  },
);

test.each([
  { title: 'a different host', pair: () => server(), servername: 'other.example.test', code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  {
    title: 'a different CA',
    pair: () => sampleServer({ notBefore, notAfter }),
    servername: 'localhost',
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  },
  {
    title: 'an expired certificate',
    pair: () => server({ notBefore: new Date(0), notAfter: notBefore }),
    servername: 'localhost',
    code: 'CERT_HAS_EXPIRED',
  },
  {
    title: 'a certificate that is not valid yet',
    pair: () => server({ notBefore: tomorrow, notAfter: END }),
    servername: 'localhost',
    code: 'CERT_NOT_YET_VALID',
  },
])('Node rejects $title', async ({ pair, servername, code }) => {
  const port = await serve(createCertificateSource(pair()));
  await expect(opened(port, servername)).rejects.toMatchObject({ code });
});

test('a client that trusts the old and the new CA accepts certificates of both', async () => {
  const successor = sampleCa({ notBefore, notAfter });
  const caBundle = [successor.certificate, ca.certificate].join('');
  for (const signer of [ca, successor]) {
    const port = await serve(createCertificateSource(server({ ca: signer })));
    expect((await opened(port, 'localhost', { ca: caBundle })).authorized).toBe(true);
  }
});

test('a new certificate serves new connections while the old ones continue', async () => {
  const source = createCertificateSource(server());
  const port = await serve(source);
  const before = await opened(port);
  const shown = before.getPeerCertificate().fingerprint256;
  expect(await answer(before)).toBe('served');

  source.replace(server());
  const after = await opened(port);
  expect(after.getPeerCertificate().fingerprint256).not.toBe(shown);
  expect(await answer(after)).toBe('served');
  expect(await answer(before)).toBe('served');
});

describe('a pair in files that were created elsewhere', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  test.each([
    { title: 'RSA, PKCS#8', key: rsa.export({ type: 'pkcs8', format: 'pem' }) },
    { title: 'RSA, PKCS#1', key: rsa.export({ type: 'pkcs1', format: 'pem' }) },
    { title: 'EC P-384, PKCS#8', key: p384.export({ type: 'pkcs8', format: 'pem' }) },
    { title: 'EC P-384, SEC1', key: p384.export({ type: 'sec1', format: 'pem' }) },
  ])('is served, with any line endings: $title', async ({ key }) => {
    const folder = await temporaryFolder();
    const at = (name: string) => join(folder, name);
    await writeFile(at('tls.key'), key);
    const request = ['req', '-x509', '-key', at('tls.key'), '-out', at('tls.crt'), '-days', '2', '-subj', '/CN=x'];
    await promisify(execFile)('openssl', [...request, '-addext', 'subjectAltName=DNS:localhost']);
    for (const lineEnd of ['\n', '\r\n']) {
      for (const name of ['tls.key', 'tls.crt']) {
        const pem = await readFile(at(name), 'utf8');
        await writeFile(at(name), pem.replaceAll(/\r?\n/g, lineEnd));
      }
      const files = { certificate: at('tls.crt'), key: at('tls.key'), caBundle: at('tls.crt'), names: ['localhost'] };
      const source = await watchCertificateFiles({ ...files, onProblem: (problem) => expect.unreachable(problem) });
      onTestFinished(() => source.close());
      const socket = await opened(await serve(source), 'localhost', { ca: source.current().caBundle });
      expect(socket.authorized).toBe(true);
      // Or it would see the files half written in the next round.
      await source.close();
    }
  });
});

function server(changes: Parameters<typeof sampleServer>[0] = {}): CertificateWithKey {
  return sampleServer({ ca, notBefore, notAfter, ...changes });
}

/** An HTTPS server like regkeeper's, whose certificate is replaced in place. */
async function serve(source: CertificateSource): Promise<number> {
  const { certificate, key } = source.current();
  const listening = createServer({ cert: certificate, key, minVersion: 'TLSv1.2' }, (_request, response) => response.end('served'));
  source.onChange((next) => listening.setSecureContext({ cert: next.certificate, key: next.key, minVersion: 'TLSv1.2' }));
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  onTestFinished(() => {
    listening.closeAllConnections();
    listening.close();
  });
  return (listening.address() as AddressInfo).port;
}

async function opened(port: number, servername = 'localhost', options: ConnectionOptions = {}): Promise<TLSSocket> {
  // An address is not a server name (RFC 6066). Without one Node checks the certificate against the host it connected to.
  const sni = isIP(servername) === 0 ? servername : '';
  const socket = connect({ host: '127.0.0.1', port, ca: ca.certificate, servername: sni, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** The body of one HTTP/1.1 exchange on a connection that stays open. */
async function answer(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  let received = '';
  while (!received.endsWith('served')) {
    const [chunk] = await once(socket, 'data');
    received += chunk;
  }
  return received.slice(received.indexOf('\r\n\r\n') + 4);
}
