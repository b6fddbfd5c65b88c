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
function trusted(store: RuleStore): string[] | undefined {
  const rules = store.written();
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
    const store = createRuleStore(sha256);
    expect(store.written()).toBeUndefined();
    expect(store.missing()).toBe('the rules have not been read yet');
  });

  test('no bundle at all leaves nothing to judge by', () => {
    const store = createRuleStore(sha256);
    store.open([]);
    expect(store.written()).toBeUndefined();
    expect(store.missing()).toBe('there are no rules');
  });

  test('several bundles form one set', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', trusting('a.io')), bundle('two', trusting('b.io'), trusting('c.io'))]);
    expect(trusted(store)).toEqual(['a.io', 'b.io', 'c.io']);
    expect(store.missing()).toBeUndefined();
    expect(changes.map(({ problems, before, after }) => [problems.length, before, after?.revision])).toEqual([
      [0, undefined, store.written()?.revision],
      [0, undefined, store.written()?.revision],
    ]);
  });

  test('a bundle that has never been good keeps everything shut: what it would refuse must not come in', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', trusting('a.io')), bundle('two', bad)]);
    expect(store.written()).toBeUndefined();
    expect(store.missing()).toBe('invalid rules: two');
    expect(changes.flatMap(({ problems }) => problems.map(({ code }) => code))).toEqual(['unknown-field']);
    store.offer(bundle('two', trusting('b.io')));
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
  });

  test('a bad bundle that is taken away opens the rest', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io')), bundle('two', bad)]);
    const changes = store.withdraw('two');
    expect(trusted(store)).toEqual(['a.io']);
    expect(changes).toMatchObject([{ before: undefined, after: { revision: store.written()?.revision } }]);
  });

  test('a version that was good before stands in for a bad one, with an alert', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', bad), bundle('two', trusting('b.io'))], [bundle('one', trusting('a.io'))]);
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
    expect(changes[0]).toMatchObject({
      alert: expect.stringContaining('the version from before this server started'),
      problems: [{ code: 'unknown-field' }],
    });
    store.offer(bundle('one', trusting('c.io')));
    expect(trusted(store)).toEqual(['b.io', 'c.io']);
  });

  test('of what was good before, only bundles that still exist count, unless none does', () => {
    const withLive = createRuleStore(sha256);
    withLive.open([bundle('two', trusting('b.io'))], [bundle('one', trusting('a.io')), bundle('two', trusting('c.io'))]);
    expect(trusted(withLive)).toEqual(['b.io']);

    const withoutLive = createRuleStore(sha256);
    const changes = withoutLive.open([], [bundle('one', trusting('a.io'))]);
    expect(trusted(withoutLive)).toEqual(['a.io']);
    expect(changes).toMatchObject([{ alert: expect.stringContaining('was deleted') }]);
  });

  test('a blank bundle alone is not taken at its word: it would refuse every image', () => {
    const store = createRuleStore(sha256);
    expect(store.open([bundle('one', '# to be written\n')])).toMatchObject([{ alert: expect.stringContaining('is blank') }]);
    expect(store.missing()).toBe('there are no rules');
    store.offer(bundle('one', 'rules: []'));
    expect(store.missing()).toBeUndefined();
  });

  test('a bundle blanked while nobody ran does not take away what was in force', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', '')], [bundle('one', trusting('a.io'))]);
    expect(trusted(store)).toEqual(['a.io']);
    expect(changes.at(-1)?.alert).toContain('remain in effect');
  });

  test('a blank bundle counts for nothing beside others, wherever it stands', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', ''), bundle('two', trusting('b.io'))]);
    expect(trusted(store)).toEqual(['b.io']);
    expect(changes.map(({ alert }) => alert)).toEqual([undefined, undefined]);
  });

  test('of two bundles that contradict each other the first stays; the set is not open before they agree', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', 'mode: warn'), bundle('two', 'mode: audit')]);
    expect(store.missing()).toBe('invalid rules: two');
  });
});

