/** Tests informers with every fault of the network and the API server. */
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { KubeObject } from '../../../src/kube/api-client.ts';
import type { InformerEvent, InformerOptions } from '../../../src/kube/informer.ts';
import { eventually } from '../../eventually.ts';
import { runs } from '../../property.ts';
import { type Connection, stallAfter, startInformer } from './informer-setup.ts';
import { type Moment, modelApi, requestFaults, stateOf, streamFaults } from './model-api.ts';
import { type Answer, bookmark, listing, scriptedApi, watched } from './scripted-api.ts';

// After each fault the informer has the right state, each change was reported once and in order, there were few requests, and nothing is
// left open.

const soon = { interval: 2, timeout: 60_000 };

type Server = Pick<Awaited<ReturnType<typeof scriptedApi>>, 'kubeConfig' | 'connections' | 'received'>;
type Following = Connection & Pick<Partial<InformerOptions<KubeObject>>, 'onChange' | 'timings'>;

/** An informer with pages of two objects and no real pauses, and a listener that checks its events. */
function following(server: Server, { onChange, timings, ...connection }: Following = {}) {
  const listener = checkingListener();
  const { close, ...started } = startInformer(
    server,
    {
      pageSize: 2,
      onChange: (change) => {
        listener.hear(change);
        onChange?.(change);
      },
      timings: { random: () => 0, stallAfter, ...timings },
    },
    connection,
  );
  return {
    ...started,
    listener,
    state: () => stateOf(started.informer.items()),
    /** Closes the informer, and checks that nothing of it continues. */
    async leavesNothing() {
      const asked = server.received.length;
      const reported = listener.reported.length;
      await close();
      await eventually(async () => expect(await server.connections()).toBe(0), soon);
      expect(server.received).toHaveLength(asked);
      expect(listener.reported).toHaveLength(reported);
    },
  };
}

/** A listener that records the events, and as `lies` those that contradict earlier ones. */
function checkingListener() {
  const known = new Map<string, { version: number; uid: string | undefined }>();
  const latest = new Map<string, number>();
  const reported: string[] = [];
  const lies: string[] = [];
  const facts = ({ metadata: { resourceVersion, uid } }: KubeObject) => ({ version: Number(resourceVersion), uid });
  return {
    reported,
    lies,
    state: () => [...known].map(([name, { version, uid }]) => `${name}@${version} ${uid}`).sort(),
    hear(change: InformerEvent<KubeObject>) {
      if (change.type === 'synced') {
        if (reported.length > 0) lies.push('synced came late, or twice');
        reported.push('synced');
        for (const object of change.items) known.set(object.metadata.name, facts(object));
        return;
      }
      const { type, object } = change;
      const { name } = object.metadata;
      const { version, uid } = facts(object);
      const before = known.get(name);
      reported.push(`${type} ${name}`);
      if (reported[0] !== 'synced') lies.push(`${type} ${name} came before the first list`);
      if ((type === 'added') === (before !== undefined)) lies.push(`${type} ${name} was ${before ? 'known' : 'not known'}`);
      if (type === 'modified' && before?.version === version && before.uid === uid) lies.push(`modified ${name}@${version} twice`);
      if (version < (latest.get(name) ?? 0)) lies.push(`${type} ${name}@${version} after @${latest.get(name)}`);
      latest.set(name, version);
      if (type === 'deleted') known.delete(name);
      else known.set(name, { version, uid });
    },
  };
}

type Model = Awaited<ReturnType<typeof modelApi>>;
type Follower = ReturnType<typeof following>;

function expectTrue(server: Model, follower: Follower) {
  expect(server.streams()).toBe(1);
  expect(follower.state()).toEqual(server.state());
}

async function untilTrue(server: Model, follower: Follower) {
  await eventually(() => expectTrue(server, follower), soon);
}

