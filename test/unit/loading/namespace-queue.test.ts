/** Loading the rules of namespaces: fairness, limits, retries and failures. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { DocumentParser, TextToParse } from '../../../src/loading/document-parser.ts';
import { createRuleLoader } from '../../../src/loading/rule-loader.ts';
import { configMapBundle } from '../../../src/rules/language/config-map.ts';
import { parseRulesDocument } from '../../../src/rules/language/parse.ts';
import { type Bundle, createRuleStore, type RulesChange } from '../../../src/rules/store/rule-store.ts';
import { hostileDocuments, twentyConfigMaps } from '../../hostile/rules.ts';
import { sha256 } from '../rules/documents.ts';

const rule = (registry: string) => `rules: [{registry: ${registry}, trust: false}]`;
const ofCluster = (text: string): Bundle => ({ id: 'cluster', documents: [{ source: { kind: 'file', file: 'cluster' }, text }] });

function ownBundle(namespace: string, name: string, ...texts: readonly string[]): Bundle {
  const data = Object.fromEntries(texts.map((text, index) => [`k${index}.yaml`, text]));
  return configMapBundle({ metadata: { name, namespace }, data }, 'namespace');
}

/** A parser that counts documents, and parses each when the test allows it. */
function steppingParser() {
  const asked: { readonly document: TextToParse; answer(): void }[] = [];
  const parser: DocumentParser = {
    parse: (document) =>
      new Promise((resolve) => {
        asked.push({ document, answer: () => resolve(parseRulesDocument(document.text, document.source, document.scope, document.start)) });
      }),
    stop: async () => undefined,
  };
  return { parser, asked };
}

const readsAtOnce: DocumentParser = {
  parse: async ({ text, source, scope, start }) => parseRulesDocument(text, source, scope, start),
  stop: async () => undefined,
};

/** A clock on which each pause ends by `wake`. */
function restingClock() {
  let rests: (() => void)[] = [];
  return {
    clock: {
      now: () => 0,
      monotonic: () => 0,
      schedule(work: () => void, milliseconds: number) {
        if (milliseconds === 0) queueMicrotask(work);
        else rests.push(work);
        return () => undefined;
      },
    },
    wake() {
      const ending = rests;
      rests = [];
      for (const done of ending) done();
    },
  };
}

function counting(inner: DocumentParser) {
  const parsed: string[] = [];
  const parser: DocumentParser = {
    parse(document) {
      parsed.push(document.text);
      return inner.parse(document);
    },
    stop: inner.stop,
  };
  return { parser, parsed };
}

async function opened(namespaces: DocumentParser, bundles: readonly Bundle[] = []) {
  const store = createRuleStore(sha256);
  const changes: RulesChange[] = [];
  const clock = restingClock();
  let skipped = 0;
  const loader = createRuleLoader({
    store,
    parsers: { cluster: readsAtOnce, namespaces },
    onChange: (more) => changes.push(...more),
    onSkipped: (versions) => {
      skipped += versions;
    },
    clock: clock.clock,
  });
  onTestFinished(() => clock.wake());
  const open = loader.open([ofCluster('rules: [{registry: a.io}]'), ...bundles]);
  // A test that expects a failure awaits it later.
  open.catch(() => undefined);
  await expect.poll(() => store.written()).toBeDefined();
  const rulesOf = (namespace: string) =>
    store
      .written()
      ?.namespaceRules.get(namespace)
      ?.map(({ name }) => name) ?? [];
  return { store, loader, changes, clock, open, rulesOf, skipped: () => skipped };
}

test("an edit of the cluster's rules does not wait while a namespace's document is parsed", async () => {
  const { parser, asked } = steppingParser();
  const { store, loader } = await opened(parser);
  void loader.offer(ownBundle('tenant', 'own', rule('b.io')));
  await expect.poll(() => asked.length).toBe(1);
  await loader.offer(ofCluster('rules: [{registry: c.io}]'));
  expect(store.written()?.rules.map(({ name }) => name)).toEqual(['c.io']);
});

