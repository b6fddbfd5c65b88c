/** Tests the CA and server certificate for development. */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmod, copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isIssuedBy, readCertificatePair } from '../../../../src/certificates/inspect.ts';
import { ensureDevelopmentCertificates } from '../../../../src/certificates/sources/development.ts';
import { sampleServer, temporaryFolder } from '../samples.ts';

const NOW = new Date('2026-06-01T12:00:00Z');
const DAY = 24 * 60 * 60 * 1000;

describe('an empty directory', () => {
  test('gets a CA and a certificate for this machine and the configured hosts, readable only by the owner', async () => {
    const directory = join(await temporaryFolder(), 'certs', 'dev');
    const made = await ensure(directory, { hosts: ['regkeeper.example.test', '[fd00::5]'] });
    expect(made).toEqual({
      directory,
      caFile: join(directory, 'ca.crt'),
      certificateFile: join(directory, 'tls.crt'),
      keyFile: join(directory, 'tls.key'),
      created: true,
      caCreated: true,
      reason: 'it did not exist',
    });
    expect(await servedBy(directory)).toMatchObject({
      dnsNames: ['localhost', 'regkeeper.example.test'],
      ipAddresses: ['127.0.0.1', '0:0:0:0:0:0:0:1', 'FD00:0:0:0:0:0:0:5'],
      notBefore: new Date('2026-06-01T11:00:00Z'),
      notAfter: new Date('2027-06-01T12:00:00Z'),
    });
    expect((await readdir(directory)).sort()).toEqual(['ca.crt', 'ca.key', 'tls.crt', 'tls.key']);
    expect(await modes(directory, '.', 'ca.key', 'tls.key')).toEqual(['700', '600', '600']);
    expect(isIssuedBy(await text(directory, 'tls.crt'), await text(directory, 'ca.crt'))).toBe(true);
  });
});

describe('a second run', () => {
  test('keeps valid files, and makes a key private that others could read', async () => {
    const directory = await prepared();
    const before = await contents(directory);
    await chmod(join(directory, 'tls.key'), 0o644);
    const kept = await ensure(directory, { hosts: ['[::1]'] });
    expect(kept).toMatchObject({ created: false, caCreated: false, reason: 'it is valid until 2027-06-01T12:00:00.000Z' });
    expect(await contents(directory)).toEqual(before);
    expect(await modes(directory, 'tls.key')).toEqual(['600']);
  });

  test.each([
    { title: 'requests a different host', later: 0, hosts: ['new.example.test'], reason: 'it is not valid for new.example.test' },
    {
      title: 'comes after two thirds of the validity',
      later: 250,
      hosts: [],
      reason: expect.stringMatching(/^it was due for renewal at .* and expires at 2027-06-01T12:00:00.000Z$/),
    },
    { title: 'comes after the expiry', later: 400, hosts: [], reason: 'it expired at 2027-06-01T12:00:00.000Z' },
  ])('creates a new certificate from the same CA, with the old hosts, when it $title', async ({ later, hosts, reason }) => {
    const directory = await prepared(['old.example.test']);
    const ca = await text(directory, 'ca.crt');
    const made = await ensure(directory, { hosts, now: new Date(NOW.getTime() + later * DAY) });
    expect(made).toMatchObject({ created: true, caCreated: false, reason });
    expect(await text(directory, 'ca.crt')).toBe(ca);
    expect((await servedBy(directory)).dnsNames).toEqual(['localhost', ...hosts, 'old.example.test']);
  });

  test('renews the CA too after two thirds of its five years', async () => {
    const directory = await prepared();
    const made = await ensure(directory, { now: new Date(NOW.getTime() + 1300 * DAY) });
    expect(made).toMatchObject({ created: true, caCreated: true });
    expect(isIssuedBy(await text(directory, 'tls.crt'), await text(directory, 'ca.crt'))).toBe(true);
  });

  test.each([
    { title: 'the key of the server', gone: ['tls.key'], caCreated: false, reason: 'its key was missing' },
    { title: 'the server pair', gone: ['tls.crt', 'tls.key'], caCreated: false, reason: 'it did not exist' },
    { title: 'the key of the CA', gone: ['ca.key'], caCreated: true, reason: 'its CA is new' },
    { title: 'the CA', gone: ['ca.crt', 'ca.key'], caCreated: true, reason: 'its CA is new' },
  ])('repairs a directory without $title', async ({ gone, caCreated, reason }) => {
    const directory = await prepared();
    for (const name of gone) await rm(join(directory, name));
    expect(await ensure(directory)).toMatchObject({ created: true, caCreated, reason });
    expect(isIssuedBy(await text(directory, 'tls.crt'), await text(directory, 'ca.crt'))).toBe(true);
    await servedBy(directory);
  });

  test('repairs a mismatched pair, and a server certificate in place of the CA', async () => {
    const directory = await prepared();
    await copyFile(join(directory, 'ca.key'), join(directory, 'tls.key'));
    expect(await ensure(directory)).toMatchObject({
      created: true,
      caCreated: false,
      reason: 'the certificate does not match the key',
    });
    await copyFile(join(directory, 'tls.key'), join(directory, 'ca.key'));
    await copyFile(join(directory, 'tls.crt'), join(directory, 'ca.crt'));
    expect(await ensure(directory)).toMatchObject({ created: true, caCreated: true });
    expect(new X509Certificate(await text(directory, 'ca.crt')).ca).toBe(true);
  });
});

