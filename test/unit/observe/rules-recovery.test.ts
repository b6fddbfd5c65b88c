/** The log line at the end of problems with rules. */
import { describe, expect, test } from 'vitest';
import { createRulesRecovery } from '../../../src/observe/rules-recovery.ts';
import type { RuleScope } from '../../../src/rules/language/parse.ts';
import { createRuleStore, type ReadBundle, type RulesChange, readBundle } from '../../../src/rules/store/rule-store.ts';
import { sha256 } from '../rules/documents.ts';

const ofTeam: RuleScope = { kind: 'namespace', namespace: 'team-a' };
const good = 'rules: [{registry: a.io}]';
const better = 'rules: [{registry: b.io}]';
const bad = 'rulez: []';

function bundle(id: string, text: string, scope?: RuleScope): ReadBundle {
  const source = { kind: 'configMap' as const, namespace: 'regkeeper', name: id, key: 'rules.yaml' };
  return readBundle({ id, ...(scope && { scope }), documents: [{ source, text }] });
}

/** Reports what is logged, event by event. */
function follow(...opening: readonly ReadBundle[]) {
  const store = createRuleStore(sha256);
  const reported: string[] = [];
  const log = {
    info: (fields: object, message: string) => {
      expect(fields).toEqual({ rulesRevision: store.written()?.revision });
      reported.push(message);
    },
  };
  const recovery = createRulesRecovery({ store, inForce: store.written, log });
  const after = (changes: readonly RulesChange[]) => {
    recovery.update(changes);
    return reported.splice(0);
  };
  expect(after(store.open(opening))).toEqual([]);
  return {
    offer: (id: string, text: string, scope?: RuleScope) => after(store.offer(bundle(id, text, scope))),
    withdraw: (id: string) => after(store.withdraw(id)),
    lookAgain: () => after([]),
  };
}

const again = 'the rules of the cluster are valid and complete again';

describe('recovery is logged for', () => {
  test('a typo that is undone', () => {
    const { offer, lookAgain } = follow(bundle('one', good));
    expect(offer('one', bad)).toEqual([]);
    expect(lookAgain()).toEqual([]);
    expect(offer('one', good)).toEqual([again]);
    expect(offer('one', good)).toEqual([]);
  });

  test('a label that is removed and restored', () => {
    const { offer, withdraw } = follow(bundle('one', good));
    expect(withdraw('one')).toEqual([]);
    expect(offer('one', good)).toEqual([again]);
  });

  test('rules that are blanked and written again', () => {
    const { offer } = follow(bundle('one', good));
    expect(offer('one', '')).toEqual([]);
    expect(offer('one', good)).toEqual([again]);
  });

  test('an invalid ConfigMap that has never been valid and is deleted', () => {
    const { offer, withdraw } = follow(bundle('one', good));
    expect(offer('two', bad)).toEqual([]);
    expect(withdraw('two')).toEqual([again]);
  });

  test('two invalid ConfigMaps, when the second is fixed too', () => {
    const { offer } = follow(bundle('one', good), bundle('two', better));
    offer('one', bad);
    offer('two', bad);
    expect(offer('one', good)).toEqual([]);
    expect(offer('two', better)).toEqual([again]);
  });

  test("a namespace's own rules", () => {
    const { offer } = follow(bundle('one', good));
    offer('own', 'rules: [{registry: a.io, trust: false}]', ofTeam);
    offer('own', bad, ofTeam);
    offer('one', bad);
    expect(offer('own', 'rules: [{registry: a.io, trust: false}]', ofTeam)).toEqual([again.replace('the cluster', 'namespace team-a')]);
    expect(offer('one', good)).toEqual([again]);
  });
});

test('changed rules are logged with their revision, and not a second time', () => {
  const { offer, lookAgain } = follow(bundle('one', good));
  offer('one', bad);
  expect(offer('one', better)).toEqual([]);
  expect(lookAgain()).toEqual([]);
});

test('no recovery is logged if no rules are in effect', () => {
  const { withdraw } = follow(bundle('one', bad));
  expect(withdraw('one')).toEqual([]);
});
