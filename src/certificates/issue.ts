/** Issues CAs and server certificates. The only user of node-forge. */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import forge from 'node-forge';

/** A certificate in PEM, and its private key in PEM (PKCS#8, not encrypted). */
export type CertificateWithKey = { readonly certificate: string; readonly key: string };

export type CaRequest = {
  /** Cut to 64 characters, the limit of X.509. */
  readonly commonName: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
};

export type ServerCertificateRequest = CaRequest & {
  /** The CA that signs. Its key must be an EC key. */
  readonly ca: CertificateWithKey;
  /** Host names. A leading `*.` is allowed. */
  readonly dnsNames: readonly string[];
  /** IPv4 and IPv6 addresses without brackets. */
  readonly ipAddresses: readonly string[];
};

/**
 * Certificates begin this much in the past: the clock of an API server may lag behind, and so may that of a container or virtual machine
 * after the computer was suspended.
 */
export const clockToleranceMilliseconds = 60 * 60_000;

/** The validity of a certificate that is issued now and ends after the lifetime in milliseconds. */
export function validityFrom(now: Date, lifetime: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now.getTime() - clockToleranceMilliseconds), notAfter: new Date(now.getTime() + lifetime) };
}

/**
 * Issues a self-signed CA with a new EC P-256 key, which may sign server certificates only (path length 0).
 * @throws Error with one sentence for an invalid request: an empty name, or an end before the beginning
 */
export function issueCa(request: CaRequest): CertificateWithKey {
  const { publicKey, privateKey } = newKeyPair();
  const name = distinguishedName(request.commonName);
  const certificate = signCertificate({
    issuer: name,
    subject: name,
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    publicKey,
    signingKey: privateKey,
    extensions: [
      basicConstraints({ ca: true }),
      keyUsage('certificatesAndRevocations'),
      subjectKeyIdentifier(keyIdentifierOf(publicKey)),
      authorityKeyIdentifier(keyIdentifierOf(publicKey)),
    ],
  });
  return { certificate, key: pkcs8(privateKey) };
}

/**
 * Issues a server certificate with a new EC P-256 key. It never outlives its CA: `notAfter` is at most the CA's.
 * @throws Error with one sentence for a name that is neither host name nor address, for no names at all, and for a CA that cannot sign
 */
export function issueServerCertificate(request: ServerCertificateRequest): CertificateWithKey {
  const ca = readCa(request.ca);
  const { publicKey, privateKey } = newKeyPair();
  const certificate = signCertificate({
    issuer: ca.name,
    subject: distinguishedName(request.commonName),
    notBefore: request.notBefore,
    notAfter: earlier(request.notAfter, ca.notAfter),
    publicKey,
    signingKey: ca.key,
    extensions: [
      basicConstraints({ ca: false }),
      keyUsage('digitalSignature'),
      serverAuthentication(),
      subjectAlternativeNames(request.dnsNames, request.ipAddresses),
      subjectKeyIdentifier(keyIdentifierOf(publicKey)),
      authorityKeyIdentifier(ca.keyIdentifier),
    ],
  });
  return { certificate, key: pkcs8(privateKey) };
}

/** Sorts host names and addresses into the two lists of a certificate, each once. Brackets around IPv6 are removed. */
export function sortHosts(hosts: readonly string[]): { dnsNames: string[]; ipAddresses: string[] } {
  const bare = [...new Set(hosts.map((host) => canonicalHost(host.replace(/^\[(.*)\]$/, '$1'))))];
  return { dnsNames: bare.filter((host) => isIP(host) === 0), ipAddresses: bare.filter((host) => isIP(host) !== 0) };
}

function canonicalHost(host: string): string {
  return isIPv6(host) ? canonicalIPv6(host) : host.toLowerCase();
}

/** The URL parser writes every form of IPv6, including a dotted tail, as hexadecimal groups with at most one `::`. It rejects a zone. */
function canonicalIPv6(address: string): string {
  return address.includes('%') ? address : new URL(`http://[${address}]`).hostname.slice(1, -1);
}

type Asn1 = forge.asn1.Asn1;

type UnsignedCertificate = {
  readonly issuer: Asn1;
  readonly subject: Asn1;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: readonly Asn1[];
};

