/** Tests label selectors in one line. */
import { describe, expect, test } from 'vitest';
import { parseLabelSelector } from '../../../../src/rules/language/label-selector.ts';

describe('a label selector in one line', () => {
  test.each([
    ['team', [{ key: 'team', operator: 'Exists', values: [] }]],
    ['!legacy', [{ key: 'legacy', operator: 'DoesNotExist', values: [] }]],
    ['! legacy', [{ key: 'legacy', operator: 'DoesNotExist', values: [] }]],
    ['env=prod', [{ key: 'env', operator: 'In', values: ['prod'] }]],
    ['env == prod', [{ key: 'env', operator: 'In', values: ['prod'] }]],
    ['env != prod', [{ key: 'env', operator: 'NotIn', values: ['prod'] }]],
    ['team in (b, a,b)', [{ key: 'team', operator: 'In', values: ['a', 'b'] }]],
    ['team notin(a)', [{ key: 'team', operator: 'NotIn', values: ['a'] }]],
    ['in in (in)', [{ key: 'in', operator: 'In', values: ['in'] }]],
    ['example.com/tier=1', [{ key: 'example.com/tier', operator: 'In', values: ['1'] }]],
    [
      ' team in (a,b) ,!legacy, env=prod',
      [
        { key: 'team', operator: 'In', values: ['a', 'b'] },
        { key: 'legacy', operator: 'DoesNotExist', values: [] },
        { key: 'env', operator: 'In', values: ['prod'] },
      ],
    ],
  ])('%s', (text, value) => {
    expect(parseLabelSelector(text)).toEqual({ ok: true, value });
  });

  test.each([
    ['', /^a requirement is empty\. Use a selector such as /],
    ['team,', /^a requirement is empty/],
    ['team=', /^the label team has an empty value\. Add a value, or use team alone to match any value\.$/],
    ['team in ()', /^the label team has an empty value/],
    ['team in (a,)', /^the label team has an empty value/],
    ['team in (a', /^"team in \(a" is not a label requirement\. Use a selector such as/],
    ['team in a', /^"team in a" is not a label requirement/],
    ['team exists', /^"team exists" is not a label requirement/],
    ['size > 3', /^"size > 3" compares numbers/],
    ['team=a b', /is not a label requirement/],
    ['team==a=b', /is not a label requirement/],
    ['te/a/m', /^the label key "te\/a\/m" is invalid\.$/],
    ['team=a*', /^the label value "a\*" is invalid\.$/],
    [`team=${'a'.repeat(64)}`, /^the label value "a{64}" is invalid\.$/],
  ])('rejects %j', (text, problem) => {
    expect(parseLabelSelector(text)).toEqual({ ok: false, problem: expect.stringMatching(problem) });
  });
});
