import { describe, expect, test } from 'vitest';
import { createRuleBook, readBundle } from '../../../src/rules/book.ts';
import { configMapBundle } from '../../../src/rules/config-map.ts';
import { parseRulesDocument } from '../../../src/rules/parse.ts';
import { type HostileDocument, hostileDocuments } from '../../hostile/rules.ts';
import { fileSource, sha256 } from './documents.ts';

const own = (name: string, ...texts: readonly string[]) =>
  configMapBundle(
    { metadata: { name, namespace: 'team' }, data: Object.fromEntries(texts.map((text, index) => [`k${index}.yaml`, text])) },
    'namespace',
  );
const comment = (length: number) => `#${'x'.repeat(length - 1)}`;

function bookWith(...bundles: readonly ReturnType<typeof own>[]) {
  const book = createRuleBook(sha256);
  book.open([readBundle({ id: 'cluster', documents: [{ source: fileSource('rules.yaml'), text: 'rules: [{registry: a.io}]' }] })]);
  for (const bundle of bundles) book.offer(readBundle(bundle));
  return book;
}

const codeOf = (book: ReturnType<typeof bookWith>, bundle: ReturnType<typeof own>) => {
  const result = book.refuseUnread(bundle)?.results[0];
  return result && !result.ok ? result.problems[0]?.code : undefined;
};

describe('a bundle of a namespace is refused unread', () => {
  test.each([
    ['20 documents', own('b', ...Array.from({ length: 20 }, () => '')), undefined],
    ['21 documents', own('b', ...Array.from({ length: 21 }, () => '')), 'namespace-quota'],
    ['131,072 characters', own('b', comment(65_536), comment(65_536)), undefined],
    ['131,073 characters', own('b', comment(65_536), comment(65_537)), 'namespace-quota'],
  ])('with %s', (_name, bundle, code) => {
    expect(codeOf(bookWith(), bundle)).toBe(code);
  });

  test('for what the others of its namespace have, its own earlier version not counted', () => {
    const book = bookWith(own('a', comment(60_000)), own('b', comment(60_000)));
    expect(codeOf(book, own('c', comment(20_000)))).toBe('namespace-quota');
    expect(codeOf(book, own('b', comment(65_000)))).toBeUndefined();
    book.withdraw('namespace rules team/a');
    expect(codeOf(book, own('c', comment(20_000)))).toBeUndefined();
  });

  test('but refused ones take nothing of it', () => {
    expect(codeOf(bookWith(own('a', `rulez:${comment(60_000)}`, comment(60_000))), own('b', comment(65_536)))).toBeUndefined();
  });
});

test('what is kept of refused bundles does not grow with their number nor with their texts', () => {
  const book = bookWith(...Array.from({ length: 40 }, (_, index) => own(`bad-${index}`, hostileDocuments['unknown fields'](500))));
  const kept = book.refused();
  expect(kept).toHaveLength(20);
  // 21 problems each, of at most 1,000 characters.
  expect(JSON.stringify(kept).length).toBeLessThan(20 * 21 * 1_000);
});

describe('a hostile document of a namespace has few problems, each short', () => {
  test.each(
    (Object.keys(hostileDocuments) as HostileDocument[]).flatMap((kind) =>
      [1_000, 16_000, 65_000].map((length) => [kind, length] as const),
    ),
  )('%s, %i characters', (kind, length) => {
    const result = parseRulesDocument(hostileDocuments[kind](length), fileSource('own.yaml'), { kind: 'namespace', namespace: 'team' });
    const problems = result.ok ? result.warnings : result.problems;
    expect(problems.length).toBeLessThanOrEqual(21);
    for (const { message } of problems) expect(message.length).toBeLessThanOrEqual(1_000);
  });

  test('nothing but comments is read as blank, however long', () => {
    const result = parseRulesDocument(hostileDocuments.comments(1_000_000), fileSource('rules.yaml'));
    expect(result).toMatchObject({ ok: true, document: { blank: true } });
  });

  test.each([
    ['a tab before a comment', '\t# x\n'],
    ['spaces and line ends of Windows', '  \r\n # x\r\n\r\n'],
    ['nothing', ''],
    ['a last line without an end', '# x\n  # y'],
  ])('%s is blank too', (_name, text) => {
    expect(parseRulesDocument(text, fileSource('rules.yaml'))).toMatchObject({ ok: true, document: { blank: true } });
  });

  test('the errors of the YAML library carry no stacks, and ours do afterwards', () => {
    parseRulesDocument(hostileDocuments.commas(1_000), fileSource('rules.yaml'));
    expect(new Error('ours').stack?.split('\n').length).toBeGreaterThan(2);
  });
});
