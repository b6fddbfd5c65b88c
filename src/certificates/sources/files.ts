/** A certificate in mounted files, for instance from cert-manager or OpenShift's service CA, which is reloaded when the files change. */
import type { Clock } from '../../time/clock.ts';
import { type CertificatePairProblem, isTrusted, missingNames, readCertificatePair, readCertificates } from '../inspect.ts';
import { type CertificateSource, createCertificateSource, type ServerCertificate } from '../source.ts';
import { anyOf } from '../wording.ts';
import { type FilesReading, followFiles, readText, UnreadableFile } from './follow-files.ts';

export type CertificateFiles = {
  /** Path of the PEM certificate chain, leaf first. */
  readonly certificate: string;
  /** Path of the PEM private key. */
  readonly key: string;
  /** Path of the PEM CA bundle with which clients verify. Read together with the pair. */
  readonly caBundle?: string;
  /** Host names that clients use. A certificate that lacks one of them is rejected like an incomplete pair. */
  readonly names?: readonly string[];
};

export type WatchedFiles = CertificateFiles & {
  /**
   * Called with a sentence when the files become unusable and the previous pair is kept: once per distinct problem, until they are usable
   * again.
   */
  readonly onProblem: (problem: string) => void;
  /** How often the files, which are small, are read even without a change event. 10 s by default. */
  readonly pollMilliseconds?: number;
  readonly clock?: Pick<Clock, 'schedule'>;
};

/**
 * Serves a certificate from files and follows their changes. Later a missing, incomplete or damaged pair is reported, and the present one
 * is kept.
 * @throws Error that names the file and the remedy when the pair is unusable at the start
 */
export async function watchCertificateFiles(options: WatchedFiles): Promise<CertificateSource> {
  const first = await readFiles(options);
  if (!first.ok) throw new Error(first.problem);
  const holder = createCertificateSource(first.value);
  const following = followFiles({
    paths: pathsOf(options),
    read: () => readFiles(options),
    onRead(next) {
      if (!isSame(next, holder.current())) holder.replace(next);
    },
    kept: 'The previous certificate',
    onProblem: options.onProblem,
    pollMilliseconds: options.pollMilliseconds,
    clock: options.clock,
  });
  return {
    current: holder.current,
    onChange: holder.onChange,
    close() {
      following.close();
      holder.close();
    },
  };
}

async function readFiles(paths: CertificateFiles): Promise<FilesReading<ServerCertificate>> {
  try {
    // Read at the same time, since they are replaced together. If several cannot be read, the first of this list is reported.
    const reads = [
      readText('certificate', paths.certificate),
      readText('key', paths.key),
      paths.caBundle === undefined ? undefined : readText('CA', paths.caBundle),
    ] as const;
    await Promise.allSettled(reads);
    const [certificate, key, caBundle] = [await reads[0], await reads[1], await reads[2]];
    const reading = readCertificatePair(
      { certificate, key },
      { certificate: `certificate file ${paths.certificate}`, key: `key file ${paths.key}` },
    );
    if (!reading.ok) return { ok: false, problem: `${reading.problem}. ${remedies[reading.part]}` };
    const missing = missingNames(certificate, paths.names ?? []);
    if (missing.length > 0) {
      const names = anyOf(missing);
      return {
        ok: false,
        problem: `certificate file ${paths.certificate} is not valid for ${names}, which the API server uses. Request a certificate for this name`,
      };
    }
    const pair = { certificate, key, notAfter: reading.pair.notAfter };
    if (caBundle === undefined) return { ok: true, value: pair };
    const bundle = readCertificates(caBundle);
    if (!bundle.ok) return { ok: false, problem: `CA file ${paths.caBundle} ${bundle.problem}. It must contain PEM certificates` };
    // Otherwise the two files have different versions, or no client with this bundle would accept the certificate.
    if (!isTrusted(certificate, caBundle)) {
      return {
        ok: false,
        problem: `certificate file ${paths.certificate} is not signed by a CA in ${paths.caBundle}. Use the CA that issued it, and include all intermediate certificates in the certificate file`,
      };
    }
    return { ok: true, value: { ...pair, caBundle } };
  } catch (error) {
    if (error instanceof UnreadableFile) return { ok: false, problem: error.message };
    throw error;
  }
}

const remedies: Record<CertificatePairProblem['part'], string> = {
  certificate: 'It must contain the PEM certificate chain of the server, leaf first',
  key: 'It must contain the PEM private key of the certificate',
  pair: 'Use the certificate and the key that were issued together',
};

function isSame(one: ServerCertificate, other: ServerCertificate): boolean {
  return one.certificate === other.certificate && one.key === other.key && one.caBundle === other.caBundle;
}

function pathsOf({ certificate, key, caBundle }: CertificateFiles): readonly string[] {
  return caBundle === undefined ? [certificate, key] : [certificate, key, caBundle];
}
