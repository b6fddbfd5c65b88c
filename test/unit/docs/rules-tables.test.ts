/**
 * Checks every table of docs/rules.md whose first heading is "image" against the rules above it: the last block for the cluster, and the
 * blocks of namespaces after that.
 */
import { describe, expect, test } from 'vitest';
import { soften } from '../../../src/decision/decide.ts';
import { evaluateImage } from '../../../src/decision/evaluate-image.ts';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { compileNamespaceRules, withNamespaceRules } from '../../../src/rules/compile/namespace-rules.ts';
import { type ParsedDocument, parseRulesDocument } from '../../../src/rules/language/parse.ts';
import type { NamespaceContext, RuleSet } from '../../../src/rules/rule-set.ts';
import { briefly, fileSource, sha256 } from '../rules/documents.ts';
import { blocks, readPage, tables } from './pages.ts';
import { rulesIn } from './rule-examples.ts';

const page = 'docs/rules.md';
const examples = blocks(readPage(page))
  .filter(({ language, remark }) => language === 'yaml' && !remark.startsWith('bad'))
  .flatMap(({ line, text }) => rulesIn({ location: `${page}:${line}`, text }).map((example) => ({ ...example, line })));
const claims = tables(readPage(page)).filter(({ headings }) => headings[0] === 'image');

test('the page contains examples', () => {
  expect(claims.length).toBeGreaterThan(12);
});

describe.each(claims)('the table in line $line', (table) => {
  const rules = rulesAbove(table.line);

  test.each(table.rows)('$image', (row) => {
    expect(Object.fromEntries(table.headings.map((heading) => [heading, cellFor(heading, row, rules)]))).toEqual(row);
  });
});

function rulesAbove(line: number): RuleSet {
  const above = examples.filter((example) => example.line < line);
  const last = above.findLastIndex(({ scope }) => scope.kind === 'cluster');
  const [cluster, ...own] = above.slice(last).map(({ text, location, scope }): ParsedDocument => {
    const parsed = parseRulesDocument(text, fileSource(location), scope);
    if (!parsed.ok) throw new Error(briefly(parsed.problems).join());
    return parsed.document;
  });
  const compiled = compileRuleSet(cluster ? [cluster] : [], sha256);
  if (!compiled.ok) throw new Error(briefly(compiled.problems).join());
  const ofNamespaces = own.map(({ source, scope, ...document }) => {
    if (scope.kind !== 'namespace') throw new Error('two clusters');
    const compiledOwn = compileNamespaceRules(scope.namespace, [{ source, scope, ...document }]);
    if (!compiledOwn.ok) throw new Error(briefly(compiledOwn.problems).join());
    return [scope.namespace, compiledOwn.rules] as const;
  });
  return withNamespaceRules(compiled.ruleSet, new Map(ofNamespaces), sha256);
}

type Row = Readonly<Record<string, string>>;

/** The expected cell for the image, the namespace and the day of its row. An unknown heading is an error. */
function cellFor(heading: string, row: Row, rules: RuleSet): string {
  const place = namespaceOf(row.namespace ?? '`shop`');
  const day = row.date ?? '2026-11-21';
  const settings = rules.settingsAt(place).value;
  const evaluation = evaluateImage(unquoted(row.image), { rules, place, settings, facts: { now: () => Date.parse(`${day}T23:59:59Z`) } });
  const { outcomeBeforeMode, rule, trustedBy } = evaluation;
  switch (heading) {
    case 'image':
    case 'namespace':
    case 'date':
      return row[heading] ?? '';
    case 'result':
      return { allowed: 'allowed', warned: 'allowed, with a warning', denied: 'denied' }[soften(outcomeBeforeMode, settings.mode)];
    case 'decided by':
      return rule ? `\`${rule.name}\`` : 'no rule';
    case 'winning rule':
      return rule ? `\`${rule.name}\`` : 'none';
    case 'pull secrets':
      return quotedList(trustedBy.flatMap(({ pullSecrets }) => pullSecrets));
    case 'push secret':
      return quotedList(trustedBy.flatMap(({ pushSecret }) => pushSecret ?? []));
    default:
      throw new Error(`no test knows what "${heading}" claims`);
  }
}

/** `` `shop` ``, or `` `shop` with `team: a`, `stage: dev` ``. */
function namespaceOf(cell: string): NamespaceContext {
  const [namespace = '', ...labels] = [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  return { namespace, labels: Object.fromEntries(labels.map((label) => label.split(': ') as [string, string])) };
}

function quotedList(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(', ');
}

function unquoted(cell = ''): string {
  return cell.replaceAll('`', '');
}
