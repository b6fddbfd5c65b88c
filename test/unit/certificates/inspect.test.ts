/** Tests the reading of certificates and keys, the renewal check, and whether a bundle trusts a chain. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { isIssuedBy, isTrusted, readCertificatePair } from '../../../src/certificates/inspect.ts';
import { checkRenewal } from '../../../src/certificates/renewal.ts';
import { sampleCa, sampleServer, temporaryFolder } from './samples.ts';

const good = sampleServer();
const other = sampleServer();
const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
const encryptedKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(encrypted).toString();

describe('reading a pair', () => {
  test('returns the contents of the leaf', () => {
    const life = { notBefore: new Date('2026-05-01T00:00:00Z'), notAfter: new Date('2051-05-01T00:00:00Z') };
    const ca = sampleCa(life);
    const server = sampleServer({ ca, ...life, dnsNames: ['a.example', '*.b.example'], ipAddresses: ['127.0.0.1', '::1'] });
    expect(readCertificatePair(server)).toEqual({
      ok: true,
      pair: { ...server, ...life, dnsNames: ['a.example', '*.b.example'], ipAddresses: ['127.0.0.1', '0:0:0:0:0:0:0:1'] },
    });
  });

  test('accepts a chain with the leaf first and text around it', () => {
    const ca = sampleCa();
    const server = sampleServer({ ca });
    const certificate = `subject=sample\n${server.certificate}issuer=sample\n${ca.certificate}`;
    expect(readCertificatePair({ ...server, certificate })).toMatchObject({ ok: true, pair: { certificate, dnsNames: ['localhost'] } });
  });

  test('returns no names for a certificate without any', () => {
    expect(readCertificatePair(sampleCa())).toMatchObject({ ok: true, pair: { dnsNames: [], ipAddresses: [] } });
  });

  test.each([
    { pair: { ...good, certificate: '' }, part: 'certificate', problem: 'the certificate is empty' },
    { pair: { ...good, certificate: 'hello' }, part: 'certificate', problem: 'the certificate is not a PEM certificate' },
    {
      pair: { ...good, certificate: good.key },
      part: 'certificate',
      problem: 'the certificate contains a private key instead of a certificate',
    },
    {
      pair: { ...good, certificate: damaged(good.certificate) },
      part: 'certificate',
      problem: 'the certificate contains an invalid certificate (number 1)',
    },
    {
      pair: { ...good, certificate: good.certificate + damaged(good.certificate) },
      part: 'certificate',
      problem: 'the certificate contains an invalid certificate (number 2)',
    },
    {
      pair: { ...good, certificate: good.certificate.slice(0, -40) },
      part: 'certificate',
      problem: 'the certificate is not a PEM certificate',
    },
    { pair: { ...good, key: '\n' }, part: 'key', problem: 'the key is empty' },
    { pair: { ...good, key: 'hello' }, part: 'key', problem: 'the key is not a PEM private key' },
    { pair: { ...good, key: good.certificate }, part: 'key', problem: 'the key contains a certificate instead of a private key' },
    { pair: { ...good, key: damaged(good.key) }, part: 'key', problem: 'the key contains an invalid private key' },
    { pair: { ...good, key: encryptedKey }, part: 'key', problem: 'the key is encrypted, but must not have a passphrase' },
    { pair: { ...good, key: other.key }, part: 'pair', problem: 'the certificate does not match the key' },
  ])('reports that $problem', ({ pair, part, problem }) => {
    expect(readCertificatePair(pair)).toEqual({ ok: false, part, problem });
  });

  test('names the two as the caller does', () => {
    const names = { certificate: 'key tls.crt of Secret a/b', key: 'its key tls.key' };
    expect(readCertificatePair({ ...good, key: other.key }, names)).toMatchObject({
      problem: 'key tls.crt of Secret a/b does not match its key tls.key',
    });
  });
});

describe('renewal', () => {
  const life = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2026-01-31T00:00:00Z') };
  const server = sampleServer({
    ca: sampleCa(life),
    ...life,
    dnsNames: ['a.example', '*.b.example'],
    ipAddresses: ['10.0.0.1', 'fd00::1'],
  });
  const reading = readCertificatePair(server);
  if (!reading.ok) throw new Error(reading.problem);
  const { pair } = reading;

  test.each([
    { now: '2025-12-31T23:59:59Z', reason: 'it is not valid before 2026-01-01T00:00:00.000Z' },
    { now: '2026-01-01T00:00:00Z', reason: undefined },
    { now: '2026-01-20T23:59:59Z', reason: undefined },
    { now: '2026-01-21T00:00:00Z', reason: 'it was due for renewal at 2026-01-21T00:00:00.000Z and expires at 2026-01-31T00:00:00.000Z' },
    { now: '2026-01-30T23:59:59Z', reason: 'it was due for renewal at 2026-01-21T00:00:00.000Z and expires at 2026-01-31T00:00:00.000Z' },
    { now: '2026-01-31T00:00:00Z', reason: 'it expired at 2026-01-31T00:00:00.000Z' },
  ])('at $now: $reason', ({ now, reason }) => {
    expect(checkRenewal(pair, new Date(now))).toEqual(reason === undefined ? { renew: false } : { renew: true, reason });
  });

  test.each([
    { names: [], missing: '' },
    { names: ['a.example', 'A.Example', 'x.b.example', '*.b.example', '10.0.0.1', 'fd00::1', 'fd00:0::1'], missing: '' },
    { names: ['a.example', 'c.example', '10.0.0.2'], missing: 'c.example or 10.0.0.2' },
    { names: ['b.example', 'x.y.b.example', '*.a.example'], missing: 'b.example, x.y.b.example or *.a.example' },
    // Relevant clients do not accept a common name as a host name.
    { names: ['sample server'], missing: 'sample server' },
  ])('for $names, "$missing" is missing', ({ names, missing }) => {
    const expected = missing === '' ? { renew: false } : { renew: true, reason: `it is not valid for ${missing}` };
    expect(checkRenewal(pair, new Date('2026-01-02T00:00:00Z'), names)).toEqual(expected);
  });
});

test('it is known which CA issued a certificate, whatever the names', () => {
  const ca = sampleCa();
  const { certificate } = sampleServer({ ca });
  expect(isIssuedBy(certificate, ca.certificate)).toBe(true);
  expect(isIssuedBy(certificate, sampleCa().certificate)).toBe(false);
});

function damaged(pem: string): string {
  const lines = pem.split('\n');
  return lines.toSpliced(1, 1, 'AAAA').join('\n');
}

describe('clients accept', () => {
  const other = sampleCa({ commonName: 'other' });
  const root = sampleCa({ commonName: 'root' });
  const selfSigned = sampleCa({ commonName: 'self-signed' });
  const ofRoot = sampleServer({ ca: root });
  const impostor = sampleCa({ commonName: 'root' });

  test.each<[string, string, string, boolean]>([
    ['a leaf issued by a known CA', ofRoot.certificate, root.certificate, true],
    ['a leaf issued by one of several CAs', ofRoot.certificate, other.certificate + root.certificate, true],
    ['a certificate that is itself in the bundle', selfSigned.certificate, selfSigned.certificate, true],
    ['no leaf issued by another CA', ofRoot.certificate, other.certificate, false],
    ['no leaf issued by another CA with the same name', ofRoot.certificate, impostor.certificate, false],
    ['nothing without CAs', ofRoot.certificate, '', false],
    ['nothing that is not a certificate', 'damaged', root.certificate, false],
  ])('%s', (_name, chain, caBundle, taken) => {
    expect(isTrusted(chain, caBundle)).toBe(taken);
  });

  test('a chain whose intermediates lead to a known CA, in any order, and not without them', async () => {
    const folder = await temporaryFolder();
    const certificates = await chainOfOpenSsl(folder, ['root', 'upper', 'lower', 'leaf']);
    const [top = '', upper = '', lower = '', leaf = ''] = certificates;
    expect(isTrusted(leaf + lower + upper, top)).toBe(true);
    expect(isTrusted(leaf + upper + lower, top)).toBe(true);
    expect(isTrusted(leaf + lower, upper)).toBe(true);
    expect(isTrusted(leaf + lower, top)).toBe(false);
    expect(isTrusted(leaf, lower)).toBe(true);
    expect(isTrusted(leaf + lower + upper, root.certificate)).toBe(false);
  });
});

/** Each is signed by the one before it. */
async function chainOfOpenSsl(folder: string, names: readonly string[]): Promise<string[]> {
  const at = (name: string) => join(folder, name);
  for (const [index, name] of names.entries()) {
    const issuer = names[index - 1];
    const kind = ['-subj', `/CN=${name}`, '-addext', `basicConstraints=critical,CA:${name === 'leaf' ? 'FALSE' : 'TRUE'}`, '-days', '2'];
    const signing = issuer === undefined ? [] : ['-CA', at(`${issuer}.crt`), '-CAkey', at(`${issuer}.key`)];
    const made = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.crt`),
    ];
    await promisify(execFile)('openssl', ['req', '-x509', ...made, ...kind, ...signing]);
  }
  return Promise.all(names.map((name) => readFile(at(`${name}.crt`), 'utf8')));
}