describe('changes', () => {
  const opened = (...bundles: readonly ReadBundle[]) => {
    const store = createRuleStore(sha256);
    store.open(bundles);
    return store;
  };

  test('a new version replaces the old one at once', () => {
    const store = opened(bundle('one', trusting('a.io')));
    const before = store.written();
    const changes = store.offer(bundle('one', trusting('b.io')));
    expect(trusted(store)).toEqual(['b.io']);
    expect(changes).toMatchObject([
      { before: { revision: before?.revision }, after: { revision: store.written()?.revision }, problems: [] },
    ]);
  });

  test('a bad version changes nothing, whole bundle: its good documents wait too', () => {
    const store = opened(bundle('one', trusting('a.io'), trusting('b.io')));
    const [change] = store.offer(bundle('one', trusting('c.io'), bad));
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
    expect(change?.problems).toMatchObject([{ origin: { source: { key: '1.yaml' }, line: 1, column: 1 } }]);
    expect(change?.after).toBe(change?.before);
  });

  test('a new bundle that is bad does not shut a book that was open', () => {
    const store = opened(bundle('one', trusting('a.io')));
    store.offer(bundle('two', bad));
    expect(trusted(store)).toEqual(['a.io']);
  });

  test('a rule that moves from one bundle to another gets there in either order', () => {
    const store = opened(bundle('one', trusting('a.io', 'b.io')), bundle('two', trusting('c.io')));
    expect(store.offer(bundle('two', trusting('c.io', 'b.io')))).toMatchObject([{ problems: [{ code: 'rule-tie' }] }]);
    const changes = store.offer(bundle('one', trusting('a.io')));
    expect(changes.map(({ problems }) => problems.length)).toEqual([0, 0]);
    expect(trusted(store)).toEqual(['a.io', 'b.io', 'c.io']);
  });

  test('deleting one of several bundles removes its rules', () => {
    const store = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    store.withdraw('one');
    expect(trusted(store)).toEqual(['b.io']);
  });

  test('deleting the last bundle keeps its rules, with an alert, until a document says that there are none', () => {
    const store = opened(bundle('one', trusting('a.io')));
    expect(store.withdraw('one')).toMatchObject([{ alert: expect.stringContaining('remain in effect') }]);
    expect(trusted(store)).toEqual(['a.io']);
    store.offer(bundle('one', 'rules: []'));
    expect(trusted(store)).toEqual([]);
  });

  test('rules that stayed when their bundle was deleted make room for the next that are written: a bundle may get another name', () => {
    const store = opened(bundle('one', trusting('a.io', 'b.io')));
    store.withdraw('one');
    expect(store.offer(bundle('two', ''))).toMatchObject([{ alert: expect.stringContaining('remain in effect') }]);
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
    expect(store.preview(bundle('two', trusting('b.io')))).toMatchObject({ problems: [], warnings: [] });
    store.offer(bundle('two', trusting('b.io')));
    expect(trusted(store)).toEqual(['b.io']);
    expect(store.accepted().map(({ id }) => id)).toEqual(['two']);
  });

  test('so do those of an earlier run', () => {
    const store = createRuleStore(sha256);
    store.open([], [bundle('one', trusting('a.io')), bundle('two', trusting('b.io'))]);
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
    store.offer(bundle('three', trusting('a.io', 'c.io')));
    expect(trusted(store)).toEqual(['a.io', 'c.io']);
  });

  test('a document emptied by accident does not take the last rules away', () => {
    const store = opened(bundle('one', trusting('a.io')));
    expect(store.offer(bundle('one', '# nothing\n'))).toMatchObject([{ alert: expect.stringContaining('is blank') }]);
    expect(trusted(store)).toEqual(['a.io']);
  });

  test('a mode without rules is not lost either: enforcing without rules would refuse every image', () => {
    const store = opened(bundle('one', 'mode: audit'));
    expect(store.offer(bundle('one', ''))).toMatchObject([{ alert: expect.stringContaining('remain in effect') }]);
    expect(store.written()?.settings.mode).toBe('audit');
  });

  test('a blank document beside others only removes its own rules', () => {
    const store = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    store.offer(bundle('one', ''));
    expect(trusted(store)).toEqual(['b.io']);
  });

  test('a preview says what an offer would, and changes nothing', () => {
    const store = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    const before = store.written();
    expect(store.preview(bundle('two', trusting('a.io')))).toMatchObject({ problems: [{ code: 'rule-tie' }], warnings: [] });
    expect(store.preview(bundle('two', bad))).toMatchObject({ problems: [{ code: 'unknown-field' }] });
    expect(store.preview(bundle('one', trusting('a.io', 'c.io')))).toMatchObject({ problems: [], warnings: [] });
    expect(store.preview(bundle('two', ''))).toMatchObject({ problems: [], warnings: [{ code: 'blank-document' }] });
    expect(store.written()).toBe(before);
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
  });

  test('the accepted versions are what a next run starts from', () => {
    const store = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    store.offer(bundle('one', bad));
    const next = createRuleStore(sha256);
    next.open([bundle('one', bad), bundle('two', trusting('b.io'))], store.accepted().map(readBundle));
    expect(next.written()?.revision).toBe(store.written()?.revision);
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
    const store = createRuleStore(sha256);
    store.open([cluster, ...bundles]);
    return store;
  };
  /** The registries among a.io, b.io, c.io and d.io that a namespace may use. */
  const trustedIn = (store: RuleStore, namespace: string) =>
    ['a.io', 'b.io', 'c.io', 'd.io'].filter((host) => {
      const parsed = parseImage(`${host}/x`);
      return parsed.ok && store.written()?.match(parsed.reference, { namespace, labels: {} }).value?.trust === true;
    });

  test('count in their namespace alone, from the opening on, and follow edits', () => {
    const store = opened(own('team', 'rules', refusing('a.io')));
    expect([trustedIn(store, 'team'), trustedIn(store, 'other')]).toEqual([['b.io'], ['a.io', 'b.io']]);
    const before = store.written();
    const [change] = store.offer(own('team', 'rules', refusing('b.io'), trusting('d.io')));
    expect(trustedIn(store, 'team')).toEqual(['a.io', 'd.io']);
    expect(change).toMatchObject({
      scope: { kind: 'namespace', namespace: 'team' },
      before: { revision: before?.revision },
      after: { revision: store.written()?.revision },
      problems: [],
      warnings: [],
    });
    expect(store.written()?.revision).not.toBe(before?.revision);
  });

  test('a bad bundle that has never been good is left out: no tenant can stop the cluster', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([cluster, own('team', 'rules', bad)]);
    expect(store.missing()).toBeUndefined();
    expect(trustedIn(store, 'team')).toEqual(['a.io', 'b.io']);
    expect(changes.flatMap(({ problems }) => problems.map(({ code }) => code))).toHaveLength(1);
  });

  test('the last good version stays in force where an edit is bad', () => {
    const store = opened(own('team', 'rules', refusing('a.io')));
    expect(store.offer(own('team', 'rules', bad))[0]?.problems).not.toEqual([]);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
  });

  test('deleting them removes them at once, the last ones too', () => {
    const store = opened(own('team', 'rules', refusing('a.io')));
    expect(store.withdraw('team/rules')).toMatchObject([{ scope: { namespace: 'team' }, problems: [] }]);
    expect(trustedIn(store, 'team')).toEqual(['a.io', 'b.io']);
    expect(store.withdraw('team/rules')).toEqual([]);
  });

  test('several bundles of one namespace form one set; a contradiction waits for the other to change', () => {
    const store = opened(own('team', 'one', refusing('a.io')), own('other', 'one', refusing('b.io')));
    expect(store.offer(own('team', 'two', refusing('a.io')))).toMatchObject([{ problems: [{ code: 'rule-tie' }] }]);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
    expect(store.withdraw('team/one').map(({ id }) => id)).toEqual(['team/one', 'team/two']);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
    expect(trustedIn(store, 'other')).toEqual(['a.io']);
  });

  test('what has no effect is found rule by rule, of the bundle alone', () => {
    const store = opened(own('team', 'one', trusting('c.io')));
    const idle = own('team', 'two', 'rules: [{registry: a.io}, {registry: b.io, trust: false}]', trusting('e.io'));
    expect([...store.widening(idle)].map((problems) => problems.map(({ code, origin }) => [code, origin.source]))).toEqual([
      [],
      [],
      [['namespace-rule-without-effect', { kind: 'configMap', namespace: 'team', name: 'two', key: '1.yaml' }]],
    ]);
    expect([...store.widening(cluster)]).toEqual([]);
    expect([...createRuleStore(sha256).widening(idle)].flat()).toEqual([]);
  });

  test('it does no harm to load them', () => {
    const store = opened();
    expect(store.offer(own('team', 'rules', trusting('c.io', 'd.io')))).toMatchObject([{ problems: [] }]);
    expect(trustedIn(store, 'team')).toEqual(['a.io', 'b.io', 'd.io']);
  });

  test('they are no rules of the cluster: without those nothing is judged', () => {
    const store = createRuleStore(sha256);
    store.open([own('team', 'rules', refusing('a.io'))]);
    expect(store.missing()).toBe('there are no rules');
    expect(store.written()).toBeUndefined();
    store.offer(cluster);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
  });

  test('they outlive changes of the cluster’s rules, and are no part of what a next run starts from', () => {
    const store = opened(own('team', 'rules', refusing('a.io')));
    store.offer(bundle('one', trusting('a.io', 'c.io')));
    expect(trustedIn(store, 'team')).toEqual(['c.io']);
    expect(store.accepted().map(({ id }) => id)).toEqual(['one']);
  });
});

