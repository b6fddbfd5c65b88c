/**
 * Anyone who reaches the webhook port without a client CA can have rules reviewed, so no document may cost much more than its length. Each
 * document is compiled and examined by lint with four times the length. The product of two lists would need 16 times the CPU time.
 */
import { describe, expect, test } from 'vitest';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import type { ParsedDocument } from '../../../src/rules/language/parse.ts';
import { lintRules } from '../../../src/rules/lint/lint.ts';
import { growthOf } from '../../growth.ts';
import { times } from '../../times.ts';
import { documentOf, sha256 } from './documents.ts';

type Large = { readonly name: string; readonly document: (size: number) => object; readonly size: number };

const numbered = (count: number, prefix: string, suffix = '') => times(count, (index) => `${prefix}${index}${suffix}`);
const inValues = (key: string, values: readonly string[]) => ({ key, operator: 'In', values });

const rows: readonly Large[] = [
  {
    name: 'namespaces of two rules with overlapping patterns',
    document: (size) => ({
      rules: [
        { registry: 'a.io', namespaces: numbered(size, 'a') },
        { registry: 'a.io/x', namespaces: numbered(size, 'b') },
      ],
    }),
    size: 2_000,
  },
  {
    name: 'namespaces of a rule that makes many others ineffective',
    document: (size) => ({
      rules: [
        { registry: 'a.io/*', namespaces: numbered(size, 'a') },
        ...times(size / 4, (index) => ({ registry: 'a.io', name: `r${index}`, namespaces: `a${index}` })),
      ],
    }),
    size: 800,
  },
  {
    name: 'namespace patterns with the same prefix and different suffixes',
    document: (size) => ({
      rules: times(size, (index) => ({ registry: 'a.io', name: `r${index}`, namespaces: `team-*-${index + 100_000}` })),
    }),
    size: 800,
  },
  {
    name: 'namespaces of an override that contradicts many others',
    document: (size) => ({
      overrides: [
        { namespaces: numbered(size, 'a'), mode: 'warn' },
        ...times(size, (index) => ({ namespaces: `a${index}`, mode: 'audit' })),
      ],
    }),
    size: 500,
  },
  {
    name: 'label values of a rule that ties with many others',
    document: (size) => ({
      rules: [
        { registry: 'a.io', namespaces: { matchExpressions: [inValues('k', numbered(size, 'v'))] } },
        ...times(size, (index) => ({ registry: 'a.io', name: `r${index}`, namespaces: { matchLabels: { k: `v${index}` } } })),
      ],
    }),
    size: 500,
  },
  {
    name: 'registries that nodes search for short names',
    document: (size) => ({ shortNames: numbered(size, 'h', '.io'), rules: [{ registry: '*' }] }),
    size: 200,
  },
  {
    name: 'secrets of a rule that similar names of delivered secrets do not match',
    document: (size) => ({
      rules: [{ registry: 'a.io', pullSecret: numbered(size, 'a'.repeat(100)) }],
      secrets: numbered(200, 'a'.repeat(99), 'b').map((name) => ({ name, source: name, namespaces: '*' })),
    }),
    size: 500,
  },
];

function review(document: ParsedDocument): void {
  const compiled = compileRuleSet([document], sha256);
  if (compiled.ok) lintRules(compiled.ruleSet, '2026-12-01');
}

describe('compiling and lint need time in proportion to the length of the document', () => {
  test.each(rows)('$name', ({ document, size }) => {
    const [small, large] = [documentOf(JSON.stringify(document(size))), documentOf(JSON.stringify(document(4 * size)))];
    expect(growthOf(review, small, large)).toBeLessThan(9);
  });
});

test('a message with a selector for very many namespaces is short', () => {
  const { document } = rows[1] as Large;
  const compiled = compileRuleSet([documentOf(JSON.stringify(document(2_000)))], sha256);
  if (!compiled.ok) throw new Error('problems');
  const lengths = lintRules(compiled.ruleSet, '2026-12-01').map(({ message }) => message.length);
  expect(lengths).toHaveLength(500);
  expect(Math.max(...lengths)).toBeLessThan(1_000);
});

describe('lists in one entry', () => {
  const problemsOf = (document: object) => {
    const compiled = compileRuleSet([documentOf(JSON.stringify(document))], sha256);
    return compiled.ok ? [] : compiled.problems.map(({ code, message }) => `${code} ${message}`);
  };
  const tooMany = [expect.stringMatching(/^too-many-combinations there are more than 500,000 combinations/)];

  test.each([
    ['secrets', (count: number) => ({ pullSecret: numbered(count, 's') })],
    ['namespaces', (count: number) => ({ namespaces: numbered(count, 'n') })],
    ['namespace patterns', (count: number) => ({ namespaces: numbered(count, 'n*') })],
    ['label values', (count: number) => ({ namespaces: { matchExpressions: [inValues('k', numbered(count - 1, 'v'))] } })],
  ] as const)('may multiply registries with %s to 500,000', (_, field) => {
    const rule = (count: number) => ({ rules: [{ registry: numbered(500, 'h', '.io'), ...field(count) }] });
    expect(problemsOf(rule(1_000))).toEqual([]);
    expect(problemsOf(rule(1_001))).toEqual(tooMany);
  });

  test('may multiply exempted images with namespaces to 500,000', () => {
    const exemption = (count: number) => ({
      exemptions: [{ image: numbered(500, 'h', '.io'), namespaces: numbered(count, 'n'), until: '2027-01-01', reason: 'r' }],
    });
    expect(problemsOf(exemption(1_000))).toEqual([]);
    expect(problemsOf(exemption(1_001))).toEqual(tooMany);
  });

  test('are counted before they are multiplied', () => {
    // 25 million combinations in 100 KB, which needed more memory than the process has.
    expect(problemsOf({ rules: [{ registry: numbered(5_000, 'h', '.io'), namespaces: numbered(5_000, 'n') }] })).toEqual(tooMany);
  });
});
