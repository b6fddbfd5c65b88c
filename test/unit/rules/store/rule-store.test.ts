/** Tests how bundles change the rules in force. */
import { describe, expect, test } from 'vitest';
import { parseImage } from '../../../../src/image/reference.ts';
import { createRuleStore, type ReadBundle, type RuleStore, readBundle } from '../../../../src/rules/store/rule-store.ts';
import { sha256, winnerOf } from '../documents.ts';

const bundle = (id: string, ...texts: readonly string[]): ReadBundle =>
  readBundle({
    id,
    documents: texts.map((text, index) => ({
      source: { kind: 'configMap', namespace: 'regkeeper', name: id, key: `${index}.yaml` },
      text,
    })),
  });
const trusting = (...registries: readonly string[]) => `rules: [${registries.map((registry) => `{registry: ${registry}}`).join(', ')}]`;
const bad = 'rulez: []';

/** Registries among a.io, b.io and c.io that are trusted now. Undefined while nothing may be evaluated. */
function trusted(book: RuleStore): string[] | undefined {
  const rules = book.current();
  return (
    rules &&
    ['a.io', 'b.io', 'c.io'].filter((host) => {
      const parsed = parseImage(`${host}/x`);
      return parsed.ok && winnerOf(rules, parsed.reference)?.trust === true;
    })
  );
}

describe('opening', () => {
  test('nothing is judged before the rules have been read', () => {
    const book = createRuleStore(sha256);
    expect(book.current()).toBeUndefined();
    expect(book.missing()).toBe('the rules have not been read yet');
  });

  test('no bundle at all leaves nothing to judge by', () => {
    const book = createRuleStore(sha256);
    book.open([]);
    expect(book.current()).toBeUndefined();
    expect(book.missing()).toBe('there are no rules');
  });

  test('several bundles form one set', () => {
    const book = createRuleStore(sha256);
    const changes = book.open([bundle('one', trusting('a.io')), bundle('two', trusting('b.io'), trusting('c.io'))]);
    expect(trusted(book)).toEqual(['a.io', 'b.io', 'c.io']);
    expect(book.missing()).toBeUndefined();
    expect(changes.map(({ problems, before, after }) => [problems.length, before, after?.revision])).toEqual([
      [0, undefined, book.current()?.revision],
      [0, undefined, book.current()?.revision],
    ]);
  });

  test('a bundle that has never been good keeps everything shut: what it would refuse must not come in', () => {
    const book = createRuleStore(sha256);
    const changes = book.open([bundle('one', trusting('a.io')), bundle('two', bad)]);
    expect(book.current()).toBeUndefined();
    expect(book.missing()).toBe('rules with problems: two');
    expect(changes.flatMap(({ problems }) => problems.map(({ code }) => code))).toEqual(['unknown-field']);
    book.offer(bundle('two', trusting('b.io')));
    expect(trusted(book)).toEqual(['a.io', 'b.io']);
  });

  test('a bad bundle that is taken away opens the rest', () => {
    const book = createRuleStore(sha256);
    book.open([bundle('one', trusting('a.io')), bundle('two', bad)]);
    const changes = book.withdraw('two');
    expect(trusted(book)).toEqual(['a.io']);
    expect(changes).toMatchObject([{ before: undefined, after: { revision: book.current()?.revision } }]);
  });

  test('a version that was good before stands in for a bad one, with an alert', () => {
    const book = createRuleStore(sha256);
    const changes = book.open([bundle('one', bad), bundle('two', trusting('b.io'))], [bundle('one', trusting('a.io'))]);
    expect(trusted(book)).toEqual(['a.io', 'b.io']);
    expect(changes[0]).toMatchObject({
      alert: expect.stringContaining('good before this server started'),
      problems: [{ code: 'unknown-field' }],
    });
    book.offer(bundle('one', trusting('c.io')));
    expect(trusted(book)).toEqual(['b.io', 'c.io']);
  });

  test('of what was good before, only bundles that still exist count, unless none does', () => {
    const withLive = createRuleStore(sha256);
    withLive.open([bundle('two', trusting('b.io'))], [bundle('one', trusting('a.io')), bundle('two', trusting('c.io'))]);
    expect(trusted(withLive)).toEqual(['b.io']);

    const withoutLive = createRuleStore(sha256);
    const changes = withoutLive.open([], [bundle('one', trusting('a.io'))]);
    expect(trusted(withoutLive)).toEqual(['a.io']);
    expect(changes).toMatchObject([{ alert: expect.stringContaining('is gone') }]);
  });

  test('a blank bundle alone is not taken at its word: it would refuse every image', () => {
    const book = createRuleStore(sha256);
    expect(book.open([bundle('one', '# to be written\n')])).toMatchObject([{ alert: expect.stringContaining('is blank') }]);
    expect(book.missing()).toBe('there are no rules');
    book.offer(bundle('one', 'rules: []'));
    expect(book.missing()).toBeUndefined();
  });

  test('a bundle blanked while nobody ran does not take away what was in force', () => {
    const book = createRuleStore(sha256);
    const changes = book.open([bundle('one', '')], [bundle('one', trusting('a.io'))]);
    expect(trusted(book)).toEqual(['a.io']);
    expect(changes.at(-1)?.alert).toContain('stay in force');
  });

  test('a blank bundle counts for nothing beside others, wherever it stands', () => {
    const book = createRuleStore(sha256);
    const changes = book.open([bundle('one', ''), bundle('two', trusting('b.io'))]);
    expect(trusted(book)).toEqual(['b.io']);
    expect(changes.map(({ alert }) => alert)).toEqual([undefined, undefined]);
  });

  test('of two bundles that contradict each other the first stays; the set is not open before they agree', () => {
    const book = createRuleStore(sha256);
    book.open([bundle('one', 'mode: warn'), bundle('two', 'mode: audit')]);
    expect(book.missing()).toBe('rules with problems: two');
  });
});

