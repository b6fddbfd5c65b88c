/** Events on rules ConfigMaps: results of edits, and reminders of approaching end dates. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { OfferedEvent } from '../../../../src/cluster/events/event.ts';
import { createRuleEvents } from '../../../../src/cluster/events/rule-events.ts';
import { configMapBundle } from '../../../../src/rules/language/config-map.ts';
import { createRuleStore, readBundle } from '../../../../src/rules/store/rule-store.ts';
import { createRulesInForce } from '../../../../src/rules/store/rules-in-force.ts';
import { sha256 } from '../../rules/documents.ts';
import { manualClock } from '../../server/clock.ts';

const day = 86_400_000;

/** A replica that has read the first text, on the 1st of March 2027. */
function replica(text: string, of: 'cluster' | 'namespace' = 'cluster') {
  const clock = manualClock();
  clock.pass(Date.UTC(2027, 2, 1));
  const store = createRuleStore(sha256);
  const rules = createRulesInForce(store, sha256);
  const offered: OfferedEvent[] = [];
  let version = 1;
  const exists = { uid: 'map-uid', resourceVersion: '1' };
  const events = createRuleEvents({
    rules,
    store,
    versionOf: (_namespace, name) => (name === 'none' ? undefined : { ...exists, resourceVersion: String(version) }),
    recorder: { offer: (event) => void offered.push(event) },
    clock,
  });
  events.start();
  onTestFinished(() => events.stop());
  const bundle = (content: string, name = 'regkeeper-rules', label: 'cluster' | 'namespace' = 'cluster') =>
    readBundle(
      configMapBundle(
        { metadata: { name, namespace: label === 'cluster' ? 'regkeeper' : 'shop' }, data: { 'rules.yaml': content } },
        label,
      ),
    );
  rules.documentsChanged(
    store.open([bundle(of === 'cluster' ? text : 'rules: []'), ...(of === 'namespace' ? [bundle(text, 'own', of)] : [])]),
  );
  return {
    clock,
    offered,
    texts: () => offered.map(({ reason, note }) => `${reason} ${note}`),
    write(content: string, name = of === 'cluster' ? 'regkeeper-rules' : 'own') {
      version += 1;
      rules.documentsChanged(store.offer(bundle(content, name, of)));
    },
  };
}

describe('an edit', () => {
  test('that is accepted is reported with the revision, but the first rules of a replica are not', async () => {
    const { write, offered } = replica('rules: []');
    expect(offered).toEqual([]);
    write('rules: [{registry: a.example.com}]');
    expect(offered).toEqual([
      {
        namespace: 'regkeeper',
        key: 'result regkeeper-rules',
        version: '2',
        type: 'Normal',
        reason: 'RulesAccepted',
        note: expect.stringMatching(/^The rules are in effect as revision [0-9a-f]{12}\.$/),
        ifExists: 'keep',
        regarding: expect.any(Function),
      },
    ]);
    expect(await offered[0]?.regarding(AbortSignal.abort())).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'regkeeper-rules',
      uid: 'map-uid',
    });
  });

  test('that is accepted with a warning includes the warning', () => {
    const { write, texts } = replica('rules: []');
    write('rules: [{registry: [a.example.com, a.example.com]}]');
    expect(texts()).toEqual([
      expect.stringMatching(/^RulesAccepted The rules are .* ConfigMap regkeeper\/regkeeper-rules, key rules\.yaml, line 1:36: /),
    ]);
  });

  test('that is rejected is reported as in the audit record, and again while it stays rejected', () => {
    const { write, texts, clock, offered } = replica('rules: []');
    write('rulez: []');
    const text =
      'RulesRejected ConfigMap regkeeper/regkeeper-rules, key rules.yaml, line 1:1: unknown field "rulez" at the top level. Did you mean "rules"? These rules were rejected. The last valid version, if any, remains in effect.';
    expect(texts()).toEqual([text]);
    clock.pass(day / 48);
    expect(texts()).toEqual([text, text]);
    expect(offered.map(({ ifExists, version }) => [ifExists, version])).toEqual([
      ['keep', '2'],
      ['refresh', '2'],
    ]);
  });

  test('that is rejected at the start is reported', () => {
    expect(replica('rulez: []').texts()).toEqual([expect.stringContaining('RulesRejected')]);
  });

  test('to the rules of a namespace is reported in the namespace', () => {
    const { write, offered } = replica('rules: [{registry: evil.example.com, trust: false}]', 'namespace');
    write('rulez: []');
    expect(offered.map(({ namespace, reason }) => `${namespace} ${reason}`)).toEqual(['shop RulesRejected']);
  });

  test('to a ConfigMap that no longer exists is not reported', () => {
    const { write, offered } = replica('rules: []');
    write('rulez: []', 'none');
    expect(offered).toEqual([]);
  });
});

describe('an approaching end date', () => {
  const rules = `
rules:
- {registry: later.example.com, until: 2027-04-30}
- {registry: soon.example.com, until: 2027-03-31}
- {registry: early.example.com, until: 2027-05-31, warnFrom: 2027-02-01}
- {registry: ended.example.com, until: 2027-02-28}
exemptions:
- {image: old.example.com/a, until: 2027-03-09, reason: moving}
- {image: old.example.com/b, until: 2027-12-31, reason: moving}
- {image: old.example.com/c, until: 2027-02-01, reason: moved}
`;

  test('is reported on its ConfigMap, the earliest first, and again before the Event expires', () => {
    const { texts, clock, offered } = replica(rules);
    const place = 'ConfigMap regkeeper/regkeeper-rules, key rules.yaml, line';
    const expected = [
      `ExemptionEnding old.example.com/a is exempted until 2027-03-09 (${place} 8:11). After that, these images will be denied. Replace images that are still in use, or set a later date.`,
      `TrustEnding soon.example.com is trusted until 2027-03-31 (${place} 4:14). early.example.com is trusted until 2027-05-31 (${place} 5:14). After that, these images will be denied. Replace images that are still in use, or set a later date.`,
    ];
    expect(texts()).toEqual(expected);
    expect(offered.map(({ ifExists }) => ifExists)).toEqual(['refresh', 'refresh']);
    clock.pass(day / 48);
    expect(texts()).toEqual([...expected, ...expected]);
  });

  test('is no longer reported after its last day', () => {
    const { texts, clock, offered } = replica(rules);
    offered.length = 0;
    clock.pass(9 * day);
    expect(texts()).toEqual([expect.stringContaining('TrustEnding soon.example.com is trusted until')]);
  });
});
