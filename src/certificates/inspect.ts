/** Reads PEM certificates and keys: whether they belong together, which names they cover, and whether a CA bundle trusts them. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { errorMessage } from '../errors/error-message.ts';
import type { CertificateWithKey } from './issue.ts';

/** A certificate (the leaf first, then any intermediates) with its matching key, and the dates and names of the leaf. */
export type CertificatePair = CertificateWithKey & {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Host names of the subjectAltName extension, as written there. */
  readonly dnsNames: readonly string[];
  /** Addresses of the subjectAltName extension, as OpenSSL spells them. */
  readonly ipAddresses: readonly string[];
};

export type CertificatePairResult = { readonly ok: true; readonly pair: CertificatePair } | CertificatePairProblem;

export type CertificatePairProblem = {
  readonly ok: false;
  /** The part with the problem. `pair` when both are valid but do not belong together. */
  readonly part: 'certificate' | 'key' | 'pair';
  /** One sentence without a full stop, beginning with the label of that part. */
  readonly problem: string;
};

/** What messages call the certificate and the key. A file name or a key of a Secret is more helpful than the default. */
export type CertificatePairLabels = CertificateWithKey;

const defaultLabels: CertificatePairLabels = { certificate: 'the certificate', key: 'the key' };

/**
 * Reads PEM texts that together serve TLS. It ignores the validity period on purpose. A server whose certificate has expired must still
 * start, answer its health checks and wait for the new one. `checkRenewal` and `explainInvalidity` check the dates.
 */
export function readCertificatePair(
  { certificate, key }: CertificateWithKey,
  names: CertificatePairLabels = defaultLabels,
): CertificatePairResult {
  const chain = readCertificates(certificate);
  if (!chain.ok) return { ok: false, part: 'certificate', problem: `${names.certificate} ${chain.problem}` };
  const privateKey = readPrivateKey(key);
  if (!privateKey.ok) return { ok: false, part: 'key', problem: `${names.key} ${privateKey.problem}` };
  const [leaf] = chain.certificates;
  if (!leaf.checkPrivateKey(privateKey.key))
    return { ok: false, part: 'pair', problem: `${names.certificate} does not match ${names.key}` };
  const opensslError = findOpensslError(certificate, key);
  if (opensslError !== undefined) return { ok: false, part: 'pair', problem: `${names.certificate} cannot serve TLS: ${opensslError}` };
  return {
    ok: true,
    pair: { certificate, key, notBefore: leaf.validFromDate, notAfter: leaf.validToDate, ...alternativeNames(leaf.subjectAltName ?? '') },
  };
}

/** The host names and IP addresses that the PEM certificate does not cover. */
export function missingNames(certificate: string, wantedNames: readonly string[]): string[] {
  const leaf = new X509Certificate(certificate);
  return wantedNames.filter((name) => !covers(leaf, name));
}

/** Whether the key of `ca` signed `certificate`. Both are PEM. */
export function isIssuedBy(certificate: string, ca: string): boolean {
  return hasIssued(new X509Certificate(ca), new X509Certificate(certificate));
}

/** Whether a client with this CA bundle (PEM) accepts the chain (PEM, the leaf first). */
export function isTrusted(chain: string, caBundle: string): boolean {
  const chainReading = readCertificates(chain);
  const bundleReading = readCertificates(caBundle);
  if (!chainReading.ok || !bundleReading.ok) return false;
  const isKnown = (certificate: X509Certificate) =>
    bundleReading.certificates.some((ca) => ca.fingerprint256 === certificate.fingerprint256 || hasIssued(ca, certificate));
  const [leaf, ...intermediates] = chainReading.certificates;
  // At most one step per certificate, so that a chain with a cycle ends.
  let link = leaf;
  for (const _ of chainReading.certificates) {
    if (isKnown(link)) return true;
    const current = link;
    const issuer = intermediates.find((each) => each !== current && hasIssued(each, current));
    if (issuer === undefined) return false;
    link = issuer;
  }
  return false;
}