describe('changes', () => {
  const opened = (...bundles: readonly ReadBundle[]) => {
    const book = createRuleStore(sha256);
    book.open(bundles);
    return book;
  };

  test('a new version replaces the old one at once', () => {
    const book = opened(bundle('one', trusting('a.io')));
    const before = book.current();
    const changes = book.offer(bundle('one', trusting('b.io')));
    expect(trusted(book)).toEqual(['b.io']);
    expect(changes).toMatchObject([
      { before: { revision: before?.revision }, after: { revision: book.current()?.revision }, problems: [] },
    ]);
  });

  test('a bad version changes nothing, whole bundle: its good documents wait too', () => {
    const book = opened(bundle('one', trusting('a.io'), trusting('b.io')));
    const [change] = book.offer(bundle('one', trusting('c.io'), bad));
    expect(trusted(book)).toEqual(['a.io', 'b.io']);
    expect(change?.problems).toMatchObject([{ origin: { source: { key: '1.yaml' }, line: 1, column: 1 } }]);
    expect(change?.after).toBe(change?.before);
  });

  test('a new bundle that is bad does not shut a book that was open', () => {
    const book = opened(bundle('one', trusting('a.io')));
    book.offer(bundle('two', bad));
    expect(trusted(book)).toEqual(['a.io']);
  });

  test('a rule that moves from one bundle to another gets there in either order', () => {
    const book = opened(bundle('one', trusting('a.io', 'b.io')), bundle('two', trusting('c.io')));
    expect(book.offer(bundle('two', trusting('c.io', 'b.io')))).toMatchObject([{ problems: [{ code: 'rule-tie' }] }]);
    const changes = book.offer(bundle('one', trusting('a.io')));
    expect(changes.map(({ problems }) => problems.length)).toEqual([0, 0]);
    expect(trusted(book)).toEqual(['a.io', 'b.io', 'c.io']);
  });

  test('deleting one of several bundles removes its rules', () => {
    const book = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    book.withdraw('one');
    expect(trusted(book)).toEqual(['b.io']);
  });

  test('deleting the last bundle keeps its rules, with an alert, until a document says that there are none', () => {
    const book = opened(bundle('one', trusting('a.io')));
    expect(book.withdraw('one')).toMatchObject([{ alert: expect.stringContaining('stay in force') }]);
    expect(trusted(book)).toEqual(['a.io']);
    book.offer(bundle('one', 'rules: []'));
    expect(trusted(book)).toEqual([]);
  });

  test('rules that stayed when their bundle was deleted make room for the next that are written: a bundle may get another name', () => {
    const book = opened(bundle('one', trusting('a.io', 'b.io')));
    book.withdraw('one');
    expect(book.offer(bundle('two', ''))).toMatchObject([{ alert: expect.stringContaining('stay in force') }]);
    expect(trusted(book)).toEqual(['a.io', 'b.io']);
    expect(book.preview(bundle('two', trusting('b.io')))).toMatchObject({ problems: [], warnings: [] });
    book.offer(bundle('two', trusting('b.io')));
    expect(trusted(book)).toEqual(['b.io']);
    expect(book.accepted().map(({ id }) => id)).toEqual(['two']);
  });

  test('so do those of an earlier run', () => {
    const book = createRuleStore(sha256);
    book.open([], [bundle('one', trusting('a.io')), bundle('two', trusting('b.io'))]);
    expect(trusted(book)).toEqual(['a.io', 'b.io']);
    book.offer(bundle('three', trusting('a.io', 'c.io')));
    expect(trusted(book)).toEqual(['a.io', 'c.io']);
  });

  test('a document emptied by accident does not take the last rules away', () => {
    const book = opened(bundle('one', trusting('a.io')));
    expect(book.offer(bundle('one', '# nothing\n'))).toMatchObject([{ alert: expect.stringContaining('is blank') }]);
    expect(trusted(book)).toEqual(['a.io']);
  });

  test('a mode without rules is not lost either: enforcing without rules would refuse every image', () => {
    const book = opened(bundle('one', 'mode: audit'));
    expect(book.offer(bundle('one', ''))).toMatchObject([{ alert: expect.stringContaining('stay in force') }]);
    expect(book.current()?.settings.mode).toBe('audit');
  });

  test('a blank document beside others only removes its own rules', () => {
    const book = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    book.offer(bundle('one', ''));
    expect(trusted(book)).toEqual(['b.io']);
  });

  test('a preview says what an offer would, and changes nothing', () => {
    const book = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    const before = book.current();
    expect(book.preview(bundle('two', trusting('a.io')))).toMatchObject({ problems: [{ code: 'rule-tie' }], warnings: [] });
    expect(book.preview(bundle('two', bad))).toMatchObject({ problems: [{ code: 'unknown-field' }] });
    expect(book.preview(bundle('one', trusting('a.io', 'c.io')))).toMatchObject({ problems: [], warnings: [] });
    expect(book.preview(bundle('two', ''))).toMatchObject({ problems: [], warnings: [{ code: 'blank-document' }] });
    expect(book.current()).toBe(before);
    expect(trusted(book)).toEqual(['a.io', 'b.io']);
  });

  test('the accepted versions are what a next run starts from', () => {
    const book = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    book.offer(bundle('one', bad));
    const next = createRuleStore(sha256);
    next.open([bundle('one', bad), bundle('two', trusting('b.io'))], book.accepted().map(readBundle));
    expect(next.current()?.revision).toBe(book.current()?.revision);
  });
});

