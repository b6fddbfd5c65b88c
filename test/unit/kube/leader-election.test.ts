/** Tests leader election with a simulated Lease, network faults and random schedules. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Lease } from '../../../src/kube/lease.ts';
import { propertyTimeout, runs } from '../../property.ts';
import { leaseWorld, type Network, type Replica, type World } from './lease-world.ts';

const day = 24 * 60 * 60 * 1_000;

/** Replicas with a leader. */
async function settled(count: number, world = leaseWorld()) {
  const replicas = Array.from({ length: count }, (_, index) => world.start(`replica-${index + 1}`));
  await world.until(() => world.leading().length === 1 && replicas.every(({ hasSeen }) => hasSeen));
  await world.pass(20);
  const of = (isLeading: boolean) => replicas.filter(({ leader }) => leader.leads() === isLeading);
  const [leader] = of(true);
  if (!leader) throw new Error('no replica is the leader');
  return { world, replicas, leader, others: of(false) };
}

const specOf = (world: World) => world.lease()?.spec ?? {};

describe.each([1, 2, 3])('%i replicas', (count) => {
  test('have one leader, which stays, and the others log which one it is', async () => {
    const { world, leader, others } = await settled(count);
    const { acquireTime } = specOf(world);
    await world.pass(600);
    expect(world.leading()).toEqual([leader.name]);
    expect(specOf(world)).toMatchObject({ holderIdentity: leader.identity, leaseDurationSeconds: 15, leaseTransitions: 0, acquireTime });
    expect(world.messages(leader)).toEqual(['became the leader']);
    for (const other of others) expect(world.messages(other)).toEqual([`another replica is the leader: ${leader.identity}`]);
    expect([...world.overlaps]).toEqual([]);
  });

  test('keep their leader although every wall clock jumps by days', async () => {
    const { world, replicas, leader } = await settled(count);
    for (const [index, replica] of replicas.entries()) replica.ahead = (index % 2 === 0 ? 5 : -5) * day;
    await world.pass(120);
    for (const replica of replicas) replica.ahead *= -1;
    await world.pass(120);
    expect(world.leading()).toEqual([leader.name]);
    expect(specOf(world).leaseTransitions).toBe(0);
  });
});

test('the first leader is elected within a second of its start, and writes a Lease that the API server accepts', async () => {
  const world = leaseWorld();
  const replica = world.start('replica');
  expect(await world.until(() => replica.leader.leads())).toBeLessThan(1);
  expect(world.lease()).toEqual({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: expect.objectContaining({ namespace: 'regkeeper', name: 'regkeeper', labels: { 'app.kubernetes.io/name': 'regkeeper' } }),
    spec: {
      holderIdentity: replica.identity,
      leaseDurationSeconds: 15,
      acquireTime: expect.stringMatching(/^2026-01-01T00:00:0\d\.\d{6}Z$/),
      renewTime: expect.stringMatching(/^2026-01-01T00:00:0\d\.\d{6}Z$/),
      leaseTransitions: 0,
    },
  });
});

test('a leader sends a request about every five seconds, another replica about every two and a half', async () => {
  const { world } = await settled(2);
  const before = world.requests.length;
  await world.pass(600);
  const asked = world.requests.slice(before);
  expect(asked.filter((method) => method === 'PUT').length).toBeGreaterThan(600 / 5.6);
  expect(asked.length).toBeLessThan(2 * (600 / 4) + 600 / 2);
});

