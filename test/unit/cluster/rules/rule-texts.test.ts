/** Tests how much text of rules ConfigMaps is kept. */
import { expect, onTestFinished, test } from 'vitest';
import { createClusterRuleSource } from '../../../../src/cluster/rules/rule-source.ts';
import { type ConfigMap, createRulesConfigMapStore, trimRulesConfigMap } from '../../../../src/cluster/rules/rule-texts.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import type { RuleLoader } from '../../../../src/loading/rule-loader.ts';
import { configMapBundle } from '../../../../src/rules/language/config-map.ts';
import { namespaceQuota } from '../../../../src/rules/store/namespace-quota.ts';
import { type Bundle, createRuleStore } from '../../../../src/rules/store/rule-store.ts';
import { systemClock } from '../../../../src/time/clock.ts';
import { memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { sha256 } from '../../rules/documents.ts';

const quota = namespaceQuota.characters;

function configMap(name: string, lengths: readonly number[], namespace = 'team-a'): ConfigMap {
  const data = Object.fromEntries(lengths.map((length, index) => [`k${index}.yaml`, '#'.repeat(length)]));
  return { metadata: { name, namespace, uid: `uid-${name}`, resourceVersion: '1', annotations: { note: 'x' } }, data };
}

test('of a ConfigMap, only the documents are kept, and no notes, annotations or binary data', () => {
  const full = {
    ...configMap('own', [3]),
    data: { 'k0.yaml': '###', note: 'to whom it may concern' },
    binaryData: { 'b.yaml': 'AAAA', logo: 'AAAA' },
  };
  expect(trimRulesConfigMap('namespace')(full)).toEqual({
    metadata: { name: 'own', namespace: 'team-a', uid: 'uid-own', resourceVersion: '1' },
    data: { 'k0.yaml': '###' },
    binaryData: { 'b.yaml': '' },
  });
});

test.each([
  ['too many characters', [quota + 1], { documents: 1, characters: quota + 1 }],
  ['too many documents', Array.from({ length: 21 }, () => 1), { documents: 21, characters: 21 }],
])('of a ConfigMap with %s, only the size and a few keys to name it by are kept', (_name, lengths, droppedSize) => {
  const kept = trimRulesConfigMap('namespace')(configMap('own', lengths));
  expect(kept.droppedSize).toEqual(droppedSize);
  expect(Object.values(kept.data ?? {}).join('')).toBe('');
  expect(Object.keys(kept.data ?? {}).length).toBeLessThanOrEqual(namespaceQuota.documents);
});

test("the cluster's own rules have no quota", () => {
  expect(trimRulesConfigMap('cluster')(configMap('own', [3 * quota])).droppedSize).toBeUndefined();
});

test('a bundle without its texts is rejected, even if there is room', () => {
  const book = createRuleStore(sha256);
  const bundle = configMapBundle({ ...configMap('own', [0]), droppedSize: { documents: 1, characters: 10 } }, 'namespace');
  const [result] = book.rejectIfOverQuota(bundle)?.results ?? [];
  expect(result).toMatchObject({ ok: false, problems: [{ code: 'namespace-quota' }] });
});

test('of one namespace, the texts of two quotas are kept, independently of other namespaces', () => {
  const store = createRulesConfigMapStore(() => undefined).create();
  for (let index = 0; index < 100; index += 1) store.set(`team-a/${index}`, configMap(`${index}`, [quota / 2]));
  store.set('team-b/own', configMap('own', [quota], 'team-b'));
  const held = [...store.values()].filter(({ droppedSize }) => !droppedSize);
  expect(store.size).toBe(101);
  expect(held.filter(({ metadata }) => metadata.namespace === 'team-a')).toHaveLength(4);
  expect(store.get('team-b/own')?.droppedSize).toBeUndefined();
});

test('all namespaces together have a limit too', () => {
  const store = createRulesConfigMapStore(() => undefined, { characters: 3 * quota }).create();
  for (let index = 0; index < 10; index += 1) store.set(`team-${index}/own`, configMap('own', [quota], `team-${index}`));
  expect([...store.values()].filter(({ droppedSize }) => !droppedSize)).toHaveLength(3);
});

test.each([
  ['in blocks', (count: number) => `rules:\n${'- registry: a.io\n'.repeat(count)}`],
  ['in a list', (count: number) => `rules: [{registry: [${'a.io,'.repeat(count)}]}]`],
  ['in JSON', (count: number) => JSON.stringify({ rules: Array.from({ length: count }, () => ({ registry: 'a.io' })) })],
])('the rules of all namespaces are limited too, because a short text may contain many of them: %s', (_, text) => {
  const texts = createRulesConfigMapStore(() => undefined, { rules: 1_000 });
  const store = texts.create();
  texts.adopt(store);
  const put = (index: number, count: number) =>
    store.set(`team-${index}/own`, { ...configMap('own', [], `team-${index}`), data: { 'a.yaml': text(count) } });
  for (let index = 0; index < 8; index += 1) put(index, 190);
  expect([...store.values()].map(({ droppedSize }) => droppedSize !== undefined)).toEqual([
    ...Array(5).fill(false),
    ...Array(3).fill(true),
  ]);
  expect(texts.hasRoomAgain()).toBe(false);
  store.delete('team-0/own');
  expect(texts.hasRoomAgain()).toBe(true);
});

test('a ConfigMap that was omitted for lack of room fits when another namespace deletes one', () => {
  const texts = createRulesConfigMapStore(() => undefined, { characters: quota });
  const store = texts.create();
  texts.adopt(store);
  store.set('team-a/own', configMap('own', [quota]));
  store.set('team-b/own', configMap('own', [quota], 'team-b'));
  expect(store.get('team-b/own')?.droppedSize).toBeDefined();
  store.delete('team-a/own');
  expect(texts.hasRoomAgain()).toBe(true);
});

test('a list that replaces another one shares unchanged texts', () => {
  const texts = createRulesConfigMapStore(() => undefined);
  const before = texts.create();
  for (const name of ['same', 'changed']) before.set(`team-a/${name}`, configMap(name, [10]));
  texts.adopt(before);
  const next = texts.create();
  next.set('team-a/same', configMap('same', [10]));
  const changed = configMap('changed', [20]);
  next.set('team-a/changed', { ...changed, metadata: { ...changed.metadata, resourceVersion: '2' } });
  expect(next.get('team-a/same')).toBe(before.get('team-a/same'));
  expect(next.get('team-a/changed')?.data).toEqual(changed.data);
});

test('of one namespace, 200 ConfigMaps are kept', () => {
  const store = createRulesConfigMapStore(() => undefined).create();
  for (let index = 0; index < 1_000; index += 1) store.set(`team-a/${index}`, configMap(`${index}`, [1]));
  store.set('team-b/own', configMap('own', [1], 'team-b'));
  expect(store.size).toBe(201);
  expect(store.get('team-b/own')?.droppedSize).toBeUndefined();
});

test('a ConfigMap with its text is kept when a new list has many others before it', () => {
  const texts = createRulesConfigMapStore(() => undefined);
  const before = texts.create();
  before.set('team-a/own', configMap('own', [1]));
  texts.adopt(before);
  const next = texts.create();
  for (let index = 0; index < 300; index += 1)
    next.set(`team-a/${index}`, trimRulesConfigMap('namespace')(configMap(`${index}`, [quota + 1])));
  next.set('team-a/own', configMap('own', [1]));
  expect(next.get('team-a/own')?.droppedSize).toBeUndefined();
  expect(next.has('team-a/own')).toBe(true);
  expect(next.size).toBe(201);
});

test('a namespace with more ConfigMaps than are kept is read again when it has half as many', () => {
  const texts = createRulesConfigMapStore(() => undefined);
  const store = texts.create();
  texts.adopt(store);
  const tooLong = (index: number) => trimRulesConfigMap('namespace')(configMap(`${index}`, [quota + 1]));
  for (let index = 0; index < 201; index += 1) store.set(`team-a/${index}`, tooLong(index));
  for (let index = 0; index < 99; index += 1) store.delete(`team-a/${index}`);
  expect(texts.hasRoomAgain()).toBe(false);
  store.delete('team-a/99');
  expect(texts.hasRoomAgain()).toBe(true);
});

test('a shorter version needs less room, and a deleted one needs none', () => {
  const texts = createRulesConfigMapStore(() => undefined);
  const store = texts.create();
  texts.adopt(store);
  for (const name of ['a', 'b']) store.set(`team-a/${name}`, configMap(name, [quota]));
  store.set('team-a/c', configMap('c', [quota]));
  expect(store.get('team-a/c')?.droppedSize).toBeDefined();
  expect(texts.hasRoomAgain()).toBe(false);
  store.set('team-a/a', configMap('a', [quota / 2]));
  expect(texts.hasRoomAgain()).toBe(false);
  store.delete('team-a/b');
  expect(texts.hasRoomAgain()).toBe(true);
});

test('a ConfigMap that was omitted is read again once there is room', async () => {
  const path = (name: string) => `/api/v1/configmaps/${name}`;
  const names = ['a', 'b', 'c'];
  const api = memoryApi(Object.fromEntries(names.map((name) => [path(name), configMap(name, [quota]) as KubeObject])));
  const offered: Bundle[] = [];
  const intake: Pick<RuleLoader, 'open' | 'offer' | 'withdraw'> = {
    open: async (bundles) => void offered.push(...bundles),
    offer: async (bundle) => void offered.push(bundle),
    withdraw: async () => undefined,
  };
  const due: (() => void)[] = [];
  const schedule = (work: () => void) => {
    due.push(work);
    return () => due.splice(due.indexOf(work), 1);
  };
  const options = {
    client: api.client,
    namespace: 'regkeeper',
    namespaceRules: true,
    intake,
    lastGood: async () => [],
    log: recordingLog(),
    clock: { ...systemClock, schedule },
  };
  const source = createClusterRuleSource(options);
  void source.start(new AbortController().signal);
  onTestFinished(() => source.stop());
  await expect.poll(() => offered.map(({ droppedSize }) => droppedSize !== undefined)).toEqual([false, false, true]);
  api.remove(path('a'));
  await expect
    .poll(() => {
      for (const work of [...due]) work();
      return offered.slice(3).map(({ id, droppedSize }) => [id, droppedSize]);
    })
    .toEqual([['namespace rules team-a/c', undefined]]);
});
