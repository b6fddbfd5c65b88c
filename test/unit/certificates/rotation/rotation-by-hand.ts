/** The steps of a CA rotation, like a replica makes them, but in hundredths of a second instead of months. */
import { X509Certificate } from 'node:crypto';
import { type CertificateWithKey, issueCa, issueServerCertificate } from '../../../../src/certificates/issue.ts';

/** The contents of the Secret. */
export type Rotation = {
  /** The CA that signs server certificates. */
  readonly ca: CertificateWithKey;
  /** The CA that will sign them once clients have had time to trust it. */
  readonly next?: CertificateWithKey;
  readonly trusted: readonly string[];
  readonly leaf: CertificateWithKey;
};

const hour = 3_600_000;
const life = () => ({ notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + 1_000 * hour) });
const names = ['regkeeper.regkeeper.svc', 'regkeeper.regkeeper.svc.cluster.local', 'regkeeper.regkeeper', 'regkeeper'];

export function newCertificates(): Rotation {
  const ca = newCa();
  return { ca, trusted: [ca.certificate], leaf: newLeaf(ca) };
}

/** Publishes the next CA, which signs nothing yet. The previous CA is dropped, because no server uses its certificates any more. */
export function announceNext({ ca, leaf }: Rotation): Rotation & { readonly next: CertificateWithKey } {
  const next = newCa();
  return { ca, leaf, next, trusted: [ca.certificate, next.certificate] };
}

/** The next CA signs from now on. A server that has not noticed yet serves a certificate of the previous CA, which stays trusted. */
export function takeOver({ ca, next }: Rotation & { readonly next: CertificateWithKey }): Rotation {
  return { ca: next, leaf: newLeaf(next), trusted: [next.certificate, ca.certificate] };
}

/** The previous CA is not trusted any more. */
export function forgetOld({ ca, leaf }: Rotation): Rotation {
  return { ca, leaf, trusted: [ca.certificate] };
}

export function withNewLeaf(rotation: Rotation): Rotation {
  return { ...rotation, leaf: newLeaf(rotation.ca) };
}

/** The `data` of the Secret. */
export function secretData({ ca, next, trusted, leaf }: Rotation): Record<string, string> {
  const texts = {
    'tls.crt': leaf.certificate,
    'tls.key': leaf.key,
    'ca.crt': trusted.map((each) => new X509Certificate(each).toString()).join(''),
    'ca.key': ca.key,
    ...(next && { 'next-ca.key': next.key }),
  };
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
}

function newCa(): CertificateWithKey {
  return issueCa({ commonName: 'rotation', ...life() });
}

function newLeaf(ca: CertificateWithKey): CertificateWithKey {
  return issueServerCertificate({ ca, commonName: 'regkeeper', dnsNames: names, ipAddresses: [], ...life() });
}