test('twenty oversized ConfigMaps are rejected without parsing a single character, and nothing of their text is kept', async () => {
  const { parser, parsed } = counting(readsAtOnce);
  const { store, loader, changes } = await opened(parser);
  await Promise.all(twentyConfigMaps('commas', 'tenant').map((configMap) => loader.offer(configMapBundle(configMap, 'namespace'))));
  expect(parsed).toEqual([]);
  const rejected = changes.filter(({ scope }) => scope.kind === 'namespace');
  expect(rejected).toHaveLength(20);
  expect(new Set(rejected.flatMap(({ problems }) => problems.map(({ code }) => code)))).toEqual(new Set(['namespace-quota']));
  expect(rejected[0]?.problems[0]?.message).toBe(
    'this ConfigMap has 62 documents with 1,016,118 characters of rules. A namespace may have at most 20 documents with 131,072 characters. Use fewer and shorter documents, or delete those that are not needed.',
  );
  expect(JSON.stringify(store.rejected()).length).toBeLessThan(20_000);
});

test('a flood in one namespace delays another only by the document that is being parsed', async () => {
  const { parser, asked } = steppingParser();
  const { loader, rulesOf } = await opened(parser);
  for (let index = 0; index < 10; index += 1) void loader.offer(ownBundle('hostile', `bad-${index}`, hostileDocuments.commas(1_000)));
  await expect.poll(() => asked.length).toBe(1);
  const honest = loader.offer(ownBundle('honest', 'own', rule('b.io')));
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  asked[0]?.answer();
  await expect.poll(() => asked.length).toBe(2);
  expect(asked[1]?.document.scope).toEqual({ kind: 'namespace', namespace: 'honest' });
  asked[1]?.answer();
  await honest;
  expect(rulesOf('honest')).toEqual(['b.io']);
});

test('of fifty versions per second, only the first and the newest are parsed', async () => {
  const { parser, parsed } = counting(readsAtOnce);
  const { loader, clock, rulesOf, skipped } = await opened(parser);
  await loader.offer(ownBundle('tenant', 'own', rule('r0.io')));
  const later = Array.from({ length: 49 }, (_, index) => loader.offer(ownBundle('tenant', 'own', rule(`r${index + 1}.io`))));
  expect(rulesOf('tenant')).toEqual(['r0.io']);
  clock.wake();
  await Promise.all(later);
  expect(rulesOf('tenant')).toEqual(['r49.io']);
  expect(parsed).toHaveLength(2);
  expect(skipped()).toBe(48);
});

test('a round of a namespace parses no more than its allowance; the rest waits for the next round', async () => {
  const { parser, parsed } = counting(readsAtOnce);
  const { loader, clock } = await opened(parser);
  const bad = hostileDocuments.commas(15_000);
  const all = Array.from({ length: 4 }, (_, index) => loader.offer(ownBundle('tenant', `bad-${index}`, bad, bad, bad, bad)));
  await Promise.all(all.slice(0, 2));
  expect(parsed).toHaveLength(8);
  clock.wake();
  await Promise.all(all);
  expect(parsed).toHaveLength(16);
});

test('the same texts are parsed once, whatever else changes in their ConfigMap', async () => {
  const { parser, parsed } = counting(readsAtOnce);
  const { loader, clock, changes } = await opened(parser);
  const bundle = ownBundle('tenant', 'own', rule('b.io'));
  await loader.offer(bundle);
  const again = loader.offer({ ...bundle, version: 'another' });
  clock.wake();
  await again;
  expect(parsed).toHaveLength(1);
  expect(changes.filter(({ scope }) => scope.kind === 'namespace')).toHaveLength(1);
});

test('changes of several namespaces are compiled together once', async () => {
  let hashed = 0;
  const store = createRuleStore((text) => {
    hashed += 1;
    return sha256(text);
  });
  const loader = createRuleLoader({ store, parsers: { cluster: readsAtOnce, namespaces: readsAtOnce }, onChange: () => store.written() });
  const ofNamespaces = (registry: string) => Array.from({ length: 50 }, (_, index) => ownBundle(`team-${index}`, 'own', rule(registry)));
  await loader.open([ofCluster('rules: [{registry: a.io}]'), ...ofNamespaces('b.io')]);
  // One hash for each namespace, one for the cluster's rules, and a few for all together, but not one for each change.
  expect(store.written()?.namespaceRules.size).toBe(50);
  expect(hashed).toBeLessThan(50 + 1 + 51);
});

