/** Tests how much text of rules ConfigMaps is kept. */
import fc from 'fast-check';
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
])('of a ConfigMap with %s, only the size and one key to name it by are kept', (_name, lengths, droppedSize) => {
  const kept = trimRulesConfigMap('namespace')(configMap('own', lengths));
  expect(kept.droppedSize).toEqual(droppedSize);
  expect(Object.values(kept.data ?? {}).join('')).toBe('');
  expect(Object.keys(kept.data ?? {})).toHaveLength(1);
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
  const store = createRulesConfigMapStore(() => undefined, { characters: 4 * quota }).create();
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
    ...Array(4).fill(false),
    ...Array(4).fill(true),
  ]);
  expect(texts.hasRoomAgain()).toBe(false);
  store.delete('team-0/own');
  expect(texts.hasRoomAgain()).toBe(true);
});

const rulesText = (count: number) => `rules:\n${'- registry: a.io\n'.repeat(count)}`;

function withText(namespace: string, name: string, text: string, resourceVersion = '1'): ConfigMap {
  return { metadata: { name, namespace, uid: `uid-${namespace}-${name}`, resourceVersion }, data: { 'a.yaml': text } };
}

const keyed = (configMap: ConfigMap) => `${configMap.metadata.namespace}/${configMap.metadata.name}`;

test('a namespace counts with no more rules than it can have, so that 19 namespaces of commas do not use up the limit', () => {
  const store = createRulesConfigMapStore(() => undefined).create();
  const put = (configMap: ConfigMap) => store.set(keyed(configMap), configMap);
  for (let namespace = 0; namespace < 19; namespace += 1)
    for (let index = 0; index < 40; index += 1) put(withText(`hostile-${namespace}`, `c${index}`, `#${','.repeat(200)}\n`));
  put(withText('shop', 'own', rulesText(200)));
  expect(store.get('shop/own')?.droppedSize).toBeUndefined();
});

test.each([
  ['characters', `#${'-'.repeat(quota - 1)}`],
  ['rules', rulesText(200)],
])('however many %s some hundred namespaces have, there is room for the first rules of another one', (_, text) => {
  const store = createRulesConfigMapStore(() => undefined, { characters: 20 * quota, rules: 10_000 }).create();
  const put = (configMap: ConfigMap) => store.set(keyed(configMap), configMap);
  for (let namespace = 0; namespace < 200; namespace += 1) put(withText(`hostile-${namespace}`, 'own', text));
  put(withText('shop', 'own', rulesText(20)));
  expect(store.get('hostile-199/own')?.droppedSize).toBeDefined();
  expect(store.get('shop/own')?.droppedSize).toBeUndefined();
});

test.each([
  ['characters', `#${'-'.repeat(quota - 1)}`],
  ['rules', rulesText(200)],
])('a new list does not take the room of texts that are kept, although others come first: %s', (_, text) => {
  const texts = createRulesConfigMapStore(() => undefined, { characters: 20 * quota, rules: 10_000 });
  const before = texts.create();
  before.set('shop/own', withText('shop', 'own', text));
  texts.adopt(before);
  const next = texts.create();
  for (let namespace = 0; namespace < 200; namespace += 1) {
    const hostile = withText(`hostile-${namespace}`, 'own', text);
    next.set(keyed(hostile), hostile);
  }
  next.set('shop/own', withText('shop', 'own', text));
  expect(next.get('hostile-199/own')?.droppedSize).toBeDefined();
  expect(next.get('shop/own')?.droppedSize).toBeUndefined();
});

test('in a new list, more ConfigMaps of the same namespace do not take the room either', () => {
  const texts = createRulesConfigMapStore(() => undefined);
  const before = texts.create();
  before.set('team-a/own', configMap('own', [quota]));
  texts.adopt(before);
  const next = texts.create();
  for (const name of ['a', 'b', 'own']) next.set(`team-a/${name}`, configMap(name, [quota]));
  expect([...next.values()].map(({ droppedSize }) => droppedSize !== undefined)).toEqual([false, true, false]);
});

test('the room of a ConfigMap that a new list no longer has is free again', () => {
  const texts = createRulesConfigMapStore(() => undefined);
  const before = texts.create();
  for (const name of ['a', 'b']) before.set(`team-a/${name}`, configMap(name, [quota]));
  texts.adopt(before);
  const next = texts.create();
  next.set('team-a/b', configMap('b', [quota]));
  next.set('team-a/c', configMap('c', [quota]));
  expect(next.get('team-a/c')?.droppedSize).toBeDefined();
  texts.adopt(next);
  expect(texts.hasRoomAgain()).toBe(true);
});

test('of a text that is too large to keep, the rules are not counted', () => {
  const kept = trimRulesConfigMap('namespace')(withText('team-a', 'own', '-'.repeat(quota + 1)));
  expect(kept.droppedRules).toBe(200);
});