describe('what is refused just now', () => {
  const rejectedBundles = (store: RuleStore) =>
    store.rejected().map(({ scope, problems }) => [scope.kind, problems.map(({ code }) => code)]);

  test('is told until it is mended', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io'))]);
    expect(rejectedBundles(store)).toEqual([]);
    store.offer(bundle('one', bad));
    expect(rejectedBundles(store)).toEqual([['cluster', ['unknown-field']]]);
    store.offer(bundle('one', trusting('b.io')));
    expect(rejectedBundles(store)).toEqual([]);
  });

  test('is told until it is deleted, also where it was never good', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io'))]);
    store.offer(bundle('two', bad));
    expect(rejectedBundles(store)).toHaveLength(1);
    store.withdraw('two');
    expect(rejectedBundles(store)).toEqual([]);
  });

  test('is told where the last good version stands in for it', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', bad)], [bundle('one', trusting('a.io'))]);
    expect(trusted(store)).toEqual(['a.io']);
    expect(rejectedBundles(store)).toEqual([['cluster', ['unknown-field']]]);
  });

  test('is told no more when another change makes it good', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io'))]);
    store.offer(bundle('two', trusting('a.io')));
    expect(rejectedBundles(store)).toEqual([['cluster', ['rule-tie']]]);
    store.offer(bundle('one', trusting('b.io')));
    expect(rejectedBundles(store)).toEqual([]);
  });
});

