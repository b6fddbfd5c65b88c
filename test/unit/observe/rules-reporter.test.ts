/** What is logged, recorded and counted when the rules in effect change. */
import { describe, expect, test } from 'vitest';
import { createLintReporter } from '../../../src/observe/lint-reporter.ts';
import { createRulesReporter } from '../../../src/observe/rules-reporter.ts';
import type { RuleScope } from '../../../src/rules/language/parse.ts';
import type { Problem } from '../../../src/rules/language/problem.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { createRuleStore, type ReadBundle, readBundle } from '../../../src/rules/store/rule-store.ts';
import { createRulesInForce } from '../../../src/rules/store/rules-in-force.ts';
import { recordingLog } from '../kube/scripted-api.ts';
import { sha256 } from '../rules/documents.ts';

const ofTeam: RuleScope = { kind: 'namespace', namespace: 'team' };
const internal = 'image-registry.openshift-image-registry.svc:5000';

function bundle(id: string, text: string, scope?: RuleScope): ReadBundle {
  const source = { kind: 'configMap' as const, namespace: scope ? 'team' : 'regkeeper', name: id, key: 'rules.yaml' };
  return readBundle({ id, ...(scope && { scope }), documents: [{ source, text }] });
}

/** Rules in effect with the reporter and the lint reporter as subscribers, and the effects of each change, in order. */
function reporting() {
  const store = createRuleStore(sha256);
  const rules = createRulesInForce(store, sha256);
  const log = recordingLog();
  const happened: string[] = [];
  const auditLog = { write: (record: object) => void happened.push(`record ${(record as { outcome: string }).outcome}`) };
  const metrics = {
    rulesInForce: ({ revision }: RuleSet) => void happened.push(`metrics ${revision === rules.current()?.revision}`),
    namespaceRules: (outcome: string) => void happened.push(`namespace rules ${outcome}`),
  };
  const reporter = createRulesReporter({ rules, store, log, auditLog, metrics, clock: { now: () => 0 } });
  const lint = ({ rules: linted }: RuleSet) =>
    linted.map(({ pattern, origin }): Problem => ({ code: 'rule-redundant', message: `about ${pattern.text}`, origin }));
  const lintReporter = createLintReporter({ rules, lint, log });
  reporter.start();
  lintReporter.start();
  const after = (work: () => void) => {
    work();
    return [
      ...happened.splice(0),
      ...log.lines.splice(0).map(({ level, message }) => `${level}: ${message.replace(/ConfigMap \S+ key \S+ line \d+:\d+: /, '')}`),
    ];
  };
  return {
    open: (...bundles: readonly ReadBundle[]) => after(() => rules.documentsChanged(store.open(bundles))),
    offer: (id: string, text: string, scope?: RuleScope) => after(() => rules.documentsChanged(store.offer(bundle(id, text, scope)))),
    platform: (...registries: readonly string[]) =>
      after(() => rules.platformChanged({ internalRegistries: registries.map((registry) => ({ registry, object: 'images' })) })),
    stop() {
      reporter.stop();
      lintReporter.stop();
    },
  };
}

describe('a change of the rules in effect is reported', () => {
  test('with a record, a log line, the metrics, and each finding once', () => {
    const { open, offer } = reporting();
    expect(open(bundle('one', 'rules: [{registry: a.io}]'))).toEqual([
      'record accepted',
      'metrics true',
      'info: rules are in effect',
      'warn: about a.io',
    ]);
    expect(offer('two', 'rules: [{registry: b.io}]')).toEqual([
      'record accepted',
      'metrics true',
      'info: rules are in effect',
      'warn: about b.io',
    ]);
  });

  test('when it is rejected, with each problem and without warnings, and then when the rules are valid again', () => {
    const { open, offer } = reporting();
    open(bundle('one', 'rules: [{registry: a.io}]'));
    const rejected = offer('one', 'rulez: []');
    expect(rejected.slice(0, 2)).toEqual(['record rejected', 'metrics true']);
    expect(rejected.slice(2)).toEqual([expect.stringMatching(/^error: rules rejected: .*"rules"/)]);
    expect(offer('one', 'rules: [{registry: a.io}]')).toEqual([
      'record accepted',
      'metrics true',
      expect.stringMatching(/^info: the rules of the cluster are valid/),
    ]);
  });

  test('while no rules are in effect, with what is missing', () => {
    const { open } = reporting();
    expect(open(bundle('one', 'rulez: []')).at(-1)).toMatch(/^error: not ready: /);
  });

  test('for a namespace with a record and counters, and without warnings', () => {
    const { open, offer } = reporting();
    open(bundle('one', 'delegate: [a.io]\nrules: [{registry: a.io}]'));
    expect(offer('own', 'rules: [{registry: a.io/x, pullSecret: own}]', ofTeam)).toEqual([
      'record accepted',
      'metrics true',
      'namespace rules accepted',
      'info: rules are in effect',
    ]);
  });

  test('for the platform with a record and the rules that no longer have an effect, and without warnings', () => {
    const { open, platform } = reporting();
    open(bundle('one', `rules: [{registry: "${internal}", pullSecret: x}]`));
    expect(platform(internal)).toEqual([
      'record accepted',
      'metrics true',
      'info: rules are in effect',
      expect.stringMatching(/^error: .*the rule specifies a secret for .* has no effect\. Remove it\.$/),
    ]);
  });

  test('to no subscriber after stop', () => {
    const { open, stop } = reporting();
    stop();
    expect(open(bundle('one', 'rules: []'))).toEqual([]);
  });
});
