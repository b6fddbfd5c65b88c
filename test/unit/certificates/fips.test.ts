/** Only algorithms that FIPS 140-3 approves, as docs/compatibility.md states: in the certificates, on the webhook port, and in the sources. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { tlsContext } from '../../../src/server/webhook-server.ts';
import { sampleCa, sampleServer } from './samples.ts';

const notBefore = new Date(Date.now() - 3_600_000);
const ca = sampleCa({ notBefore });
const pair = sampleServer({ ca, notBefore });

test('certificates have keys on P-256 and signatures with SHA-256', () => {
  for (const { certificate } of [ca, pair]) {
    const { publicKey } = new X509Certificate(certificate);
    expect(publicKey.asymmetricKeyType).toBe('ec');
    expect(publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    // The OID of ecdsa-with-SHA256, 1.2.840.10045.4.3.2.
    expect(new X509Certificate(certificate).raw.includes(Buffer.from('06082a8648ce3d040302', 'hex'))).toBe(true);
  }
});

/** What a Go client offers in FIPS mode (crypto/tls, defaults_fips140.go), or less. */
test.each([
  { protocol: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
  { protocol: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
  { protocol: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' },
  { protocol: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' },
] as const)('a client that accepts only $ciphers, P-256 and ECDSA with SHA-256 connects with $protocol', async ({ protocol, ciphers }) => {
  const server = createServer(tlsContext(pair, undefined), (_request, response) => response.end('ok')).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const approved = { ciphers, ecdhCurve: 'P-256', sigalgs: 'ecdsa_secp256r1_sha256', minVersion: protocol, maxVersion: protocol };
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.certificate, ...approved });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  expect([socket.authorized, socket.getProtocol(), socket.getCipher().name]).toEqual([true, protocol, ciphers]);
});

test('the source code uses no other algorithm', () => {
  const root = join(import.meta.dirname, '../../../src');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const calls = files.flatMap((file) => [
    ...readFileSync(join(root, file), 'utf8').matchAll(
      /\b(createHash|createHmac|createSign|createVerify|createCipheriv|generateKeyPair(?:Sync)?|sign|hash|pbkdf2\w*|scrypt\w*|hkdf\w*|webcrypto)\((['"][\w-]+['"])?/g,
    ),
  ]);
  const used = calls.flatMap(([, call, algorithm]) => (algorithm === undefined ? [] : [`${call} ${algorithm.slice(1, -1)}`]));
  expect([...new Set(used)].sort()).toEqual(['createHash sha256', 'generateKeyPairSync ec', 'hash sha256', 'sign sha256']);
});