test.each([
  ['that was replaced by a version without rules', '# invalid'],
  ['that was replaced by a version that is not kept', `#${'-'.repeat(quota)}`],
])('rules count as long as they are in force, also of a version %s', (_, text) => {
  const inForce = new Map<string, number>();
  const limits = { rules: 1_000 };
  const texts = createRulesConfigMapStore(
    () => undefined,
    limits,
    (namespace) => inForce.get(namespace) ?? 0,
  );
  let store = texts.create();
  texts.adopt(store);
  const trim = trimRulesConfigMap('namespace');
  const replaced = (index: number) => trim(withText(`team-${index}`, 'own', text, '2'));
  for (let index = 0; index < 100; index += 1) {
    store.set(`team-${index}/own`, withText(`team-${index}`, 'own', rulesText(200)));
    if (!store.get(`team-${index}/own`)?.droppedSize) inForce.set(`team-${index}`, 200);
    store.set(`team-${index}/own`, replaced(index));
  }
  expect([...inForce.keys()]).toEqual(['team-0', 'team-1', 'team-2', 'team-3']);
  store = texts.create();
  for (let index = 0; index < 100; index += 1) store.set(`team-${index}/own`, replaced(index));
  texts.adopt(store);
  store.set('late/own', withText('late', 'own', rulesText(200)));
  expect(store.get('late/own')?.droppedSize).toBeDefined();
  expect(texts.hasRoomAgain()).toBe(false);
  inForce.delete('team-0');
  expect(texts.hasRoomAgain()).toBe(true);
});

test('whatever is written, deleted and listed, the texts that are kept are those for which there was room', () => {
  const inAll = { characters: 60_000, rules: 2_000 };
  const step = fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'delete', 'list'),
    namespace: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    name: fc.constantFrom('x', 'y', 'z'),
    rules: fc.constantFrom(0, 1, 10, 30, 150, 200, 500),
    comment: fc.constantFrom(0, 1_000, 5_000, 20_000),
    backwards: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const texts = createRulesConfigMapStore(() => undefined, inAll);
      let store = texts.create();
      texts.adopt(store);
      /** What the API server has, and which of it is kept. */
      const stored = new Map<string, ConfigMap>();
      let kept = new Map<string, ConfigMap>();
      for (const [index, { kind, namespace, name, rules, comment, backwards }] of steps.entries()) {
        const key = `${namespace}/${name}`;
        if (kind === 'put') {
          const written = withText(namespace, name, `#${'x'.repeat(comment)}\n${rulesText(rules)}`, `${index}`);
          stored.set(key, written);
          store.set(key, written);
          kept = withRoomFor(kept, written);
        } else if (kind === 'delete') {
          stored.delete(key);
          store.delete(key);
          kept.delete(key);
        } else {
          const before = [...kept.keys()];
          const list = backwards ? [...stored].reverse() : [...stored];
          store = texts.create();
          for (const [each, configMap] of list) {
            store.set(each, configMap);
            kept = withRoomFor(kept, configMap);
          }
          texts.adopt(store);
          expect([...kept.keys()]).toEqual(expect.arrayContaining(before));
        }
        expect([...store.keys()].sort()).toEqual([...stored.keys()].sort());
        const held = [...store].filter(([, { droppedSize }]) => !droppedSize);
        expect(new Map(held.sort())).toEqual(new Map([...kept].sort()));
        for (const amount of ['characters', 'rules'] as const) expect(usedBy(kept)[amount]).toBeLessThanOrEqual(inAll[amount]);
      }
    }),
  );

  /** Adds the ConfigMap, in place of its earlier version, if there is room. */
  function withRoomFor(kept: ReadonlyMap<string, ConfigMap>, configMap: ConfigMap): Map<string, ConfigMap> {
    const without = new Map([...kept].filter(([key]) => key !== keyed(configMap)));
    const more = new Map([...without, [keyed(configMap), configMap]]);
    const { namespace } = configMap.metadata;
    const own = [...more.values()].filter((each) => each.metadata.namespace === namespace);
    const ownCharacters = own.reduce((sum, each) => sum + textOf(each).length, 0);
    const [before, after] = [usedBy(without), usedBy(more)];
    const fits = (['characters', 'rules'] as const).every(
      (amount) =>
        after[amount] <= inAll[amount] && (after.beyond[amount] === before.beyond[amount] || after.beyond[amount] <= 0.75 * inAll[amount]),
    );
    return fits && ownCharacters <= 2 * quota ? more : without;
  }

  function usedBy(kept: ReadonlyMap<string, ConfigMap>) {
    const used = { characters: 0, rules: 0, beyond: { characters: 0, rules: 0 } };
    for (const all of Map.groupBy(kept.values(), ({ metadata }) => metadata.namespace).values()) {
      const characters = all.reduce((sum, each) => sum + textOf(each).length, 0);
      const rules = Math.min(
        400,
        all.reduce((sum, each) => sum + Math.min(200, textOf(each).split('- ').length - 1), 0),
      );
      used.characters += characters;
      used.rules += rules;
      used.beyond.characters += Math.max(0, characters - 4_096);
      used.beyond.rules += Math.max(0, rules - 20);
    }
    return used;
  }

  function textOf({ data }: ConfigMap): string {
    return data?.['a.yaml'] ?? '';
  }
});

test('a ConfigMap that was omitted for lack of room fits when another namespace deletes one', () => {
  const texts = createRulesConfigMapStore(() => undefined, { characters: 2 * quota });
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