describe('a handover', () => {
  test('on SIGTERM takes no longer than the next attempt of another replica', async () => {
    const { world, leader } = await settled(3);
    const released = leader.leader.stop();
    expect(leader.leader.leads()).toBe(false);
    expect(await world.until(() => world.leading().length === 1)).toBeLessThan(3.2);
    await released;
    expect(world.leading()).not.toContain(leader.name);
    expect(specOf(world)).toMatchObject({ leaseDurationSeconds: 15, leaseTransitions: 1 });
    expect(world.messages(leader)).toEqual([
      'became the leader',
      'no longer the leader: shutting down',
      'released Lease regkeeper/regkeeper',
    ]);
    expect(leader.log.lines.map(({ level }) => level)).toEqual(['info', 'info', 'info']);
    await world.pass(60);
    expect(world.leading()).toHaveLength(1);
    expect([...world.overlaps]).toEqual([]);
  });

  test('releases the Lease even if another writer changes it at the same moment', async () => {
    const { world, leader } = await settled(1);
    const released = leader.leader.stop();
    await world.pass(0.06);
    world.edit((now) => ({ ...now, metadata: { ...now.metadata, labels: { edited: 'yes' } } }));
    await world.pass(1);
    await released;
    expect(specOf(world)).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
  });

  test('releases a Lease that was acquired a moment ago, although the response has not arrived yet', async () => {
    const world = leaseWorld();
    const replica = world.start('replica');
    replica.network = 'slow';
    await world.until(() => world.lease() !== undefined);
    expect(replica.leader.leads()).toBe(false);
    const released = replica.leader.stop();
    await world.pass(10);
    await released;
    expect(specOf(world)).toMatchObject({ holderIdentity: '' });
    expect(replica.leader.leads()).toBe(false);
  });

  test('from a killed leader takes as long as its Lease, and no replica is the leader before', async () => {
    const { world, leader, others } = await settled(3);
    world.kill(leader);
    const renewed = Date.parse(specOf(world).renewTime ?? '') - Date.parse('2026-01-01T00:00:00Z');
    await world.until(() => world.leading().length === 1);
    expect(world.time() - renewed).toBeGreaterThan(15_000);
    expect(world.time() - renewed).toBeLessThan(15_000 + 2_000 + 1_000 + 700);
    expect(specOf(world)).toMatchObject({ leaseTransitions: 1 });
    const heirs = others.filter(({ leader }) => leader.leads());
    for (const heir of heirs)
      expect(world.messages(heir)).toEqual([`another replica is the leader: ${leader.identity}`, 'became the leader']);
  });

  test('ends soon even if the API server does not respond, and logs how long the Lease is still held', async () => {
    const { world, leader } = await settled(1);
    leader.network = 'cut';
    let done = false;
    void Promise.resolve(leader.leader.stop()).then(() => {
      done = true;
    });
    expect(await world.until(() => done)).toBeLessThan(4);
    expect(world.messages(leader).at(-1)).toContain('another replica can acquire it after 15 s');
  });
});

describe('a disconnected leader', () => {
  test.each<Network>(['cut', 'failing', 'late', 'answers lost'])('(%s) stops before another one begins, and logs why', async (network) => {
    const { world, leader } = await settled(3);
    leader.network = network;
    await world.until(() => !leader.leader.leads(), 10.5);
    expect(world.leading()).toEqual([]);
    await world.pass(0.5);
    expect(world.messages(leader)).toContain('no longer the leader: failed to renew Lease regkeeper/regkeeper within 10 s');
    await world.until(() => world.leading().length === 1, 60);
    leader.network = 'whole';
    await world.pass(120);
    expect(world.leading()).toHaveLength(1);
    expect([...world.overlaps]).toEqual([]);
  });

  test('stays the leader if only one request is lost', async () => {
    const { world, leader } = await settled(2);
    const before = world.requests.length;
    await world.until(() => world.requests.slice(before).includes('PUT'));
    await world.pass(0.2);
    leader.network = 'cut';
    await world.pass(5.5);
    leader.network = 'whole';
    await world.pass(60);
    expect(world.leading()).toEqual([leader.name]);
    expect(world.messages(leader)).toEqual([
      'became the leader',
      expect.stringMatching(/^could not renew Lease regkeeper\/regkeeper: GET .*: Timeout \(0\)\. Retrying$/),
      'can access Lease regkeeper/regkeeper again',
    ]);
  });

  test('is no longer the leader as soon as it wakes up, before any of its timers has run', async () => {
    const { world, leader } = await settled(2);
    leader.stalledUntil = world.time() + 40_000;
    await world.pass(39);
    expect(leader.leader.leads()).toBe(false);
    expect(world.leading()).toHaveLength(1);
    await world.pass(60);
    expect([...world.overlaps]).toEqual([]);
  });
});

describe('a replica that is not ready', () => {
  test('is no candidate, and becomes the leader as soon as it is ready', async () => {
    const world = leaseWorld();
    const replica = world.start('replica', { able: false });
    await world.pass(60);
    expect(world.lease()).toBeUndefined();
    replica.able = true;
    expect(await world.until(() => replica.leader.leads())).toBeLessThan(1);
  });

  test('does not block the others', async () => {
    const world = leaseWorld();
    world.start('broken', { able: false });
    const sound = world.start('sound');
    await world.pass(5);
    expect(world.leading()).toEqual([sound.name]);
  });

  test('gives up leadership after a while, and not for a moment of unreadiness', async () => {
    const { world, leader } = await settled(2);
    leader.able = false;
    await world.pass(10);
    leader.able = true;
    await world.pass(60);
    expect(world.leading()).toEqual([leader.name]);

    leader.able = false;
    expect(await world.until(() => world.leading().some((name) => name !== leader.name))).toBeGreaterThan(15);
    expect(world.messages(leader)).toContain('no longer the leader: this replica has not been ready for 15 s');
    expect([...world.overlaps]).toEqual([]);
  });

  test('releases the Lease later if the API server did not respond at first', async () => {
    const { world, leader } = await settled(1);
    leader.able = false;
    leader.network = 'failing';
    await world.pass(40);
    leader.network = 'whole';
    await world.pass(5);
    expect(specOf(world)).toMatchObject({ holderIdentity: '' });
  });
});

