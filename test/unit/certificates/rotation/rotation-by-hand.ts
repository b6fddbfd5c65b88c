/** Authorities and certificates that follow one another as a replica would make them, in hundredths of a second instead of months. */
import { X509Certificate } from 'node:crypto';
import { type CertificateWithKey, issueCa, issueServerCertificate } from '../../../../src/certificates/issue.ts';

/** What the Secret holds. */
export type Rotation = {
  /** Signs server certificates. */
  readonly ca: CertificateWithKey;
  /** Signs them when clients have had time to trust it. */
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

/** A next authority is told to clients, and signs nothing yet. The one before the present one is forgotten: nobody shows anything of it any more. */
export function announceNext({ ca, leaf }: Rotation): Rotation & { readonly next: CertificateWithKey } {
  const next = newCa();
  return { ca, leaf, next, trusted: [ca.certificate, next.certificate] };
}

/** The next authority takes over; who has not heard of it yet still shows a certificate of the one before, which stays trusted. */
export function takeOver({ ca, next }: Rotation & { readonly next: CertificateWithKey }): Rotation {
  return { ca: next, leaf: newLeaf(next), trusted: [next.certificate, ca.certificate] };
}

/** The authority before is not trusted any more. */
export function forgetOld({ ca, leaf }: Rotation): Rotation {
  return { ca, leaf, trusted: [ca.certificate] };
}

export function withNewLeaf(rotation: Rotation): Rotation {
  return { ...rotation, leaf: newLeaf(rotation.ca) };
}

/** As `data` of the Secret. */
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
