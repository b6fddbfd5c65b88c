/** Client CAs and client certificates as an administrator makes them, with openssl. regkeeper itself issues none. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CertificateWithKey } from '../../../src/certificates/issue.ts';

export type ClientCertificateOptions = {
  readonly commonName?: string;
  /** `extendedKeyUsage`. */
  readonly usage?: 'clientAuth' | 'serverAuth';
};

/** Signed by itself, or by another CA. */
export async function makeClientCa(commonName = 'webhook clients', signer?: CertificateWithKey): Promise<CertificateWithKey> {
  return await openssl(['-subj', `/CN=${commonName}`, '-addext', 'basicConstraints=critical,CA:TRUE', '-days', '365'], signer);
}

export async function makeClientCertificate(
  ca: CertificateWithKey,
  { commonName = 'kube-apiserver', usage = 'clientAuth' }: ClientCertificateOptions = {},
): Promise<CertificateWithKey> {
  const extensions = ['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', `extendedKeyUsage=${usage}`];
  return await openssl(['-subj', `/CN=${commonName}`, ...extensions, '-days', '30'], ca);
}

async function openssl(options: readonly string[], ca?: CertificateWithKey): Promise<CertificateWithKey> {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-client-'));
  const at = (name: string) => join(folder, name);
  try {
    const signer = ca ? ['-CA', at('ca.crt'), '-CAkey', at('ca.key')] : [];
    if (ca) await Promise.all([writeFile(at('ca.crt'), ca.certificate), writeFile(at('ca.key'), ca.key)]);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', at('tls.key'), '-out', at('tls.crt')];
    await promisify(execFile)('openssl', ['req', '-x509', ...key, ...signer, ...options]);
    return { certificate: await readFile(at('tls.crt'), 'utf8'), key: await readFile(at('tls.key'), 'utf8') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
