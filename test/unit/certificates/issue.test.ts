/** Tests the issued CAs and server certificates, with OpenSSL and Node as verifiers. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type CertificateWithKey, sortHosts } from '../../../src/certificates/issue.ts';
import { BEGIN, END, sampleCa, sampleServer, temporaryFolder } from './samples.ts';

const LONG_SERVICE = 'regkeeper-admission-webhook.platform-image-policy-enforcement-system.svc';

describe('what openssl accepts with strict checks', () => {
  test.each([
    { title: 'a Service name', server: { dnsNames: ['regkeeper.regkeeper.svc'] }, check: ['-verify_hostname', 'regkeeper.regkeeper.svc'] },
    { title: 'a wildcard', server: { dnsNames: ['*.example.test'] }, check: ['-verify_hostname', 'a.example.test'] },
    { title: 'an IPv4 address', server: { ipAddresses: ['10.1.2.3'] }, check: ['-verify_ip', '10.1.2.3'] },
    { title: 'an IPv6 address', server: { ipAddresses: ['fd00::5'] }, check: ['-verify_ip', 'fd00::5'] },
    { title: 'an IPv6 address with a dotted tail', server: { ipAddresses: ['::ffff:10.1.2.3'] }, check: ['-verify_ip', '::ffff:a01:203'] },
    { title: 'an address without a host name', server: { dnsNames: [], ipAddresses: ['::1'] }, check: ['-verify_ip', '::1'] },
    {
      title: 'a common name above 64 characters',
      server: { commonName: LONG_SERVICE, dnsNames: [LONG_SERVICE] },
      check: ['-verify_hostname', LONG_SERVICE],
    },
    { title: 'a common name outside ASCII', server: { commonName: 'Prüfstelle 登録' }, check: ['-verify_hostname', 'localhost'] },
  ])('accepts $title', async ({ server, check }) => {
    const ca = sampleCa();
    const answer = await opensslVerify(ca, sampleServer({ ca, ...server }), BEGIN, check);
    expect(answer).toMatch(/tls\.crt: OK/);
  });

  test('accepts dates from 2050 on', async () => {
    const life = { notBefore: new Date('2050-01-01T00:00:00Z'), notAfter: new Date('2061-01-01T00:00:00Z') };
    const ca = sampleCa(life);
    expect(await opensslVerify(ca, sampleServer({ ca, ...life }), new Date('2055-01-01T00:00:00Z'))).toMatch(/tls\.crt: OK/);
  });

  test('rejects the certificate of another CA with the same name', async () => {
    expect(await opensslVerify(sampleCa(), sampleServer(), BEGIN)).toMatch(/verification failed/);
  });

  test('rejects another host', async () => {
    const ca = sampleCa();
    const answer = await opensslVerify(ca, sampleServer({ ca }), BEGIN, ['-verify_hostname', 'other.example.test']);
    expect(answer).toMatch(/hostname mismatch/i);
  });
});

describe('the encoding of time', () => {
  test.each([
    { date: '2049-12-31T23:59:59Z', encoded: '\x17\x0d491231235959Z' },
    { date: '2050-01-01T00:00:00Z', encoded: '\x18\x0f20500101000000Z' },
    { date: '2110-06-15T12:30:45Z', encoded: '\x18\x0f21100615123045Z' },
  ])('of $date is the one that RFC 5280 requires', ({ date, encoded }) => {
    const { raw, validToDate } = new X509Certificate(sampleCa({ notAfter: new Date(date) }).certificate);
    expect(raw.includes(encoded, 0, 'latin1')).toBe(true);
    expect(validToDate).toEqual(new Date(date));
  });
});

describe('a CA', () => {
  test('may sign certificates, and its name is cut to 64 characters', () => {
    const certificate = new X509Certificate(sampleCa({ commonName: 'é'.repeat(70) }).certificate);
    expect(certificate.ca).toBe(true);
    expect(certificate.subject).toBe(`CN=${'é'.repeat(64)}`);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
  });

  test('gives every certificate its own positive serial number of 16 octets', () => {
    const serials = Array.from({ length: 50 }, () => new X509Certificate(sampleCa().certificate).serialNumber);
    expect(new Set(serials).size).toBe(50);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  test('signs any public key', () => {
    // About one key in 256 has a second octet that looks like the length of a nested structure.
    const ca = sampleCa();
    const signer = new X509Certificate(ca.certificate);
    for (let made = 0; made < 300; made++) {
      const server = sampleServer({ ca });
      const certificate = new X509Certificate(server.certificate);
      expect(certificate.checkIssued(signer) && certificate.verify(signer.publicKey)).toBe(true);
    }
  });
});

describe('a server certificate', () => {
  test('never outlives its CA', () => {
    const ca = sampleCa({ notAfter: new Date('2027-01-01T00:00:00Z') });
    expect(new X509Certificate(sampleServer({ ca, notAfter: END }).certificate).validToDate).toEqual(new Date('2027-01-01T00:00:00Z'));
  });

  test.each([
    { request: { dnsNames: [] }, message: 'a server certificate needs at least one host name or address' },
    { request: { dnsNames: [''] }, message: '"" is not a host name' },
    { request: { dnsNames: ['a..b'] }, message: '"a..b" is not a host name' },
    { request: { dnsNames: ['a.*.b'] }, message: '"a.*.b" is not a host name' },
    { request: { dnsNames: ['https://a'] }, message: '"https://a" is not a host name' },
    { request: { dnsNames: ['x'.repeat(64)] }, message: `"${'x'.repeat(64)}" is not a host name` },
    { request: { dnsNames: ['prüfung.example'] }, message: '"prüfung.example" is not a host name (use xn--prfung-4ya.example)' },
    { request: { ipAddresses: ['10.0.0.256'] }, message: '"10.0.0.256" is not an IP address' },
    { request: { ipAddresses: ['fe80::1%eth0'] }, message: '"fe80::1%eth0" is not an IP address' },
    { request: { commonName: ' ' }, message: 'a certificate needs a common name' },
    {
      request: { notAfter: BEGIN },
      message: 'a certificate must end after it begins, but this one is for 2026-03-01T00:00:00.000Z to 2026-03-01T00:00:00.000Z',
    },
    {
      request: { notBefore: new Date(Number.NaN) },
      message: 'a certificate must end after it begins, but this one is for an invalid date to 2036-03-01T00:00:00.000Z',
    },
  ])('is not issued: $message', ({ request, message }) => {
    expect(() => sampleServer(request)).toThrow(new Error(message));
  });

  test('is not signed by a server certificate, by a mismatched CA pair or by an RSA key', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => sampleServer({ ca: sampleServer() })).toThrow('is not a CA certificate');
    expect(() => sampleServer({ ca: { ...sampleCa(), key: sampleCa().key } })).toThrow('does not match the CA key');
    expect(() => sampleServer({ ca: { ...sampleCa(), key: rsa } })).toThrow('the CA key is rsa, but only EC keys are supported');
  });
});

test('has its hosts sorted into names and addresses, without duplicates', () => {
  expect(sortHosts(['localhost', '[::1]', '0:0:0:0:0:0:0:1', '127.0.0.1', 'A.example', 'a.example', 'localhost'])).toEqual({
    dnsNames: ['localhost', 'a.example'],
    ipAddresses: ['::1', '127.0.0.1'],
  });
});

/** Both streams of `openssl verify`, regardless of its exit code. */
async function opensslVerify(ca: CertificateWithKey, server: CertificateWithKey, at: Date, checks: string[] = []): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'ca.crt'), ca.certificate);
  await writeFile(join(folder, 'tls.crt'), server.certificate);
  const when = ['-attime', String(at.getTime() / 1000 + 60)];
  const options = ['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslserver', ...when, ...checks, '-CAfile', 'ca.crt', 'tls.crt'];
  return await new Promise((resolve, reject) => {
    execFile('openssl', options, { cwd: folder }, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT')
        reject(new Error('these tests need the program openssl: install it, for example `apt-get install openssl`'));
      else resolve(stdout + stderr);
    });
  });
}