describe('rules of namespaces', () => {
  const own = (namespace: string, name: string, ...texts: readonly string[]): ReadBundle =>
    readBundle({
      id: `${namespace}/${name}`,
      scope: { kind: 'namespace', namespace },
      documents: texts.map((text, index) => ({ source: { kind: 'configMap', namespace, name, key: `${index}.yaml` }, text })),
    });
  const refusing = (registry: string) => `rules: [{registry: ${registry}, trust: false}]`;
  const cluster = bundle('one', 'delegate: [d.io]\nrules: [{registry: a.io}, {registry: b.io}]');
  const opened = (...bundles: readonly ReadBundle[]) => {
    const book = createRuleStore(sha256);
    book.open([cluster, ...bundles]);
    return book;
  };
  /** The registries among a.io, b.io, c.io and d.io that a namespace may use. */
  const trustedIn = (book: RuleStore, namespace: string) =>
    ['a.io', 'b.io', 'c.io', 'd.io'].filter((host) => {
      const parsed = parseImage(`${host}/x`);
      return parsed.ok && book.current()?.match(parsed.reference, { namespace, labels: {} }).value?.trust === true;
    });

  test('count in their namespace alone, from the opening on, and follow edits', () => {
    const book = opened(own('team', 'rules', refusing('a.io')));
    expect([trustedIn(book, 'team'), trustedIn(book, 'other')]).toEqual([['b.io'], ['a.io', 'b.io']]);
    const before = book.current();
    const [change] = book.offer(own('team', 'rules', refusing('b.io'), trusting('d.io')));
    expect(trustedIn(book, 'team')).toEqual(['a.io', 'd.io']);
    expect(change).toMatchObject({
      scope: { kind: 'namespace', namespace: 'team' },
      before: { revision: before?.revision },
      after: { revision: book.current()?.revision },
      problems: [],
      warnings: [],
    });
    expect(book.current()?.revision).not.toBe(before?.revision);
  });

  test('a bad bundle that has never been good is left out: no tenant can stop the cluster', () => {
    const book = createRuleStore(sha256);
    const changes = book.open([cluster, own('team', 'rules', bad)]);
    expect(book.missing()).toBeUndefined();
    expect(trustedIn(book, 'team')).toEqual(['a.io', 'b.io']);
    expect(changes.flatMap(({ problems }) => problems.map(({ code }) => code))).toHaveLength(1);
  });

  test('the last good version stays in force where an edit is bad', () => {
    const book = opened(own('team', 'rules', refusing('a.io')));
    expect(book.offer(own('team', 'rules', bad))[0]?.problems).not.toEqual([]);
    expect(trustedIn(book, 'team')).toEqual(['b.io']);
  });

  test('deleting them removes them at once, the last ones too', () => {
    const book = opened(own('team', 'rules', refusing('a.io')));
    expect(book.withdraw('team/rules')).toMatchObject([{ scope: { namespace: 'team' }, problems: [] }]);
    expect(trustedIn(book, 'team')).toEqual(['a.io', 'b.io']);
    expect(book.withdraw('team/rules')).toEqual([]);
  });

  test('several bundles of one namespace form one set; a contradiction waits for the other to change', () => {
    const book = opened(own('team', 'one', refusing('a.io')), own('other', 'one', refusing('b.io')));
    expect(book.offer(own('team', 'two', refusing('a.io')))).toMatchObject([{ problems: [{ code: 'rule-tie' }] }]);
    expect(trustedIn(book, 'team')).toEqual(['b.io']);
    expect(book.withdraw('team/one').map(({ id }) => id)).toEqual(['team/one', 'team/two']);
    expect(trustedIn(book, 'team')).toEqual(['b.io']);
    expect(trustedIn(book, 'other')).toEqual(['a.io']);
  });

  test('what has no effect is found rule by rule, of the bundle alone', () => {
    const book = opened(own('team', 'one', trusting('c.io')));
    const idle = own('team', 'two', 'rules: [{registry: a.io}, {registry: b.io, trust: false}]', trusting('e.io'));
    expect([...book.widening(idle)].map((problems) => problems.map(({ code, origin }) => [code, origin.source]))).toEqual([
      [],
      [],
      [['namespace-widens', { kind: 'configMap', namespace: 'team', name: 'two', key: '1.yaml' }]],
    ]);
    expect([...book.widening(cluster)]).toEqual([]);
    expect([...createRuleStore(sha256).widening(idle)].flat()).toEqual([]);
  });

  test('it does no harm to load them', () => {
    const book = opened();
    expect(book.offer(own('team', 'rules', trusting('c.io', 'd.io')))).toMatchObject([{ problems: [] }]);
    expect(trustedIn(book, 'team')).toEqual(['a.io', 'b.io', 'd.io']);
  });

  test('they are no rules of the cluster: without those nothing is judged', () => {
    const book = createRuleStore(sha256);
    book.open([own('team', 'rules', refusing('a.io'))]);
    expect(book.missing()).toBe('there are no rules');
    expect(book.current()).toBeUndefined();
    book.offer(cluster);
    expect(trustedIn(book, 'team')).toEqual(['b.io']);
  });

  test('they outlive changes of the cluster’s rules, and are no part of what a next run starts from', () => {
    const book = opened(own('team', 'rules', refusing('a.io')));
    book.offer(bundle('one', trusting('a.io', 'c.io')));
    expect(trustedIn(book, 'team')).toEqual(['c.io']);
    expect(book.accepted().map(({ id }) => id)).toEqual(['one']);
  });
});

