import { complaintAboutAge } from './age.ts';
import { isTrusted, readCertificates } from './inspect.ts';
import { type CertificateSource, holdCertificate, type ServerCertificate } from './source.ts';

/** By which authorities clients verify us at present. */
export type TrustedAuthorities = {
  /** Concatenated PEM; empty where nobody calls us yet, undefined while that is not known. */
  current(): string | undefined;
  /** Returns what takes the listener away. */
  onChange(listener: () => void): () => void;
};

export type HoldOptions = {
  readonly trusted: TrustedAuthorities;
  /** Epoch milliseconds, as for {@link complaintAboutAge}. */
  readonly clocks: () => readonly number[];
  /** Calls `work` after so many milliseconds; what it returns takes the call back. */
  readonly schedule: (work: () => void, milliseconds: number) => () => void;
  /** Hears a sentence when a certificate is held back, and when it goes into service. */
  readonly onProgress: (message: string) => void;
};

/** Each API server watches the configurations as we do; well within this time it knows what we see. */
const SETTLING = 10_000;
/** A mounted Secret reaches replicas up to about two minutes apart, so a neighbour may go on with the certificate before. */
const OVERLAP = 10 * 60_000;
const LOOK_AGAIN = 60_000;
/** The newest. A hand that changes the authority again and again must not fill the configurations. */
const MOST_AUTHORITIES = 10;

/**
 * The source, but a certificate of an authority that clients do not know yet is held back: the one before stays in service, and
 * `current().authorities` has the authorities of both, for whoever publishes them. Nothing is held back where nobody calls us, nor where
 * the certificate in service is no good either. Closes the source with itself.
 */
export function holdUntilTrusted(source: CertificateSource, { trusted, clocks, schedule, onProgress }: HoldOptions): CertificateSource {
  const outward = holdCertificate(source.current());
  let waiting: ServerCertificate | undefined;
  /** Of certificates before, which stay published for a while. */
  let fading: string | undefined;
  let cancelLook = () => {};
  let cancelFading = () => {};
  /** Clients have known the authority of what waits for `SETTLING`, unless this is undefined or taken back. */
  let settling: { over: boolean; cancel: () => void } | undefined;

  function look(): void {
    const next = source.current();
    cancelLook();
    if (isSamePair(next, outward.current()) || mayServe(next)) serve(next);
    else hold(next);
  }

  function mayServe(next: ServerCertificate): boolean {
    const served = outward.current();
    if (complaintAboutAge(served.certificate, clocks()) !== undefined) return true;
    const clients = trusted.current();
    if (clients === undefined) return false;
    if (!isTrusted(served.certificate, clients)) return true;
    if (!isTrusted(next.certificate, clients)) return false;
    return waiting === undefined || (isSamePair(next, waiting) && settling?.over === true);
  }

  function serve(next: ServerCertificate): void {
    if (waiting !== undefined) {
      onProgress('the authority of the new certificate is known by now: the certificate goes into service');
      cancelFading = schedule(() => {
        fading = undefined;
        look();
      }, OVERLAP);
    }
    stopSettling();
    waiting = undefined;
    show(next, next);
  }

  function hold(next: ServerCertificate): void {
    const isNews = waiting === undefined || !isSamePair(next, waiting);
    if (isNews) {
      onProgress(
        'the new certificate is of an authority that the API server does not know yet: the one before stays until that is published',
      );
      cancelFading();
      stopSettling();
      fading = outward.current().authorities;
    }
    waiting = next;
    if (!isTrusted(next.certificate, trusted.current() ?? '')) stopSettling();
    else settling ??= settle();
    cancelLook = schedule(look, LOOK_AGAIN);
    show(outward.current(), next);
  }

  function settle() {
    const state = { over: false, cancel: () => {} };
    state.cancel = schedule(() => {
      state.over = true;
      look();
    }, SETTLING);
    return state;
  }

  function stopSettling(): void {
    settling?.cancel();
    settling = undefined;
  }

  function show(pair: ServerCertificate, { authorities }: ServerCertificate): void {
    const { authorities: _, ...shown } = pair;
    const bundle = authorities === undefined ? undefined : joined(authorities, fading);
    const before = outward.current();
    if (isSamePair(before, pair) && before.authorities === bundle) return;
    outward.replace({ ...shown, ...(bundle !== undefined && { authorities: bundle }) });
  }

  const forgetSource = source.onChange(look);
  const forgetTrusted = trusted.onChange(() => waiting !== undefined && look());
  return {
    current: outward.current,
    onChange: outward.onChange,
    ...(source.refresh && { refresh: () => source.refresh?.() ?? Promise.resolve() }),
    close() {
      forgetSource();
      forgetTrusted();
      cancelLook();
      cancelFading();
      stopSettling();
      outward.close();
      source.close();
    },
  };
}

/**
 * Why a server that has just started should not be called yet; undefined when clients know the authority of what it serves, and from then on:
 * it has nothing older to hold on to, and others may still answer. Somebody must publish meanwhile, ready or not.
 */
export function untilTrusted(source: CertificateSource, trusted: TrustedAuthorities): () => string | undefined {
  let wasTrusted = false;
  return () => {
    const clients = trusted.current();
    wasTrusted ||= clients !== undefined && (clients === '' || isTrusted(source.current().certificate, clients));
    return wasTrusted || clients === undefined ? undefined : 'the API server does not know its authority yet';
  };
}

function isSamePair(one: ServerCertificate, other: ServerCertificate): boolean {
  return one.certificate === other.certificate && one.key === other.key;
}

/** Each authority once, those of the first text in front. The first text as it is where the second adds nothing. */
function joined(first: string, second: string | undefined): string {
  const [ours, others] = [readCertificates(first), readCertificates(second ?? '')];
  if (!ours.ok || !others.ok) return first;
  const known = new Set(ours.certificates.map(({ fingerprint256 }) => fingerprint256));
  const added = others.certificates.filter(({ fingerprint256 }) => !known.has(fingerprint256));
  const room = Math.max(0, MOST_AUTHORITIES - ours.certificates.length);
  return added.length === 0 ? first : [...ours.certificates, ...added.slice(0, room)].map(String).join('');
}
