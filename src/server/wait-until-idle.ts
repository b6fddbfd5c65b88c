/** Waits until the remaining connections of a server that accepts no new ones are closed or idle. */
export type OpenConnections = {
  connections(): Promise<number>;
  /** Requests without an answer. */
  openRequests(): number;
  /** Grows with every event of a connection: accepted, handshake done, request received, answer sent. */
  activityCount(): number;
  /** Lets the event loop read what has arrived. */
  nextTurn(): Promise<void>;
  /** Milliseconds. */
  now(): number;
};

export type IdleCriteria = { readonly milliseconds: number; readonly turns: number };

/**
 * Resolves when no connection is left, or no request is open and nothing has happened for that long. Turns are counted as well as time: a
 * process that got no CPU for seconds has not read what arrived meanwhile.
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