test('an oversized bundle is parsed when there is room for it', async () => {
  const texts = new Map([
    ['one', `${rule('one.io')}\n# ${'x'.repeat(60_000)}`],
    ['two', `${rule('two.io')}\n# ${'x'.repeat(60_000)}`],
    ['three', `${rule('three.io')}\n# ${'x'.repeat(60_000)}`],
  ]);
  const bundleNamed = (name: string): Bundle | undefined => {
    const text = texts.get(name);
    return text === undefined ? undefined : { ...ownBundle('tenant', name, text), readNewest: () => bundleNamed(name) };
  };
  const { loader, clock, rulesOf, store } = await opened(readsAtOnce);
  for (const name of texts.keys()) void loader.offer(bundleNamed(name) as Bundle);
  await expect.poll(() => rulesOf('tenant').length).toBe(2);
  await expect
    .poll(() => {
      clock.wake();
      return store.rejected().map(({ problems }) => problems[0]?.code);
    })
    .toEqual(['namespace-quota']);
  texts.delete('one');
  void loader.withdraw('namespace rules tenant/one', { kind: 'namespace', namespace: 'tenant' });
  await expect
    .poll(() => {
      clock.wake();
      return rulesOf('tenant').toSorted();
    })
    .toEqual(['three.io', 'two.io']);
  expect(store.rejected()).toEqual([]);
});

test("at startup, the cluster's rules are in effect before those of namespaces are parsed, and it is known which namespaces are pending", async () => {
  const { parser, asked } = steppingParser();
  const { loader, open } = await opened(parser, [ownBundle('tenant', 'own', rule('b.io'))]);
  expect([loader.isStillLoading('tenant'), loader.isStillLoading('other')]).toEqual([true, false]);
  expect(loader.missing()).toBe('the rules of 1 namespace have not been loaded yet');
  await expect.poll(() => asked.length).toBe(1);
  asked[0]?.answer();
  await open;
  expect([loader.isStillLoading('tenant'), loader.missing(), loader.waitingNamespaces()]).toEqual([false, undefined, 0]);
});

test('namespaces with pending rules are counted', async () => {
  const { parser } = steppingParser();
  const { loader } = await opened(parser, [ownBundle('one', 'own', rule('a.io')), ownBundle('two', 'own', rule('b.io'))]);
  expect(loader.missing()).toBe('the rules of 2 namespaces have not been loaded yet');
});

test('a bundle that is deleted while it waits is withdrawn', async () => {
  const { parser, asked } = steppingParser();
  const { loader, rulesOf, clock } = await opened(parser);
  void loader.offer(ownBundle('tenant', 'own', rule('b.io')));
  await expect.poll(() => asked.length).toBe(1);
  const gone = loader.withdraw('namespace rules tenant/own', { kind: 'namespace', namespace: 'tenant' });
  asked[0]?.answer();
  await expect.poll(() => rulesOf('tenant')).toEqual(['b.io']);
  clock.wake();
  await gone;
  expect(rulesOf('tenant')).toEqual([]);
});

test('an internal error is reported to the caller, and the same texts are parsed again', async () => {
  let fails = true;
  const failing: DocumentParser = {
    parse: (document) => (fails ? Promise.reject(new Error('a bug')) : readsAtOnce.parse(document)),
    stop: async () => undefined,
  };
  const { loader, clock, rulesOf } = await opened(failing);
  await expect(loader.offer(ownBundle('tenant', 'own', rule('b.io')))).rejects.toThrow('a bug');
  fails = false;
  const again = loader.offer(ownBundle('tenant', 'own', rule('b.io')));
  clock.wake();
  await again;
  expect(rulesOf('tenant')).toEqual(['b.io']);
});

