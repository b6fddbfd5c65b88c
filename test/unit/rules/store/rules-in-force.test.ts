/** Tests the rules in effect: rule store and platform combined, and their events. */
import { describe, expect, test } from 'vitest';
import type { Platform } from '../../../../src/rules/store/add-platform-rules.ts';
import { createRuleStore, type ReadBundle, readBundle } from '../../../../src/rules/store/rule-store.ts';
import { createRulesInForce, type RulesEvent } from '../../../../src/rules/store/rules-in-force.ts';
import { referenceOf, sha256, shop } from '../documents.ts';

const internal = 'image-registry.openshift-image-registry.svc:5000';
const object = 'images.config.openshift.io/cluster';
const platform: Platform = { internalRegistries: [{ registry: internal, object }] };

function bundle(text: string): ReadBundle {
  return readBundle({ id: 'one', documents: [{ source: { kind: 'file', file: 'rules.yaml' }, text }] });
}

/** A rule store and rules in effect whose events are recorded. */
function following() {
  const store = createRuleStore(sha256);
  const rules = createRulesInForce(store, sha256);
  const events: RulesEvent[] = [];
  const unsubscribe = rules.onChange((event) => events.push(event));
  const offer = (text: string) => rules.documentsChanged(store.offer(bundle(text)));
  const trusts = (image: string) => rules.current()?.match(referenceOf(image), shop).value?.trust;
  return { store, rules, events, unsubscribe, offer, trusts };
}

describe('the rules in effect', () => {
  test('are those of the ConfigMaps as long as the cluster adds nothing', () => {
    const { rules, offer } = following();
    expect(rules.current()).toBeUndefined();
    offer('rules: [{registry: a.io}]');
    expect(rules.current()).toBe(rules.written());
  });

  test('are combined with those of the cluster once, and again after a change', () => {
    const { rules, offer, trusts } = following();
    offer('rules: []');
    rules.platformChanged(platform);
    const first = rules.current();
    expect(trusts(`${internal}/x`)).toBe(true);
    expect(rules.current()).toBe(first);
    rules.platformChanged(structuredClone(platform));
    expect(rules.current()).toBe(first);
    rules.platformChanged({ internalRegistries: [] });
    expect(trusts(`${internal}/x`)).toBeUndefined();
    expect(rules.current()).toBe(rules.written());
  });
});

describe('the event', () => {
  test('for documents leads from the previous rules in effect to the new ones, on this cluster', () => {
    const { rules, events, offer } = following();
    rules.platformChanged(platform);
    offer('rules: [{registry: a.io}]');
    offer('rulez: []');
    const [accepted, rejected] = events;
    expect(events).toHaveLength(2);
    expect(accepted).toMatchObject({ cause: 'documents', changes: [{ before: undefined, problems: [] }] });
    expect(accepted?.changes[0]?.after).toBe(rules.current());
    expect(rejected?.changes[0]?.problems.map(({ code }) => code)).toContain('unknown-field');
    expect(rejected?.changes[0]?.before).toBe(rules.current());
  });

  test('reaches every subscriber, also if one throws', () => {
    const { rules, events, offer } = following();
    rules.onChange(() => {
      throw new Error('a bug');
    });
    const later: unknown[] = [];
    rules.onChange((event) => later.push(event));
    expect(() => offer('rules: [{registry: a.io}]')).toThrow('a bug');
    expect([events.length, later.length]).toEqual([1, 1]);
  });

  test('for the platform contains the source objects, and the rules that no longer have an effect', () => {
    const { rules, events, offer } = following();
    offer(`rules: [{registry: "${internal}/evil", trust: false}]`);
    const before = rules.current();
    events.length = 0;
    rules.platformChanged(platform);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ cause: 'platform', changes: [{ sources: [{ kind: 'cluster', object }], problems: [] }] });
    expect(events[0]?.changes[0]?.before).toBe(before);
    expect(events[0]?.changes[0]?.after).toBe(rules.current());
    expect(events[0]?.changes[0]?.conflicts().map(({ code }) => code)).toEqual(['internal-conflict']);
  });

  test('for the platform is omitted if nothing in effect has changed', () => {
    const { rules, events, offer } = following();
    rules.platformChanged(platform);
    offer('rules: []');
    events.length = 0;
    rules.platformChanged(structuredClone(platform));
    rules.platformChanged({ internalRegistries: [...platform.internalRegistries, ...platform.internalRegistries] });
    expect(events).toEqual([]);
  });

  test('reaches no one who has unsubscribed', () => {
    const { events, unsubscribe, offer } = following();
    unsubscribe();
    offer('rules: []');
    expect(events).toEqual([]);
  });
});
