/**
 * Attempts to get a credential into a namespace that no cluster rule entitles to it. In each row `mine` is the attacker's namespace, and
 * `shop` is entitled. Attempts against RBAC and the policy are in test/cluster/scenarios/delivery-rights.test.ts.
 */
import { describe, expect, test } from 'vitest';
import { ApiError } from '../../../../src/kube/api-client.ts';
import { deliveryWorld, label } from './delivery-world.ts';

const prod = { tier: 'prod' };
const rules = `
rules:
- {registry: reg.example.com, pullSecret: corp}
- {registry: base.example.com, namespaces: shop, pullSecret: base}
secrets:
- {name: corp, source: corp-source, namespaces: {matchLabels: {tier: prod}}, retain: 1h}
- {name: base, source: base-source, namespaces: "*", deliver: always}
`;

async function shop() {
  const world = await deliveryWorld({ rules, permitted: ['corp', 'base'], sources: ['corp-source', 'base-source'] });
  world.putSource('robot:corp');
  world.putSecret('regkeeper', 'base-source', {
    metadata: { labels: { 'regkeeper.io/source': 'true' } },
    data: { '.dockerconfigjson': btoa(JSON.stringify({ auths: { 'base.example.com': { auth: btoa('robot:base') } } })) },
  });
  world.putNamespace('shop', prod);
  world.putPod('shop', 'web');
  world.putNamespace('mine');
  await world.start();
  expect(world.login('shop')).toBe('robot:corp');
  world.writes();
  return world;
}

type World = Awaited<ReturnType<typeof shop>>;

/** Every name and annotation that a tenant can put on its own objects. */
const forged = (namespace: string, name: string, metadata: object = {}) => ({ metadata: { name, namespace, ...metadata } });
const needing = { annotations: { 'regkeeper.io/secrets': 'corp,base,corp-source,regkeeper-tls' } };
const own = '{"auths":{"reg.example.com":{"auth":"YTpi"}}}';

