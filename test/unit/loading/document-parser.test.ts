/** Parsing documents inline and in the thread, with the limits of the thread. */
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createDocumentParser, type ParserLimits, type TextToParse } from '../../../src/loading/document-parser.ts';
import { parseRulesDocument } from '../../../src/rules/language/parse.ts';

const source = { kind: 'file', file: 'rules.yaml' } as const;
const document = (text: string): TextToParse => ({ text, source, scope: { kind: 'cluster' } });
const parsedHere = (text: string) => parseRulesDocument(text, source, { kind: 'cluster' });

const good = 'mode: warn\nrules:\n- registry: a.io\n  pullSecret: a-pull\n- registry: [b.io, b.io]\n';
const bad = 'rules:\n- registy: a.io\n';

/** Parses everything in the thread unless the limits say otherwise. */
function parserWith(limits: Partial<ParserLimits> = {}, start?: () => Worker) {
  const parser = createDocumentParser({ maxInlineCharacters: 0, ...limits }, start);
  onTestFinished(() => parser.stop());
  return parser;
}

/** A worker that reports ready and does this with every document. */
const threadThat = (does: string) => () =>
  new Worker(
    `const { parentPort } = require('node:worker_threads'); parentPort.on('message', () => { ${does} }); parentPort.postMessage('ready');`,
    {
      eval: true,
    },
  );

describe.each([
  ['in the main thread', Number.POSITIVE_INFINITY],
  ['in the worker thread', 0],
])('%s', (_where, maxInlineCharacters) => {
  test.each([
    ['a valid document', good],
    ['an invalid document', bad],
    ['a blank document', '# nothing'],
  ])('%s has the same result', async (_name, text) => {
    expect(await parserWith({ maxInlineCharacters }).parse(document(text))).toEqual(parsedHere(text));
  });
});

test('the first documents at startup need no thread, up to a total length', async () => {
  let threads = 0;
  const parser = parserWith({ maxInlineCharactersAtStart: 2 * good.length, maxOrdinaryCharactersAtStart: 0 }, () => {
    threads += 1;
    return threadThat('parentPort.postMessage({ ok: true })')();
  });
  expect(await parser.parse(document(good), 'at start')).toEqual(parsedHere(good));
  expect(await parser.parse(document(good), 'at start')).toEqual(parsedHere(good));
  expect(threads).toBe(0);
  expect(await parser.parse(document(good), 'at start')).toEqual({ ok: true });
  expect(threads).toBe(1);
});

test('ordinary documents at startup need no thread either, up to their own limit', async () => {
  let threads = 0;
  const parser = parserWith({ maxInlineCharactersAtStart: 0, maxOrdinaryCharactersAtStart: 2 * good.length }, () => {
    threads += 1;
    return threadThat('parentPort.postMessage({ ok: true })')();
  });
  expect(await parser.parse(document(good), 'at start')).toEqual(parsedHere(good));
  expect(await parser.parse(document(good), 'at start')).toEqual(parsedHere(good));
  expect(threads).toBe(0);
  expect(await parser.parse(document(good), 'at start')).toEqual({ ok: true });
  expect(threads).toBe(1);
});

test.each([
  ['later', good, undefined],
  ['if it is not ordinary', 'rules: [{registry: &a a.io}]', 'at start'],
  // Its problems may be many, and describing them takes longer than parsing.
  ['if it does not match the schema', bad, 'at start'],
] as const)('a document needs a thread %s', async (_when, text, when) => {
  const parser = parserWith(
    { maxInlineCharactersAtStart: 0, maxOrdinaryCharactersAtStart: 1_000 },
    threadThat('parentPort.postMessage({ ok: true })'),
  );
  expect(await parser.parse(document(text), when)).toEqual({ ok: true });
});

test('the scope of a document also applies in the thread', async () => {
  const scope = { kind: 'namespace', namespace: 'team-a' } as const;
  const text = 'rules: [{registry: a.io}]';
  expect(await parserWith().parse({ text, source, scope })).toEqual(parseRulesDocument(text, source, scope));
});

test('concurrent requests get their own results', async () => {
  const parser = parserWith();
  const texts = Array.from({ length: 20 }, (_, index) => `rules: [{registry: r${index}.io}]`);
  const results = await Promise.all(texts.map((text) => parser.parse(document(text))));
  expect(results).toEqual(texts.map(parsedHere));
});

test('a text full of mistakes is rejected with a limited number of problems and a limited amount of memory', async () => {
  const result = await parserWith().parse(document(`rules: [${','.repeat(299_000)}]`));
  expect(result).toMatchObject({ ok: false, problems: expect.arrayContaining([expect.objectContaining({ code: 'yaml-syntax' })]) });
});

describe('a document that cannot be parsed', () => {
  const problem = (result: unknown) => (result as { problems?: readonly object[] }).problems?.[0];

  test('because it takes too long is rejected, and its thread is terminated', async () => {
    const starts = [threadThat('for (;;);'), undefined];
    const threads: Worker[] = [];
    const parser = parserWith({ milliseconds: 300 }, () => {
      const thread = (starts.shift() ?? threadThat('parentPort.postMessage({ ok: true })'))();
      threads.push(thread);
      return thread;
    });
    expect(problem(await parser.parse(document(good)))).toMatchObject({
      code: 'document-too-costly',
      message: expect.stringContaining('it takes longer than 0.3 s'),
      origin: { source, line: 1, column: 1 },
    });
    expect(threads[0]?.threadId).toBe(-1);
    expect(await parser.parse(document(good))).toEqual({ ok: true });
  });

  test.each([
    ['fails', "throw new Error('a bug')", 'a bug'],
    ['ends', 'process.exit(1)', 'its parser thread ended'],
  ])('because its thread %s is rejected too, and never treated as blank', async (_name, does, message) => {
    const result = await parserWith({}, threadThat(does)).parse(document(good));
    expect(result.ok).toBe(false);
    expect(problem(result)).toMatchObject({ code: 'document-too-costly', message: expect.stringContaining(message) });
  });

  test('because no thread can be started is rejected', async () => {
    const result = await parserWith({}, () => new Worker(new URL('./nowhere.js', import.meta.url))).parse(document(good));
    expect(problem(result)).toMatchObject({ code: 'document-too-costly', message: expect.stringContaining('nowhere.js') });
  });
});

test('an idle thread that has ended is started again', async () => {
  let started = 0;
  let ended = 0;
  const parser = parserWith({ idleMilliseconds: 1 }, () => {
    started += 1;
    return threadThat('parentPort.postMessage({ ok: true })')().once('exit', () => {
      ended += 1;
    });
  });
  await parser.parse(document(good));
  await expect.poll(() => ended).toBe(1);
  expect(await parser.parse(document(good))).toEqual({ ok: true });
  expect(started).toBe(2);
});

test('after stop, nothing is started', async () => {
  const parser = createDocumentParser({ maxInlineCharacters: 0 });
  await parser.stop();
  expect((await parser.parse(document(good))).ok).toBe(false);
});
