/** Reviews of rules ConfigMaps before they are stored. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { decodeReview, type ReviewRequest } from '../../../src/admission/review.ts';
import { createDocumentParser, type DocumentParser } from '../../../src/loading/document-parser.ts';
import { configMapBundle } from '../../../src/rules/language/config-map.ts';
import type { Problem } from '../../../src/rules/language/problem.ts';
import { createRuleStore, readBundle } from '../../../src/rules/store/rule-store.ts';
import { createRulesInForce } from '../../../src/rules/store/rules-in-force.ts';
import { createRulesReviewer, type RulesReviewCollaborators } from '../../../src/server/rules-reviewer.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { collectGarbage } from '../collect-garbage.ts';
import { sha256 } from '../rules/documents.ts';
import { manualClock } from './clock.ts';
import { reviewOf } from './reviews.ts';

const configMap = (name: string, data: Record<string, string>, label = 'cluster') => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'regkeeper', labels: { 'regkeeper.io/rules': label } },
  data,
});
const trusting = (...registries: readonly string[]) => `rules: [${registries.map((registry) => `{registry: ${registry}}`).join(', ')}]`;

function requestOf(name: string, data: Record<string, string>, label?: string): ReviewRequest {
  const review = decodeReview(reviewOf(configMap(name, data, label), { namespace: 'regkeeper' }));
  if (!review.ok) throw new Error(review.message);
  return review.request;
}

/** A rule store that trusts a.io in the ConfigMap `one`, and a reviewer for it. */
function reviewing(options: Partial<RulesReviewCollaborators> = {}) {
  const store = createRuleStore(sha256);
  const stored = (name: string, text: string) => readBundle(configMapBundle(configMap(name, { 'rules.yaml': text })));
  store.open([stored('one', trusting('a.io'))]);
  const inForce = createRulesInForce(store, sha256);
  let onWait = () => {};
  const rules = {
    ...inForce,
    onChange(listener: Parameters<typeof inForce.onChange>[0]) {
      queueMicrotask(onWait);
      return inForce.onChange(listener);
    },
    /** Called as soon as a review waits for a change. */
    onWait: (work: () => void) => {
      onWait = work;
    },
  };
  const parser = createDocumentParser();
  onTestFinished(() => parser.stop());
  const reviewer = createRulesReviewer({
    settings: { namespace: 'regkeeper', namespaceRules: false },
    store,
    parsers: both(parser),
    rules,
    lint: () => [],
    timings: { waitForOthers: 1 },
    ...options,
  });
  const review = (name: string, data: Record<string, string>, label?: string) => reviewer(requestOf(name, data, label), true);
  return { store, stored, rules, reviewer, review };
}

const both = (parser: DocumentParser) => ({ cluster: parser, namespaces: parser });
const never: DocumentParser = { parse: () => new Promise(() => {}), stop: async () => {} };

describe('what the server would reject is rejected', () => {
  test('for its problems, in all documents together', async () => {
    const { review } = reviewing();
    const { answer, problems } = await review('two', { 'a.yaml': 'rulez: []', 'b.yaml': 'mode: strict' });
    expect(answer?.response.status?.message).toContain('Did you mean "rules"?');
    expect(problems).toEqual([
      expect.stringMatching(/^a\.yaml:1:1: .* \(unknown-field\)$/),
      expect.stringMatching(/^b\.yaml:1:7: .* \(unknown-value\)$/),
    ]);
  });

  test('for a conflict with another ConfigMap', async () => {
    const { review } = reviewing();
    const { answer, problems } = await review('two', { 'rules.yaml': trusting('a.io') });
    expect(answer?.response.allowed).toBe(false);
    expect(problems).toEqual([expect.stringContaining('ConfigMap regkeeper/one, key rules.yaml, line 1:')]);
  });

  test('but not for a conflict with an earlier version of another one, whose edit the watch reports after the request', async () => {
    const clock = manualClock();
    const { store, stored, rules, review } = reviewing({ clock, timings: {} });
    rules.onWait(() => rules.documentsChanged(store.offer(stored('one', trusting('b.io')))));
    expect((await review('two', { 'rules.yaml': trusting('a.io') })).answer?.response.allowed).toBe(true);
  });

  test('and a review puts nothing into effect', async () => {
    const { store, review } = reviewing();
    const before = store.written();
    expect((await review('two', { 'rules.yaml': trusting('b.io') })).answer?.response).toMatchObject({ allowed: true });
    expect(store.written()).toBe(before);
  });
});

