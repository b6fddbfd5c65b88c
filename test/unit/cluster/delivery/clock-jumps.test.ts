/**
 * Clocks that jump. Durations are measured by the monotonic clock, and times in annotations are those of the API server. Leadership under jumps
 * is tested in test/unit/kube/leader-election.test.ts.
 */
import { describe, expect, test } from 'vitest';
import { deliveryWorld } from './delivery-world.ts';

const day = 86_400_000;
const rules = `
rules: [{registry: reg.example.com, pullSecret: corp}]
secrets: [{name: corp, source: corp-source, namespaces: "*", retain: 1h}]
`;

async function delivered() {
  const world = await deliveryWorld({ rules });
  world.putSource('robot:one');
  world.putNamespace('a');
  world.putPod('a', 'web');
  await world.start();
  expect(world.writes()).toEqual(['apply a/secrets/corp']);
  return world;
}

type World = Awaited<ReturnType<typeof delivered>>;

const clocks: Readonly<Record<string, (world: World, milliseconds: number) => void>> = {
  'of this process': ({ clock }, milliseconds) => clock.jump(milliseconds),
  'of the API server': ({ state }, milliseconds) => {
    state.serverAhead += milliseconds;
  },
};

describe.each(Object.entries(clocks))('the wall clock %s', (_which, jump) => {
  test.each([day, -day, 400 * day, -400 * day])(
    'that jumps by %d ms changes no copy that is needed, and ends no proof of the fence',
    async (by) => {
      const world = await delivered();
      jump(world, by);
      await world.clock.advance(700_000);
      expect(world.writes()).toEqual([]);
      expect(world.delivery.able()).toBe(true);
      world.putSource('robot:two');
      await world.react();
      expect(world.login('a')).toBe('robot:two');
      expect(world.rotations.at(-1)?.seconds).toBeLessThan(1);
    },
  );

  test.each([day, -day])('that jumps by %d ms does not shorten the 30 seconds after the end of an entitlement', async (by) => {
    const world = await delivered();
    world.setRules('rules: [{registry: reg.example.com}]');
    await world.clock.advance(20_000);
    jump(world, by);
    await world.clock.advance(9_000);
    expect(world.writes()).toEqual([]);
    await world.clock.advance(3_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test.each([day, -day])('that jumps by %d ms does not shorten the five minutes after the last need', async (by) => {
    const world = await delivered();
    world.removePod('a', 'web');
    await world.clock.advance(200_000);
    jump(world, by);
    await world.clock.advance(90_000);
    expect(world.writes()).toEqual([]);
    await world.clock.advance(15_000);
    expect(world.writes()).toEqual(['annotate a/secrets/corp']);
    await world.clock.advance(3_000_000);
    expect(world.writes()).toEqual([]);
    await world.clock.advance(400_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test('that is set back after the copy was marked does not keep the copy forever: it is marked again, with the time that has passed', async () => {
    const world = await delivered();
    world.removePod('a', 'web');
    await world.clock.advance(310_000);
    expect(world.writes()).toEqual(['annotate a/secrets/corp']);
    jump(world, -400 * day);
    await world.clock.advance(610_000);
    expect(world.writes()).toEqual(['annotate a/secrets/corp']);
    await world.clock.advance(2_600_000);
    expect(world.writes()).toEqual([]);
    await world.clock.advance(100_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test('that is set forward ends the time for which a copy is retained, and only if the API server has no object that needs it', async () => {
    const world = await delivered();
    world.removePod('a', 'web');
    await world.clock.advance(310_000);
    world.writes();
    world.state.unseen = [{ metadata: { name: 'second', annotations: { 'regkeeper.io/secrets': 'corp' } } }];
    jump(world, day);
    await world.clock.advance(3_700_000);
    expect(world.writes()).toEqual([]);
    world.state.unseen = [];
    await world.clock.advance(60_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
    world.putPod('a', 'again');
    await world.react();
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
  });
});
