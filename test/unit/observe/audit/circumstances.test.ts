/** What a record has apart from its images, so that the request can be replayed. */
import { expect, test } from 'vitest';
import { changeOf, decodeReview, type Webhook } from '../../../../src/admission/review.ts';
import { decide } from '../../../../src/decision/decide.ts';
import type { Facts, SecretFacts } from '../../../../src/decision/facts.ts';
import { buildAuditRecord } from '../../../../src/observe/audit/decision-record.ts';
import type { RuleSet } from '../../../../src/rules/rule-set.ts';
import { unwatched } from '../../decision/changes.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import { pod, reviewOf } from '../../server/reviews.ts';

const rules = ruleSetOf(`
rules:
- {registry: a.io, pullSecret: [one, two]}
- {registry: b.io, namespaces: {matchLabels: {team: a}, matchExpressions: [{key: tier, operator: Exists}]}}
exemptions:
- {image: c.io, until: 2027-03-31, reason: moving, namespaces: {matchLabels: {phase: early}}}
overrides:
- {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}, mode: warn}
`);
const states: Readonly<Record<string, SecretFacts>> = { one: 'absent', two: 'present' };
const facts: Facts = {
  ...unwatched,
  namespace: () => ({ kind: 'known', labels: { team: 'b', password: 'hunter2' } }),
  secret: (_namespace, name) => states[name] ?? 'unknown',
};

type Options = { readonly webhook?: Webhook; readonly rules?: RuleSet; readonly facts?: Facts; readonly request?: Record<string, unknown> };

function recordOf(object: object, { webhook = 'validate', rules: used = rules, facts: known = facts, request = {} }: Options = {}) {
  const review = decodeReview(reviewOf(object, request));
  if (!review.ok) throw new Error(review.message);
  const change = changeOf(review.request);
  const decision = change && decide(change, used, known);
  const evaluatedWith = { rules: used, facts: known };
  return buildAuditRecord({
    webhook,
    callerAuthenticated: true,
    request: review.request,
    decision,
    evaluatedWith,
    durationMicroseconds: 1,
  });
}

test('the labels that rules select by, and no others', () => {
  expect(recordOf(pod('a.io/x')).namespaceLabels).toEqual({ phase: null, team: 'b', tier: null });
});

test('no labels where they are unknown', () => {
  expect(recordOf(pod('a.io/x'), { facts: unwatched })).not.toHaveProperty('namespaceLabels');
});

test("whether the secrets in the rules for a Pod's images exist", () => {
  expect(recordOf(pod('a.io/x')).secrets).toEqual({ one: 'absent', two: 'present' });
  expect(recordOf(pod('c.io/x'))).not.toHaveProperty('secrets');
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { template: pod('a.io/x') } };
  expect(recordOf(deployment)).not.toHaveProperty('secrets');
});

test.each([
  ['', undefined],
  ['shortNames: reject', 'reject'],
  ['shortNames: [a.io]', ['a.io']],
])('the meaning of a name without a registry: %s', (text, expected) => {
  expect(recordOf(pod('a.io/x'), { rules: ruleSetOf(`${text}\nrules: []`) }).shortNames).toEqual(expected);
});

test('a static Pod', () => {
  const mirror = { ...pod('a.io/x'), metadata: { name: 'web', annotations: { 'kubernetes.io/config.mirror': 'x' } } };
  expect(recordOf(mirror, { request: { userInfo: { username: 'system:node:n1' } } }).staticPod).toBe(true);
  expect(recordOf(mirror)).not.toHaveProperty('staticPod');
});

test('none of this for the mutating webhook, whose record has no outcome', () => {
  const record = recordOf(pod('a.io/x'), { webhook: 'mutate' });
  for (const field of ['namespaceLabels', 'secrets', 'shortNames', 'staticPod']) expect(record).not.toHaveProperty(field);
});

test('a record that cannot show all labels is truncated', () => {
  const overrides = Array.from({ length: 60 }, (_, index) => `- {namespaces: {matchLabels: {"key-${index}": x}}, mode: warn}`);
  const { namespaceLabels = {}, truncated } = recordOf(pod('a.io/x'), { rules: ruleSetOf(`overrides:\n${overrides.join('\n')}`) });
  expect(Object.keys(namespaceLabels)).toHaveLength(50);
  expect(truncated).toBe(true);
});
