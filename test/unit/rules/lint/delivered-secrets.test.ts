/** Tests the warnings about secrets with delivery. */
import { describe, expect, test } from 'vitest';
import { lintDeliveredSecrets } from '../../../../src/rules/lint/delivered-secrets.ts';
import { rule } from '../build.ts';
import { briefly, ruleSetOf } from '../documents.ts';

const warningsOf = (text: string) => briefly(lintDeliveredSecrets(ruleSetOf(text)));

describe('a secret that is never delivered', () => {
  test.each([
    {
      because: 'no rule uses it',
      text: 'rules: [{registry: reg.io}]\nsecrets:\n- {name: s, source: s, namespaces: "*"}',
      warning:
        'unused-secret 3:3 no cluster rule references the secret s, so it is never delivered. Reference it in a rule, or remove the entry.',
    },
    {
      because: 'its name is misspelt',
      text: 'rules: [{registry: reg.io, pullSecret: corp-pull}]\nsecrets: [{name: corp-pul, source: s, namespaces: "*"}]',
      warning: 'unused-secret 2:11 no cluster rule references the secret corp-pul, so it is never delivered. Did you mean corp-pull?',
    },
    {
      because: 'its rules are for other namespaces',
      text: 'rules: [{registry: reg.io, namespaces: a, pushSecret: s}]\nsecrets: [{name: s, source: s, namespaces: [b, c]}]',
      warning:
        'unused-secret 2:11 the secret s is never delivered: no rule that references it applies in namespaces b, c. Change the namespaces of the entry, or remove it.',
    },
  ])('$because', ({ text, warning }) => {
    expect(warningsOf(text)).toEqual([warning]);
  });
});

test.each([
  ['a rule for pulling', 'rules: [{registry: reg.io, pullSecret: [t, s]}]\nsecrets: [{name: s, source: s, namespaces: a}]'],
  ['a rule for pushing', 'rules: [{registry: reg.io, pushSecret: s}]\nsecrets: [{name: s, source: s, namespaces: a}]'],
  [
    'a rule with labels that may belong to a namespace with that name',
    'rules: [{registry: reg.io, namespaces: {matchLabels: {t: a}}, pullSecret: s}]\nsecrets: [{name: s, source: s, namespaces: a}]',
  ],
])('%s uses the secret', (_name, text) => {
  expect(warningsOf(text)).toEqual([]);
});

describe('a namespace rule with the secret', () => {
  const cluster = (namespaces: string) =>
    ruleSetOf(`rules: [{registry: reg.io/a, pullSecret: s}]\nsecrets: [{name: s, source: s, namespaces: ${namespaces}}]`);
  const warningsWith = (registry: string, namespaces = '"*"') => {
    const own = rule({ registry, pullSecrets: ['s'], ownerNamespace: 'shop' });
    return lintDeliveredSecrets({ ...cluster(namespaces), namespaceRules: new Map([['shop', [own]]]) });
  };

  test('for images without a cluster rule with the secret gets a copy without their credentials', () => {
    const [warning] = warningsWith('quay.io/shop');
    expect(warning).toMatchObject({ code: 'secret-in-namespace-rule', related: { line: 2, column: 11 } });
    expect(warning?.message).toBe(
      'the rule quay.io/shop in namespace shop references the secret s. It is delivered for cluster rules (a.yaml:2:11), and its copies have no credentials for these images. Use a different secret name in the rule.',
    );
    expect(warningsWith('reg.io')).toHaveLength(1);
  });

  test.each([
    ['within a cluster rule with it', 'reg.io/a/b', '"*"'],
    ['in a namespace without a copy', 'quay.io/shop', 'other'],
  ])('%s is no warning', (_name, registry, namespaces) => {
    expect(warningsWith(registry, namespaces)).toEqual([]);
  });
});