describe('no credential gets into a namespace', () => {
  test.each<[attempt: string, act: (world: World) => unknown]>([
    ['through an annotation that lists every secret', (world) => world.putPod('mine', 'web', 'corp,base,corp-source')],
    [
      'through delivery labels and annotations on any object',
      (world) =>
        world.putObject('/api/v1/namespaces/mine/pods/web', {
          ...forged('mine', 'web', { ...needing, labels: { ...label, 'regkeeper.io/source': 'true', ...prod } }),
        }),
    ],
    [
      'through an object whose metadata claims to be in an entitled namespace',
      (world) => world.putObject('/api/v1/namespaces/mine/pods/web', forged('mine', 'shop/web', needing)),
    ],
    [
      'through an empty Secret that is labelled as a copy, to be filled',
      (world) => {
        world.putSecret('mine', 'corp', { metadata: { labels: label, annotations: { 'regkeeper.io/source-version': 'old' } } });
        world.putPod('mine', 'web');
      },
    ],
    [
      'through a Secret that claims to be written by delivery',
      (world) => {
        const managedFields = [{ manager: 'regkeeper-deliver', operation: 'Apply', fieldsV1: { 'f:data': { 'f:.dockerconfigjson': {} } } }];
        world.putSecret('mine', 'corp', { metadata: { labels: label, managedFields }, data: { '.dockerconfigjson': btoa(own) } });
        world.putPod('mine', 'web');
      },
    ],
    [
      'through a Secret that is labelled as a source',
      (world) => {
        world.putSecret('mine', 'corp-source', { metadata: { labels: { 'regkeeper.io/source': 'true' } }, data: {} });
        world.putPod('mine', 'web');
      },
    ],
    [
      'through a name that is a prefix of an entitled namespace, or has it as a prefix',
      async (world) => {
        for (const name of ['sho', 'shop2', 'shop-', 'SHOP']) {
          world.putNamespace(name);
          world.putPod(name, 'web', 'corp,base');
        }
        await world.react();
      },
    ],
    [
      'through names of properties that every JavaScript object has',
      async (world) => {
        world.putNamespace('constructor');
        world.putPod('constructor', 'toString', 'constructor,__proto__,toString,corp');
        world.putPod('constructor', '__proto__', 'corp,base');
        await world.react();
      },
    ],
    [
      'through a namespace with only similar labels',
      async (world) => {
        for (const [index, labels] of [{ tier: 'Prod' }, { tier: 'prod ' }, { Tier: 'prod' }, { 'x/tier': 'prod' }].entries()) {
          world.putNamespace(`similar-${index}`, labels as never);
          world.putPod(`similar-${index}`, 'web');
        }
        await world.react();
      },
    ],
    [
      'through a label with the name of another namespace',
      (world) => {
        world.putNamespace('mine', { 'kubernetes.io/metadata.name': 'shop' });
        world.putPod('mine', 'web', 'corp,base');
      },
    ],
    [
      'through annotations of the namespace',
      (world) => {
        world.putObject('/api/v1/namespaces/mine', { metadata: { name: 'mine', annotations: { tier: 'prod', ...needing.annotations } } });
        world.putPod('mine', 'web');
      },
    ],
    [
      'through a namespace that the webhooks do not intercept',
      (world) => {
        world.putNamespace('mine', { ...prod, unselected: '' });
        world.putPod('mine', 'web');
      },
    ],
    [
      'that is excluded',
      (world) => {
        world.putNamespace('kube-system', prod);
        world.putPod('kube-system', 'web', 'corp,base');
      },
    ],
    [
      "that is regkeeper's own",
      (world) => {
        world.putNamespace('regkeeper', prod);
        world.putPod('regkeeper', 'web', 'corp,base');
      },
    ],
    [
      'that is being deleted',
      (world) => {
        world.putObject('/api/v1/namespaces/mine', { metadata: { name: 'mine', labels: prod, deletionTimestamp: 'x' } } as never);
        world.putPod('mine', 'web');
      },
    ],
    ['that does not exist', (world) => world.putPod('nowhere', 'web', 'corp,base')],
    [
      'that was entitled, and was deleted and created again by another user',
      async (world) => {
        world.putNamespace('mine', prod);
        await world.react();
        world.removeNamespace('mine');
        world.putNamespace('mine');
        world.putPod('mine', 'web');
      },
    ],
    [
      'that was entitled, while the watch of namespaces has not reported the removal of its label',
      async (world) => {
        world.putNamespace('mine', prod);
        await world.react();
        world.state.namespacesStalled = true;
        world.putNamespace('mine');
        world.putPod('mine', 'web');
      },
    ],
    [
      'that was entitled, while the watch of namespaces has not reported its deletion and recreation',
      async (world) => {
        world.putNamespace('mine', prod);
        await world.react();
        world.state.namespacesStalled = true;
        world.removeNamespace('mine');
        world.putNamespace('mine');
        world.putPod('mine', 'web');
      },
    ],
    [
      'whose label is removed between the plan and a delayed write',
      async (world) => {
        world.putNamespace('mine', prod);
        world.state.failing = new ApiError(503, 'ServiceUnavailable', 'etcd is unavailable');
        world.putPod('mine', 'web');
        await world.react();
        expect(world.failures()).not.toEqual([]);
        world.putNamespace('mine');
        world.state.failing = undefined;
      },
    ],
    [
      'whose rule is removed between the plan and a delayed write',
      async (world) => {
        world.putNamespace('mine', prod);
        world.state.failing = new ApiError(503, 'ServiceUnavailable', 'etcd is unavailable');
        world.putPod('mine', 'web');
        await world.react();
        world.setRules(rules.replace('{tier: prod}', '{name: shop}'));
        world.state.failing = undefined;
      },
    ],
    [
      'between the loss of leadership and the next plan',
      async (world) => {
        world.putNamespace('mine', prod);
        world.lead(false);
        world.putPod('mine', 'web');
        await world.react();
        world.putNamespace('mine');
        world.lead(true);
      },
    ],
    [
      'through a rule that applies there, but whose secret is for other namespaces',
      (world) => {
        world.setRules(rules.replace('namespaces: {matchLabels: {tier: prod}}', 'namespaces: [shop]'));
        world.putNamespace('mine', prod);
        world.putPod('mine', 'web');
      },
    ],
    [
      'through an entry for every namespace, whose rules are for others',
      (world) => {
        world.setRules(
          rules
            .replace('namespaces: {matchLabels: {tier: prod}}', 'namespaces: "*"')
            .replace('{registry: reg.example.com,', '{registry: reg.example.com, namespaces: shop,'),
        );
        world.putPod('mine', 'web', 'corp,base');
      },
    ],
    [
      'through a different name in an entry for the same source',
      async (world) => {
        world.setRules(`${rules}- {name: other, source: corp-source, namespaces: "*"}\n`);
        world.putPod('mine', 'web', 'other,corp');
      },
    ],
  ])('%s', async (_attempt, act) => {
    const world = await shop();
    await act(world);
    await world.clock.advance(20_000);
    for (const path of world.writes()) expect(path).toMatch(/^(apply|annotate|delete) shop\//);
    await world.clock.advance(700_000);
    for (const path of world.writes()) expect(path).toMatch(/^((apply|annotate|delete) shop|delete mine)\//);
  });
});

test('the same need is satisfied in an entitled namespace, so the attempts above fail for the expected reason', async () => {
  const world = await shop();
  world.putNamespace('mine', prod);
  world.putPod('mine', 'web');
  await world.react();
  expect(world.writes()).toEqual(['apply mine/secrets/corp']);
});

test('a rotated credential is not written to a copy whose namespace lost its label, even before a watch reports that', async () => {
  const world = await shop();
  world.putNamespace('mine', prod);
  world.putPod('mine', 'web');
  await world.react();
  world.state.namespacesStalled = true;
  world.putNamespace('mine');
  world.putSource('robot:new');
  await world.react();
  expect(world.login('shop')).toBe('robot:new');
  expect(world.login('mine')).toBe('robot:corp');
});

test('a Secret of another type that is labelled as a copy is reported once, and not written again and again', async () => {
  const world = await shop();
  world.putNamespace('mine', prod);
  world.putSecret('mine', 'corp', { type: 'Opaque', metadata: { labels: label }, data: { key: 'x' } });
  world.putPod('mine', 'web');
  await world.clock.advance(700_000);
  world.putPod('mine', 'web-2');
  await world.clock.advance(700_000);
  expect(world.secret('mine')).toMatchObject({ type: 'Opaque', data: { key: 'x' } });
  expect(world.findings()).toEqual(['mine/corp: foreign']);
  expect(world.failures()).toEqual([]);
  expect(world.rejections()).toEqual(['/api/v1/namespaces/mine/secrets/corp']);
  world.removeSecret('mine');
  await world.react();
  expect(world.login('mine')).toBe('robot:corp');
  expect(world.delivery.controller.findings().size).toBe(0);
});

test('nothing is written while the namespace cannot be read', async () => {
  const world = await shop();
  world.putNamespace('mine', prod);
  world.state.namespacesUnreadable = new ApiError(403, 'Forbidden', 'GET /api/v1/namespaces: Forbidden (403)');
  world.putPod('mine', 'web');
  await world.clock.advance(60_000);
  expect(world.writes()).toEqual([]);
  expect(world.failures()[0]).toContain('mine/corp');
});

test('a namespace with too many labels to keep gets no copies, and loses those that it has', async () => {
  const world = await shop();
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`example.com/${index}`, 'x'.repeat(63)]));
  world.putNamespace('new', { ...prod, ...many });
  world.putPod('new', 'web');
  world.putNamespace('shop', { ...prod, ...many });
  await world.clock.advance(32_000);
  expect([world.login('new'), world.login('shop')]).toEqual([undefined, undefined]);
});

