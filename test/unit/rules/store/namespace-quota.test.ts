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

function storeWith(...bundles: readonly ReturnType<typeof own>[]) {
  const store = createRuleStore(sha256);
  store.open([readBundle({ id: 'cluster', documents: [{ source: fileSource('rules.yaml'), text: 'rules: [{registry: a.io}]' }] })]);
  for (const bundle of bundles) store.offer(readBundle(bundle));
  return store;
}

const codeOf = (store: ReturnType<typeof storeWith>, bundle: ReturnType<typeof own>) => {
  const result = store.rejectIfOverQuota(bundle)?.results[0];
  return result && !result.ok ? result.problems[0]?.code : undefined;
};

describe('a bundle of a namespace is rejected without parsing', () => {
  test.each([
    ['20 documents', own('b', ...Array.from({ length: 20 }, () => '')), undefined],
    ['21 documents', own('b', ...Array.from({ length: 21 }, () => '')), 'namespace-quota'],
    ['131,072 characters', own('b', comment(65_536), comment(65_536)), undefined],
    ['131,073 characters', own('b', comment(65_536), comment(65_537)), 'namespace-quota'],
  ])('with %s', (_name, bundle, code) => {
    expect(codeOf(storeWith(), bundle)).toBe(code);
  });

  test('because of the size of others in its namespace, without its own earlier version', () => {
    const store = storeWith(own('a', comment(60_000)), own('b', comment(60_000)));
    expect(codeOf(store, own('c', comment(20_000)))).toBe('namespace-quota');
    expect(codeOf(store, own('b', comment(65_000)))).toBeUndefined();
    store.withdraw('namespace rules team/a');
    expect(codeOf(store, own('c', comment(20_000)))).toBeUndefined();
  });

  test('but rejected ones need no quota', () => {
    expect(codeOf(storeWith(own('a', `rulez:${comment(60_000)}`, comment(60_000))), own('b', comment(65_536)))).toBeUndefined();
  });
});

describe('the quota covers the rules in effect', () => {
  const registries = (name: string, count: number) =>
    `rules:\n${Array.from({ length: count }, (_, index) => `- {registry: ${name}-${index}.io, trust: false}`).join('\n')}\n`;
  const large = (name: string) => [registries(name, 60), comment(57_000)] as const;
  /** As the queue does: a bundle over the quota is rejected without parsing. */
  const offer = (store: ReturnType<typeof storeWith>, bundle: ReturnType<typeof own>) =>
    store.offer(store.rejectIfOverQuota(bundle) ?? readBundle(bundle));
  const rulesInForce = (store: ReturnType<typeof storeWith>) => store.written()?.namespaceRules.get('team')?.length ?? 0;

  test.each<[string, number, (name: string) => readonly string[]]>([
    ['invalid, if the store keeps the maximum number of invalid ones', 20, () => ['rules: [']],
    ['invalid, if the store keeps none', 0, () => ['rules: [']],
    ['in conflict with another one in its namespace', 0, () => ['rules: [{registry: first.io, pullSecret: b}]']],
    ['in conflict, if the store keeps the maximum number of invalid ones', 20, () => ['rules: [{registry: first.io, pullSecret: b}]']],
  ])('although each was overwritten by a version that is %s', (_name, bad, overwritten) => {
    const store = storeWith(
      own('first', 'rules: [{registry: first.io, pullSecret: a}]'),
      ...Array.from({ length: bad }, (_, index) => own(`bad-${index}`, 'rules: [')),
    );
    for (const name of ['a1', 'a2', 'a3']) {
      offer(store, own(name, ...large(name)));
      offer(store, own(name, ...overwritten(name)));
      offer(store, own(name, 'rules: ['));
    }
    expect(rulesInForce(store)).toBe(1 + 2 * 60);
  });

  test('including a version that waited for others, and is valid now', () => {
    const store = storeWith(own('first', 'rules: [{registry: a1-0.io, pullSecret: a}]'));
    offer(store, own('a1', ...large('a1')));
    expect(rulesInForce(store)).toBe(1);
    store.withdraw('namespace rules team/first');
    expect(rulesInForce(store)).toBe(60);
    for (const name of ['a2', 'a3']) offer(store, own(name, ...large(name)));
    expect(rulesInForce(store)).toBe(2 * 60);
  });

  test('including several that were each measured before the others existed', () => {
    const store = storeWith(own('a1', ...large('a1')));
    const later = ['a2', 'a3'].map((name) => own(name, ...large(name)));
    expect(later.map((bundle) => codeOf(store, bundle))).toEqual([undefined, undefined]);
    const changes = store.change(later.map((bundle) => ({ offer: readBundle(bundle) })));
    expect(changes.map(({ problems }) => problems[0]?.code)).toEqual([undefined, 'namespace-quota']);
    expect(rulesInForce(store)).toBe(2 * 60);
  });

  test('including those that exist at startup', () => {
    const store = createRuleStore(sha256);
    const cluster = { id: 'cluster', documents: [{ source: fileSource('rules.yaml'), text: 'rules: [{registry: a.io}]' }] };
    store.open([cluster, ...['a1', 'a2', 'a3'].map((name) => own(name, ...large(name)))].map((bundle) => readBundle(bundle)));
    expect(rulesInForce(store)).toBe(2 * 60);
  });
});