/** The first PEM text unchanged, followed by the CAs of the second that it lacks, each once. */
export function joinCaBundles(first: string, second = ''): string {
  const [ours, others] = [readCertificates(first), readCertificates(second)];
  if (!ours.ok || !others.ok) return first;
  const known = new Set(ours.certificates.map(String));
  const added = [...new Set(others.certificates.map(String))].filter((ca) => !known.has(ca));
  return added.length === 0 || first.endsWith('\n') ? first + added.join('') : `${first}\n${added.join('')}`;
}

function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** `problem` continues a sentence that begins with the label of the text, such as `is empty`. */
type Certificates = { ok: true; certificates: [X509Certificate, ...X509Certificate[]] } | { ok: false; problem: string };

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Reads every certificate of a PEM text. Text around the blocks is allowed, because openssl writes it. */
export function readCertificates(text: string): Certificates {
  const certificates: X509Certificate[] = [];
  for (const block of text.match(certificateBlock) ?? []) {
    try {
      certificates.push(new X509Certificate(block));
    } catch {
      return { ok: false, problem: `contains an invalid certificate (number ${certificates.length + 1})` };
    }
  }
  const [first, ...rest] = certificates;
  if (first !== undefined) return { ok: true, certificates: [first, ...rest] };
  if (text.trim() === '') return { ok: false, problem: 'is empty' };
  return {
    ok: false,
    problem: text.includes('PRIVATE KEY-----') ? 'contains a private key instead of a certificate' : 'is not a PEM certificate',
  };
}

type PrivateKey = { ok: true; key: KeyObject } | { ok: false; problem: string };

/** The headers of PKCS#8 and of OpenSSL's older format. */
const encryptedKey = /^(-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED)/m;

/** Reads a PEM private key without a passphrase. */
export function readPrivateKey(text: string): PrivateKey {
  if (text.trim() === '') return { ok: false, problem: 'is empty' };
  if (!text.includes('PRIVATE KEY-----')) {
    return {
      ok: false,
      problem: text.includes('-----BEGIN CERTIFICATE-----')
        ? 'contains a certificate instead of a private key'
        : 'is not a PEM private key',
    };
  }
  if (encryptedKey.test(text)) return { ok: false, problem: 'is encrypted, but must not have a passphrase' };
  try {
    return { ok: true, key: createPrivateKey(text) };
  } catch {
    return { ok: false, problem: 'contains an invalid private key' };
  }
}

/** OpenSSL's own limits, for instance on RSA keys too short for its security level. They apply only when the pair is used. */
function findOpensslError(certificate: string, key: string): string | undefined {
  try {
    createSecureContext({ cert: certificate, key });
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

/** Node prints `DNS:a.example, IP Address:127.0.0.1`. A value with a comma or another special character is printed as a JSON string. */
const printedName = /(DNS|IP Address|[^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g;

function alternativeNames(printed: string): { dnsNames: string[]; ipAddresses: string[] } {
  const names = [...printed.matchAll(printedName)].map(([, kind, value = '']) => ({
    kind,
    value: value.startsWith('"') ? unquoted(value) : value,
  }));
  const ofKind = (wanted: string) => names.filter(({ kind }) => kind === wanted).map(({ value }) => value);
  return { dnsNames: ofKind('DNS'), ipAddresses: ofKind('IP Address') };
}

function unquoted(value: string): string {
  return String(JSON.parse(value));
}

function covers(leaf: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return leaf.checkIP(name) !== undefined;
  // A wanted name may be a wildcard, which no host check matches. Common names do not count, because Go and browsers ignore them.
  const hostName = name.startsWith('*.') ? alternativeNames(leaf.subjectAltName ?? '').dnsNames.find((dnsName) => dnsName === name) : name;
  return hostName !== undefined && (hostName.startsWith('*.') || leaf.checkHost(hostName, { subject: 'never' }) !== undefined);
}