describe('what is refused just now', () => {
  const rejectedBundles = (book: RuleStore) => book.rejected().map(({ scope, problems }) => [scope.kind, problems.map(({ code }) => code)]);

  test('is told until it is mended', () => {
    const book = createRuleStore(sha256);
    book.open([bundle('one', trusting('a.io'))]);
    expect(rejectedBundles(book)).toEqual([]);
    book.offer(bundle('one', bad));
    expect(rejectedBundles(book)).toEqual([['cluster', ['unknown-field']]]);
    book.offer(bundle('one', trusting('b.io')));
    expect(rejectedBundles(book)).toEqual([]);
  });

  test('is told until it is deleted, also where it was never good', () => {
    const book = createRuleStore(sha256);
    book.open([bundle('one', trusting('a.io'))]);
    book.offer(bundle('two', bad));
    expect(rejectedBundles(book)).toHaveLength(1);
    book.withdraw('two');
    expect(rejectedBundles(book)).toEqual([]);
  });

  test('is told where the last good version stands in for it', () => {
    const book = createRuleStore(sha256);
    book.open([bundle('one', bad)], [bundle('one', trusting('a.io'))]);
    expect(trusted(book)).toEqual(['a.io']);
    expect(rejectedBundles(book)).toEqual([['cluster', ['unknown-field']]]);
  });

  test('is told no more when another change makes it good', () => {
    const book = createRuleStore(sha256);
    book.open([bundle('one', trusting('a.io'))]);
    book.offer(bundle('two', trusting('a.io')));
    expect(rejectedBundles(book)).toEqual([['cluster', ['rule-tie']]]);
    book.offer(bundle('one', trusting('b.io')));
    expect(rejectedBundles(book)).toEqual([]);
  });
});

