/**
 * Parses the rules in the YAML blocks of the docs: every block with fields of a rules document, and the data of every ConfigMap with the
 * label. A block that shows a mistake has the fence ```yaml bad CODE LINE:COLUMN. rules-tables.test.ts checks the tables after the blocks.
 */
import { describe, expect, test } from 'vitest';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { type ParseResult, parseRulesDocument } from '../../../src/rules/language/parse.ts';
import { renderOrigin } from '../../../src/rules/language/problem.ts';
import { briefly, documentOf, fileSource, referenceOf, ruleSetOf, sha256, winnerOf } from '../rules/documents.ts';
import { blocks, pages, readPage, rows, section } from './pages.ts';
import { rulesIn } from './rule-examples.ts';

const yamlBlocks = pages.flatMap((page) =>
  blocks(readPage(page))
    .filter(({ language }) => language === 'yaml')
    .map(({ line, text, remark }) => ({ location: `${page}:${line}`, text, remark })),
);
const good = yamlBlocks.filter(({ remark }) => !remark.startsWith('bad')).flatMap(rulesIn);
const bad = yamlBlocks.filter(({ remark }) => remark.startsWith('bad'));

test('there are examples, including in the README', () => {
  expect(good.length).toBeGreaterThan(10);
  expect(good.some(({ location }) => location.startsWith('README.md'))).toBe(true);
  expect(bad.length).toBeGreaterThan(0);
});

test('every YAML block in docs/rules.md is checked, except objects of other kinds', () => {
  const checked = new Set([...good, ...bad].map(({ location }) => location.split(' ')[0]));
  const others = yamlBlocks.filter(({ location }) => location.startsWith('docs/rules.md') && !checked.has(location));
  expect(others.map(({ text }) => /^kind: (.*)$/m.exec(text)?.[1])).toEqual(['Kustomization']);
});

test.each(good)('the rules at $location have no problem', ({ location, text, scope }) => {
  const parsed = parseRulesDocument(text, fileSource(location), scope);
  expect(problemsOf(parsed)).toEqual([]);
  const compiled = compileRuleSet(parsed.ok ? [parsed.document] : [], sha256);
  expect(compiled.ok ? [] : briefly(compiled.problems)).toEqual([]);
});

test.each(bad)('the mistake at $location is reported: $remark', ({ location, text, remark }) => {
  const parsed = parseRulesDocument(text, fileSource(location));
  const [problem = ''] = parsed.ok ? [] : briefly(parsed.problems);
  expect(problem).toMatch(new RegExp(`^${remark.replace('bad ', '')} `));
});

describe('which rule wins, according to docs/rules.md', () => {
  const text = section(readPage('docs/rules.md'), 'Which rule wins');
  const rules = ruleSetOf(blocks(text).find(({ language }) => language === 'yaml')?.text ?? '');
  const unquoted = (cell = '') => cell.replaceAll('`', '');

  test.each(rows(text).map(([image, winner]) => [unquoted(image), unquoted(winner)]))('%s: %s', (image, winner) => {
    expect(winnerOf(rules, referenceOf(image))?.name ?? 'none').toBe(winner);
  });

  test('every rule in the example wins somewhere', () => {
    const winners = new Set(rows(text).map(([, winner]) => unquoted(winner)));
    expect(rules.rules.map(({ name }) => name).filter((name) => !winners.has(name))).toEqual([]);
  });
});

test('a denial that a port must not bypass applies to every port', () => {
  const [block] = blocks(readPage('docs/decisions/2026-11-21-refusals-and-ports.md'));
  const rules = ruleSetOf(block?.text ?? '');
  for (const host of ['reg.example.com', 'reg.example.com:443', 'reg.example.com:5000']) {
    expect(winnerOf(rules, referenceOf(`${host}/evil/app`))?.trust, host).toBe(false);
  }
  expect(winnerOf(rules, referenceOf('reg.example.com/app'))?.trust).toBe(true);
  expect(documentOf(block?.text ?? '').rules).toHaveLength(2);
});

/** Includes warnings, since an example should have none. */
function problemsOf(parsed: ParseResult): readonly string[] {
  const problems = parsed.ok ? parsed.warnings : parsed.problems;
  return problems.map(({ code, message, origin }) => `${code} ${renderOrigin(origin)} ${message}`);
}
