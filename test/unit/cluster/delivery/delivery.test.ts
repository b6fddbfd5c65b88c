/** Tests secret delivery as a whole, on a cluster in memory. */
import { describe, expect, test } from 'vitest';
import { ApiError, type KubeObject } from '../../../../src/kube/api-client.ts';
import { kindsWithImages } from '../../../../src/object/kinds.ts';
import { deliveryWorld, label } from './delivery-world.ts';

const secret = (fields = '') => `
rules: [{registry: reg.example.com, pullSecret: corp}]
secrets: [{name: corp, source: corp-source, namespaces: {matchLabels: {tier: prod}}${fields}}]
`;
const prod = { tier: 'prod' };

async function started(fields = '', options = {}) {
  const world = await deliveryWorld({ rules: secret(fields), ...options });
  world.putSource('robot:one');
  world.putNamespace('a', prod);
  world.putNamespace('b');
  return await world.start();
}

/** A rule with the delivered secret for each registry. */
const rulesFor = (...registries: string[]) =>
  `rules: [${registries.map((registry) => `{registry: ${registry}, pullSecret: corp}`).join(', ')}]
secrets: [{name: corp, source: corp-source, namespaces: '*' }]`;

describe('a copy', () => {
  test('is created if an object in an entitled namespace needs it', async () => {
    const world = await started();
    world.putPod('a', 'web');
    world.putPod('b', 'web');
    await world.react();
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
    expect(world.login('a')).toBe('robot:one');
    expect(world.secret('a')?.metadata.labels).toEqual({ ...label, 'app.kubernetes.io/managed-by': 'regkeeper' });
    expect(world.written.map(({ action, secret: stored }) => [action.do, stored?.name])).toEqual([['create', 'corp']]);
  });

  test('exists without a need if it is always delivered', async () => {
    const world = await started(', deliver: always');
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
    world.putNamespace('c', prod);
    await world.react();
    expect(world.writes()).toEqual(['apply c/secrets/corp']);
  });

  test('is created when the label of the namespace arrives after the need', async () => {
    const world = await started();
    world.putPod('b', 'web');
    await world.react();
    expect(world.writes()).toEqual([]);
    world.putNamespace('b', prod);
    await world.react();
    expect(world.writes()).toEqual(['apply b/secrets/corp']);
  });

  test('is not created in a namespace that does not exist yet, and is when it does', async () => {
    const world = await started();
    world.putPod('later', 'web');
    await world.react();
    world.putNamespace('later', prod);
    await world.react();
    expect(world.writes()).toEqual(['apply later/secrets/corp']);
  });

  test('is never created in an excluded namespace', async () => {
    const world = await started();
    world.putNamespace('kube-system', prod);
    world.putPod('kube-system', 'web');
    await world.react();
    expect(world.writes()).toEqual([]);
  });

  test('is updated when its source changes, and the time of the rotation is measured', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    world.putSource('robot:two');
    await world.react();
    expect(world.login('a')).toBe('robot:two');
    expect(world.rotations).toMatchObject([{ source: 'corp-source', copies: 1 }]);
    expect(world.written.map(({ action }) => [action.do, 'because' in action && action.because])).toEqual([
      ['create', false],
      ['update', 'content-changed'],
    ]);
  });

  test('stays as it is when its source disappears or is malformed', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    world.writes();
    world.putSecret('regkeeper', 'corp-source', {
      metadata: { labels: { 'regkeeper.io/source': 'true' } },
      data: { '.dockerconfigjson': btoa('{') },
    });
    await world.react();
    world.removeSecret('regkeeper', 'corp-source');
    await world.react();
    expect(world.writes()).toEqual([]);
    expect(world.login('a')).toBe('robot:one');
    expect(world.findings()).toEqual(['a/corp: content-unavailable']);
    expect(world.log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      expect.stringContaining('is malformed'),
      expect.stringContaining('does not exist'),
    ]);
    world.putSource('robot:three');
    await world.react();
    expect(world.login('a')).toBe('robot:three');
  });

  test('is deleted after the grace period if the rules now need only entries that the source does not have', async () => {
    const world = await deliveryWorld({ rules: rulesFor('other.example.com', 'reg.example.com') });
    world.putSource('robot:one');
    world.putNamespace('a');
    world.putPod('a', 'web');
    await world.start();
    expect(world.login('a')).toBe('robot:one');
    world.writes();
    world.setRules(rulesFor('other.example.com'));
    await world.react(20_000);
    expect(world.writes()).toEqual([]);
    await world.react(20_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
    expect(world.findings()).toEqual(['a/corp: content-unavailable']);
    world.setRules(rulesFor('reg.example.com'));
    await world.react();
    expect(world.login('a')).toBe('robot:one');
  });

  test('that would become too large for a Secret is only kept while the rules it was written for apply', async () => {
    const world = await deliveryWorld({ rules: rulesFor('reg.example.com') });
    const small = { auth: btoa('robot:one') };
    const large = { username: 'robot', password: '\u00e9'.repeat(200_000) };
    const auths = { 'reg.example.com': small, 'large.example.com': large };
    const data = { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') };
    world.putSecret('regkeeper', 'corp-source', { metadata: { labels: { 'regkeeper.io/source': 'true' } }, data });
    world.putNamespace('a');
    world.putPod('a', 'web');
    await world.start();
    world.writes();
    world.setRules(rulesFor('reg.example.com', 'large.example.com'));
    await world.react(60_000);
    expect(world.writes()).toEqual([]);
    expect(world.login('a')).toBe('robot:one');
    world.setRules(rulesFor('large.example.com'));
    await world.react(20_000);
    expect(world.writes()).toEqual([]);
    await world.react(20_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test('is restored after another writer has changed it', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    const stored = world.secret('a');
    world.putSecret('a', 'corp', {
      ...stored,
      data: { '.dockerconfigjson': btoa('{}') },
      metadata: { ...stored?.metadata, managedFields: [] } as never,
    });
    await world.react();
    expect(world.login('a')).toBe('robot:one');
    expect(world.written.at(-1)?.action).toMatchObject({ do: 'update', because: 'tampered' });
  });

  test('is created again after it was deleted, and later each time', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    world.writes();
    let recreated = 0;
    for (let second = 0; second < 120; second += 1) {
      if (world.secret('a')) world.removeSecret('a');
      await world.react(1_000);
      recreated += world.writes().length;
    }
    expect(recreated).toBeGreaterThan(5);
    expect(recreated).toBeLessThan(15);
  });

  test('is deleted and recreated if another writer has made it immutable', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    const stored = world.secret('a');
    const managedFields = [{ manager: 'tenant', operation: 'Update', fieldsV1: { 'f:immutable': {} } }];
    world.putSecret('a', 'corp', { ...stored, metadata: { ...stored?.metadata, managedFields } });
    await world.react();
    expect(world.writes().slice(-2)).toEqual(['delete a/secrets/corp', 'apply a/secrets/corp']);
  });

  test('is deleted and recreated if it is immutable, even if its managedFields do not show that', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    const stored = world.secret('a');
    world.putSecret('a', 'corp', {
      ...stored,
      immutable: true,
      data: { '.dockerconfigjson': btoa('{}') },
      metadata: { ...stored?.metadata, managedFields: [] } as never,
    });
    await world.react();
    expect(world.writes().slice(-2)).toEqual(['delete a/secrets/corp', 'apply a/secrets/corp']);
    expect(world.login('a')).toBe('robot:one');
    expect(world.failures()).toEqual([]);
  });

  test('that a watch has not reported yet is not written again and again', async () => {
    const world = await started();
    world.state.secretsStalled = true;
    world.putSecret('a', 'corp', { data: {} });
    world.putPod('a', 'web');
    await world.clock.advance(60_000);
    expect(world.rejections().length).toBeLessThan(10);
    expect(world.findings()).toEqual([]);
  });
});