test('an error at startup leaves no namespace pending until its rules are edited', async () => {
  const failing: DocumentParser = { parse: () => Promise.reject(new Error('a bug')), stop: async () => undefined };
  const { loader, open } = await opened(failing, [ownBundle('tenant', 'own', rule('b.io'))]);
  await expect(open).rejects.toThrow('a bug');
  expect([loader.isStillLoading('tenant'), loader.missing()]).toEqual([false, undefined]);
});

test('a version that cannot be read fails once, and is not retried on its own', async () => {
  let asked = 0;
  const again = () => {
    asked += 1;
    throw new Error('a bug');
  };
  const { loader, clock, rulesOf } = await opened(readsAtOnce);
  await expect(loader.offer({ ...ownBundle('tenant', 'own', rule('b.io')), readNewest: again })).rejects.toThrow('a bug');
  const other = loader.offer(ownBundle('tenant', 'other', rule('c.io')));
  clock.wake();
  await other;
  expect([asked, loader.waitingNamespaces(), rulesOf('tenant')]).toEqual([1, 0, ['c.io']]);
});

test('if more oversized bundles wait than fit into a round, each is tried when there is room', async () => {
  const texts = new Map(['large', 'other'].map((name) => [name, `${rule(`${name}.io`)}\n# ${'x'.repeat(60_000)}`]));
  const bundleNamed = (name: string): Bundle | undefined => {
    const text = texts.get(name);
    if (text === undefined) return undefined;
    return { ...ownBundle('tenant', name, text), readNewest: () => bundleNamed(name) };
  };
  const { loader, clock, rulesOf } = await opened(readsAtOnce);
  const both = ['large', 'other'].map((name) => loader.offer(bundleNamed(name) as Bundle));
  await Promise.all(both);
  for (let index = 0; index < 60; index += 1) texts.set(`much-${index}`, `# ${'x'.repeat(140_000)}`);
  texts.set('much-last', `${rule('last.io')}\n# ${'x'.repeat(30_000)}`);
  const all = [...texts.keys()].slice(2).map((name) => loader.offer(bundleNamed(name) as Bundle));
  await expect
    .poll(() => {
      clock.wake();
      return loader.waitingNamespaces();
    })
    .toBe(0);
  await Promise.all(all);
  expect(rulesOf('tenant')).not.toContain('last.io');
  texts.delete('large');
  void loader.withdraw('namespace rules tenant/large', { kind: 'namespace', namespace: 'tenant' });
  await expect
    .poll(() => {
      clock.wake();
      return rulesOf('tenant');
    })
    .toContain('last.io');
});

test('bundles that are only too large together are not in effect together', async () => {
  const large = (name: string) => ownBundle('tenant', name, `${rule(`${name}.io`)}\n# ${'x'.repeat(59_000)}`);
  const { loader, clock, rulesOf, changes } = await opened(readsAtOnce);
  await loader.offer(large('one'));
  const later = Promise.all(['two', 'three'].map((name) => loader.offer(large(name))));
  await expect
    .poll(() => {
      clock.wake();
      return changes.flatMap(({ problems }) => problems.map(({ code }) => code));
    })
    .toEqual(['namespace-quota']);
  await later;
  expect(rulesOf('tenant').toSorted()).toEqual(['one.io', 'two.io']);
});

test('a stop while documents are parsed or waiting does not reject them', async () => {
  const { parser, asked } = steppingParser();
  const { store, loader, changes } = await opened(parser);
  const reading = loader.offer(ownBundle('tenant', 'own', rule('b.io')));
  await expect.poll(() => asked.length).toBe(1);
  const waiting = [loader.offer(ownBundle('tenant', 'own', rule('c.io'))), loader.offer(ownBundle('other', 'own', rule('d.io')))];
  const before = changes.length;
  loader.stop();
  for (const { answer } of asked) answer();
  await Promise.all([reading, ...waiting, loader.offer(ofCluster('rules: [{registry: e.io}]'))]);
  expect(changes).toHaveLength(before);
  expect(store.rejected()).toEqual([]);
  expect(asked).toHaveLength(1);
});
