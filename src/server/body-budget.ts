/** How many bytes of bodies are held at a time, and which body ends when they do not fit. */

export type BudgetLimits = {
  /** Bytes of all bodies that are being received, wait for their turn, or are being read. */
  readonly total: number;
  /** Bytes out of `total` that only small bodies may use. */
  readonly reserved: number;
  /** A body is large once more bytes than this have arrived or are announced. */
  readonly small: number;
};

/** One body's part of the budget. */
export type BodyReservation = {
  /** Bytes of `content-length`; 0 where there is none. */
  readonly announced: number;
  /** Milliseconds of the clock at which its first byte could have come. */
  readonly since: number;
  /** Called at most once: this body must end, since others need its bytes, which are free from now on. */
  evict(): void;
};

export type BodyBudget = {
  /** False: there is no room, so this body itself must end. Bytes of other bodies may have been freed for it, or in vain. */
  reserve(reservation: BodyReservation, bytes: number): boolean;
  /** The body has arrived. From now on it cannot be evicted. */
  arrived(reservation: BodyReservation): void;
  /** The body has been read, or has ended. Again is fine. */
  release(reservation: BodyReservation): void;
};

/**
 * Only bytes that have arrived count: what is merely announced takes no memory, and must not keep others out.
 *
 * When bytes are short, the unfinished body with the largest product of bytes and age ends first. That is the one which has kept the most
 * memory for the longest time, so slow and large bodies make room for quick and small ones. A body that arrives in one piece has no age.
 */
export function createBodyBudget({ total, reserved, small }: BudgetLimits, now: () => number): BodyBudget {
  const reservations = new Map<BodyReservation, { bytes: number; large: boolean; arriving: boolean }>();
  let used = 0;
  let usedByLarge = 0;

  function release(reservation: BodyReservation): void {
    const entry = reservations.get(reservation);
    if (!entry) return;
    reservations.delete(reservation);
    used -= entry.bytes;
    if (entry.large) usedByLarge -= entry.bytes;
  }

  /** The body that ends first, out of those that are arriving. */
  function costliest(onlyLarge: boolean): BodyReservation | undefined {
    let found: BodyReservation | undefined;
    let highest = -1;
    const at = now();
    for (const [reservation, { bytes, large, arriving }] of reservations) {
      if (!arriving || (onlyLarge && !large)) continue;
      // One more, so that of several without age the largest ends.
      const cost = bytes * (at - reservation.since + 1);
      if (cost > highest) {
        highest = cost;
        found = reservation;
      }
    }
    return found;
  }

  return {
    reserve(reservation, bytes) {
      const entry = reservations.get(reservation) ?? { bytes: 0, large: false, arriving: true };
      reservations.set(reservation, entry);
      entry.bytes += bytes;
      used += bytes;
      if (entry.large) usedByLarge += bytes;
      else if (Math.max(entry.bytes, reservation.announced) > small) {
        entry.large = true;
        usedByLarge += entry.bytes;
      }
      for (;;) {
        // A body alone is never too much: it has a limit of its own, and would never fit otherwise.
        const overLarge = entry.large && usedByLarge > total - reserved && usedByLarge > entry.bytes;
        const overTotal = used > total && used > entry.bytes;
        if (!overLarge && !overTotal) return true;
        const victim = costliest(overLarge) ?? reservation;
        release(victim);
        if (victim === reservation) return false;
        victim.evict();
      }
    },
    arrived(reservation) {
      const entry = reservations.get(reservation);
      if (entry) entry.arriving = false;
    },
    release,
  };
}
