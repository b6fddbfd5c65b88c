/** Tests how bundles change the rules in effect. */
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
  test('nothing is evaluated before the rules have been read', () => {
    const store = createRuleStore(sha256);
    expect(store.written()).toBeUndefined();
    expect(store.missing()).toBe('the rules have not been read yet');
  });

  test('without any bundle, nothing can be evaluated', () => {
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

  test('a bundle that has never been valid blocks everything, because what it would deny must not be allowed', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', trusting('a.io')), bundle('two', bad)]);
    expect(store.written()).toBeUndefined();
    expect(store.missing()).toBe('invalid rules: two');
    expect(changes.flatMap(({ problems }) => problems.map(({ code }) => code))).toEqual(['unknown-field']);
    store.offer(bundle('two', trusting('b.io')));
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
  });

  test('deleting an invalid bundle puts the rest into effect', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io')), bundle('two', bad)]);
    const changes = store.withdraw('two');
    expect(trusted(store)).toEqual(['a.io']);
    expect(changes).toMatchObject([{ before: undefined, after: { revision: store.written()?.revision } }]);
  });

  test('an earlier valid version replaces an invalid one, with an alert', () => {
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

  test('of the earlier valid versions, only those of existing bundles are used, unless none exists', () => {
    const withLive = createRuleStore(sha256);
    withLive.open([bundle('two', trusting('b.io'))], [bundle('one', trusting('a.io')), bundle('two', trusting('c.io'))]);
    expect(trusted(withLive)).toEqual(['b.io']);

    const withoutLive = createRuleStore(sha256);
    const changes = withoutLive.open([], [bundle('one', trusting('a.io'))]);
    expect(trusted(withoutLive)).toEqual(['a.io']);
    expect(changes).toMatchObject([{ alert: expect.stringContaining('was deleted') }]);
  });

  test('a blank bundle on its own is not applied, because it would deny every image', () => {
    const store = createRuleStore(sha256);
    expect(store.open([bundle('one', '# to be written\n')])).toMatchObject([{ alert: expect.stringContaining('is blank') }]);
    expect(store.missing()).toBe('there are no rules');
    store.offer(bundle('one', 'rules: []'));
    expect(store.missing()).toBeUndefined();
  });

  test('a bundle that was blanked while no server ran does not remove the rules in effect', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', '')], [bundle('one', trusting('a.io'))]);
    expect(trusted(store)).toEqual(['a.io']);
    expect(changes.at(-1)?.alert).toContain('remains in effect');
  });

  test('a blank bundle next to others has no effect, in any position', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([bundle('one', ''), bundle('two', trusting('b.io'))]);
    expect(trusted(store)).toEqual(['b.io']);
    expect(changes.map(({ alert }) => alert)).toEqual([undefined, undefined]);
  });

  test('of two conflicting bundles the first stays, and nothing is in effect before they agree', () => {
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

  test('a new version replaces the old one immediately', () => {
    const store = opened(bundle('one', trusting('a.io')));
    const before = store.written();
    const changes = store.offer(bundle('one', trusting('b.io')));
    expect(trusted(store)).toEqual(['b.io']);
    expect(changes).toMatchObject([
      { before: { revision: before?.revision }, after: { revision: store.written()?.revision }, problems: [] },
    ]);
  });

  test('an invalid version changes nothing for the whole bundle, including its valid documents', () => {
    const store = opened(bundle('one', trusting('a.io'), trusting('b.io')));
    const [change] = store.offer(bundle('one', trusting('c.io'), bad));
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
    expect(change?.problems).toMatchObject([{ origin: { source: { key: '1.yaml' }, line: 1, column: 1 } }]);
    expect(change?.after).toBe(change?.before);
  });

  test('an invalid new bundle does not block rules that are in effect', () => {
    const store = opened(bundle('one', trusting('a.io')));
    store.offer(bundle('two', bad));
    expect(trusted(store)).toEqual(['a.io']);
  });

  test('a rule can move from one bundle to another in either order', () => {
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

  test('deleting the last bundle keeps its rules, with an alert, until a document explicitly contains none', () => {
    const store = opened(bundle('one', trusting('a.io')));
    expect(store.withdraw('one')).toMatchObject([{ alert: expect.stringContaining('remains in effect') }]);
    expect(trusted(store)).toEqual(['a.io']);
    store.offer(bundle('one', 'rules: []'));
    expect(trusted(store)).toEqual([]);
  });

  test('rules that stayed when their bundle was deleted are replaced by the next ones: a bundle may be renamed', () => {
    const store = opened(bundle('one', trusting('a.io', 'b.io')));
    store.withdraw('one');
    expect(store.offer(bundle('two', ''))).toMatchObject([{ alert: expect.stringContaining('remains in effect') }]);
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
    expect(store.preview(bundle('two', trusting('b.io')))).toMatchObject({ problems: [], warnings: [] });
    store.offer(bundle('two', trusting('b.io')));
    expect(trusted(store)).toEqual(['b.io']);
    expect(store.accepted().map(({ id }) => id)).toEqual(['two']);
  });

  test('so are those of an earlier run', () => {
    const store = createRuleStore(sha256);
    store.open([], [bundle('one', trusting('a.io')), bundle('two', trusting('b.io'))]);
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
    store.offer(bundle('three', trusting('a.io', 'c.io')));
    expect(trusted(store)).toEqual(['a.io', 'c.io']);
  });

  test('a document that is emptied by accident does not remove the last rules', () => {
    const store = opened(bundle('one', trusting('a.io')));
    expect(store.offer(bundle('one', '# nothing\n'))).toMatchObject([{ alert: expect.stringContaining('is blank') }]);
    expect(trusted(store)).toEqual(['a.io']);
  });

  test('a mode without rules is not lost either, because enforcing without rules would deny every image', () => {
    const store = opened(bundle('one', 'mode: audit'));
    expect(store.offer(bundle('one', ''))).toMatchObject([{ alert: expect.stringContaining('remains in effect') }]);
    expect(store.written()?.settings.mode).toBe('audit');
  });

  test('a blank document next to others only removes its own rules', () => {
    const store = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    store.offer(bundle('one', ''));
    expect(trusted(store)).toEqual(['b.io']);
  });

  test('a preview reports what an offer would, and changes nothing', () => {
    const store = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    const before = store.written();
    expect(store.preview(bundle('two', trusting('a.io')))).toMatchObject({ problems: [{ code: 'rule-tie' }], warnings: [] });
    expect(store.preview(bundle('two', bad))).toMatchObject({ problems: [{ code: 'unknown-field' }] });
    expect(store.preview(bundle('one', trusting('a.io', 'c.io')))).toMatchObject({ problems: [], warnings: [] });
    expect(store.preview(bundle('two', ''))).toMatchObject({ problems: [], warnings: [{ code: 'blank-document' }] });
    expect(store.written()).toBe(before);
    expect(trusted(store)).toEqual(['a.io', 'b.io']);
  });

  test('a next run starts from the accepted versions', () => {
    const store = opened(bundle('one', trusting('a.io')), bundle('two', trusting('b.io')));
    store.offer(bundle('one', bad));
    const next = createRuleStore(sha256);
    next.open([bundle('one', bad), bundle('two', trusting('b.io'))], store.accepted().map(readBundle));
    expect(next.written()?.revision).toBe(store.written()?.revision);
  });
});

describe('namespace rules', () => {
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

  test('apply only in their namespace, from the opening on, and follow edits', () => {
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

  test('an invalid bundle that has never been valid is skipped, so no tenant can block the cluster', () => {
    const store = createRuleStore(sha256);
    const changes = store.open([cluster, own('team', 'rules', bad)]);
    expect(store.missing()).toBeUndefined();
    expect(trustedIn(store, 'team')).toEqual(['a.io', 'b.io']);
    expect(changes.flatMap(({ problems }) => problems.map(({ code }) => code))).toHaveLength(1);
  });

  test('the last valid version stays in effect after an invalid edit', () => {
    const store = opened(own('team', 'rules', refusing('a.io')));
    expect(store.offer(own('team', 'rules', bad))[0]?.problems).not.toEqual([]);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
  });

  test('deleting them removes them immediately, even the last ones', () => {
    const store = opened(own('team', 'rules', refusing('a.io')));
    expect(store.withdraw('team/rules')).toMatchObject([{ scope: { namespace: 'team' }, problems: [] }]);
    expect(trustedIn(store, 'team')).toEqual(['a.io', 'b.io']);
    expect(store.withdraw('team/rules')).toEqual([]);
  });

  test('several bundles of one namespace form one set, and a conflict is resolved when the other one changes', () => {
    const store = opened(own('team', 'one', refusing('a.io')), own('other', 'one', refusing('b.io')));
    expect(store.offer(own('team', 'two', refusing('a.io')))).toMatchObject([{ problems: [{ code: 'rule-tie' }] }]);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
    expect(store.withdraw('team/one').map(({ id }) => id)).toEqual(['team/one', 'team/two']);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
    expect(trustedIn(store, 'other')).toEqual(['a.io']);
  });

  test('rules without effect are found one by one, only in the bundle itself', () => {
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

  test('rules without effect are loaded without harm', () => {
    const store = opened();
    expect(store.offer(own('team', 'rules', trusting('c.io', 'd.io')))).toMatchObject([{ problems: [] }]);
    expect(trustedIn(store, 'team')).toEqual(['a.io', 'b.io', 'd.io']);
  });

  test('they are not rules of the cluster, and without those nothing is evaluated', () => {
    const store = createRuleStore(sha256);
    store.open([own('team', 'rules', refusing('a.io'))]);
    expect(store.missing()).toBe('there are no rules');
    expect(store.written()).toBeUndefined();
    store.offer(cluster);
    expect(trustedIn(store, 'team')).toEqual(['b.io']);
  });

  test('they survive changes of the cluster’s rules, and a next run does not start from them', () => {
    const store = opened(own('team', 'rules', refusing('a.io')));
    store.offer(bundle('one', trusting('a.io', 'c.io')));
    expect(trustedIn(store, 'team')).toEqual(['c.io']);
    expect(store.accepted().map(({ id }) => id)).toEqual(['one']);
  });
});

describe('a currently rejected bundle', () => {
  const rejectedBundles = (store: RuleStore) =>
    store.rejected().map(({ scope, problems }) => [scope.kind, problems.map(({ code }) => code)]);

  test('is listed until it is fixed', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io'))]);
    expect(rejectedBundles(store)).toEqual([]);
    store.offer(bundle('one', bad));
    expect(rejectedBundles(store)).toEqual([['cluster', ['unknown-field']]]);
    store.offer(bundle('one', trusting('b.io')));
    expect(rejectedBundles(store)).toEqual([]);
  });

  test('is listed until it is deleted, even if it was never valid', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io'))]);
    store.offer(bundle('two', bad));
    expect(rejectedBundles(store)).toHaveLength(1);
    store.withdraw('two');
    expect(rejectedBundles(store)).toEqual([]);
  });

  test('is listed if the last valid version replaces it', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', bad)], [bundle('one', trusting('a.io'))]);
    expect(trusted(store)).toEqual(['a.io']);
    expect(rejectedBundles(store)).toEqual([['cluster', ['unknown-field']]]);
  });

  test('is no longer listed when another change makes it valid', () => {
    const store = createRuleStore(sha256);
    store.open([bundle('one', trusting('a.io'))]);
    store.offer(bundle('two', trusting('a.io')));
    expect(rejectedBundles(store)).toEqual([['cluster', ['rule-tie']]]);
    store.offer(bundle('one', trusting('b.io')));
    expect(rejectedBundles(store)).toEqual([]);
  });
});

test('several steps together are one change of the rules in effect, from before the first to after the last', () => {
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

test('the text of a rejected bundle is only kept if it may become valid through other changes', () => {
  const store = createRuleStore(sha256);
  store.open([bundle('one', trusting('a.io'))]);
  store.offer(bundle('bad', bad));
  store.offer(bundle('tie', trusting('a.io')));
  store.withdraw('one');
  expect(store.accepted().map(({ id, documents }) => [id, documents.map(({ text }) => text)])).toEqual([['tie', [trusting('a.io')]]]);
  expect(store.rejected().map(({ problems }) => problems.map(({ code }) => code))).toEqual([['unknown-field']]);
});