test('several steps at once are one change of what is in force: all of them lead from before the first to after the last', () => {
  const store = createRuleStore(sha256);
  store.open([bundle('one', trusting('a.io'))]);
  const before = store.written()?.revision;
  const changes = store.change([{ offer: bundle('two', trusting('b.io')) }, { offer: bundle('three', bad) }, { withdraw: 'one' }]);
  expect(changes.map(({ id, problems }) => [id, problems.length])).toEqual([
    ['two', 0],
    ['three', 1],
    ['one', 0],
  ]);
  expect(new Set(changes.map((change) => change.before?.revision))).toEqual(new Set([before]));
  expect(new Set(changes.map((change) => change.after?.revision))).toEqual(new Set([store.written()?.revision]));
  expect(trusted(store)).toEqual(['b.io']);
});

test('the text of a refused bundle is kept only where it may become good by what others say', () => {
  const store = createRuleStore(sha256);
  store.open([bundle('one', trusting('a.io'))]);
  store.offer(bundle('bad', bad));
  store.offer(bundle('tie', trusting('a.io')));
  store.withdraw('one');
  expect(store.accepted().map(({ id, documents }) => [id, documents.map(({ text }) => text)])).toEqual([['tie', [trusting('a.io')]]]);
  expect(store.rejected().map(({ problems }) => problems.map(({ code }) => code))).toEqual([['unknown-field']]);
});