describe('a file that was created by something else', () => {
  const foreign = sampleServer();

  test.each([
    { title: 'a text file', files: { 'tls.crt': 'hello' }, says: 'tls.crt is not a PEM certificate' },
    {
      title: 'a certificate from a different CA',
      files: { 'tls.crt': foreign.certificate, 'tls.key': foreign.key },
      says: 'tls.crt was issued by "CN=sample authority"',
    },
    { title: 'only a key', files: { 'tls.key': foreign.key }, says: 'tls.key exists without its certificate' },
    { title: 'a CA', files: { 'ca.crt': foreign.certificate }, says: 'ca.crt was issued by "CN=sample authority"' },
  ])('$title is never overwritten', async ({ files, says }) => {
    const directory = await temporaryFolder();
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
    const message = `${directory}/${says}, so it is not a development certificate of regkeeper. Move it elsewhere, or choose another directory`;
    await expect(ensure(directory)).rejects.toThrow(new Error(message));
    expect(await contents(directory)).toEqual(files);
  });

  test('in place of one of our keys is never overwritten', async () => {
    const directory = await prepared();
    await writeFile(join(directory, 'tls.key'), 'my notes');
    await expect(ensure(directory)).rejects.toThrow('tls.key is not a PEM private key, so it is not');
    expect(await text(directory, 'tls.key')).toBe('my notes');
  });
});

test('an invalid host is rejected before anything is written', async () => {
  const directory = await temporaryFolder();
  await expect(ensure(directory, { hosts: ['https://x'] })).rejects.toThrow(new Error('"https://x" is not a host name'));
  expect(await readdir(directory)).toEqual([]);
});

describe('the command', () => {
  test('creates, then keeps, and reports both', async () => {
    const directory = join(await temporaryFolder(), 'made');
    const first = await generate('--out', directory, '--host', 'a.example.test', 'b.example.test');
    expect(first).toEqual({
      code: 0,
      stdout: `created ${directory}/tls.crt: it did not exist\ncreated ${directory}/ca.crt. Add it to the trusted CAs of your clients\n`,
      stderr: '',
    });
    const second = await generate('--out', directory, '--host', 'b.example.test');
    expect(second.stdout).toMatch(new RegExp(`^kept ${directory}/tls\\.crt: it is valid until \\d{4}-`));
    expect(await generate('--out', directory, '--host', 'c.example.test')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`kept ${directory}/ca.crt. Clients that trust it need no change`),
    });
    expect((await servedBy(directory)).dnsNames).toEqual(['localhost', 'c.example.test', 'a.example.test', 'b.example.test']);
  });

  test('reports a failure in one line, with exit code 2', async () => {
    const directory = await temporaryFolder();
    await writeFile(join(directory, 'tls.crt'), 'hello');
    const rejected = await generate('--out', directory);
    expect(rejected).toMatchObject({ code: 2, stdout: '' });
    expect(rejected.stderr).toMatch(/^error: [^\n]*tls\.crt is not a PEM certificate[^\n]*\n$/);
    expect(await generate('--colour')).toMatchObject({ code: 2, stderr: "error: unknown option '--colour'\n" });
  });

  test('has help', async () => {
    expect(await generate('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('--host <name...>'), stderr: '' });
  });
});

function ensure(directory: string, { hosts = [] as string[], now = NOW } = {}) {
  return ensureDevelopmentCertificates({ directory, hosts, now });
}

async function prepared(hosts: string[] = []): Promise<string> {
  const directory = await temporaryFolder();
  await ensure(directory, { hosts });
  return directory;
}

async function servedBy(directory: string) {
  const reading = readCertificatePair({ certificate: await text(directory, 'tls.crt'), key: await text(directory, 'tls.key') });
  if (!reading.ok) throw new Error(reading.problem);
  return reading.pair;
}

function text(directory: string, name: string): Promise<string> {
  return readFile(join(directory, name), 'utf8');
}

async function contents(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory)).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await text(directory, name)])));
}

function modes(directory: string, ...names: string[]): Promise<string[]> {
  return Promise.all(names.map(async (name) => ((await stat(join(directory, name))).mode & 0o777).toString(8)));
}

function generate(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = join(import.meta.dirname, '../../../../certs/generate.ts');
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }));
  });
}