test('a copy is deleted 30 seconds after the webhooks no longer select its namespace', async () => {
  const world = await shop();
  world.putNamespace('shop', { ...prod, unselected: '' });
  await world.clock.advance(29_000);
  expect(world.writes()).toEqual([]);
  await world.clock.advance(3_000);
  expect(world.writes()).toEqual(['delete shop/secrets/base', 'delete shop/secrets/corp']);
});

describe('a copy contains no credential for a rule that does not apply to its namespace', () => {
  const split = `
rules:
- {registry: reg.example.com/a, namespaces: [a], pullSecret: corp}
- {registry: reg.example.com/b, namespaces: [b], pullSecret: corp}
- {registry: reg.example.com/build, namespaces: [b], pullSecret: pull, pushSecret: corp}
secrets:
- {name: corp, source: corp-source, namespaces: "*", deliver: always}
- {name: pull, source: corp-source, namespaces: [b], deliver: always}
`;
  const keysOf = (world: Pick<World, 'secret'>, namespace: string, name: string) =>
    Object.keys(JSON.parse(atob(world.secret(namespace, name)?.data?.['.dockerconfigjson'] ?? btoa('{"auths":{}}'))).auths);

  async function withSource(keys: readonly string[], text = split) {
    const world = await deliveryWorld({ rules: text, permitted: ['corp', 'pull'] });
    const auths = Object.fromEntries(keys.map((key) => [key, { auth: btoa('robot:x') }]));
    world.putSecret('regkeeper', 'corp-source', {
      metadata: { labels: { 'regkeeper.io/source': 'true' } },
      data: { '.dockerconfigjson': btoa(JSON.stringify({ auths })) },
    });
    for (const name of ['a', 'b', 'c']) world.putNamespace(name);
    return await world.start();
  }

  test('even if the source has both, and both rules use the same secret', async () => {
    const world = await withSource(['reg.example.com/a', 'reg.example.com/b']);
    expect(keysOf(world, 'a', 'corp')).toEqual(['reg.example.com/a']);
    expect(keysOf(world, 'b', 'corp')).toEqual(['reg.example.com/b']);
    expect(world.secret('c')).toBeUndefined();
  });

  test("nor one that only a build's pull needs, in the secret for the push", async () => {
    // A build looks up pulls by whole path segments, and pushes as the kubelet does, by text.
    const world = await withSource(['reg.example.com', 'reg.example.com/bu'], split.replace(/.*reg.example.com\/b,.*\n/, ''));
    expect(keysOf(world, 'b', 'pull')).toEqual(['reg.example.com', 'reg.example.com/bu']);
    expect(keysOf(world, 'b', 'corp')).toEqual(['reg.example.com/bu']);
  });
});
