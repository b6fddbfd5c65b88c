import type { TrustedAuthorities } from '../tls/hold.ts';
import { readCertificates } from '../tls/inspect.ts';
import type { ApiClient, Log } from './api.ts';
import { type ReflectorTimings, watchCollection } from './reflector.ts';
import { callsUs, configurationPaths, type LiveConfiguration, ourName } from './registration.ts';

export type PublishedOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  readonly watchTimings?: Partial<ReflectorTimings> | undefined;
};

/** The authorities by which the API server verifies us in every entry of both webhook configurations, as they are there now. */
export function watchPublished({ client, log, watchTimings: timings }: PublishedOptions): TrustedAuthorities & { close(): Promise<void> } {
  const listeners = new Set<() => void>();
  const watches = configurationPaths.map((path) =>
    watchCollection<LiveConfiguration>({
      client,
      path,
      fieldSelector: `metadata.name=${ourName}`,
      log,
      onChange: () => listeners.forEach((listener) => void listener()),
      timings,
    }),
  );
  return {
    current() {
      if (!watches.every(({ synced }) => synced)) return undefined;
      const bundles = new Set(watches.flatMap((watch) => caBundles(watch.get(undefined, ourName))));
      return inEach([...bundles]);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      await Promise.all(watches.map((watch) => watch.close()));
    },
  };
}

function caBundles(live: LiveConfiguration | undefined): string[] {
  const entries = (live?.webhooks ?? []).filter(callsUs);
  return entries.map(({ clientConfig }) => Buffer.from((clientConfig as { caBundle?: string }).caBundle ?? '', 'base64').toString());
}

/** What no bundle lacks: the two configurations are written one after the other. */
function inEach([first, ...others]: readonly string[]): string {
  if (first === undefined) return '';
  const fingerprints = others.map((bundle) => new Set(certificatesOf(bundle).map(({ fingerprint256 }) => fingerprint256)));
  return certificatesOf(first)
    .filter(({ fingerprint256 }) => fingerprints.every((known) => known.has(fingerprint256)))
    .join('');
}

function certificatesOf(bundle: string) {
  const reading = readCertificates(bundle);
  return reading.ok ? reading.certificates : [];
}
