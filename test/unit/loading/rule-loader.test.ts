/** Loading rules into the rule store, in order and off the request path. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createDocumentParser, type DocumentParser } from '../../../src/loading/document-parser.ts';
import { createRuleLoader } from '../../../src/loading/rule-loader.ts';
import { configMapBundle } from '../../../src/rules/language/config-map.ts';
import { type Bundle, createRuleStore, type RulesChange, readBundle } from '../../../src/rules/store/rule-store.ts';
import { sha256 } from '../rules/documents.ts';

const bundle = (id: string, text: string): Bundle => ({ id, documents: [{ source: { kind: 'file', file: id }, text }] });
const rule = (registry: string) => `rules: [{registry: ${registry}}]`;

/** About 1 MiB. */
const long = `rules:\n${Array.from({ length: 10_000 }, (_, index) => `- registry: registry-${index}.example.com:5000/team-${index}\n  pullSecret: pull-${index}\n  pushSecret: push-${index}\n`).join('')}`;

function loaderWith(parser: DocumentParser = createDocumentParser()) {
  onTestFinished(() => parser.stop());
  const store = createRuleStore(sha256);
  const changes: RulesChange[] = [];
  const loader = createRuleLoader({ store, parsers: { cluster: parser, namespaces: parser }, onChange: (more) => changes.push(...more) });
  return { store, loader, changedIds: () => changes.map(({ id }) => id), changes };
}

test('a document of 1 MiB does not keep requests from being answered', async () => {
  const { store, loader } = loaderWith();
  await loader.open([bundle('first', rule('a.io'))]);
  const server = createServer((_request, response) => response.end(store.written()?.revision));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  const ask = async () => (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();

  const before = await ask();
  let inForce = false;
  const offered = loader.offer(bundle('second', long)).then(() => {
    inForce = true;
  });
  let answered = 0;
  while (!inForce) if ((await ask()) === before) answered += 1;
  await offered;
  expect(store.written()?.rules).toHaveLength(10_001);
  // Parsed inline, it would be one or two on any machine.
  expect(answered).toBeGreaterThan(10);
});

test('a document after a long one waits for it, so the order is kept', async () => {
  const { store, loader, changedIds } = loaderWith(createDocumentParser({ maxInlineCharacters: 100 }));
  const longer = `${'# '.repeat(200)}\n${rule('long.io')}`;
  await Promise.all([
    loader.open([bundle('one', rule('a.io'))]),
    loader.offer(bundle('long', longer)),
    loader.offer(bundle('long', rule('short.io'))),
    loader.withdraw('one'),
  ]);
  expect(changedIds()).toEqual(['one', 'long', 'long', 'one']);
  expect(store.written()?.rules.map(({ name }) => name)).toEqual(['short.io']);
});

test('a failure is reported to its caller, and the next document is loaded', async () => {
  let parsed = 0;
  const real = createDocumentParser();
  const { store, loader } = loaderWith({
    parse: async (document) => {
      parsed += 1;
      if (parsed === 1) throw new Error('a bug');
      return real.parse(document);
    },
    stop: () => real.stop(),
  });
  const failing = loader.open([bundle('one', rule('a.io'))]);
  const next = loader.open([bundle('one', rule('a.io'))]);
  await expect(failing).rejects.toThrow('a bug');
  await next;
  expect(store.written()?.rules).toHaveLength(1);
});

test('a document that cannot be parsed leaves the last valid rules in effect', async () => {
  const real = createDocumentParser();
  const tooCostly = createDocumentParser({ maxInlineCharacters: 0 }, () => {
    throw new Error('no memory');
  });
  let parser = real;
  const { store, loader, changes } = loaderWith({ parse: (document) => parser.parse(document), stop: () => real.stop() });
  await loader.open([bundle('one', rule('a.io'))]);
  parser = tooCostly;
  await loader.offer(bundle('one', rule('b.io')));
  expect(changes.at(-1)?.problems).toMatchObject([{ code: 'document-too-costly' }]);
  expect(store.written()?.rules.map(({ name }) => name)).toEqual(['a.io']);
});

test('a stop while a document of the cluster is parsed rejects neither it nor those after it', async () => {
  const parser = createDocumentParser({ maxInlineCharacters: 0 });
  const { loader, changes, changedIds } = loaderWith(parser);
  await loader.open([bundle('one', rule('a.io'))]);
  const offered = ['two', 'three'].map((id) => loader.offer(bundle(id, rule(`${id}.io`))));
  loader.stop();
  await parser.stop();
  await Promise.all(offered);
  expect(changes.flatMap(({ problems }) => problems)).toEqual([]);
  expect(changedIds()).toEqual(['one']);
});

test('a rule of a namespace that has no effect is reported with the change', async () => {
  const { loader, changes } = loaderWith();
  await loader.open([bundle('one', rule('a.io'))]);
  const scope = { kind: 'namespace', namespace: 'team' } as const;
  await loader.offer({ ...bundle('own', 'rules: [{registry: a.io}, {registry: b.io}]'), scope });
  expect(changes.at(-1)).toMatchObject({ id: 'own', problems: [], warnings: [{ code: 'namespace-rule-without-effect' }] });
});

test('rules in binaryData cause a rejection of their ConfigMap, because otherwise they would be lost without notice', async () => {
  const { store, loader, changes } = loaderWith();
  const metadata = { name: 'rules', namespace: 'regkeeper' };
  await loader.open([configMapBundle({ metadata, data: { 'a.yaml': rule('a.io') } })]);
  const before = store.written();
  const edit = configMapBundle({ metadata, data: { 'notes.txt': 'x' }, binaryData: { 'a.yaml': 'UQ==', 'logo.png': 'UQ==' } });
  await loader.offer(edit);
  expect(changes.at(-1)?.problems.map(({ code, message }) => [code, message.split(' ').slice(0, 4).join(' ')])).toEqual([
    ['bad-manifest', 'a.yaml is in binaryData,'],
  ]);
  expect(store.written()).toBe(before);
  const book2 = createRuleStore(sha256);
  book2.open([readBundle(edit)]);
  expect(book2.missing()).toContain('invalid rules');
});
