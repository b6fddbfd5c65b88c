/** The CA bundle to publish: the CAs of this replica, and for some time those that other replicas published. */
import type { Clock } from '../../time/clock.ts';
import { joinCaBundles, readCertificates } from '../inspect.ts';

export type CaBundle = {
  /**
   * The bundle to publish, PEM: `own`, followed by the CAs of `published` that another replica may still need. Without such CAs it is
   * `own` unchanged. `published` are the bundles that replicas have written. Call it whenever they may have changed.
   */
  bundle(own: string, published: readonly string[]): string;
  close(): void;
};

/**
 * A mounted Secret is updated on different replicas up to about two minutes apart. So a new leader may not know which certificate another
 * replica serves, or is about to serve.
 */
const overlapMilliseconds = 10 * 60_000;
/** The newest ones are kept. A CA that is replaced again and again must not fill the webhook configurations. */
const maxCas = 10;

/** Keeps published CAs for a while after this replica first sees that it does not need them itself. */
export function createCaBundle({ clock, onExpired }: { clock: Pick<Clock, 'schedule'>; onExpired: () => void }): CaBundle {
  /** By the PEM text of the CA. */
  const kept = new Map<string, { expired: boolean; cancel: () => void }>();
  const removed = new Set<string>();

  function keep(ca: string): void {
    const state = { expired: false, cancel: () => {} };
    kept.set(ca, state);
    // The replica that put it back serves a certificate of this CA.
    if (removed.has(ca)) return;
    state.cancel = clock.schedule(() => {
      state.expired = true;
      removed.add(ca);
      onExpired();
    }, overlapMilliseconds);
  }

  return {
    bundle(own, published) {
      const ours = casOf(own);
      const others = new Set(published.flatMap((text) => [...casOf(text)].filter((ca) => !ours.has(ca))));
      for (const ca of ours) removed.delete(ca);
      for (const [ca, { cancel }] of kept) {
        if (others.has(ca)) continue;
        cancel();
        kept.delete(ca);
      }
      for (const ca of others) if (!kept.has(ca)) keep(ca);
      const remaining = [...kept].flatMap(([ca, { expired }]) => (expired ? [] : [ca]));
      const room = Math.max(0, maxCas - ours.size);
      return joinCaBundles(own, remaining.slice(Math.max(0, remaining.length - room)).join(''));
    },
    close() {
      for (const { cancel } of kept.values()) cancel();
    },
  };
}

function casOf(text: string): Set<string> {
  const reading = readCertificates(text);
  return new Set(reading.ok ? reading.certificates.map(String) : []);
}
