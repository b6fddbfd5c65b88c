/** Tests numbers and lists in sentences. */
import { expect, test } from 'vitest';
import { countOf, quoteAll } from '../../../src/image/wording.ts';

test.each([
  [0, '0 rules', '0 records were'],
  [1, '1 rule', '1 record was'],
  [2, '2 rules', '2 records were'],
])('%i', (count, rules, records) => {
  expect(countOf(count, 'rule')).toBe(rules);
  expect(countOf(count, 'record was', 'records were')).toBe(records);
});

test.each([
  [[], ''],
  [['a'], '"a"'],
  [['a', 'b'], '"a" and "b"'],
  [['a', 'b', 'c'], '"a", "b" and "c"'],
  [[...'abcdefghijk'], '"a", "b", "c", "d", "e", "f", "g", "h", "i", "j" and "k"'],
  [[...'abcdefghijkl'], '"a", "b", "c", "d", "e", "f", "g", "h", "i", "j" and 2 more'],
])('%j is listed as %s', (names, listed) => {
  expect(quoteAll(names)).toBe(listed);
});