test('a rule of a namespace without effect is a problem, since its author can fix it', async () => {
  const { review } = reviewing({ settings: { namespace: 'regkeeper', namespaceRules: true } });
  const { answer, problems } = await review('own', { 'rules.yaml': trusting('a.io', 'b.io') }, 'namespace');
  expect(answer?.response.allowed).toBe(false);
  expect(problems).toEqual([expect.stringMatching(/^rules\.yaml:1:\d+: b\.io .* \(namespace-rule-without-effect\)$/)]);
});

describe('advice', () => {
  const at = (name: string): Problem => ({
    code: 'duplicate-secret',
    message: name,
    origin: { source: { kind: 'configMap', namespace: 'regkeeper', name, key: 'rules.yaml' }, line: 1, column: 1 },
  });

  test('about this ConfigMap is a warning, and about others it is not repeated', async () => {
    const { review } = reviewing({ lint: () => [at('one'), at('two')] });
    expect((await review('two', { 'rules.yaml': trusting('b.io') })).warnings).toEqual([
      'regkeeper: rules.yaml:1:1: two (duplicate-secret)',
    ]);
  });

  test('is omitted if there are problems', async () => {
    const { review } = reviewing({ lint: () => [at('two')] });
    expect((await review('two', { 'rules.yaml': 'rulez: []' })).warnings).toEqual([]);
  });
});

describe('if parsing takes too long', () => {
  test('the request is denied, with what helps', async () => {
    const { review } = reviewing({ parsers: both(never), timings: { answerWithin: 10 } });
    const { answer, problems } = await review('two', { 'rules.yaml': 'rules: []' });
    expect(answer?.response).toMatchObject({
      allowed: false,
      status: { code: 403, message: expect.stringContaining('Split the document') },
    });
    expect(problems).toEqual([expect.stringContaining('longer than 0.01 s')]);
  });

  test("the cluster's rules are denied too, whatever else is being parsed, because a 503 would let them pass", async () => {
    const { review } = reviewing({ parsers: both(never), timings: { answerWithin: 10 } });
    const all = await Promise.all(Array.from({ length: 8 }, (_, index) => review(`two-${index}`, { 'rules.yaml': 'a' })));
    expect(all.map(({ answer }) => answer?.response.allowed)).toEqual(Array(8).fill(false));
  });

  test('nothing more of it is parsed once it is late', async () => {
    const parsed: string[] = [];
    const first = Promise.withResolvers<void>();
    const real = createDocumentParser();
    onTestFinished(() => real.stop());
    const slow: DocumentParser = {
      async parse(document) {
        parsed.push(document.text);
        if (parsed.length === 1) await first.promise;
        return real.parse(document);
      },
      stop: async () => undefined,
    };
    const { review } = reviewing({ parsers: both(slow), timings: { answerWithin: 10 } });
    await Promise.all(['one', 'two', 'three'].map((name) => review(name, { 'a.yaml': `# ${name}`, 'b.yaml': '#' })));
    first.resolve();
    expect((await review('four', { 'a.yaml': '# four' })).answer?.response.allowed).toBe(true);
    expect(parsed).toEqual(['# one', '# four']);
  });

  test('a change of only labels passes with a warning', async () => {
    const { reviewer } = reviewing({ parsers: both(never), timings: { answerWithin: 10 } });
    const object = configMap('two', { 'rules.yaml': 'rules: []' });
    const review = decodeReview(reviewOf(object, { namespace: 'regkeeper', operation: 'UPDATE', oldObject: object }));
    const { answer, warnings } = await reviewer((review as { request: ReviewRequest }).request, true);
    expect(answer?.response.allowed).toBe(true);
    expect(warnings).toEqual([expect.stringContaining('so this ConfigMap was not reviewed. Its rules are unchanged')]);
  });
});

describe('many concurrent reviews', () => {
  const settings = { namespace: 'regkeeper', namespaceRules: true };
  const outcomes = (reviews: readonly { readonly answer: unknown; readonly problems: readonly string[] }[]) =>
    reviews.map(({ answer, problems }) => (answer === undefined ? problems[0] : 'answered'));
  const ofNamespace = (index: number) => {
    const object = {
      ...configMap('own', { 'a.yaml': 'rules: []' }, 'namespace'),
      metadata: { name: 'own', labels: { 'regkeeper.io/rules': 'namespace' } },
    };
    const review = decodeReview(reviewOf(object, { namespace: `made-up-${index}` }));
    return (review as { request: ReviewRequest }).request;
  };

  test("beyond 10 of the cluster's rules and 20 of namespaces the API server must retry, and neither uses the places of the other", async () => {
    const { reviewer, review } = reviewing({ parsers: both(never), settings, timings: { answerWithin: 10 } });
    const [cluster, namespaces] = await Promise.all([
      Promise.all(Array.from({ length: 12 }, (_, index) => review(`two-${index}`, { 'rules.yaml': 'a' }))),
      Promise.all(Array.from({ length: 23 }, (_, index) => reviewer(ofNamespace(index), true))),
    ]);
    const many = 'too many rules are being reviewed';
    expect(outcomes(cluster)).toEqual([...Array(10).fill('answered'), many, many]);
    expect(outcomes(namespaces)).toEqual([...Array(20).fill('answered'), many, many, many]);
  });

  test('places are free again when the work is done', async () => {
    const { review } = reviewing();
    for (let index = 0; index < 15; index += 1) {
      expect((await review(`two-${index}`, { 'rules.yaml': trusting('b.io') })).answer?.response.allowed).toBe(true);
    }
  });

  test('a review keeps none of the objects of its request', async () => {
    const { reviewer } = reviewing({ parsers: both(never), timings: { answerWithin: 60_000 } });
    const start = () => {
      const request = requestOf('two', { 'rules.yaml': 'rules: []' });
      void reviewer(request, true);
      return new WeakRef(request.object as object);
    };
    const object = start();
    await expect
      .poll(() => {
        collectGarbage();
        return object.deref() === undefined;
      })
      .toBe(true);
  });
});