describe('a Lease that another writer', () => {
  test('deletes is recreated, and the leader stays', async () => {
    const { world, leader } = await settled(3);
    world.edit(() => undefined);
    expect(await world.until(() => specOf(world).holderIdentity === leader.identity)).toBeLessThan(6);
    await world.pass(60);
    expect(world.leading()).toEqual([leader.name]);
    expect([...world.overlaps]).toEqual([]);
  });

  test('deletes while no replica renews it is recreated by another replica, not before the leader must have stopped', async () => {
    const { world, leader } = await settled(2);
    leader.network = 'cut';
    world.edit(() => undefined);
    await world.until(() => world.leading().some((name) => name !== leader.name));
    expect([...world.overlaps]).toEqual([]);
  });

  const edits: [what: string, spec: (spec: Lease['spec']) => Lease['spec']][] = [
    ['releases', (spec) => ({ ...spec, holderIdentity: '' })],
    ['assigns to another holder', (spec) => ({ ...spec, holderIdentity: 'me' })],
    ['assigns to another holder for years', (spec) => ({ ...spec, holderIdentity: 'me', leaseDurationSeconds: 2_000_000_000 })],
    ['shortens', (spec) => ({ ...spec, leaseDurationSeconds: 1 })],
    ['dates years ahead', (spec) => ({ ...spec, renewTime: '2099-01-01T00:00:00.000000Z', acquireTime: '2099-01-01T00:00:00.000000Z' })],
    ['dates years back', (spec) => ({ ...spec, renewTime: '1999-01-01T00:00:00.000000Z' })],
    ['assigns to another holder with the highest count of transitions', () => ({ holderIdentity: 'me', leaseTransitions: 2 ** 31 - 1 })],
    ['empties', () => null],
  ];
  test.each(edits)('%s has one leader again after a while, and never two', async (_what, change) => {
    const { world } = await settled(3);
    world.edit((now) => ({ ...now, spec: change(now.spec) ?? null }));
    await world.pass(70);
    expect(world.leading()).toHaveLength(1);
    expect(specOf(world)).toMatchObject({ leaseDurationSeconds: 15 });
    expect(specOf(world).leaseTransitions).toBeLessThan(2 ** 31);
    expect(specOf(world).acquireTime).toMatch(/^\d{4}-/);
    expect([...world.overlaps]).toEqual([]);
  });

  test('annotates keeps its leader and the annotation', async () => {
    const { world, leader } = await settled(2);
    for (let round = 0; round < 20; round += 1) {
      world.edit((now) => ({ ...now, metadata: { ...now.metadata, annotations: { round: String(round) } } }));
      await world.pass(1.3);
    }
    expect(world.leading()).toEqual([leader.name]);
    expect(world.lease()?.metadata.annotations).toEqual({ round: '19' });
    expect(specOf(world).leaseTransitions).toBe(0);
  });

  test('creates in advance, empty, is acquired', async () => {
    const world = leaseWorld();
    world.putLease(undefined);
    world.start('replica');
    await world.pass(20);
    expect(world.leading()).toEqual(['replica']);
  });
});

describe('a Lease that cannot be acquired', () => {
  test('due to a missing permission is logged once with the permission, and there is no leader until it is granted', async () => {
    const world = leaseWorld();
    const replica = world.start('replica');
    replica.network = 'forbidden';
    await world.pass(600);
    expect(replica.leader.leads()).toBe(false);
    expect(replica.log.lines).toEqual([
      {
        level: 'error',
        message:
          `cannot acquire Lease regkeeper/regkeeper: GET ${world.place}/regkeeper: Forbidden (403). This replica is not the leader and ` +
          'does not manage the webhooks. Grant these permissions with a Role in namespace regkeeper: apiGroups ["coordination.k8s.io"], ' +
          'resources ["leases"], verbs ["create"], and verbs ["get", "update"] with resourceNames ["regkeeper"]',
      },
    ]);
    replica.network = 'whole';
    expect(await world.until(() => replica.leader.leads())).toBeLessThan(12);
    expect(world.messages(replica).slice(1)).toEqual(['became the leader', 'can access Lease regkeeper/regkeeper again']);
  });

  test('from an API server that has just started is not logged as a missing permission', async () => {
    const world = leaseWorld();
    const replica = world.start('replica');
    replica.network = 'forbidden';
    await world.pass(3.5);
    replica.network = 'whole';
    await world.pass(5);
    expect(world.messages(replica)).toEqual(['became the leader']);
  });

  test('due to a failing API server is logged once', async () => {
    const world = leaseWorld();
    const replica = world.start('replica');
    replica.network = 'failing';
    await world.pass(60);
    expect(replica.log.lines).toEqual([
      { level: 'warn', message: expect.stringMatching(/^cannot acquire Lease .*InternalError.* does not manage the webhooks\. Retrying$/) },
    ]);
  });
});