/** RFC 5280 section 4.1. forge has no ECDSA, so it only writes the structure. node:crypto signs the bytes. */
function signCertificate(unsigned: UnsignedCertificate): string {
  if (!(unsigned.notBefore < unsigned.notAfter)) {
    throw new Error(`a certificate must end after it begins, but this one is for ${day(unsigned.notBefore)} to ${day(unsigned.notAfter)}`);
  }
  const body = sequence(
    contextual(0, [integer('\x02')]), // X.509 version 3
    integer(randomSerial()),
    sequence(oid(oids.ecdsaWithSha256)),
    unsigned.issuer,
    sequence(time(unsigned.notBefore), time(unsigned.notAfter)),
    unsigned.subject,
    forge.asn1.fromDer(spki(unsigned.publicKey)),
    contextual(3, [sequence(...unsigned.extensions)]),
  );
  const signature = sign('sha256', der(body), unsigned.signingKey);
  const whole = sequence(body, sequence(oid(oids.ecdsaWithSha256)), bitString(0, signature.toString('latin1')));
  return new X509Certificate(der(whole)).toString();
}

type SigningCa = { readonly name: Asn1; readonly keyIdentifier: string; readonly notAfter: Date; readonly key: KeyObject };

function readCa(ca: CertificateWithKey): SigningCa {
  const certificate = new X509Certificate(ca.certificate);
  const key = createPrivateKey(ca.key);
  if (!certificate.ca) throw new Error(`the certificate of "${certificate.subject}" is not a CA certificate`);
  if (key.asymmetricKeyType !== 'ec') throw new Error(`the CA key is ${key.asymmetricKeyType}, but only EC keys are supported`);
  if (!certificate.checkPrivateKey(key)) throw new Error('the CA certificate does not match the CA key');
  return { ...namesInside(certificate), notAfter: certificate.validToDate, key };
}

/**
 * The subject and key identifier of the CA, byte for byte. Verifiers compare the issuer byte by byte, and find the signer by the
 * identifier in its certificate, however that was computed.
 */
function namesInside(certificate: X509Certificate): { name: Asn1; keyIdentifier: string } {
  const fields = childrenOf(childrenOf(forge.asn1.fromDer(certificate.raw.toString('latin1')))[0]);
  const name = fields[5];
  const extensions = childrenOf(childrenOf(fields.find((field) => field.tagClass === contextSpecific && Number(field.type) === 3))[0]);
  const extensionFields = extensions.map(childrenOf).find(([id]) => id?.value === oid(oids.subjectKeyIdentifier).value);
  const octets = extensionFields?.at(-1)?.value;
  if (name === undefined || typeof octets !== 'string') throw new Error('the CA certificate has no subject key identifier');
  const identifier = forge.asn1.fromDer(octets).value;
  if (typeof identifier !== 'string') throw new Error('the CA certificate has an invalid subject key identifier');
  return { name, keyIdentifier: identifier };
}

function childrenOf(node: Asn1 | undefined): Asn1[] {
  return Array.isArray(node?.value) ? node.value : [];
}