describe('a ConfigMap beyond what an API server stores', () => {
  test.each([
    ['in characters', { 'a.yaml': '#'.repeat(1_048_577) }, /has 1 document and 1,048,583 characters of data/],
    ['in documents', Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`${index}.yaml`, ''])), /has 1,001 documents/],
  ])('%s is denied without parsing', async (_name, data, message) => {
    const { review } = reviewing({ parsers: both(never) });
    const { answer } = await review('two', data);
    expect(answer?.response).toMatchObject({ allowed: false, status: { message: expect.stringMatching(message) } });
  });
});

describe('namespace rules', () => {
  const settings = { namespace: 'regkeeper', namespaceRules: true };
  const nobodyReads = { cluster: never, namespaces: never };

  test('that are too large are denied without parsing, with position and fix', async () => {
    const { review } = reviewing({ parsers: nobodyReads, settings });
    const data = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`k${index}.yaml`, 'rules: []']));
    const { answer, problems } = await review('own', data, 'namespace');
    expect(answer?.response.allowed).toBe(false);
    expect(problems).toEqual([
      expect.stringMatching(/^k0\.yaml:1:1: this ConfigMap has 21 documents .* 20 documents .* Use fewer .*\. \(namespace-quota\)$/),
    ]);
  });

  test("that take too long are denied, even while another user's rules are being parsed, because a 503 would let them pass", async () => {
    const { review } = reviewing({ parsers: nobodyReads, settings, timings: { answerWithin: 10 } });
    const all = await Promise.all(Array.from({ length: 12 }, (_, index) => review(`own-${index}`, { 'a.yaml': 'rules: []' }, 'namespace')));
    expect(all.map(({ answer }) => answer?.response.allowed)).toEqual(Array.from({ length: 12 }, () => false));
    expect(all.map(({ problems }) => problems[0]).at(-1)).toMatch(/too many rules in namespace regkeeper are being reviewed/);
  });

  test('that took too long a moment ago are denied immediately, until some time has passed', async () => {
    let now = 0;
    const real = createDocumentParser();
    onTestFinished(() => real.stop());
    const slow: DocumentParser = {
      parse(document) {
        now += 1_500;
        return real.parse(document);
      },
      stop: async () => undefined,
    };
    const { review } = reviewing({
      parsers: { cluster: real, namespaces: slow },
      settings,
      clock: { ...systemClock, monotonic: () => now },
    });
    const denyingRule = 'rules: [{registry: b.io, trust: false}]';
    const ask = async (name: string) => (await review(name, { 'a.yaml': denyingRule }, 'namespace')).answer?.response.allowed;
    expect([await ask('one'), await ask('two'), await ask('three')]).toEqual([true, true, true]);
    expect(await ask('four')).toBe(false);
    now += 10_000;
    expect(await ask('five')).toBe(true);
  });

  test("never delay a review of the cluster's rules", async () => {
    const parser = createDocumentParser();
    onTestFinished(() => parser.stop());
    const { review } = reviewing({ parsers: { cluster: parser, namespaces: never }, settings });
    void review('own', { 'a.yaml': 'rules: []' }, 'namespace');
    expect((await review('two', { 'rules.yaml': trusting('b.io') })).answer?.response.allowed).toBe(true);
  });
});

test('a ConfigMap without rules is not parsed at all', async () => {
  const { review } = reviewing({ parsers: both(never), settings: { namespace: 'elsewhere', namespaceRules: false } });
  const { answer, warnings } = await review('two', { 'rules.yaml': 'rulez: []' });
  expect(answer?.response.allowed).toBe(true);
  expect(warnings).toEqual([expect.stringContaining('cluster rules are read only from namespace elsewhere')]);
});
