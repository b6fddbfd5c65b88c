/** Tests the snapshot of the last valid rules. */
import { describe, expect, test } from 'vitest';
import { createSnapshotWriter, readSnapshot, type SnapshotOptions, snapshotName } from '../../../../src/cluster/rules/rule-snapshot.ts';
import type { Log } from '../../../../src/contracts/log.ts';
import { type ApiClient, ApiError } from '../../../../src/kube/api-client.ts';
import { configMapBundle } from '../../../../src/rules/language/config-map.ts';
import { systemClock } from '../../../../src/time/clock.ts';
import { handClock } from '../../kube/memory-api.ts';

type ConfigMap = { metadata: object; data?: Record<string, string> | null };

/** An API with only the snapshot's ConfigMap. `answer` may reject a write. With `lost` a write takes effect, but its response is lost. */
function apiWith(initial: ConfigMap | undefined, answer = async () => {}, lost = async () => {}) {
  let stored = initial;
  const writes: ConfigMap[] = [];
  let reads = 0;
  const errors: string[] = [];
  const change: string[] = [];
  const timers = handClock();
  const scheduled = new Set<object>();
  const get = async () => {
    if (!stored) throw new ApiError(404, 'NotFound', 'not found');
    return stored;
  };
  const client = {
    get,
    async request() {
      reads += 1;
      return get();
    },
    async patchApply(_path: string, body: ConfigMap) {
      await answer();
      stored = body;
      writes.push(body);
      await lost();
    },
  } as unknown as ApiClient;
  const ignore = () => undefined;
  const log: Log = {
    debug: ignore,
    info: (_fields, message) => change.push(message),
    warn: ignore,
    error: (_fields, message) => errors.push(message),
  };
  const schedule = (work: () => void, milliseconds: number) => {
    const timer = {};
    scheduled.add(timer);
    const cancel = timers.schedule(() => {
      scheduled.delete(timer);
      work();
    }, milliseconds);
    return () => {
      scheduled.delete(timer);
      cancel();
    };
  };
  const place = { client, namespace: 'regkeeper', log, clock: { ...systemClock, schedule } };
  const edit = (edited: ConfigMap | undefined) => {
    stored = edited;
  };
  return { place, writes, errors, change, timers, scheduled, edit, reads: () => reads };
}

const textsOf = (writes: readonly ConfigMap[]) =>
  writes.flatMap(({ data }) =>
    Object.values(data ?? {}).map((text) => (JSON.parse(text) as { data: Record<string, string> }).data['a.yaml']),
  );

const bundle = (name: string, data: Record<string, string>) =>
  configMapBundle({ metadata: { name, namespace: 'regkeeper', resourceVersion: '7' }, data });

function started(options: SnapshotOptions, leads = () => true) {
  const snapshot = createSnapshotWriter({ ...options, leads });
  snapshot.start();
  return snapshot;
}

