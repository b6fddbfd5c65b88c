/** Tests the comparison of two rule sets. */
import { describe, expect, test } from 'vitest';
import { compareRuleSets } from '../../../../src/rules/store/compare-rule-sets.ts';
import { ruleSetOf } from '../documents.ts';

const changes = (before: string, after: string) => compareRuleSets(ruleSetOf(before), ruleSetOf(after));

test.each([
  ['the order of rules', 'rules: [{registry: a.io}, {registry: b.io}]', 'rules: [{registry: b.io}, {registry: a.io}]'],
  ['a list of registries and separate rules', 'rules: [{registry: [a.io, b.io]}]', 'rules: [{registry: a.io}, {registry: b.io}]'],
  [
    'a different spelling',
    'rules: [{registry: index.docker.io, pullSecret: a}]',
    '# new\nrules: [{registry: "docker.io:443", pullSecret: [a]}]',
  ],
  ['explicit defaults', 'rules: []', 'mode: enforce\nunconfigured: deny\ninject: all\nshortNames: docker.io\nrules: []'],
  ['a selector in a different order', 'overrides: [{namespaces: [a, b], mode: warn}]', 'overrides: [{namespaces: [b, a], mode: warn}]'],
  [
    'the same exemption twice',
    'exemptions: [{image: a.io, until: 2027-01-01, reason: r}]',
    `exemptions:${'\n- {image: a.io, until: 2027-01-01, reason: r}'.repeat(2)}`,
  ],
])('%s is not a difference', (_name, before, after) => {
  expect(changes(before, after)).toEqual([]);
});

describe('differences are reported by subject', () => {
  test.each([
    [
      'a new rule',
      'rules: []',
      'rules: [{registry: a.io, pullSecret: s}]',
      { kind: 'rule', about: 'a.io', after: { fields: { trust: true, pullSecret: 's' }, origin: { line: 1, column: 20 } } },
    ],
    ['a removed rule', 'rules: [{registry: a.io/x}]', 'rules: []', { kind: 'rule', about: 'a.io/x', before: { fields: { trust: true } } }],
    [
      'a rule that now denies',
      'rules: [{registry: a.io}]',
      'rules: [{registry: a.io, trust: false, reason: r}]',
      { about: 'a.io', before: { fields: { trust: true } }, after: { fields: { trust: false, reason: 'r' } } },
    ],
    [
      'a rule for other namespaces',
      'rules: [{registry: a.io, namespaces: x}]',
      'rules: [{registry: a.io, namespaces: x, pullSecret: s}]',
      { about: 'a.io for namespace x' },
    ],
    [
      'a secret',
      'rules: [{registry: a.io, pullSecret: [a, b]}]',
      'rules: [{registry: a.io, pullSecret: [b, a]}]',
      { before: { fields: { pullSecret: ['a', 'b'] } }, after: { fields: { pullSecret: ['b', 'a'] } } },
    ],
    [
      'a setting',
      'rules: []',
      'mode: warn',
      { kind: 'setting', about: 'mode', before: { fields: { mode: 'enforce' } }, after: { fields: { mode: 'warn' } } },
    ],
    ['a contact', 'rules: []', 'contact: us', { kind: 'setting', about: 'contact', after: { fields: { contact: 'us' } } }],
    [
      'a later date',
      'exemptions: [{image: a.io, until: 2027-01-01, reason: r}]',
      'exemptions: [{image: a.io, until: 2027-02-01, reason: r}]',
      { kind: 'exemption', about: 'a.io', after: { fields: { until: '2027-02-01' } } },
    ],
    [
      'an override',
      'rules: []',
      'overrides: [{namespaces: {matchLabels: {t: x}}, mode: audit}]',
      { kind: 'override', about: 'for namespaces with t=x', after: { fields: { mode: 'audit' } } },
    ],
    ['a delegation', 'delegate: [a.io]', 'rules: []', { kind: 'delegate', about: 'a.io' }],
    [
      'a delivered secret',
      'secrets: [{name: s, source: s, namespaces: "*", deliver: always}]',
      'secrets: [{name: s, source: t, namespaces: {matchLabels: {t: x}}, retain: 90m}]',
      {
        kind: 'secret',
        about: 's',
        before: { fields: { source: 's', namespaces: 'namespaces *', deliver: 'always' } },
        after: { fields: { source: 't', namespaces: 'namespaces with t=x', deliver: 'onDemand', retain: '90m' } },
      },
    ],
    [
      'an internal registry',
      'rules: []',
      'internalRegistries: ["reg:5000"]',
      { kind: 'rule', about: 'reg:5000', after: { fields: { internal: true } } },
    ],
  ])('%s', (_name, before, after, expected) => {
    const found = changes(before, after);
    expect(found).toHaveLength(1);
    expect(found).toMatchObject([expected]);
    expect(changes(after, before)).toHaveLength(1);
  });
});

test('a different pattern is a removed rule and a new one, and changes are sorted by kind and subject', () => {
  const found = changes('rules: [{registry: b.io}, {registry: a.io}]', 'mode: warn\nrules: [{registry: b.io}, {registry: a.io/x}]');
  expect(found.map(({ about, before, after }) => [about, before !== undefined, after !== undefined])).toEqual([
    ['mode', true, true],
    ['a.io', true, false],
    ['a.io/x', false, true],
  ]);
});
