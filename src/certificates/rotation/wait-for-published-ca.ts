/** Serves a new certificate only once clients trust its CA. */
import { type Clock, systemClock } from '../../time/clock.ts';
import { isTrusted, joinCaBundles } from '../inspect.ts';
import { type CertificateSource, createCertificateSource, type ServerCertificate } from '../source.ts';
import { explainInvalidity } from '../validity.ts';

/** The CAs with which clients verify the server at present. */
export type PublishedCas = {
  /**
   * The CA bundle (PEM) of each client. All of them must trust the served certificate. Empty where there are no clients yet, undefined
   * while that is unknown.
   */
  current(): readonly string[] | undefined;
  /** Returns a function that removes the listener. */
  onChange(listener: () => void): () => void;
};

export type WaitForPublishedCaOptions = {
  readonly trusted: PublishedCas;
  /** Epoch milliseconds, as for {@link explainInvalidity}. */
  readonly clocks: () => readonly number[];
  readonly clock?: Pick<Clock, 'schedule'> | undefined;
  /** Called with a sentence when a certificate is held back, and when it is served. */
  readonly onProgress: (message: string) => void;
};

/** Each API server watches the configurations like this replica does. It has seen the same state well within this time. */
const settlingTime = 10_000;
const reconcileInterval = 60_000;
/** Applies after a start. Without permission to read the webhook configurations, the published CAs never become known. */
const maxWaitForBundles = 20_000;

/**
 * A source that holds back a certificate whose CA clients do not trust yet. The previous certificate is served meanwhile, and
 * `current().caBundle` has the CAs of both, so that they are published. Nothing is held back where there are no clients, or where clients
 * reject the served certificate anyway. Closing it closes the source.
 */
export function waitForPublishedCa(
  source: CertificateSource,
  { trusted, clocks, clock: { schedule } = systemClock, onProgress }: WaitForPublishedCaOptions,
): CertificateSource {
  const exposed = createCertificateSource(source.current());
  /** The CA bundle of the certificate that is served. */
  let { caBundle: servedCaBundle } = source.current();
  let waiting: ServerCertificate | undefined;
  let cancelReconcile = () => {};
  /** Set while clients trust the CA of the waiting certificate. `settled` after `settlingTime`. */
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
    if (waiting !== undefined) onProgress('serving the new certificate now that its CA is published');
    stopSettling();
    waiting = undefined;
    servedCaBundle = next.caBundle;
    publish(next, next.caBundle);
  }

  function keepPrevious(next: ServerCertificate): void {
    if (waiting === undefined || !isSamePair(next, waiting)) {
      onProgress(
        'the API server does not trust the CA of the new certificate yet. Serving the previous certificate until the CA is published',
      );
      stopSettling();
    }
    waiting = next;
    if (!isTrustedByAll(next, trusted.current())) stopSettling();
    else settling ??= settle();
    cancelReconcile = schedule(reconcile, reconcileInterval);
    publish(exposed.current(), next.caBundle && joinCaBundles(next.caBundle, servedCaBundle));
  }

  function settle() {
    const state = { settled: false, cancel: () => {} };
    state.cancel = schedule(() => {
      state.settled = true;
      reconcile();
    }, settlingTime);
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
 * Why a server that has just started should not receive requests yet. Undefined once clients have trusted the CA of its certificate. It
 * has no older certificate to serve, and other replicas may still answer. The CA is published meanwhile, whether this replica is ready or
 * not.
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
    if (clients !== undefined) return 'the API server does not trust the CA of the serving certificate yet';
    return monotonic() - start < maxWaitForBundles ? 'the CA bundles that the API server trusts have not been read yet' : undefined;
  };
}

function isTrustedByAll({ certificate }: ServerCertificate, clients: readonly string[] | undefined): boolean {
  return clients?.every((caBundle) => isTrusted(certificate, caBundle)) ?? false;
}

function isSamePair(one: ServerCertificate, other: ServerCertificate): boolean {
  return one.certificate === other.certificate && one.key === other.key;
}
