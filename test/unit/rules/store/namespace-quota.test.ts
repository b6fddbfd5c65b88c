/** Tests the quota for a namespace's rules. */
import { describe, expect, test } from 'vitest';
import { configMapBundle } from '../../../../src/rules/language/config-map.ts';
import { parseRulesDocument } from '../../../../src/rules/language/parse.ts';
import { createRuleStore, readBundle } from '../../../../src/rules/store/rule-store.ts';
import { type HostileDocument, hostileDocuments } from '../../../hostile/rules.ts';
import { fileSource, sha256 } from '../documents.ts';

const own = (name: string, ...texts: readonly string[]) =>
  configMapBundle(
    { metadata: { name, namespace: 'team' }, data: Object.fromEntries(texts.map((text, index) => [`k${index}.yaml`, text])) },
    'namespace',
  );
const comment = (length: number) => `#${'x'.repeat(length - 1)}`;

function bookWith(...bundles: readonly ReturnType<typeof own>[]) {
  const book = createRuleStore(sha256);
  book.open([readBundle({ id: 'cluster', documents: [{ source: fileSource('rules.yaml'), text: 'rules: [{registry: a.io}]' }] })]);
  for (const bundle of bundles) book.offer(readBundle(bundle));
  return book;
}

const codeOf = (book: ReturnType<typeof bookWith>, bundle: ReturnType<typeof own>) => {
  const result = book.rejectUnread(bundle)?.results[0];
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

describe('the quota covers what is in force', () => {
  const registries = (name: string, count: number) =>
    `rules:\n${Array.from({ length: count }, (_, index) => `- {registry: ${name}-${index}.io, trust: false}`).join('\n')}\n`;
  const large = (name: string) => [registries(name, 60), comment(57_000)] as const;
  /** As the queue does: a bundle over the quota is rejected without parsing. */
  const offer = (book: ReturnType<typeof bookWith>, bundle: ReturnType<typeof own>) =>
    book.offer(book.rejectUnread(bundle) ?? readBundle(bundle));
  const rulesInForce = (book: ReturnType<typeof bookWith>) => book.current()?.namespaceRules.get('team')?.length ?? 0;

  test.each<[string, number, (name: string) => readonly string[]]>([
    ['bad, where the book remembers as many bad ones as it may', 20, () => ['rules: [']],
    ['bad, where the book remembers none', 0, () => ['rules: [']],
    ['in contradiction to another of its namespace', 0, () => ['rules: [{registry: first.io, pullSecret: b}]']],
    ['in contradiction, where the book remembers as many bad ones as it may', 20, () => ['rules: [{registry: first.io, pullSecret: b}]']],
  ])('although each was overwritten by a version that is %s', (_name, bad, overwritten) => {
    const book = bookWith(
      own('first', 'rules: [{registry: first.io, pullSecret: a}]'),
      ...Array.from({ length: bad }, (_, index) => own(`bad-${index}`, 'rules: [')),
    );
    for (const name of ['a1', 'a2', 'a3']) {
      offer(book, own(name, ...large(name)));
      offer(book, own(name, ...overwritten(name)));
      offer(book, own(name, 'rules: ['));
    }
    expect(rulesInForce(book)).toBe(1 + 2 * 60);
  });

  test('also of a version that waited for others, and is good now', () => {
    const book = bookWith(own('first', 'rules: [{registry: a1-0.io, pullSecret: a}]'));
    offer(book, own('a1', ...large('a1')));
    expect(rulesInForce(book)).toBe(1);
    book.withdraw('namespace rules team/first');
    expect(rulesInForce(book)).toBe(60);
    for (const name of ['a2', 'a3']) offer(book, own(name, ...large(name)));
    expect(rulesInForce(book)).toBe(2 * 60);
  });

  test('also where several are offered that were each measured before the others were there', () => {
    const book = bookWith(own('a1', ...large('a1')));
    const later = ['a2', 'a3'].map((name) => own(name, ...large(name)));
    expect(later.map((bundle) => codeOf(book, bundle))).toEqual([undefined, undefined]);
    const changes = book.change(later.map((bundle) => ({ offer: readBundle(bundle) })));
    expect(changes.map(({ problems }) => problems[0]?.code)).toEqual([undefined, 'namespace-quota']);
    expect(rulesInForce(book)).toBe(2 * 60);
  });

  test('also at the opening', () => {
    const book = createRuleStore(sha256);
    const cluster = { id: 'cluster', documents: [{ source: fileSource('rules.yaml'), text: 'rules: [{registry: a.io}]' }] };
    book.open([cluster, ...['a1', 'a2', 'a3'].map((name) => own(name, ...large(name)))].map((bundle) => readBundle(bundle)));
    expect(rulesInForce(book)).toBe(2 * 60);
  });
});

test('what is kept of refused bundles does not grow with their number nor with their texts', () => {
  const book = bookWith(...Array.from({ length: 40 }, (_, index) => own(`bad-${index}`, hostileDocuments['unknown fields'](500))));
  const kept = book.rejected();
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
