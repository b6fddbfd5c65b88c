import { expect, test } from 'vitest';
import { waitUntilIdle } from '../../../src/server/wait-until-idle.ts';

type State = { connections: number; answering: number; happened: number; now: number };

/** After how many turns of 10 ms it is over, when `events` change the state in the turns they are named for. */
async function turnsUntilSilent(events: Readonly<Record<number, Partial<State>>>): Promise<number> {
  const state: State = { connections: 1, answering: 0, happened: 0, now: 0 };
  let turn = 0;
  const remaining = {
    connections: async () => state.connections,
    answering: () => state.answering,
    happened: () => state.happened,
    now: () => state.now,
    async turn() {
      turn += 1;
      state.now += 10;
      Object.assign(state, events[turn]);
    },
  };
  await waitUntilIdle(remaining, { milliseconds: 200, turns: 5 });
  return turn;
}

test.each<{ name: string; events: Record<number, Partial<State>>; over: number }>([
  { name: 'a connection that rests is waited for, and then no more', events: {}, over: 20 },
  { name: 'without connections it is over at once', events: { 3: { connections: 0 } }, over: 3 },
  { name: 'each step of a handshake begins the wait anew', events: { 9: { happened: 1 }, 18: { happened: 2 } }, over: 38 },
  {
    name: 'what is being answered is waited for as long as it takes, and its connection a moment more',
    events: { 5: { answering: 1, happened: 1 }, 40: { answering: 0, happened: 2 } },
    over: 60,
  },
  {
    name: 'an answer may end the last connection',
    events: { 5: { answering: 1, happened: 1 }, 40: { answering: 0, connections: 0 } },
    over: 40,
  },
  { name: 'a process that stood still listens first', events: { 2: { now: 60_000 } }, over: 5 },
])('$name', async ({ events, over }) => {
  expect(await turnsUntilSilent(events)).toBe(over);
});
