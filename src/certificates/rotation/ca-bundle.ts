import type { Clock } from '../../time/clock.ts';
import { joinCaBundles, readCertificates } from '../inspect.ts';

export type CaBundle = {
  /**
   * What to publish, PEM: `own`, and those of `published` that another replica may still need. As `own` is where that is all. `published` are the
   * bundles that replicas of ours have written; call it whenever they may have changed.
   */
  bundle(own: string, published: readonly string[]): string;
  close(): void;
};

/**
 * A mounted Secret reaches replicas up to about two minutes apart, so one that begins to lead may not know what another shows, nor what another
 * is about to show.
 */
const OVERLAP = 10 * 60_000;
/** The newest. A hand that changes the authority again and again must not fill the configurations. */
const MAX_CAS = 10;

/** Keeps published authorities for a while after this replica has first seen that it does not need them itself. */
export function createCaBundle({ clock, onExpired }: { clock: Pick<Clock, 'schedule'>; onExpired: () => void }): CaBundle {
  /** By their PEM. */
  const kept = new Map<string, { expired: boolean; cancel: () => void }>();
  const removed = new Set<string>();

  function keep(ca: string): void {
    const state = { expired: false, cancel: () => {} };
    kept.set(ca, state);
    // Who put it back shows a certificate of it.
    if (removed.has(ca)) return;
    state.cancel = clock.schedule(() => {
      state.expired = true;
      removed.add(ca);
      onExpired();
    }, OVERLAP);
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
      const room = Math.max(0, MAX_CAS - ours.size);
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
