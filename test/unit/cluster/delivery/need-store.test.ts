/** Tests which needs are kept, and when a namespace is reported to have changed. */
import { describe, expect, test } from 'vitest';
import { createNeedStore } from '../../../../src/cluster/delivery/need-store.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { keyOf } from '../../../../src/kube/object-identity.ts';

function object(key: string, need: string | undefined, more: object = {}): KubeObject {
  const [namespace = '', name = ''] = key.split('/');
  const annotations = need === undefined ? {} : { 'regkeeper.io/secrets': need };
  return {
    kind: 'Pod',
    ...more,
    metadata: { name, namespace, uid: 'u', resourceVersion: '7', annotations, ...('metadata' in more ? (more.metadata as object) : {}) },
  };
}

function start({ delivered = ['corp', 'base'], perNamespace = 10 } = {}) {
  const changes: string[] = [];
  const needs = createNeedStore({
    isDelivered: (name) => delivered.includes(name),
    onChange: (namespace) => void changes.push(namespace),
    perNamespace,
  });
  let current = needs.store.create();
  needs.store.adopt(current);
  const keep = (key: string, need: string | undefined, more?: object) => needs.keep(object(key, need, more));
  return {
    needs,
    changes: () => changes.splice(0),
    set: (key: string, need?: string, more?: object) => current.set(key, keep(key, need, more)),
    remove: (key: string) => current.delete(key),
    list(...entries: [key: string, need?: string | undefined][]) {
      const next = needs.store.create();
      for (const [key, need] of entries) next.set(key, keep(key, need));
      current = next;
      needs.store.adopt(next);
    },
    map: () => current,
  };
}

describe('a need', () => {
  test('begins with the first object and ends with the last one', () => {
    const { needs, set, remove, changes } = start();
    set('a/one', 'corp');
    expect(changes()).toEqual(['a']);
    set('a/two', 'corp');
    remove('a/one');
    expect(changes()).toEqual([]);
    expect(needs.needs('a', 'corp')).toBe(true);
    remove('a/two');
    expect(changes()).toEqual(['a']);
    expect(needs.needs('a', 'corp')).toBe(false);
    expect(needs.size).toBe(0);
  });

  test('is for one namespace and one secret', () => {
    const { needs, set } = start();
    set('a/one', 'corp,base');
    set('b/one', 'base');
    expect([needs.needs('a', 'corp'), needs.needs('a', 'base'), needs.needs('b', 'corp'), needs.needs('b', 'base')]).toEqual([
      true,
      true,
      false,
      true,
    ]);
  });

  test('changes with the annotation', () => {
    const { needs, set, changes } = start();
    set('a/one', 'corp');
    set('a/one', 'base');
    expect([needs.needs('a', 'corp'), needs.needs('a', 'base')]).toEqual([false, true]);
    set('a/one', undefined);
    expect(needs.needs('a', 'base')).toBe(false);
    expect(changes()).toEqual(['a', 'a', 'a']);
  });

  test.each([
    ['for an unknown secret', 'other', {}],
    [
      'of a ReplicaSet of a Deployment, which may be an old revision',
      'corp',
      { kind: 'ReplicaSet', metadata: { ownerReferences: [{ kind: 'Deployment', name: 'web', controller: true }] } },
    ],
  ])('%s does not count', (_what, need, more) => {
    const { needs, set } = start();
    set('a/one', need, more);
    expect(needs.size).toBe(0);
  });

  test.each([
    ['of a ReplicaSet without an owner', { kind: 'ReplicaSet' }],
    [
      'of a ReplicaSet with another kind of owner',
      { kind: 'ReplicaSet', metadata: { ownerReferences: [{ kind: 'Rollout', name: 'web', controller: true }] } },
    ],
  ])('%s counts', (_what, more) => {
    const { needs, set } = start();
    set('a/one', 'corp', more);
    expect(needs.needs('a', 'corp')).toBe(true);
  });

  test('of very many objects persists, and needs no memory', () => {
    const { needs, set, remove } = start({ perNamespace: 2 });
    for (const name of ['one', 'two', 'three', 'four']) set(`a/${name}`, 'corp');
    set('b/one', 'corp');
    expect(needs.size).toBe(3);
    for (const name of ['one', 'two', 'three', 'four']) remove(`a/${name}`);
    remove('b/one');
    expect([needs.needs('a', 'corp'), needs.needs('b', 'corp')]).toEqual([true, false]);
  });
});

describe('a new list', () => {
  test('reports the namespaces whose needs differ, and no others', () => {
    const { needs, list, changes } = start();
    list(['a/one', 'corp'], ['b/one', 'corp'], ['c/one', 'corp']);
    expect(changes().sort()).toEqual(['a', 'b', 'c']);
    list(['a/two', 'corp'], ['b/one', 'base'], ['d/one', 'corp'], ['e/one', undefined]);
    expect(changes().sort()).toEqual(['b', 'c', 'd']);
    expect(needs.needs('b', 'base')).toBe(true);
  });

  test('that is incomplete changes nothing', () => {
    const { needs, changes } = start();
    needs.store.create().set('a/one', needs.keep(object('a/one', 'corp')));
    expect(needs.needs('a', 'corp')).toBe(false);
    expect(changes()).toEqual([]);
  });

  test('removes the need of objects that were too many', () => {
    const { needs, set, list } = start({ perNamespace: 1 });
    set('a/one', 'corp');
    set('a/two', 'corp');
    list(['b/one', 'corp']);
    expect(needs.needs('a', 'corp')).toBe(false);
  });
});

test('to the informer, the store is a map of objects by name', () => {
  const { set, map } = start();
  set('a/one', 'corp');
  set('b/two', 'base');
  expect([...map().values()].map(keyOf)).toEqual(['a/one', 'b/two']);
  expect([...map()].map(([key]) => key)).toEqual(['a/one', 'b/two']);
  expect(map().get('a/one')?.metadata.name).toBe('one');
  expect(map().get('a/three')).toBeUndefined();
  expect([map().has('a/one'), map().size, map().delete('a/three')]).toEqual([true, 2, false]);
});