function newKeyPair(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function spki(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('latin1');
}

/** 20 octets of SHA-256 over the public key (RFC 7093), which also works with a FIPS build of OpenSSL without SHA-1. */
function keyIdentifierOf(publicKey: KeyObject): string {
  return createHash('sha256').update(spki(publicKey), 'latin1').digest().subarray(0, 20).toString('latin1');
}

/**
 * 16 random octets. RFC 5280 requires a positive number of at most 20 octets. The fixed top bits keep it positive and without leading
 * zeros.
 */
function randomSerial(): string {
  const octets = randomBytes(16);
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return octets.toString('latin1');
}

/**
 * The upper bound of a common name in X.520 (`ub-common-name`), which strict verifiers enforce. The names that matter are in the
 * subjectAltName extension.
 */
const longestCommonName = 64;

function distinguishedName(commonName: string): Asn1 {
  const text = [...commonName].slice(0, longestCommonName).join('');
  if (text.trim() === '') throw new Error('a certificate needs a common name');
  const utf8 = primitive(forge.asn1.Type.UTF8, Buffer.from(text, 'utf8').toString('latin1'));
  return sequence(forge.asn1.create(universal, forge.asn1.Type.SET, true, [sequence(oid(oids.commonName), utf8)]));
}

const firstGeneralizedYear = 2050;

/** RFC 5280 section 4.1.2.5: two-digit years through 2049, four digits from 2050. */
function time(date: Date): Asn1 {
  return date.getUTCFullYear() < firstGeneralizedYear
    ? primitive(forge.asn1.Type.UTCTIME, forge.asn1.dateToUtcTime(date))
    : primitive(forge.asn1.Type.GENERALIZEDTIME, forge.asn1.dateToGeneralizedTime(date));
}

function basicConstraints({ ca }: { ca: boolean }): Asn1 {
  const yes = primitive(forge.asn1.Type.BOOLEAN, '\xff');
  // Path length 0: this CA signs server certificates, never another CA.
  return extension(oids.basicConstraints, 'critical', ca ? sequence(yes, integer('\x00')) : sequence());
}

function keyUsage(purpose: 'certificatesAndRevocations' | 'digitalSignature'): Asn1 {
  // Bit 0 is digitalSignature, bit 5 keyCertSign, bit 6 cRLSign, counted from the left. DER omits unused bits.
  const bits = purpose === 'digitalSignature' ? bitString(7, '\x80') : bitString(1, '\x06');
  return extension(oids.keyUsage, 'critical', bits);
}

function serverAuthentication(): Asn1 {
  return extension(oids.extendedKeyUsage, 'optional', sequence(oid(oids.serverAuthentication)));
}

function subjectKeyIdentifier(identifier: string): Asn1 {
  return extension(oids.subjectKeyIdentifier, 'optional', primitive(forge.asn1.Type.OCTETSTRING, identifier));
}

function authorityKeyIdentifier(identifier: string): Asn1 {
  return extension(oids.authorityKeyIdentifier, 'optional', sequence(contextual(0, identifier)));
}

const dnsNameTag = 2;
const ipAddressTag = 7;

function subjectAlternativeNames(dnsNames: readonly string[], ipAddresses: readonly string[]): Asn1 {
  const names = [
    ...dnsNames.map((name) => contextual(dnsNameTag, checkedHostName(name))),
    ...ipAddresses.map((address) => contextual(ipAddressTag, addressOctets(address))),
  ];
  if (names.length === 0) throw new Error('a server certificate needs at least one host name or address');
  return extension(oids.subjectAlternativeName, 'optional', sequence(...names));
}

const hostLabel = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

function checkedHostName(name: string): string {
  const labels = name.replace(/^\*\./, '').split('.');
  if (name.length <= 253 && labels.every((label) => hostLabel.test(label))) return name;
  const ascii = domainToASCII(name);
  const hint = ascii !== '' && ascii !== name && ascii.includes('xn--') ? ` (use ${ascii})` : '';
  throw new Error(`${JSON.stringify(name)} is not a host name${hint}`);
}

function addressOctets(address: string): string {
  if (isIP(address) === 0 || address.includes('%')) throw new Error(`${JSON.stringify(address)} is not an IP address`);
  if (isIPv4(address)) return String.fromCharCode(...address.split('.').map(Number));
  const [head = '', tail = ''] = canonicalIPv6(address).split('::');
  const before = groups(head);
  const after = groups(tail);
  const zeros = Array<number>(8 - before.length - after.length).fill(0);
  return String.fromCharCode(...[...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]));
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

function extension(id: string, weight: 'critical' | 'optional', value: Asn1): Asn1 {
  const critical = weight === 'critical' ? [primitive(forge.asn1.Type.BOOLEAN, '\xff')] : [];
  return sequence(oid(id), ...critical, primitive(forge.asn1.Type.OCTETSTRING, forge.asn1.toDer(value).getBytes()));
}

const oids = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
};

// forge represents octets as strings with one character per octet (`latin1` in Buffer's terms).

const universal = forge.asn1.Class.UNIVERSAL;
const contextSpecific = forge.asn1.Class.CONTEXT_SPECIFIC;

function sequence(...children: Asn1[]): Asn1 {
  return forge.asn1.create(universal, forge.asn1.Type.SEQUENCE, true, children);
}

function contextual(tag: number, value: string | Asn1[]): Asn1 {
  return forge.asn1.create(contextSpecific, tag, Array.isArray(value), value);
}

function primitive(type: forge.asn1.Type, octets: string): Asn1 {
  return forge.asn1.create(universal, type, false, octets);
}

function integer(octets: string): Asn1 {
  return primitive(forge.asn1.Type.INTEGER, octets);
}

function bitString(unusedBits: number, octets: string): Asn1 {
  return primitive(forge.asn1.Type.BITSTRING, String.fromCharCode(unusedBits) + octets);
}

function oid(dotted: string): Asn1 {
  return primitive(forge.asn1.Type.OID, forge.asn1.oidToDer(dotted).getBytes());
}

function der(node: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), 'latin1');
}

function earlier(one: Date, other: Date): Date {
  return one < other ? one : other;
}

function day(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'an invalid date' : date.toISOString();
}
