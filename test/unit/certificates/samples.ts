/** Sample CAs, certificates and mounted Secrets for tests. */
import { mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type CertificateWithKey, issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';

export const BEGIN = new Date('2026-03-01T00:00:00Z');
export const END = new Date('2036-03-01T00:00:00Z');

type Life = { notBefore?: Date; notAfter?: Date };

export function sampleCa({ notBefore = BEGIN, notAfter = END, commonName = 'sample authority' }: Life & { commonName?: string } = {}) {
  return issueCa({ commonName, notBefore, notAfter });
}

type Server = Life & { ca?: CertificateWithKey; dnsNames?: string[]; ipAddresses?: string[]; commonName?: string };

export function sampleServer({ ca = sampleCa(), notBefore = BEGIN, notAfter = END, ...names }: Server = {}): CertificateWithKey {
  return issueServerCertificate({
    ca,
    commonName: 'sample server',
    dnsNames: ['localhost'],
    ipAddresses: [],
    notBefore,
    notAfter,
    ...names,
  });
}

/** A folder that is removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-tls-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a Secret like the kubelet: a new hidden folder, and one rename of `..data` that makes all its keys current at once. */
export async function mountSecret(mount: string, contents: Readonly<Record<string, string>>): Promise<void> {
  const version = await mkdtemp(join(mount, '..version_'));
  for (const [name, text] of Object.entries(contents)) {
    await writeFile(join(version, name), text);
    if (!(await readdir(mount)).includes(name)) await symlink(join('..data', name), join(mount, name));
  }
  await symlink(version, join(mount, '..data_tmp'));
  await rename(join(mount, '..data_tmp'), join(mount, '..data'));
}