/** The right state again, and a working watch: one more change is reported. */
async function checkAfterwards(server: Model, follower: Follower, mostRequests: number) {
  await untilTrue(server, follower);
  server.put('afterwards');
  await untilTrue(server, follower);
  expect(follower.listener.lies).toEqual([]);
  expect(follower.listener.state()).toEqual(server.state());
  expect(follower.listener.reported.at(-1)).toBe('added afterwards');
  expect(server.received.length).toBeLessThanOrEqual(mostRequests);
  expect(follower.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  await follower.leavesNothing();
}

/** Changes in the cluster during the fault. */
function changeMeanwhile(server: Model, round: number) {
  server.put('a');
  server.put(`new-${round}`);
  if (round === 0) server.remove('b');
  if (round === 1) server.put('b');
}

const moments: { moment: Moment; where: string }[] = [
  { moment: 'list', where: 'the list' },
  { moment: 'page', where: 'a page of the list' },
  { moment: 'watch', where: 'the start of a watch' },
];

describe.each(moments)('as the response to $where', ({ moment }) => {
  test.each(Object.entries<Answer>(requestFaults))('%s, three times', async (name, answer) => {
    const server = await modelApi(['a', 'b', 'c']);
    for (const round of [0, 1, 2])
      server.failNext(moment, (response, request) => {
        changeMeanwhile(server, round);
        answer(response, request);
      });
    const follower = following(server);
    // Three failures, each with at most a list of three pages and a watch before and after it.
    await checkAfterwards(server, follower, 3 * 4 + 4);
    // After its pages expired twice, the list requests everything at once. There is no page left that could fail.
    expect(server.faultsToCome()).toBe(moment === 'page' && name === 'HTTP 410' ? 1 : 0);
  });

  test('no response at all', async () => {
    const server = await modelApi(['a', 'b', 'c']);
    server.failNext(moment, () => changeMeanwhile(server, 0));
    const follower = following(server, { timings: { answerWithin: 1_000 } });
    await checkAfterwards(server, follower, 8);
  });
});

describe('if the watch must list again', () => {
  test.each(Object.entries<Answer>(requestFaults))('%s, three times', async (_name, answer) => {
    const server = await modelApi(['a', 'b', 'c']);
    const follower = following(server);
    await untilTrue(server, follower);
    for (const round of [0, 1, 2])
      server.failNext('list', (response, request) => {
        changeMeanwhile(server, round);
        answer(response, request);
      });
    server.forget();
    server.breakStreams(streamFaults['ends normally']);
    await checkAfterwards(server, follower, 3 + 1 + 3 * 4 + 4);
    expect(server.faultsToCome()).toBe(0);
  });
});

describe.each([
  { history: 'kept', lists: 1 },
  { history: 'forgotten', lists: 2 },
])('a stream whose history is $history meanwhile and that', ({ history, lists }) => {
  test.each(Object.entries(streamFaults))('%s', async (name, fault) => {
    const server = await modelApi(['a', 'b', 'c']);
    const follower = following(server);
    await untilTrue(server, follower);
    server.put('d');
    await untilTrue(server, follower);
    server.breakStreams(fault);
    changeMeanwhile(server, 0);
    if (history === 'forgotten') server.forget();
    await checkAfterwards(server, follower, 12);
    const again = name.startsWith('sends') || name === 'reports 410';
    expect(server.received.filter(({ query }) => !query.watch && !query.continue)).toHaveLength(again ? 2 : lists);
  });

  test('stalls, as when a device in between loses power', async () => {
    const server = await modelApi(['a', 'b', 'c']);
    const follower = following(server);
    await untilTrue(server, follower);
    server.stall();
    changeMeanwhile(server, 0);
    if (history === 'forgotten') server.forget();
    // When the clock is set back meanwhile, the wait is at most twice as long.
    follower.passTime(-5 * stallAfter);
    await setImmediate();
    follower.passTime(stallAfter);
    await checkAfterwards(server, follower, 12);
  });
});

test('a bookmark makes a new list unnecessary, although everything before it is forgotten', async () => {
  const server = await modelApi(['a']);
  const follower = following(server);
  await untilTrue(server, follower);
  server.forget();
  server.bookmark();
  server.breakStreams(streamFaults['ends normally']);
  server.put('b');
  await checkAfterwards(server, follower, 4);
  expect(server.received.filter(({ query }) => !query.watch)).toHaveLength(1);
});

test('a list that arrives slowly is brought up to date by the watch after it', async () => {
  const server = await modelApi(['a', 'b']);
  server.failNext('list', (response) => {
    const [a, b] = server.state().map((each) => each.split(/[@ ]/));
    const objects = [a, b].map((each) => ({
      metadata: { name: each?.[0], namespace: 'regkeeper', resourceVersion: each?.[1], uid: each?.[2] },
    }));
    const text = JSON.stringify({ kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: b?.[1] }, items: objects });
    response.writeHead(200).write(text.slice(0, 50), async () => {
      changeMeanwhile(server, 0);
      await setImmediate();
      response.end(text.slice(50));
    });
  });
  const follower = following(server);
  await checkAfterwards(server, follower, 2);
  expect(follower.listener.reported).toEqual(['synced', 'modified a', 'added new-0', 'deleted b', 'added afterwards']);
});

