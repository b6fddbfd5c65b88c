/** A CA and a server certificate in a folder, for development. */
import { randomUUID, X509Certificate } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../errors/error-message.ts';
import { type CertificatePair, isIssuedBy, readCertificatePair, readCertificates, readPrivateKey } from '../inspect.ts';
import { type CertificateWithKey, issueCa, issueServerCertificate, sortHosts, validityFrom } from '../issue.ts';
import { checkRenewal } from '../renewal.ts';

export type DevelopmentRequest = {
  /** Folder for `ca.crt`, `ca.key`, `tls.crt` and `tls.key`. Created with mode 0700 if it does not exist. */
  readonly directory: string;
  /** Host names and addresses in addition to `localhost`, `127.0.0.1` and `::1`. */
  readonly hosts: readonly string[];
  readonly now: Date;
};

export type DevelopmentCertificates = {
  readonly directory: string;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Whether a server certificate was written. */
  readonly created: boolean;
  /** Whether a new CA was written too. Clients that trusted the old `ca.crt` must trust the new one. */
  readonly caCreated: boolean;
  /** Why the certificate was written, or until when the present one is valid. It continues a sentence. */
  readonly reason: string;
};

const defaultHosts = ['localhost', '127.0.0.1', '::1'];
const caName = 'regkeeper development authority';
const serverName = 'regkeeper development server';

const day = 24 * 60 * 60 * 1000;
const caLifetime = 5 * 365 * day;
/** Renewed after two thirds. The CA is renewed after two thirds too, and always has more than this left, so a leaf is never cut short. */
const serverLifetime = 365 * day;

/**
 * Ensures that the folder has a CA and a server certificate for development, and keeps those that are still valid. The CA's key is kept
 * with mode 0600, so clients that trust `ca.crt` also trust the next server certificate. A new certificate keeps the hosts of the previous
 * one.
 * @throws Error with one sentence when a host is invalid, when the folder cannot be written, or when files with these names were not
 * created by this function. In the last case nothing is changed.
 */
export async function ensureDevelopmentCertificates({ directory, hosts, now }: DevelopmentRequest): Promise<DevelopmentCertificates> {
  const files = filesIn(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const presentCa = await readPresentPair(files.ca);
  const presentServer = await readPresentPair(files.server);

  const ca = renewCa(presentCa, now);
  const server = renewServer(presentServer, { ca: ca.pair, hosts, now });
  if (ca.created) await writePair(files.ca, ca.pair);
  if (server.created) await writePair(files.server, server.pair);
  await Promise.all([chmod(files.ca.key, 0o600), chmod(files.server.key, 0o600)]);

  return {
    directory,
    caFile: files.ca.certificate,
    certificateFile: files.server.certificate,
    keyFile: files.server.key,
    created: server.created,
    caCreated: ca.created,
    reason: server.reason,
  };
}

type PairPaths = { readonly certificate: string; readonly key: string };

function filesIn(directory: string): { ca: PairPaths; server: PairPaths } {
  return {
    ca: { certificate: join(directory, 'ca.crt'), key: join(directory, 'ca.key') },
    server: { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') },
  };
}

/** What an earlier run left: a complete pair, or a problem that renewal fixes. */
type PresentPair = { readonly pair?: CertificatePair; readonly problem: string };

/** Rejects files that this function did not create. An interrupted run can leave a certificate without its key, never the reverse. */
async function readPresentPair(paths: PairPaths): Promise<PresentPair> {
  const certificate = await readIfPresent(paths.certificate);
  const key = await readIfPresent(paths.key);
  if (certificate === undefined && key === undefined) return { problem: 'it did not exist' };
  if (certificate === undefined) throw foreignFileError(paths.key, 'exists without its certificate');
  rejectForeignCertificate(paths.certificate, certificate);
  if (key === undefined) return { problem: 'its key was missing' };
  const privateKey = readPrivateKey(key);
  if (!privateKey.ok) throw foreignFileError(paths.key, privateKey.problem);
  const reading = readCertificatePair({ certificate, key });
  return reading.ok ? { pair: reading.pair, problem: '' } : { problem: reading.problem };
}

function rejectForeignCertificate(path: string, text: string): void {
  const reading = readCertificates(text);
  if (!reading.ok) throw foreignFileError(path, reading.problem);
  const [certificate] = reading.certificates;
  if (certificate.issuer !== `CN=${caName}`) throw foreignFileError(path, `was issued by "${certificate.issuer.replaceAll('\n', ', ')}"`);
}

function foreignFileError(path: string, what: string): Error {
  return new Error(`${path} ${what}, so it is not a development certificate of regkeeper. Move it elsewhere, or choose another directory`);
}

type Renewed = { readonly pair: CertificateWithKey; readonly created: boolean; readonly reason: string };

function renewCa(present: PresentPair, now: Date): Renewed {
  const check = checkPresent(present, now);
  if (check.keep !== undefined && new X509Certificate(check.keep.certificate).ca) {
    return { pair: check.keep, created: false, reason: check.reason };
  }
  const pair = issueCa({ commonName: caName, ...validityFrom(now, caLifetime) });
  return { pair, created: true, reason: check.reason };
}

type DesiredServer = { readonly ca: CertificateWithKey; readonly hosts: readonly string[]; readonly now: Date };

function renewServer(present: PresentPair, { ca, hosts, now }: DesiredServer): Renewed {
  const wanted = sortHosts([...defaultHosts, ...hosts]);
  const check = checkPresent(present, now, [...wanted.dnsNames, ...wanted.ipAddresses]);
  const orphaned = check.keep !== undefined && !isIssuedBy(check.keep.certificate, ca.certificate);
  if (check.keep !== undefined && !orphaned) return { pair: check.keep, created: false, reason: check.reason };
  const kept = present.pair === undefined ? [] : [...present.pair.dnsNames, ...present.pair.ipAddresses];
  const pair = issueServerCertificate({
    ca,
    commonName: serverName,
    ...sortHosts([...defaultHosts, ...hosts, ...kept]),
    ...validityFrom(now, serverLifetime),
  });
  return { pair, created: true, reason: orphaned ? 'its CA is new' : check.reason };
}

function checkPresent(present: PresentPair, now: Date, wanted: readonly string[] = []): { keep?: CertificatePair; reason: string } {
  if (present.pair === undefined) return { reason: present.problem };
  const renewal = checkRenewal(present.pair, now, wanted);
  if (renewal.renew) return { reason: renewal.reason };
  return { keep: present.pair, reason: `it is valid until ${present.pair.notAfter.toISOString()}` };
}

/** The certificate is written first, because the next run would reject a key alone as foreign. */
async function writePair(paths: PairPaths, pair: CertificateWithKey): Promise<void> {
  await writeWhole(paths.certificate, pair.certificate, 0o644);
  await writeWhole(paths.key, pair.key, 0o600);
}

/** Readers see the old text or the new one, never a part of it. */
async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(draft, 'wx', mode);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
