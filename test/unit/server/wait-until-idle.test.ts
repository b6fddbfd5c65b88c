/** When a closing server stops waiting for its connections. */
import { expect, test } from 'vitest';
import { waitUntilIdle } from '../../../src/server/wait-until-idle.ts';

type State = { connections: number; openRequests: number; activityCount: number; now: number };

/** After how many turns of 10 ms the wait ends, if `events` change the state in these turns. */
async function turnsUntilIdle(events: Readonly<Record<number, Partial<State>>>): Promise<number> {
  const state: State = { connections: 1, openRequests: 0, activityCount: 0, now: 0 };
  let turn = 0;
  const remaining = {
    connections: async () => state.connections,
    openRequests: () => state.openRequests,
    activityCount: () => state.activityCount,
    now: () => state.now,
    async nextTurn() {
      turn += 1;
      state.now += 10;
      Object.assign(state, events[turn]);
    },
  };
  await waitUntilIdle(remaining, { milliseconds: 200, turns: 5 });
  return turn;
}

test.each<{ name: string; events: Record<number, Partial<State>>; over: number }>([
  { name: 'it waits for an idle connection for a limited time', events: {}, over: 20 },
  { name: 'without connections it ends immediately', events: { 3: { connections: 0 } }, over: 3 },
  { name: 'each step of a handshake restarts the wait', events: { 9: { activityCount: 1 }, 18: { activityCount: 2 } }, over: 38 },
  {
    name: 'it waits for a response as long as it takes, and for its connection a moment longer',
    events: { 5: { openRequests: 1, activityCount: 1 }, 40: { openRequests: 0, activityCount: 2 } },
    over: 60,
  },
  {
    name: 'a response may end the last connection',
    events: { 5: { openRequests: 1, activityCount: 1 }, 40: { openRequests: 0, connections: 0 } },
    over: 40,
  },
  { name: 'a process that was suspended reads from its sockets first', events: { 2: { now: 60_000 } }, over: 5 },
])('$name', async ({ events, over }) => {
  expect(await turnsUntilIdle(events)).toBe(over);
});
