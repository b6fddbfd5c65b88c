/** Tests the memory budget of namespaces. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createNamespaceBudget } from '../../../../src/cluster/facts/namespace-budget.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { handClock } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

type Entry = KubeObject & { readonly size: number; readonly strict: boolean };
type Measure = (namespace: string) => Promise<number>;

const nothing: Measure = async () => 0;

const roomForFlags = 10_000_000;

/** A budget of 100 for a namespace and 1,000 in all, by default. */
function budgeting(limits: { perNamespace?: number; inAll?: number } = {}) {
  const time = handClock(1_000);
  const log = recordingLog();
  const budget = createNamespaceBudget({ log, clock: time.clock, perNamespace: 100, inAll: 1_000, ...limits });
  budget.start();
  onTestFinished(() => budget.stop());
  const collection = (measure: Measure = nothing) => {
    const reloads = { count: 0 };
    const store = budget.store<Entry>({
      sizeOf: ({ size }) => size,
      flags: ({ strict }) => strict,
      measure,
      reload: () => void reloads.count++,
    });
    const filled = (...entries: Entry[]) => fill(store.create(), ...entries);
    const adopted = (...entries: Entry[]) => {
      const map = filled(...entries);
      store.adopt(map);
      return map;
    };
    return { ...store, reloads, filled, adopted };
  };
  return { budget, log, time, collection };
}

function entry(namespace: string, name: string, size: number, strict = false): Entry {
  return { metadata: { namespace, name }, size, strict };
}

function fill(map: Map<string, Entry>, ...entries: Entry[]): Map<string, Entry> {
  for (const each of entries) map.set(`${each.metadata.namespace}/${each.metadata.name}`, each);
  return map;
}

describe('the flag of an object that is not kept', () => {
  const large = entry('shop', 'large', 101);

  test('is known until the object is deleted or loses the flag', () => {
    const { collection } = budgeting({ inAll: roomForFlags });
    const accounts = collection();
    const map = accounts.adopted(large, entry('shop', 'a', 1, true), entry('shop', 'b', 1, true), entry('shop', 'c', 1));
    const flags = () => ['a', 'b', 'c', 'never'].filter((name) => accounts.isFlagged('shop', name));
    expect(flags()).toEqual(['a', 'b']);
    map.delete('shop/a');
    expect(flags()).toEqual(['b']);
    fill(map, entry('shop', 'b', 1));
    expect(flags()).toEqual([]);
  });

  test('is known for an object that was kept until its namespace exceeded its budget', () => {
    const { collection } = budgeting({ inAll: roomForFlags });
    const accounts = collection();
    accounts.adopted(entry('shop', 'a', 1, true), entry('shop', 'b', 1), large);
    expect(['a', 'b'].map((name) => accounts.isFlagged('shop', name))).toEqual([true, false]);
  });

  test('is removed when a new list does not contain the object', () => {
    const { collection } = budgeting({ inAll: roomForFlags });
    const accounts = collection();
    accounts.adopted(large, entry('shop', 'a', 1, true));
    accounts.adopted(large);
    expect(accounts.isFlagged('shop', 'a')).toBe(false);
  });

  test('is assumed for all objects if more than 1,000 have it at the same time, and not if 1,000 have come and gone', () => {
    const { collection } = budgeting({ inAll: roomForFlags });
    const accounts = collection();
    const map = accounts.adopted(large);
    for (let index = 0; index < 3_000; index += 1) {
      fill(map, entry('shop', `s${index}`, 1, true));
      map.delete(`shop/s${index}`);
    }
    expect(accounts.isFlagged('shop', 'other')).toBe(false);
    for (let index = 0; index < 1_001; index += 1) fill(map, entry('shop', `s${index}`, 1, true));
    expect(accounts.isFlagged('shop', 'other')).toBe(true);
    map.delete('shop/s0');
    expect(accounts.isFlagged('shop', 's1000')).toBe(true);
    accounts.adopted(large, entry('shop', 'a', 1, true));
    expect(accounts.isFlagged('shop', 'other')).toBe(false);
  });

  test('counts as memory, at most a sixteenth of the total, and the namespace with the most flags loses its names first', () => {
    const { budget, collection } = budgeting({ inAll: 160_000 });
    const accounts = collection();
    const map = accounts.adopted(large, entry('small', 'large', 101), entry('small', 'a', 1, true));
    const one = budget.heldBytes();
    expect(one).toBeGreaterThan(0);
    for (let index = 0; index < 900; index += 1) {
      fill(map, entry('shop', `s${index}`, 1, true));
      expect(budget.heldBytes()).toBeLessThanOrEqual(10_000);
    }
    expect(accounts.isFlagged('shop', 'other')).toBe(true);
    expect(['a', 'other'].map((name) => accounts.isFlagged('small', name))).toEqual([true, false]);
    expect(budget.heldBytes()).toBe(one);
  });
});