test('several steps at once are one change of what is in force: all of them lead from before the first to after the last', () => {
  const book = createRuleStore(sha256);
  book.open([bundle('one', trusting('a.io'))]);
  const before = book.current()?.revision;
  const changes = book.change([{ offer: bundle('two', trusting('b.io')) }, { offer: bundle('three', bad) }, { withdraw: 'one' }]);
  expect(changes.map(({ id, problems }) => [id, problems.length])).toEqual([
    ['two', 0],
    ['three', 1],
    ['one', 0],
  ]);
  expect(new Set(changes.map((change) => change.before?.revision))).toEqual(new Set([before]));
  expect(new Set(changes.map((change) => change.after?.revision))).toEqual(new Set([book.current()?.revision]));
  expect(trusted(book)).toEqual(['b.io']);
});

test('the text of a refused bundle is kept only where it may become good by what others say', () => {
  const book = createRuleStore(sha256);
  book.open([bundle('one', trusting('a.io'))]);
  book.offer(bundle('bad', bad));
  book.offer(bundle('tie', trusting('a.io')));
  book.withdraw('one');
  expect(book.accepted().map(({ id, documents }) => [id, documents.map(({ text }) => text)])).toEqual([['tie', [trusting('a.io')]]]);
  expect(book.rejected().map(({ problems }) => problems.map(({ code }) => code))).toEqual([['unknown-field']]);
});
