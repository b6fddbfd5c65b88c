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
    ['', /^has a blank where a requirement is expected; write it like /],
    ['team,', /^has a blank/],
    ['team=', /^team is compared with a blank; give a value, or write team alone for any$/],
    ['team in ()', /^team is compared with a blank/],
    ['team in (a,)', /^team is compared with a blank/],
    ['team in (a', /^"team in \(a" cannot be read; write it like/],
    ['team in a', /^"team in a" cannot be read/],
    ['team exists', /^"team exists" cannot be read/],
    ['size > 3', /^"size > 3" compares numbers/],
    ['team=a b', /cannot be read/],
    ['team==a=b', /cannot be read/],
    ['te/a/m', /^"te\/a\/m" is no key of a label$/],
    ['team=a*', /^"a\*" is no value of a label$/],
    [`team=${'a'.repeat(64)}`, /is no value of a label$/],
  ])('refuses %j', (text, problem) => {
    expect(parseLabelSelector(text)).toEqual({ ok: false, problem: expect.stringMatching(problem) });
  });
});
