/** The queue for work that must not run concurrently. */
import { expect, test } from 'vitest';
import { createOneAtATime } from '../../../../src/server/bodies/one-at-a-time.ts';

function setUp() {
  const paused: (() => void)[] = [];
  const line = createOneAtATime((then) => paused.push(then));
  const events: string[] = [];
  const ends = new Map<string, () => void>();
  const enter = (name: string) =>
    line.enter((end) => {
      events.push(name);
      ends.set(name, end);
    });
  return { events, enter, end: (name: string) => ends.get(name)?.(), passTime: () => paused.shift()?.() };
}

test('tasks run one at a time, in order, with a pause in between', () => {
  const { events, enter, end, passTime } = setUp();
  for (const name of ['a', 'b', 'c']) enter(name);
  expect(events).toEqual(['a']);
  end('a');
  expect(events).toEqual(['a']);
  // One that arrives during the pause queues behind those that wait.
  enter('d');
  passTime();
  expect(events).toEqual(['a', 'b']);
  end('b');
  passTime();
  expect(events).toEqual(['a', 'b', 'c']);
  end('c');
  passTime();
  end('d');
  passTime();
  enter('e');
  expect(events).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('a task that leaves the queue never starts', () => {
  const { events, enter, end, passTime } = setUp();
  enter('a');
  const leave = enter('b');
  enter('c');
  leave();
  end('a');
  passTime();
  expect(events).toEqual(['a', 'c']);
});

test('a turn ends only once', () => {
  const { events, enter, end, passTime } = setUp();
  for (const name of ['a', 'b', 'c']) enter(name);
  end('a');
  end('a');
  passTime();
  passTime();
  expect(events).toEqual(['a', 'b']);
});
