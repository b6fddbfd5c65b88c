import { describe, expect, test } from 'vitest';
import { type ApiClient, ApiError, type Log } from '../../../src/cluster/api.ts';
import { keepSnapshot, readSnapshot, snapshotName } from '../../../src/cluster/rule-snapshot.ts';
import { configMapBundle } from '../../../src/rules/config-map.ts';

type ConfigMap = { metadata: object; data?: Record<string, string> };

/** The one ConfigMap that the snapshot is; `answer` may refuse a write. */
function apiWith(initial: ConfigMap | undefined, answer: () => Promise<void> = async () => undefined) {
  let stored = initial;
  const writes: ConfigMap[] = [];
  const errors: string[] = [];
  const client = {
    async get() {
      if (!stored) throw new ApiError(404, 'NotFound', 'not found');
      return stored;
    },
    async patchApply(_path: string, body: ConfigMap) {
      await answer();
      stored = body;
      writes.push(body);
    },
  } as unknown as ApiClient;
  const ignore = () => undefined;
  const log: Log = { debug: ignore, info: ignore, warn: ignore, error: (_fields, message) => errors.push(message) };
  return { place: { client, namespace: 'regkeeper', log }, writes, errors };
}

const bundle = (name: string, data: Record<string, string>) =>
  configMapBundle({ metadata: { name, namespace: 'regkeeper', resourceVersion: '7' }, data });

describe('the snapshot of the rules', () => {
  test('gives back what was saved: ConfigMap, version, keys and texts', async () => {
    const { place, writes } = apiWith(undefined);
    const bundles = [bundle('rules', { 'a.yaml': 'rules: []', 'b.yaml': 'mode: warn' }), bundle('more.of.them', { 'c.json': '{}' })];
    keepSnapshot(place).save(bundles);
    await expect.poll(() => writes).toHaveLength(1);
    expect(await readSnapshot(place)).toEqual(bundles);
  });

  test('there is none at the first start', async () => {
    expect(await readSnapshot(apiWith(undefined).place)).toEqual([]);
    expect(await readSnapshot(apiWith({ metadata: { name: snapshotName } }).place)).toEqual([]);
  });

  test('what somebody damaged is left out, and told', async () => {
    const { place, errors } = apiWith({ metadata: {}, data: { 'a.json': 'no JSON', 'b.json': '{"data": {"x.yaml": 1}}' } });
    expect(await readSnapshot(place)).toEqual([]);
    expect(errors).toEqual([expect.stringContaining('key a.json'), expect.stringContaining('key b.json')]);
  });

  test('is not written again when nothing changed', async () => {
    const { place, writes } = apiWith(undefined);
    const snapshot = keepSnapshot(place);
    snapshot.save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    await expect.poll(() => writes).toHaveLength(1);
    snapshot.save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    snapshot.save([bundle('rules', { 'a.yaml': 'mode: warn' })]);
    await expect.poll(() => writes).toHaveLength(2);
  });

  test('a write that fails is told, and the next change is written all the same', async () => {
    let failing = true;
    const { place, writes, errors } = apiWith(undefined, async () => {
      if (failing) throw new ApiError(403, 'Forbidden', 'no');
    });
    const snapshot = keepSnapshot(place);
    snapshot.save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    await expect.poll(() => errors).toEqual([expect.stringContaining('could not be written')]);
    failing = false;
    snapshot.save([bundle('rules', { 'a.yaml': 'rules: []' })]);
    await expect.poll(() => writes).toHaveLength(1);
  });
});