test('what is kept of rejected bundles does not grow with their number or with their texts', () => {
  const store = storeWith(...Array.from({ length: 40 }, (_, index) => own(`bad-${index}`, hostileDocuments['unknown fields'](500))));
  const kept = store.rejected();
  expect(kept).toHaveLength(20);
  // 21 problems each, of at most 1,000 characters.
  expect(JSON.stringify(kept).length).toBeLessThan(20 * 21 * 1_000);
});

describe('of rejected bundles, no more rules are kept for a retry than a namespace can have', () => {
  const rules = (name: string, count: number) =>
    own(name, `rules: [{registry: [${Array.from({ length: count }, (_, index) => `${name}-${index}.io`).join(', ')}]}]`);
  const inForce = (store: ReturnType<typeof storeWith>) => store.written()?.namespaceRules.get('team')?.length ?? 0;
  const twenty = own('z', ...Array.from({ length: 20 }, () => ''));

  test('none of a bundle that can never be valid', () => {
    expect(codeOf(storeWith(rules('a', 201)), twenty)).toBeUndefined();
    expect(codeOf(storeWith(rules('a', 150), rules('b', 150)), own('z', ...Array.from({ length: 19 }, () => '')))).toBe('namespace-quota');
  });

  test('together, in the order of their arrival', () => {
    const store = storeWith(rules('a', 200), rules('b', 120), rules('c', 120), rules('d', 80));
    store.withdraw('namespace rules team/a');
    expect(inForce(store)).toBe(200);
    expect(store.rejected()).toHaveLength(1);
    store.withdraw('namespace rules team/b');
    expect(inForce(store)).toBe(80);
    store.offer(readBundle(rules('c', 119)));
    expect(inForce(store)).toBe(199);
    expect(store.rejected()).toEqual([]);
  });
});

describe('a hostile document of a namespace has few problems, all of them short', () => {
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

  test('a text of only comments is parsed as blank, however long', () => {
    const result = parseRulesDocument(hostileDocuments.comments(1_000_000), fileSource('rules.yaml'));
    expect(result).toMatchObject({ ok: true, document: { blank: true } });
  });

  test.each([
    ['a tab before a comment', '\t# x\n'],
    ['spaces and Windows line endings', '  \r\n # x\r\n\r\n'],
    ['nothing', ''],
    ['a last line without a line ending', '# x\n  # y'],
  ])('%s is blank too', (_name, text) => {
    expect(parseRulesDocument(text, fileSource('rules.yaml'))).toMatchObject({ ok: true, document: { blank: true } });
  });

  test('the errors of the YAML library have no stack traces, and our own have them afterwards', () => {
    parseRulesDocument(hostileDocuments.commas(1_000), fileSource('rules.yaml'));
    expect(new Error('ours').stack?.split('\n').length).toBeGreaterThan(2);
  });
});
