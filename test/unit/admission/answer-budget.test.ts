/** Checks that an answer is as short as the API server allows, whatever the object contains. */
import { expect, test } from 'vitest';
import { errored, renderAnswer } from '../../../src/admission/response.ts';
import { changeOf, decodeReview, type Webhook } from '../../../src/admission/review.ts';
import { decide } from '../../../src/decision/decide.ts';
import { unwatched } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { pod, reviewOf } from '../server/reviews.ts';

const rules = ruleSetOf(`
shortNames: [${Array.from({ length: 20 }, (_, index) => `${'h'.repeat(60)}${index}.example.com`)}]
rules:
- {registry: good.example.com, pullSecret: corp}
- {registry: warn.example.com, trust: false, reason: "${'r'.repeat(100)}"}
`);

const long = 'x'.repeat(1_000_000);
/** No name is longer, so a review with a longer one is rejected. */
const longest = long.slice(0, 253);
const many = (image: string) => ({
  ...pod(image),
  spec: { containers: Array.from({ length: 5_000 }, (_, index) => ({ name: `c${index}${long.slice(0, 100)}`, image })) },
});

test.each<[string, object, Record<string, unknown>?]>([
  ['a long image', pod(`bad.example.com/${long}`)],
  ['5,000 denied images', many('bad.example.com/x')],
  ['a port with many zeros', pod(`bad.example.com:${'0'.repeat(3_000)}1/x`)],
  ['a short name that could be one of many', many(`${'n'.repeat(200)}`)],
  ['the name of a container', { ...pod('x'), spec: { containers: [{ name: long, image: 'bad.example.com/x' }] } }],
  ['the name of an object', { ...pod('bad.example.com/x'), metadata: { name: long } }],
  ['generateName', { ...pod('bad.example.com/x'), metadata: { generateName: long } }],
  ['the namespace', pod('bad.example.com/x'), { namespace: longest }],
  ['a kind that is not evaluated', pod('bad.example.com/x'), { kind: { group: longest, version: 'v1', kind: longest } }],
  ['an object that cannot be read', { ...pod('x'), spec: { containers: { [long]: 1 } } }],
])('%s', (_name, object, request = {}) => {
  const review = decodeReview(reviewOf(object, request));
  if (!review.ok) throw new Error(review.message);
  const change = changeOf(review.request);
  const decision = change && decide(change, rules, unwatched);
  if (!decision || decision.kind === 'not-yet') throw new Error('no decision');
  for (const webhook of ['mutate', 'validate'] as Webhook[]) {
    const { response } = renderAnswer(webhook, review.request, decision, rules);
    expect(JSON.stringify({ ...response, patch: '' }).length).toBeLessThan(32 * 1024);
    const warnings = response.warnings ?? [];
    expect(Math.max(0, ...warnings.map(({ length }) => length))).toBeLessThanOrEqual(256);
    expect(warnings.join('').length).toBeLessThanOrEqual(4_096);
  }
});

test('an error shows what is wrong, but not the whole input', () => {
  expect(errored('uid', 400, 'BadRequest', long).response.status?.message).toHaveLength(256 + 128 + '…[1000000 characters]…'.length);
});
