/** What a TLS server needs to show: PEM texts, ready for `https.createServer` and `server.setSecureContext`. */
export type ServerCertificate = {
  /** The leaf first, then any intermediates. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the authorities by which clients shall verify `certificate` (a webhook configuration's `caBundle`), where the source knows them. */
  readonly caBundle?: string;
  /** End of the leaf's life, where the source knows it. */
  readonly notAfter?: Date;
};

/** The certificate that is served, as it changes. */
export type CurrentCertificate = {
  /** The certificate in force; always a complete pair. */
  current(): ServerCertificate;
  /** Calls `listener` with each new certificate from now on; returns what takes the listener away. */
  onChange(listener: (certificate: ServerCertificate) => void): () => void;
  /** Where the certificate is shared: looks whether it is still the one in force. Rejects when that cannot be known. */
  refresh?(): Promise<void>;
};

/** Where the server's certificate comes from: files, a Secret of our own, a test. */
export type CertificateSource = CurrentCertificate & {
  /** Ends all watching; resolves when nothing runs any more. `current` keeps answering. */
  close(): Promise<void> | void;
};

/** A source whose certificate is replaced by hand: the part that every implementation shares, and enough for a test. */
export function createCertificateSource(initial: ServerCertificate): CertificateSource & { replace(next: ServerCertificate): void } {
  const listeners = new Set<(certificate: ServerCertificate) => void>();
  let current = initial;
  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    replace(next) {
      current = next;
      for (const listener of [...listeners]) listener(next);
    },
    close: () => listeners.clear(),
  };
}