test('a handler that throws at each change misses none', async () => {
  const server = await modelApi(['a', 'b', 'c']);
  const follower = following(server, {
    onChange: () => {
      throw new Error('listener');
    },
  });
  await untilTrue(server, follower);
  changeMeanwhile(server, 0);
  server.breakStreams(streamFaults['is reset inside a line']);
  changeMeanwhile(server, 1);
  await untilTrue(server, follower);
  expect(follower.listener.lies).toEqual([]);
  expect(follower.listener.state()).toEqual(server.state());
  expect(follower.log.lines.filter(({ level }) => level === 'error')).toHaveLength(follower.listener.reported.length);
  await follower.leavesNothing();
});

test('an expired token in the middle of this is waited out, with few requests', async () => {
  const server = await modelApi(['a', 'b', 'c']);
  const follower = following(server, { user: { token: 'of-today' } });
  await untilTrue(server, follower);
  for (let round = 0; round < 6; round += 1) server.failNext('watch', requestFaults['HTTP 401']);
  server.breakStreams(streamFaults['ends normally']);
  changeMeanwhile(server, 0);
  await checkAfterwards(server, follower, 12);
  // The credential is rejected, not the version: nothing is listed again.
  expect(server.received.filter(({ query }) => !query.watch && !query.continue)).toHaveLength(1);
  expect(follower.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

describe('no request storm:', () => {
  const brief: [string, Answer[]][] = [
    ['streams that each end after one event', Array.from({ length: 30 }, (_, index) => watched(bookmark(String(11 + index))))],
    [
      'streams that each have the same event and end',
      Array.from({ length: 30 }, () => watched({ type: 'MODIFIED', object: { metadata: { name: 'a', resourceVersion: '11' } } })),
    ],
    [
      'streams that each report 410 after one event',
      Array.from({ length: 15 }, () => [
        watched(bookmark('11'), { type: 'ERROR', object: { code: 410, reason: 'Expired', message: '' } }),
        listing('10', []),
      ]).flat(),
    ],
  ];
  test.each(brief)('%s are requested with a back-off, except the first', async (_name, script) => {
    const server = await scriptedApi([listing('10', []), ...script]);
    const { pauses, leavesNothing } = following(server);
    await eventually(() => expect(server.received).toHaveLength(script.length + 2), soon);
    const streams = server.received.filter(({ query }) => query.watch).length - 1;
    expect(pauses).toEqual([200, ...Array<number>(streams - 2).fill(400)]);
    await leavesNothing();
  });

  test('after a stream that lasted, the next one starts immediately', async () => {
    const server = await modelApi(['a']);
    const follower = following(server);
    for (let round = 0; round < 5; round += 1) {
      await untilTrue(server, follower);
      // The event arrives on this stream, so the informer knows that it is open.
      server.put('a');
      await untilTrue(server, follower);
      follower.passTime(2_000);
      server.breakStreams(streamFaults['ends normally']);
    }
    await checkAfterwards(server, follower, 7);
    expect(follower.pauses).toEqual([]);
  });
});

test('no resources leak over hundreds of streams', async () => {
  const warnings: Error[] = [];
  const hear = (warning: Error) => void warnings.push(warning);
  process.on('warning', hear);
  onTestFinished(() => void process.off('warning', hear));
  const server = await modelApi(['a', 'b', 'c']);
  const follower = following(server);
  const faults = Object.values(streamFaults);
  const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
  await untilTrue(server, follower);
  const before = timers();
  for (let round = 0; round < 200; round += 1) {
    server.breakStreams(faults[round % faults.length] ?? streamFaults['ends normally']);
    server.put('a');
    await untilTrue(server, follower);
  }
  expect(await server.connections()).toBeLessThanOrEqual(3);
  expect(timers()).toBeLessThanOrEqual(before + 10);
  expect(warnings).toEqual([]);
  expect(follower.listener.lies).toEqual([]);
  await follower.leavesNothing();
});

describe('stopped', () => {
  const hanging: Answer = () => undefined;
  const halfAnswered: Answer = (response) => void response.writeHead(200).write('{"kind":');
  test.each<[string, Moment, Answer]>([
    ['while it waits for the list', 'list', hanging],
    ['within the list', 'list', halfAnswered],
    ['while it waits for a page', 'page', hanging],
    ['within a page', 'page', halfAnswered],
    ['while it waits for a watch', 'watch', hanging],
    ['within a line of a watch', 'watch', halfAnswered],
  ])('%s, it leaves nothing behind', async (_name, moment, answer) => {
    const server = await modelApi(['a', 'b', 'c']);
    let reached = false;
    server.failNext(moment, (response, request) => {
      reached = true;
      answer(response, request);
    });
    const follower = following(server);
    await eventually(() => expect(reached).toBe(true), soon);
    await follower.leavesNothing();
    expect(follower.log.lines).toEqual([]);
  });

  test('by its own listener, in the middle of changes, it reports no more', async () => {
    const server = await modelApi(['a', 'b', 'c']);
    const follower = following(server, { onChange: ({ type }) => type === 'deleted' && void follower.informer.stop() });
    await untilTrue(server, follower);
    server.breakStreams(streamFaults['ends normally']);
    changeMeanwhile(server, 0);
    server.forget();
    await eventually(() => expect(follower.listener.reported).toEqual(['synced', 'deleted b']), soon);
    await follower.leavesNothing();
  });
});

describe('whatever happens', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), name }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('forget' as const, 'bookmark' as const, 'stall' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.integer({ min: 1, max: 12 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('break' as const), how: fc.constantFrom(...keysOf(streamFaults)) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('fail' as const),
        moment: fc.constantFrom<Moment>('list', 'page', 'watch'),
        how: fc.constantFrom(...keysOf(requestFaults)),
      }),
    },
  );

  test.each([
    { from: 'pages', streamsInitialState: false },
    { from: 'a stream', streamsInitialState: true },
  ])(
    'to objects and to the server, the watch ends with the correct state and has reported each change once, in order, from $from',
    { timeout: 120_000 },
    async ({ streamsInitialState }) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
          const server = await modelApi(['a', 'b', 'c']);
          const follower = following(server, { streamsInitialState });
          for (const each of steps) {
            if (each.do === 'put') server.put(each.name);
            if (each.do === 'remove') server.remove(each.name);
            if (each.do === 'forget') server.forget();
            if (each.do === 'bookmark') server.bookmark();
            if (each.do === 'stall') server.stall();
            if (each.do === 'break') server.breakStreams(streamFaults[each.how]);
            if (each.do === 'fail') server.failNext(each.moment, requestFaults[each.how]);
            if (each.do === 'wait') for (let turn = 0; turn < each.turns; turn += 1) await setImmediate();
          }
          let polls = 0;
          await eventually(() => {
            // Again and again, because what the stream sent before it stalled may arrive afterwards. Not at each poll, because this also
            // ends a stream that is being opened.
            if (server.isStalled() && polls++ % 10 === 0) follower.passTime(stallAfter);
            expectTrue(server, follower);
          }, soon);
          expect(follower.listener.lies).toEqual([]);
          expect(follower.listener.state()).toEqual(server.state());
          expect(server.received.length).toBeLessThanOrEqual(5 * steps.length + 10);
          await follower.leavesNothing();
        }),
        runs(150),
      );
    },
  );
});

function keysOf<Key extends string>(table: Record<Key, unknown>): Key[] {
  return Object.keys(table) as Key[];
}