test('a listener is notified of each change, until it unsubscribes', async () => {
  const world = leaseWorld();
  const replica = world.start('replica', { able: false });
  const heard: boolean[] = [];
  const forget = replica.leader.onChange(() => heard.push(replica.leader.leads()));
  replica.able = true;
  await world.pass(20);
  replica.network = 'cut';
  await world.pass(20);
  expect(heard).toEqual([true, false]);
  forget();
  replica.network = 'whole';
  await world.pass(20);
  expect(replica.leader.leads()).toBe(true);
  expect(heard).toHaveLength(2);
});

describe('whatever happens to two or three replicas', () => {
  const which = fc.nat(2);
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), seconds: fc.constantFrom(0.3, 1, 2, 5, 9, 16, 40) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('network' as const),
        which,
        network: fc.constantFrom<Network>('whole', 'cut', 'answers lost', 'slow', 'late', 'failing'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wall clock' as const), which, days: fc.constantFrom(-400, -1, 0, 1, 400) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const), which, seconds: fc.constantFrom(3, 9, 12, 30) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('able' as const), which, able: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('restart' as const), which, killed: fc.boolean() }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('edit' as const),
        how: fc.constantFrom<Edit>('deleted', 'released', 'assigned to another holder', 'annotated'),
      }),
    },
  );
  type Edit = 'deleted' | 'released' | 'assigned to another holder' | 'annotated';
  const edit: Record<Edit, (now: Lease) => Lease | undefined> = {
    deleted: () => undefined,
    released: (now) => ({ ...now, spec: { ...now.spec, holderIdentity: '', leaseDurationSeconds: 15 } }),
    'assigned to another holder': (now) => ({ ...now, spec: { ...now.spec, holderIdentity: 'me', leaseDurationSeconds: 1 } }),
    annotated: (now) => ({ ...now, metadata: { ...now.metadata, annotations: { by: 'hand' } } }),
  };

  test(
    'there are never two leaders, and after recovery there is one, which stays',
    async () => {
      let changes = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 2, max: 3 }),
          fc.array(fc.integer({ min: 85, max: 115 }), { minLength: 3, maxLength: 3 }),
          fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { noHistory: true }),
          fc.array(step, { minLength: 5, maxLength: 40 }),
          async (count, rates, numbers, steps) => {
            const world = leaseWorld(() => numbers.next().value);
            const start = (index: number) => world.start(`replica-${index + 1}`, { rate: (rates[index] ?? 100) / 100 });
            const live: Replica[] = Array.from({ length: count }, (_, index) => start(index));
            for (const each of steps) {
              if (each.do === 'pass') await world.pass(each.seconds);
              // If a Lease is deleted before a new replica has ever read it, that replica cannot know that there was a leader.
              if (each.do === 'edit' && (each.how !== 'deleted' || live.every(({ hasSeen }) => hasSeen))) world.edit(edit[each.how]);
              if (!('which' in each)) continue;
              const index = each.which % count;
              const replica = live[index] as Replica;
              if (each.do === 'network') replica.network = each.network;
              if (each.do === 'wall clock') replica.ahead = each.days * day;
              if (each.do === 'stall') replica.stalledUntil = world.time() + each.seconds * 1_000;
              if (each.do === 'able') replica.able = each.able;
              if (each.do === 'restart' && world.lease() !== undefined) {
                if (each.killed) world.kill(replica);
                else void replica.leader.stop();
                live[index] = start(index);
              }
            }
            for (const replica of live) Object.assign(replica, { network: 'whole', able: true });
            await world.pass(150);
            expect([...world.overlaps]).toEqual([]);
            const inTheEnd = world.leading();
            expect(inTheEnd).toHaveLength(1);
            await world.pass(60);
            expect(world.leading()).toEqual(inTheEnd);
            changes += world.lease()?.spec?.leaseTransitions ?? 0;
          },
        ),
        runs(150),
      );
      // The schedules do cause changes of the leader.
      expect(changes).toBeGreaterThan(runs(150).numRuns / 5);
    },
    propertyTimeout,
  );
});
