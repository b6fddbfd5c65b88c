/** The contract of a certificate source, and the part that every source shares. */
/** A certificate for a TLS server: PEM texts, ready for `https.createServer` and `server.setSecureContext`. */
export type ServerCertificate = {
  /** The leaf first, then any intermediates. */
  readonly certificate: string;
  readonly key: string;
  /** PEM of the CAs with which clients should verify `certificate` (a webhook configuration's `caBundle`), where the source knows them. */
  readonly caBundle?: string;
  /** The end of the leaf's validity, where the source knows it. */
  readonly notAfter?: Date;
};

/** The certificate to serve, and its changes. */
export type CurrentCertificate = {
  /** The certificate in force. Always a complete pair. */
  current(): ServerCertificate;
  /** Calls `listener` with each new certificate from now on. Returns a function that removes the listener. */
  onChange(listener: (certificate: ServerCertificate) => void): () => void;
  /** For a shared certificate: checks whether it is still the one in force. Rejects where that is unknown. */
  refresh?(): Promise<void>;
};

/** Where the server's certificate comes from: files, a Secret, or a test. */
export type CertificateSource = CurrentCertificate & {
  /** Stops watching. Resolves when nothing runs any more. `current` still answers. */
  close(): Promise<void> | void;
};

/** A source whose certificate is set by `replace`. The other sources are built on it, and tests use it directly. */
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