describe('a copy that is no longer needed', () => {
  test('is marked after five minutes, and deleted after its retention time', async () => {
    const world = await started(', retain: 1h');
    world.putPod('a', 'web');
    await world.react();
    world.removePod('a', 'web');
    await world.react();
    world.writes();
    await world.clock.advance(299_000);
    expect(world.writes()).toEqual([]);
    await world.clock.advance(3_000);
    expect(world.writes()).toEqual(['annotate a/secrets/corp']);
    await world.clock.advance(3_200_000);
    expect(world.writes()).toEqual([]);
    await world.clock.advance(200_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test('loses its mark when it is needed again', async () => {
    const world = await started(', retain: 1h');
    world.putPod('a', 'web');
    await world.react();
    world.removePod('a', 'web');
    await world.clock.advance(310_000);
    world.putPod('a', 'web');
    await world.react();
    expect(world.writes()).toEqual(['apply a/secrets/corp', 'annotate a/secrets/corp', 'annotate a/secrets/corp']);
    expect(world.secret('a')?.metadata.annotations).not.toHaveProperty('regkeeper.io/unused-since');
  });

  test('is not deleted while the API server has an object that needs it, and the watch has not reported that yet', async () => {
    const world = await started(', retain: 0s');
    world.putPod('a', 'web');
    await world.react();
    world.writes();
    world.state.unseen = [{ metadata: { name: 'second', annotations: { 'regkeeper.io/secrets': 'corp' } } }];
    world.removePod('a', 'web');
    await world.clock.advance(60_000);
    expect(world.writes()).toEqual([]);
    world.state.unseen = [];
    await world.clock.advance(60_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test('is deleted although the ReplicaSets of earlier revisions still have the annotation of their Deployment', async () => {
    const world = await started(', retain: 0s', { kinds: kindsWithImages });
    world.putPod('a', 'web');
    world.putObject('/apis/apps/v1/namespaces/a/replicasets/web-1', {
      metadata: {
        name: 'web-1',
        namespace: 'a',
        annotations: { 'regkeeper.io/secrets': 'corp' },
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'u', controller: true }],
      } as KubeObject['metadata'],
    });
    await world.react();
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
    world.removePod('a', 'web');
    await world.clock.advance(60_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test('is not deleted because a late watch reports the end of an entitlement', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    world.writes();
    world.putNamespace('a');
    await world.react();
    world.state.namespacesStalled = true;
    world.putNamespace('a', prod);
    await world.clock.advance(60_000);
    expect(world.writes()).toEqual([]);
  });

  test('is deleted 30 seconds after the rules stop entitling the namespace, and not if they entitle it again before', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    world.writes();
    world.setRules('rules: [{registry: reg.example.com}]');
    await world.clock.advance(20_000);
    world.setRules(secret());
    await world.clock.advance(60_000);
    expect(world.writes()).toEqual([]);
    world.setRules('rules: [{registry: reg.example.com}]');
    await world.clock.advance(29_000);
    expect(world.writes()).toEqual([]);
    await world.clock.advance(3_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });

  test('is deleted after a restart too, if the rules no longer contain it', async () => {
    const world = await deliveryWorld({ rules: 'rules: [{registry: reg.example.com}]' });
    world.putNamespace('a', prod);
    world.putSecret('a', 'corp', { metadata: { labels: label } });
    await world.start();
    await world.clock.advance(40_000);
    expect(world.writes()).toEqual(['delete a/secrets/corp']);
  });
});

describe('a Secret without the label', () => {
  test('is never written, and is reported if the copy is needed', async () => {
    const world = await started();
    world.putSecret('a', 'corp', { data: { '.dockerconfigjson': btoa('{"auths":{}}') } });
    world.putPod('a', 'web');
    world.putPod('b', 'web');
    await world.react();
    await world.clock.advance(700_000);
    expect(world.writes()).toEqual([]);
    expect(world.findings()).toEqual(['a/corp: foreign']);
    expect([...world.delivery.controller.findings()]).toEqual([['a/corp', 'foreign']]);
    world.removeSecret('a');
    await world.react();
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
    expect(world.delivery.controller.findings().size).toBe(0);
  });

  test('that was a copy is reported as such', async () => {
    const world = await started();
    world.putPod('a', 'web');
    await world.react();
    const stored = world.secret('a');
    world.putSecret('a', 'corp', { ...stored, metadata: { ...stored?.metadata, labels: {} } });
    await world.react();
    expect(world.findings()).toEqual(['a/corp: label-removed']);
    world.putSource('robot:two');
    await world.react();
    expect(world.login('a')).toBe('robot:one');
  });
});

describe('nothing is written', () => {
  test('without leadership', async () => {
    const world = await started();
    world.lead(false);
    world.putPod('a', 'web');
    await world.react();
    expect(world.writes()).toEqual([]);
    world.lead(true);
    await world.react();
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
  });

  test('while the policy allows a copy in a namespace that is excluded here', async () => {
    const world = await deliveryWorld({ rules: secret() });
    world.state.notInPolicy = 'kube-system';
    world.putSource('robot:one');
    world.putNamespace('a', prod);
    world.putPod('a', 'web');
    const running = await world.start();
    expect(running.writes()).toEqual(['apply a/secrets/corp']);
    running.putNamespace('kube-system');
    await running.clock.advance(331_000);
    running.putSource('robot:two');
    await running.react();
    expect(running.writes()).toEqual([]);
    expect(running.delivery.unfenced()).toContain('accepted a copy in the excluded namespace kube-system');
  });

  test('while the policy is not verified, and the log names it', async () => {
    const world = await deliveryWorld({ rules: secret() });
    world.state.fenced = false;
    world.putSource('robot:one');
    world.putNamespace('a', prod);
    world.putPod('a', 'web');
    const running = await world.start();
    await running.clock.advance(120_000);
    expect(running.writes()).toEqual([]);
    expect(running.delivery.able()).toBe(false);
    expect(running.log.lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      expect.stringContaining('Apply the ValidatingAdmissionPolicy regkeeper-delivery'),
    ]);
    running.state.fenced = true;
    await running.clock.advance(31_000);
    expect(running.writes()).toEqual(['apply a/secrets/corp']);
  });

  test('after the policy was deleted, from the next check on', async () => {
    const world = await started();
    world.state.fenced = false;
    await world.clock.advance(331_000);
    world.putPod('a', 'web');
    await world.react();
    expect(world.writes()).toEqual([]);
  });

  test('for a secret without permission, and the log names it', async () => {
    const world = await started('', { permitted: ['other'] });
    world.putPod('a', 'web');
    await world.react();
    expect(world.writes()).toEqual([]);
    expect(world.delivery.notPermitted()).toEqual(['corp']);
    expect(world.log.lines.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('no permission to deliver the secrets corp'),
    );
    world.state.permitted = ['corp'];
    await world.clock.advance(61_000);
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
  });

  test('from a source without permission, or without the label', async () => {
    const world = await started('', { sources: [] });
    world.putPod('a', 'web');
    await world.react();
    expect(world.writes()).toEqual([]);
    expect(world.findings()).toEqual(['a/corp: content-unavailable']);
    world.putSource('robot:one', { labels: {} });
    world.state.sources = ['corp-source'];
    await world.clock.advance(61_000);
    expect(world.writes()).toEqual([]);
    world.putSource('robot:one');
    await world.react();
    expect(world.writes()).toEqual(['apply a/secrets/corp']);
  });
});

describe('a problem that an administrator has to fix', () => {
  async function withForeign() {
    const world = await started();
    world.putSecret('a', 'corp', { data: {} });
    world.putPod('a', 'web');
    await world.react();
    expect([...world.delivery.controller.findings().values()]).toEqual(['foreign']);
    return world;
  }

  test('is not reported by a replica that is no longer the leader', async () => {
    const world = await withForeign();
    world.lead(false);
    await world.react(2_000);
    expect(world.delivery.controller.findings().size).toBe(0);
    world.findings();
    world.lead(true);
    await world.react(2_000);
    expect(world.findings()).toEqual(['a/corp: foreign']);
  });

  test('is reported again while it persists, since an API server keeps an Event for an hour', async () => {
    const world = await withForeign();
    expect(world.findings()).toEqual(['a/corp: foreign']);
    await world.clock.advance(3_600_000);
    expect(world.findings()).toEqual([]);
    const reminders = world.reminders();
    expect(reminders.length).toBeGreaterThanOrEqual(5);
    expect(new Set(reminders)).toEqual(new Set(['a/corp: foreign']));
    world.removeSecret('a');
    await world.react();
    world.reminders();
    await world.clock.advance(3_600_000);
    expect(world.reminders()).toEqual([]);
  });

  test('is not reported for a secret that may no longer be delivered', async () => {
    const world = await withForeign();
    world.state.permitted = ['other'];
    await world.clock.advance(70_000);
    expect(world.delivery.controller.findings().size).toBe(0);
  });
});

test('a failed write is reported and retried', async () => {
  const world = await started();
  world.state.failing = new ApiError(500, 'InternalError', 'etcd is unavailable');
  world.putPod('a', 'web');
  await world.clock.advance(10_000);
  expect(world.failures()[0]).toContain('etcd is unavailable');
  world.state.failing = undefined;
  await world.clock.advance(20_000);
  expect(world.writes()).toEqual(['apply a/secrets/corp']);
});

test('a rule that is narrowed removes entries from the copies', async () => {
  const both = `
rules:
- {registry: reg.example.com, pullSecret: corp}
- {registry: two.example.com, pullSecret: corp}
secrets: [{name: corp, source: corp-source, namespaces: '*'}]
`;
  const world = await deliveryWorld({ rules: both });
  const auths = { 'reg.example.com': { auth: btoa('a:b') }, 'two.example.com': { auth: btoa('a:b') } };
  world.putSecret('regkeeper', 'corp-source', {
    metadata: { labels: { 'regkeeper.io/source': 'true' } },
    data: { '.dockerconfigjson': btoa(JSON.stringify({ auths })) },
  });
  world.putNamespace('a');
  world.putPod('a', 'web');
  await world.start();
  const keys = () => Object.keys(JSON.parse(atob(world.secret('a')?.data?.['.dockerconfigjson'] ?? '')).auths);
  expect(keys()).toEqual(['reg.example.com', 'two.example.com']);
  world.setRules(both.replace('two.example.com, pullSecret: corp', 'two.example.com'));
  await world.react();
  expect(keys()).toEqual(['reg.example.com']);
});

test('a process that starts in an up-to-date cluster writes nothing', async () => {
  const world = await deliveryWorld({ rules: secret() });
  world.putSource('robot:one');
  world.putNamespace('a', prod);
  world.putPod('a', 'web');
  const running = await world.start();
  expect(running.writes()).toEqual(['apply a/secrets/corp']);
  await running.clock.advance(700_000);
  expect(running.writes()).toEqual([]);
});
