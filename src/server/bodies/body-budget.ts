/** Limits the bytes of all request bodies in memory, and chooses the body to evict when they do not fit. */

export type BudgetLimits = {
  /** Bytes of all bodies that are being received, are waiting for their turn, or are being parsed. */
  readonly total: number;
  /** Bytes out of `total` that only small bodies may use. */
  readonly reserved: number;
  /** A body is large if more bytes than this have arrived or are announced. */
  readonly small: number;
};

/** One body's share of the budget. */
export type BodyReservation = {
  /** Bytes of `content-length`. 0 without that header. */
  readonly announced: number;
  /** Monotonic time in milliseconds at which its first byte could have arrived. */
  readonly since: number;
  /** Called at most once, if other bodies need its bytes. They are free already, and the body must end. */
  evict(): void;
};

export type BodyBudget = {
  /**
   * Adds arrived bytes to the reservation. Other bodies may be evicted for them. Returns false if they do not fit even so, and this body
   * itself must end.
   */
  reserve(reservation: BodyReservation, bytes: number): boolean;
  /** The whole body has arrived. It can no longer be evicted. */
  arrived(reservation: BodyReservation): void;
  /** The body has been parsed, or has ended. May be called several times. */
  release(reservation: BodyReservation): void;
};

/**
 * Only bytes that have arrived count. Announced bytes use no memory and must not keep other bodies out.
 *
 * If bytes are short, the unfinished body with the largest product of bytes and age is evicted first. It has used the most memory for the
 * longest time, so slow and large bodies make room for quick and small ones. A body that arrives in one piece has no age.
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

  /** The body to evict, out of those that are still arriving. */
  function costliest(onlyLarge: boolean): BodyReservation | undefined {
    let found: BodyReservation | undefined;
    let highest = -1;
    const at = now();
    for (const [reservation, { bytes, large, arriving }] of reservations) {
      if (!arriving || (onlyLarge && !large)) continue;
      // One millisecond is added, so that the largest is chosen out of several bodies without age.
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
        // A single body is never over the budget. It has a separate limit, and would otherwise never fit.
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