describe('the snapshot of the rules', () => {
  test('returns what was saved: ConfigMap, version, keys and texts', async () => {
    const { place, writes } = apiWith(undefined);
    const bundles = [bundle('rules', { 'a.yaml': 'rules: []', 'b.yaml': 'mode: warn' }), bundle('more.of.them', { 'c.json': '{}' })];
    started(place).save(bundles);
    await expect.poll(() => writes).toHaveLength(1);
    expect(await readSnapshot(place)).toEqual(bundles);
  });

  test.each([248, 249, 252, 253])(
    'of a ConfigMap whose name has %s characters, the key is valid and the name is returned',
    async (length) => {
      const { place, writes } = apiWith(undefined);
      const names = [`${'n'.repeat(length - 5)}.json`, 'n'.repeat(length), 'n'.repeat(length - 1)];
      const bundles = names.map((name, index) => bundle(name, { 'a.yaml': `# ${index}` }));
      started(place).save(bundles);
      await expect.poll(() => writes).toHaveLength(1);
      const keys = Object.keys(writes[0]?.data ?? {});
      expect(keys).toHaveLength(3);
      for (const key of keys) expect(key).toMatch(/^[-._a-zA-Z0-9]{1,253}$/);
      expect(await readSnapshot(place)).toEqual(bundles);
    },
  );

  test('an entry of an earlier release has its name in the key only', async () => {
    const { place } = apiWith({ metadata: {}, data: { 'rules.json': '{"resourceVersion":"7","data":{"a.yaml":"rules: []"}}' } });
    expect(await readSnapshot(place)).toEqual([bundle('rules', { 'a.yaml': 'rules: []' })]);
  });

  test('there is none at the first start', async () => {
    expect(await readSnapshot(apiWith(undefined).place)).toEqual([]);
    expect(await readSnapshot(apiWith({ metadata: { name: snapshotName } }).place)).toEqual([]);
    expect(await readSnapshot(apiWith({ metadata: { name: snapshotName }, data: null }).place)).toEqual([]);
  });

  test('damaged entries are omitted, and logged', async () => {
    const { place, errors } = apiWith({ metadata: {}, data: { 'a.json': 'no JSON', 'b.json': '{"data": {"x.yaml": 1}}' } });
    expect(await readSnapshot(place)).toEqual([]);
    expect(errors).toEqual([expect.stringContaining('key a.json'), expect.stringContaining('key b.json')]);
  });

  test('is not written again if nothing changed', async () => {
    const { place, writes } = apiWith(undefined);
    const snapshot = started(place);
    snapshot.save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    await expect.poll(() => writes).toHaveLength(1);
    snapshot.save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    snapshot.save([bundle('rules', { 'a.yaml': 'mode: warn' })]);
    await expect.poll(() => writes).toHaveLength(2);
  });

  const bundles = [bundle('rules', { 'a.yaml': 'rules: []' }), bundle('more', { 'b.yaml': 'mode: warn' })];
  const entries = { 'rules.json': '{"resourceVersion":"7","data":{"a.yaml":"rules: []"}}', 'more.json': '{"data":{}}' };

  test.each<[string, ConfigMap | undefined]>([
    ['deleted', undefined],
    ['emptied', { metadata: {} }],
    ['edited so that an entry is missing', { metadata: {}, data: { 'rules.json': entries['rules.json'] } }],
    ['edited so that an entry is damaged', { metadata: {}, data: { ...entries, 'more.json': '' } }],
  ])('is written again by the leader after it was %s', async (_, edited) => {
    const { place, writes, timers, edit, errors } = apiWith(undefined);
    started(place).save(bundles);
    await expect.poll(() => writes).toHaveLength(1);
    edit(edited);
    await expect.poll(timers.passing(() => writes.length)).toBe(2);
    expect(writes[1]).toEqual(writes[0]);
    expect(errors).toEqual([]);
  });

  test('is not overwritten if another replica has saved a different version', async () => {
    const { place, writes, timers, edit, reads } = apiWith(undefined);
    started(place).save(bundles);
    await expect.poll(() => writes).toHaveLength(1);
    edit({ metadata: {}, data: { ...entries, 'newer.json': '{"data":{}}' } });
    await expect.poll(timers.passing(reads)).toBeGreaterThan(1);
    expect(writes).toHaveLength(1);
  });

  test('is read only by the leader, and a failure is not logged, since the next check follows', async () => {
    const { place, writes, timers, reads, errors } = apiWith(undefined);
    let leads = false;
    let asked = 0;
    const failing = { ...place.client, request: async () => Promise.reject(new ApiError(503, 'ServiceUnavailable', 'as scripted')) };
    const snapshot = started(place, () => {
      asked += 1;
      return leads;
    });
    snapshot.save(bundles);
    await expect.poll(() => writes).toHaveLength(1);
    await expect.poll(timers.passing(() => asked)).toBeGreaterThan(1);
    expect(reads()).toBe(0);
    leads = true;
    await expect.poll(timers.passing(reads)).toBeGreaterThan(1);
    expect(writes).toHaveLength(1);
    await snapshot.stop();
    let checks = 0;
    started({ ...place, client: failing as ApiClient }, () => {
      checks += 1;
      return true;
    }).save(bundles);
    await expect.poll(timers.passing(() => checks)).toBeGreaterThan(1);
    expect(errors).toEqual([]);
    expect(writes).toHaveLength(2);
  });

  test('a failed write is retried until it succeeds; the failure and the recovery are logged once', async () => {
    let failures = 7;
    const { place, writes, errors, change, timers } = apiWith(undefined, async () => {
      if (failures-- > 0) throw new ApiError(503, 'ServiceUnavailable', 'as scripted');
    });
    started(place).save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    await expect.poll(timers.passing(() => writes.length)).toBe(1);
    await expect.poll(() => change).toEqual([expect.stringContaining('saved the rules to the ConfigMap')]);
    expect(errors).toEqual([
      expect.stringContaining('cannot save the rules to the ConfigMap regkeeper/regkeeper-rules-snapshot: as scripted. Retrying'),
    ]);
    expect(textsOf(writes)).toEqual(['rules: []']);
  });

  test('a different reason for the failure is logged too', async () => {
    const reasons: [status: number, reason: string][] = [
      [503, 'ServiceUnavailable'],
      [403, 'Forbidden'],
      [403, 'Forbidden'],
    ];
    const { place, writes, errors, timers } = apiWith(undefined, async () => {
      const [status, reason] = reasons.shift() ?? [];
      if (status !== undefined && reason !== undefined) throw new ApiError(status, reason, reason);
    });
    started(place).save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    await expect.poll(timers.passing(() => writes.length)).toBe(1);
    expect(errors).toEqual([expect.stringContaining('ServiceUnavailable'), expect.stringContaining('Forbidden')]);
  });

  test('a change is written immediately, although the previous write waits for its retry, and the previous one is dropped', async () => {
    let failing = true;
    const { place, writes, errors } = apiWith(undefined, async () => {
      if (failing) throw new ApiError(429, 'TooManyRequests', 'as scripted');
    });
    const timers = handClock(0);
    const snapshot = started({ ...place, clock: timers.clock });
    snapshot.save([bundle('rules', { 'a.yaml': 'older' })]);
    await expect.poll(() => errors).toHaveLength(1);
    failing = false;
    snapshot.save([bundle('rules', { 'a.yaml': 'newer' })]);
    await expect.poll(() => writes).toHaveLength(1);
    await expect.poll(timers.passing(() => textsOf(writes))).toEqual(['newer']);
  });

  test('of several changes during a write, only the latest is written', async () => {
    const { place, writes, timers } = apiWith(undefined, () => writing.promise);
    const writing = Promise.withResolvers<void>();
    const snapshot = started(place);
    for (const text of ['one', 'two', 'three']) snapshot.save([bundle('rules', { 'a.yaml': text })]);
    writing.resolve();
    await expect.poll(timers.passing(() => textsOf(writes))).toEqual(['one', 'three']);
  });

  test('a write that may have succeeded although its response was lost is overwritten, even with the previous content', async () => {
    let losing = false;
    const { place, writes, errors, timers } = apiWith(
      undefined,
      async () => {
        if (losing && writes.length > 1) throw new ApiError(0, 'Unreachable', 'as scripted');
      },
      async () => {
        if (losing) throw new ApiError(0, 'Timeout', 'as scripted');
      },
    );
    const snapshot = started(place);
    snapshot.save([bundle('rules', { 'a.yaml': 'one' })]);
    await expect.poll(() => writes).toHaveLength(1);
    losing = true;
    snapshot.save([bundle('rules', { 'a.yaml': 'two' })]);
    await expect.poll(() => errors).not.toEqual([]);
    snapshot.save([bundle('rules', { 'a.yaml': 'one' })]);
    losing = false;
    await expect.poll(timers.passing(() => textsOf(writes))).toEqual(['one', 'two', 'one']);
  });

  test('after stop, it retries nothing and leaves no timer: before a write, after one and after a failure', async () => {
    let failing = true;
    const { place, writes, errors, timers, scheduled } = apiWith(undefined, async () => {
      if (failing) throw new ApiError(503, 'ServiceUnavailable', 'as scripted');
    });
    started(place).stop();
    expect(scheduled.size).toBe(0);
    const snapshot = started(place);
    snapshot.save([bundle('rules', { 'a.yaml': 'one' })]);
    await expect.poll(() => errors).toHaveLength(1);
    snapshot.stop();
    failing = false;
    expect(scheduled.size).toBe(0);
    snapshot.save([bundle('rules', { 'a.yaml': 'two' })]);
    await expect.poll(timers.passing(() => scheduled.size)).toBe(0);
    expect(writes).toEqual([]);
  });
});