describe('lists that are read concurrently', () => {
  test('are within the budget together when both are complete', () => {
    const { budget, collection } = budgeting({ perNamespace: 500 });
    const [accounts, streams] = [collection(), collection()];
    const [some, others] = [
      accounts.filled(...[1, 2, 3, 4].map((index) => entry(`ns-${index}`, 'a', 200))),
      streams.filled(...[5, 6, 7, 8].map((index) => entry(`ns-${index}`, 'a', 200 + index))),
    ];
    accounts.adopt(some);
    streams.adopt(others);
    expect(budget.heldBytes()).toBeLessThanOrEqual(1_000);
    expect(budget.over()).toEqual(['ns-8', 'ns-7', 'ns-6', 'ns-5']);
  });

  test('from one namespace too', () => {
    const { budget, collection } = budgeting();
    const [accounts, streams] = [collection(), collection()];
    const [some, others] = [accounts.filled(entry('shop', 'a', 70)), streams.filled(entry('shop', 'a', 70))];
    accounts.adopt(some);
    streams.adopt(others);
    expect(budget.over()).toEqual(['shop']);
    expect(budget.heldBytes()).toBe(0);
    expect([accounts.isOmitted('shop'), streams.isOmitted('shop')]).toEqual([true, true]);
  });
});

test('a new list and the one that it replaces need at most twice the budget', () => {
  const { collection } = budgeting();
  const accounts = collection();
  const entries = (version: string) => Array.from({ length: 40 }, (_, index) => entry(`${version}-${index}`, 'a', 50));
  const bytes = (map: Map<string, Entry>) => [...map.values()].reduce((sum, { size }) => sum + size, 0);
  const before = accounts.adopted(...entries('old'));
  const next = accounts.filled(...entries('new'));
  expect(bytes(before) + bytes(next)).toBeLessThanOrEqual(2 * 1_000);
  expect(bytes(next)).toBeGreaterThan(900);
});

describe('a namespace that has exceeded its budget', () => {
  const large = entry('shop', 'large', 101);
  const unavailable: Measure = async () => {
    throw new Error('GET /apis/image.openshift.io: ServiceUnavailable (503)');
  };

  test('is read again although another collection cannot be measured, which is logged once', async () => {
    const { budget, collection, time, log } = budgeting();
    const [accounts, streams] = [collection(async () => 10), collection(unavailable)];
    accounts.adopted(large);
    streams.adopted();
    await expect.poll(time.passing(() => accounts.reloads.count)).toBeGreaterThan(0);
    expect(budget.over()).toEqual([]);
    accounts.adopted(large);
    await expect.poll(time.passing(() => accounts.reloads.count)).toBeGreaterThan(1);
    expect(log.lines.filter(({ message }) => message.includes('503'))).toHaveLength(1);
  });

  test('stays omitted while its omitted objects cannot be measured, and does not prevent others from returning', async () => {
    const { budget, collection, time } = budgeting();
    const accounts = collection((namespace) => (namespace === 'shop' ? unavailable(namespace) : nothing(namespace)));
    accounts.adopted(large, entry('other', 'large', 101));
    await expect.poll(time.passing(() => budget.over())).toEqual(['shop']);
    expect(accounts.reloads.count).toBe(1);
  });

  test('is not treated as empty before it has been read again', async () => {
    const { collection, time } = budgeting();
    const accounts = collection(async () => 10);
    accounts.adopted(large);
    await expect.poll(time.passing(() => accounts.reloads.count)).toBe(1);
    expect(accounts.isOmitted('shop')).toBe(true);
    accounts.adopted(entry('shop', 'a', 10));
    expect(accounts.isOmitted('shop')).toBe(false);
  });

  test('returns only if there is room for all namespaces that return', async () => {
    const { budget, collection, time } = budgeting({ inAll: 130 });
    const accounts = collection(async () => 60);
    accounts.adopted(entry('one', 'large', 101), entry('two', 'large', 101));
    expect(budget.over()).toEqual(['one', 'two']);
    await expect.poll(time.passing(() => accounts.reloads.count)).toBe(1);
    expect(budget.over()).toEqual(['two']);
  });
});
