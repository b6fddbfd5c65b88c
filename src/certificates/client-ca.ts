/** The CA of client certificates, from a file that is followed. API servers authenticate with certificates that it has signed. */
import type { Clock } from '../time/clock.ts';
import { isTrusted, readCertificates } from './inspect.ts';
import { type FilesReading, followFiles, readText, UnreadableFile } from './sources/follow-files.ts';

export type WatchedClientCa = {
  /** PEM of the certificates in force. Never empty. */
  current(): string;
  /** Whether one of them has signed the certificate (PEM). Validity and purpose are checked in the TLS handshake. */
  hasSigned(certificate: string): boolean;
  close(): void;
};

export type ClientCaFile = {
  readonly file: string;
  /** Called with each new version. */
  readonly onChange: () => void;
  /** Called with a sentence when the file becomes unusable and the previous version is kept. */
  readonly onProblem: (problem: string) => void;
  readonly pollMilliseconds?: number;
  readonly clock?: Pick<Clock, 'schedule'>;
};

/** @throws Error that names the file and the remedy if it is unusable at the start */
export async function watchClientCa({ file, onChange, ...options }: ClientCaFile): Promise<WatchedClientCa> {
  const first = await readCa(file);
  if (!first.ok) throw new Error(first.problem);
  let current = first.value;
  const following = followFiles({
    paths: [file],
    read: () => readCa(file),
    onRead(ca) {
      if (ca === current) return;
      current = ca;
      onChange();
    },
    kept: 'The previous client CA',
    ...options,
  });
  return { current: () => current, hasSigned: (certificate) => isTrusted(certificate, current), close: following.close };
}

async function readCa(file: string): Promise<FilesReading<string>> {
  try {
    const text = await readText('client CA', file);
    const reading = readCertificates(text);
    if (!reading.ok) return { ok: false, problem: `client CA file ${file} ${reading.problem}. It must contain PEM certificates` };
    // A leaf in this file would be pinned by some checks and rejected by others.
    const number = reading.certificates.findIndex(({ ca }) => !ca) + 1;
    if (number === 0) return { ok: true, value: text };
    return {
      ok: false,
      problem: `client CA file ${file}: certificate ${number} is not a CA. Use the CA that signed the client certificates`,
    };
  } catch (error) {
    if (error instanceof UnreadableFile) return { ok: false, problem: error.message };
    throw error;
  }
}
