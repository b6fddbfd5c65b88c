/** What a server that takes no new connections any more can tell of those that are left. */
export type OpenConnections = {
  connections(): Promise<number>;
  /** Requests that have no answer yet. */
  openRequests(): number;
  /** Grows with whatever happens on a connection: it comes, its handshake is done, it asks, it is answered. */
  activityCount(): number;
  /** Lets the event loop read what has arrived. */
  nextTurn(): Promise<void>;
  /** Milliseconds. */
  now(): number;
};

export type IdleCriteria = { readonly milliseconds: number; readonly turns: number };

/**
 * Resolves when no connection is left, or nothing is being answered and nothing has happened for that long. Turns as well as the clock: a
 * process that is not given the processor for seconds has not listened meanwhile, and what arrived is still unread.
 */
export async function waitUntilIdle(
  { connections, openRequests, activityCount, nextTurn, now }: OpenConnections,
  { milliseconds, turns }: IdleCriteria,
): Promise<void> {
  let last = { happened: activityCount(), at: now(), turns: 0 };
  const tooShort = () => last.turns < turns || now() - last.at < milliseconds;
  while ((await connections()) > 0 && (openRequests() > 0 || tooShort())) {
    await nextTurn();
    last = activityCount() === last.happened ? { ...last, turns: last.turns + 1 } : { happened: activityCount(), at: now(), turns: 0 };
  }
}
