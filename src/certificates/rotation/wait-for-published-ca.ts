import { type Clock, systemClock } from '../../time/clock.ts';
import { isTrusted, joinCaBundles } from '../inspect.ts';
import { type CertificateSource, createCertificateSource, type ServerCertificate } from '../source.ts';
import { explainInvalidity } from '../validity.ts';

/** By which authorities clients verify us at present. */
export type PublishedCas = {
  /** The PEM of each client, who all need to take what is shown; none where nobody calls us yet, undefined while that is not known. */
  current(): readonly string[] | undefined;
  /** Returns what takes the listener away. */
  onChange(listener: () => void): () => void;
};

export type WaitForPublishedCaOptions = {
  readonly trusted: PublishedCas;
  /** Epoch milliseconds, as for {@link explainInvalidity}. */
  readonly clocks: () => readonly number[];
  readonly clock?: Pick<Clock, 'schedule'> | undefined;
  /** Hears a sentence when a certificate is held back, and when it goes into service. */
  readonly onProgress: (message: string) => void;
};

/** Each API server watches the configurations as we do; well within this time it knows what we see. */
const SETTLING = 10_000;
const RECONCILE_INTERVAL = 60_000;
/** For who has just started. Without the right to see what clients trust that is never known. */
const MAX_WAIT_FOR_BUNDLES = 20_000;

/**
 * The source, but a certificate of an authority that clients do not know yet is held back: the one before stays in service, and
 * `current().authorities` has the authorities of both, for whoever publishes them. Nothing is held back where nobody calls us, nor where
 * the certificate in service is no good either. Closes the source with itself.
 */
export function waitForPublishedCa(
  source: CertificateSource,
  { trusted, clocks, clock: { schedule } = systemClock, onProgress }: WaitForPublishedCaOptions,
): CertificateSource {
  const exposed = createCertificateSource(source.current());
  /** Of the certificate in service. */
  let { caBundle: servedCaBundle } = source.current();
  let waiting: ServerCertificate | undefined;
  let cancelReconcile = () => {};
  /** Clients have known the authority of what waits for `SETTLING`, unless this is undefined or taken back. */
  let settling: { settled: boolean; cancel: () => void } | undefined;

  function reconcile(): void {
    const next = source.current();
    cancelReconcile();
    if (isSamePair(next, exposed.current()) || mayServe(next)) serve(next);
    else keepPrevious(next);
  }

  function mayServe(next: ServerCertificate): boolean {
    const before = exposed.current();
    if (explainInvalidity(before.certificate, clocks()) !== undefined) return true;
    const clients = trusted.current();
    if (clients === undefined) return false;
    if (!clients.some((caBundle) => isTrusted(before.certificate, caBundle))) return true;
    if (!isTrustedByAll(next, clients)) return false;
    return waiting === undefined || (isSamePair(next, waiting) && settling?.settled === true);
  }

  function serve(next: ServerCertificate): void {
    if (waiting !== undefined) onProgress('the authority of the new certificate is known by now: the certificate goes into service');
    stopSettling();
    waiting = undefined;
    servedCaBundle = next.caBundle;
    publish(next, next.caBundle);
  }

  function keepPrevious(next: ServerCertificate): void {
    if (waiting === undefined || !isSamePair(next, waiting)) {
      onProgress(
        'the new certificate is of an authority that the API server does not know yet: the one before stays until that is published',
      );
      stopSettling();
    }
    waiting = next;
    if (!isTrustedByAll(next, trusted.current())) stopSettling();
    else settling ??= settle();
    cancelReconcile = schedule(reconcile, RECONCILE_INTERVAL);
    publish(exposed.current(), next.caBundle && joinCaBundles(next.caBundle, servedCaBundle));
  }

  function settle() {
    const state = { settled: false, cancel: () => {} };
    state.cancel = schedule(() => {
      state.settled = true;
      reconcile();
    }, SETTLING);
    return state;
  }

  function stopSettling(): void {
    settling?.cancel();
    settling = undefined;
  }

  function publish({ caBundle: _, ...pair }: ServerCertificate, caBundle: string | undefined): void {
    const before = exposed.current();
    if (isSamePair(before, pair) && before.caBundle === caBundle) return;
    exposed.replace({ ...pair, ...(caBundle !== undefined && { caBundle }) });
  }

  const unsubscribeSource = source.onChange(reconcile);
  const unsubscribeTrusted = trusted.onChange(() => waiting !== undefined && reconcile());
  return {
    current: exposed.current,
    onChange: exposed.onChange,
    ...(source.refresh && { refresh: () => source.refresh?.() ?? Promise.resolve() }),
    async close() {
      unsubscribeSource();
      unsubscribeTrusted();
      cancelReconcile();
      stopSettling();
      exposed.close();
      await source.close();
    },
  };
}

/**
 * Why a server that has just started should not be called yet; undefined when clients know the authority of what it serves, and from then on:
 * it has nothing older to hold on to, and others may still answer. Somebody must publish meanwhile, ready or not.
 */
export function missingUntilPublished(
  source: CertificateSource,
  trusted: PublishedCas,
  { monotonic }: Pick<Clock, 'monotonic'> = systemClock,
): () => string | undefined {
  const start = monotonic();
  let wasTrusted = false;
  return () => {
    const clients = trusted.current();
    wasTrusted ||= isTrustedByAll(source.current(), clients);
    if (wasTrusted) return undefined;
    if (clients !== undefined) return 'the API server does not know its authority yet';
    return monotonic() - start < MAX_WAIT_FOR_BUNDLES ? 'which authorities the API server knows has not been read yet' : undefined;
  };
}

function isTrustedByAll({ certificate }: ServerCertificate, clients: readonly string[] | undefined): boolean {
  return clients?.every((caBundle) => isTrusted(certificate, caBundle)) ?? false;
}

function isSamePair(one: ServerCertificate, other: ServerCertificate): boolean {
  return one.certificate === other.certificate && one.key === other.key;
}
