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
const MOST_AUTHORITIES = 10;

/** Keeps published authorities for a while after this replica has first seen that it does not need them itself. */
export function createCaBundle({ clock, onOver }: { clock: Pick<Clock, 'schedule'>; onOver: () => void }): CaBundle {
  /** By their PEM. */
  const kept = new Map<string, { over: boolean; cancel: () => void }>();
  const takenAway = new Set<string>();

  function keep(authority: string): void {
    const state = { over: false, cancel: () => {} };
    kept.set(authority, state);
    // Who put it back shows a certificate of it.
    if (takenAway.has(authority)) return;
    state.cancel = clock.schedule(() => {
      state.over = true;
      takenAway.add(authority);
      onOver();
    }, OVERLAP);
  }

  return {
    bundle(own, published) {
      const ours = authoritiesOf(own);
      const others = new Set(published.flatMap((text) => [...authoritiesOf(text)].filter((authority) => !ours.has(authority))));
      for (const authority of ours) takenAway.delete(authority);
      for (const [authority, { cancel }] of kept) {
        if (others.has(authority)) continue;
        cancel();
        kept.delete(authority);
      }
      for (const authority of others) if (!kept.has(authority)) keep(authority);
      const stay = [...kept].flatMap(([authority, { over }]) => (over ? [] : [authority]));
      const room = Math.max(0, MOST_AUTHORITIES - ours.size);
      return joinCaBundles(own, stay.slice(Math.max(0, stay.length - room)).join(''));
    },
    close() {
      for (const { cancel } of kept.values()) cancel();
    },
  };
}

function authoritiesOf(text: string): Set<string> {
  const reading = readCertificates(text);
  return new Set(reading.ok ? reading.certificates.map(String) : []);
}
