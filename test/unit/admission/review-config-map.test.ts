/** Tests the review of rules ConfigMaps at admission. */
import { describe, expect, test } from 'vitest';
import { decodeReview, type ReviewRequest } from '../../../src/admission/review.ts';
import { type RulesReviewFindings, readReviewedConfigMap, renderRulesReview } from '../../../src/admission/review-config-map.ts';
import type { Problem } from '../../../src/rules/language/problem.ts';
import { reviewOf } from '../server/reviews.ts';

const settings = { namespace: 'regkeeper', namespaceRules: true };

type Labels = Record<string, unknown>;
const labelled = (value: unknown): Labels => ({ 'regkeeper.io/rules': value });
const configMap = (labels: Labels | undefined, data: unknown = { 'rules.yaml': 'rules: []' }) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'the-rules', ...(labels && { labels }) },
  data,
});

function requestOf(object: unknown, request: Record<string, unknown> = {}): ReviewRequest {
  const review = decodeReview(reviewOf(object, { namespace: 'regkeeper', ...request }));
  if (!review.ok) throw new Error(review.message);
  return review.request;
}
const updateOf = (oldObject: unknown, object: unknown, namespace = 'regkeeper') =>
  requestOf(object, { operation: 'UPDATE', oldObject, namespace });

const problem = (line: number, message = 'a sentence'): Problem => ({
  code: 'unknown-field',
  message,
  origin: { source: { kind: 'configMap', namespace: 'regkeeper', name: 'the-rules', key: 'rules.yaml' }, line, column: 3 },
});
const nothing: RulesReviewFindings = { problems: [], warnings: [] };
const answer = (request: ReviewRequest, findings = nothing, reviewSettings = settings) =>
  renderRulesReview(request, readReviewedConfigMap(request, reviewSettings), findings).response;

describe('which ConfigMaps contain rules', () => {
  test('label "cluster" in the namespace of regkeeper: its documents, by key', () => {
    const data = { 'b.yaml': 'b', 'a.json': 'a', 'notes.txt': 'n' };
    const reviewed = readReviewedConfigMap(requestOf(configMap(labelled('cluster'), data)), settings);
    expect(reviewed).toMatchObject({ kind: 'rules', unchanged: false, warnings: [], bundle: { scope: { kind: 'cluster' } } });
    expect(reviewed.kind === 'rules' && reviewed.bundle.documents).toEqual([
      { source: { kind: 'configMap', namespace: 'regkeeper', name: 'the-rules', key: 'a.json' }, text: 'a' },
      { source: { kind: 'configMap', namespace: 'regkeeper', name: 'the-rules', key: 'b.yaml' }, text: 'b' },
    ]);
  });

  test.each(['regkeeper', 'team-a'])('label "namespace" in %s', (namespace) => {
    const reviewed = readReviewedConfigMap(requestOf(configMap(labelled('namespace')), { namespace }), settings);
    expect(reviewed).toMatchObject({ kind: 'rules', bundle: { scope: { kind: 'namespace', namespace } } });
  });

  test.each([
    ['without the label', configMap({}), {}],
    ['the snapshot', configMap(labelled('snapshot')), {}],
    ['another kind', { ...configMap(labelled('cluster')), kind: 'Secret' }, {}],
    ['a deletion', configMap(labelled('cluster')), { operation: 'DELETE' }],
    ['without an object', null, { operation: 'CREATE', kind: { group: '', version: 'v1', kind: 'ConfigMap' } }],
  ])('%s contains none, and passes without a warning', (_name, object, request) => {
    const review = requestOf(object ?? {}, { ...request, object });
    expect(readReviewedConfigMap(review, settings)).toEqual({ kind: 'no-rules', warnings: [] });
    expect(answer(review)).toEqual({ uid: review.uid, allowed: true });
  });

  test.each([['null'], [3], [['list']], [{ 'rules.yaml': 3 }]])('data that is not a map of strings (%j) causes no exception', (data) => {
    const reviewed = readReviewedConfigMap(requestOf(configMap(labelled('cluster'), data)), settings);
    expect(reviewed).toMatchObject({ kind: 'rules', bundle: { documents: [] } });
  });
});

describe('warnings', () => {
  const without = { ...settings, namespaceRules: false };
  test.each<[sentence: string, request: ReviewRequest, warning: string, reviewSettings?: typeof settings]>([
    [
      'cluster rules in another namespace',
      requestOf(configMap(labelled('cluster')), { namespace: 'shop' }),
      'cluster rules are read only from namespace regkeeper',
    ],
    ['namespace rules that are not enabled', requestOf(configMap(labelled('namespace'))), '--namespace-rules', without],
    ['an unknown label in another namespace', requestOf(configMap(labelled('clutser')), { namespace: 'shop' }), 'Did you mean "cluster"?'],
    [
      'no key of a document',
      requestOf(configMap(labelled('cluster'), { rules: 'rules: []' })),
      'no key of this ConfigMap ends in .yaml, .yml or .json, so it contains no rules. Put the rules in a key such as rules.yaml. If there are no others, the last valid version of the cluster rules remains in effect.',
    ],
    [
      'no key of a document in a namespace',
      requestOf(configMap(labelled('namespace'), {}), { namespace: 'shop' }),
      'no key of this ConfigMap ends in .yaml, .yml or .json, so it contains no rules.',
    ],
    [
      'still no key of a document',
      updateOf(configMap(labelled('cluster'), { rules: 'a' }), configMap(labelled('cluster'), { rules: 'b' })),
      'it contains no rules',
    ],
    [
      'no key of a document, while the label is changed',
      updateOf(configMap(labelled('snapshot')), configMap(labelled('cluster'), {})),
      'it contains no rules',
    ],
    [
      'a removed label',
      updateOf(configMap(labelled('cluster')), configMap(undefined)),
      'the rules of this ConfigMap are no longer in effect for the cluster',
    ],
    [
      'a changed label',
      updateOf(configMap(labelled('cluster')), configMap(labelled('namespace'))),
      'are no longer in effect for the cluster',
    ],
    ['a removed label of a namespace', updateOf(configMap(labelled('namespace')), configMap({}), 'shop'), 'are no longer in effect.'],
  ])('%s', (_sentence, request, warning, reviewSettings) => {
    expect(answer(request, nothing, reviewSettings)).toMatchObject({ allowed: true, warnings: [expect.stringContaining(warning)] });
  });

  test('about documents are reported with key and position', () => {
    expect(answer(requestOf(configMap(labelled('cluster'))), { problems: [], warnings: [problem(4)] })).toMatchObject({
      allowed: true,
      warnings: ['regkeeper: rules.yaml:4:3: a sentence (unknown-field)'],
    });
  });

  test('removing the label from rules that were never in effect needs none', () => {
    expect(answer(updateOf(configMap(labelled('clutser')), configMap({})))).not.toHaveProperty('warnings');
    expect(answer(updateOf(configMap(labelled('cluster')), configMap({}), 'shop'))).not.toHaveProperty('warnings');
  });
});

describe('rejections', () => {
  const inBothScopes = [
    ['cluster', 'regkeeper'],
    ['namespace', 'shop'],
  ] as const;

  test.each(['clutser', '', 'Cluster', true])(
    "an unknown label (%j) in regkeeper's namespace, which would disable the rules without notice",
    (value) => {
      expect(answer(requestOf(configMap(labelled(value))))).toMatchObject({
        allowed: false,
        status: {
          code: 403,
          message: expect.stringMatching(/^ConfigMap regkeeper\/the-rules: the label regkeeper\.io\/rules has the unknown value /),
          details: { causes: [{ reason: 'FieldValueNotSupported', field: 'metadata.labels[regkeeper.io/rules]' }] },
        },
      });
    },
  );

  test.each([
    ['renamed', { rules: 'rules: []' }, 'Did you mean "rules.yaml"?'],
    ['renamed with a different extension', { 'rules.yaml.bak': 'rules: []' }, 'Did you mean "rules.yaml"?'],
    ['removed', {}, 'To remove all rules, use a document that contains "rules: []", or delete the ConfigMap.'],
    ['removed with all other data', undefined, 'To remove all rules, use a document that contains "rules: []", or delete the ConfigMap.'],
  ])('the last key with rules is %s', (_how, data, fix) => {
    for (const [label, namespace] of inBothScopes) {
      const before = configMap(labelled(label));
      const request = updateOf(before, { ...configMap(labelled(label)), data }, namespace);
      expect(answer(request)).toMatchObject({
        allowed: false,
        status: {
          message: `ConfigMap ${namespace}/the-rules: no key of this ConfigMap ends in .yaml, .yml or .json any more, so its rules would be removed. ${fix}`,
          details: { causes: [{ field: 'data' }] },
        },
      });
    }
  });

  test.each([
    ['empty', ''],
    ['whitespace', ' \n\t\r\n'],
    ['a comment', '# rules:\n  # - registry: docker.io\n'],
    ['lines that end with a carriage return', '# rules:\r# - registry: docker.io\r'],
    ['an empty YAML document', '---\n# moved\n...\n'],
  ])('all documents become blank: %s', (_how, text) => {
    for (const [label, namespace] of inBothScopes) {
      const before = configMap(labelled(label));
      const blank = { ...before, data: { 'rules.yaml': text, 'more.json': '' } };
      expect(answer(updateOf(before, blank, namespace))).toMatchObject({
        allowed: false,
        status: {
          message: `ConfigMap ${namespace}/the-rules: every document of this ConfigMap is blank now, so its rules would be removed. To remove all rules, use a document that contains "rules: []", or delete the ConfigMap.`,
          details: { causes: [{ field: 'data' }] },
        },
      });
      expect(answer(updateOf(blank, { ...blank, data: { 'rules.yaml': '' } }, namespace))).toMatchObject({ allowed: true });
      expect(answer(updateOf(before, { ...blank, data: { 'a.yaml': text, 'b.yaml': `${text}rules: []` } }, namespace))).toMatchObject({
        allowed: true,
      });
    }
  });

  test('rules in binaryData would be ignored, although users see them', () => {
    const binary = { ...configMap(labelled('cluster')), binaryData: { 'more.yaml': 'cnVsZXM6IFtdCg==' } };
    expect(answer(requestOf(binary))).toMatchObject({
      allowed: false,
      status: {
        message: expect.stringMatching(/^ConfigMap regkeeper\/the-rules: more\.yaml is in binaryData, .*Save the file as UTF-8/),
        details: { causes: [{ field: 'binaryData[more.yaml]' }] },
      },
    });
    expect(answer(updateOf(configMap(labelled('cluster')), binary))).toMatchObject({ allowed: false });
    expect(answer(updateOf(binary, { ...binary, immutable: true }))).toMatchObject({
      allowed: true,
      warnings: [expect.stringContaining('binaryData')],
    });
    expect(answer(requestOf({ ...binary, binaryData: { 'logo.png': 'AA==' } }))).toMatchObject({ allowed: true });
  });

  test('one problem is one line', () => {
    const { status } = answer(requestOf(configMap(labelled('cluster'))), { problems: [problem(4)], warnings: [] });
    expect(status).toEqual({
      status: 'Failure',
      code: 403,
      reason: 'Forbidden',
      message: 'ConfigMap regkeeper/the-rules: rules.yaml:4:3: a sentence (unknown-field)',
      details: {
        name: 'the-rules',
        kind: 'configmaps',
        causes: [{ reason: 'unknown-field', message: 'rules.yaml:4:3: a sentence (unknown-field)', field: 'data[rules.yaml]' }],
      },
    });
  });

  test('all problems are reported together, with the warnings', () => {
    const { status, warnings } = answer(requestOf(configMap(labelled('cluster'))), {
      problems: [problem(4), problem(7)],
      warnings: [problem(9)],
    });
    expect(status?.message).toBe(
      'ConfigMap regkeeper/the-rules has 2 problems:\n- rules.yaml:4:3: a sentence (unknown-field)\n- rules.yaml:7:3: a sentence (unknown-field)',
    );
    expect(status?.details?.causes).toHaveLength(2);
    expect(warnings).toHaveLength(1);
  });

  test.each([
    ['many', 'short', 200],
    ['long', 'x'.repeat(900), 30],
  ])('%s problems are limited to a readable size, and counted', (_name, text, count) => {
    const problems = Array.from({ length: count }, (_, index) => problem(index + 1, text));
    const { status } = answer(requestOf(configMap(labelled('cluster'))), { problems, warnings: [] });
    const lines = status?.message.split('\n') ?? [];
    expect(status?.message.length).toBeLessThan(18_000);
    expect(lines[0]).toContain(`has ${count} problems`);
    expect(lines.at(-1)).toBe(`and ${count - (lines.length - 2)} more`);
    expect(status?.details?.causes.length).toBeLessThanOrEqual(50);
  });
});

describe('an update that keeps the label and the documents is not rejected for an old mistake', () => {
  const annotated = (labels: Labels) => ({ ...configMap(labels), metadata: { ...configMap(labels).metadata, annotations: { a: 'b' } } });

  test('in the documents', () => {
    const request = updateOf(configMap(labelled('cluster')), annotated(labelled('cluster')));
    expect(answer(request, { problems: [problem(4)], warnings: [] })).toMatchObject({
      allowed: true,
      warnings: ['regkeeper: rules.yaml:4:3: a sentence (unknown-field)'],
    });
  });

  test('in the label', () => {
    const request = updateOf(configMap(labelled('clutser')), annotated(labelled('clutser')));
    expect(answer(request)).toMatchObject({ allowed: true, warnings: [expect.stringContaining('Did you mean "cluster"?')] });
  });

  test('but one that changes them is rejected', () => {
    const request = updateOf(configMap(labelled('cluster'), { 'rules.yaml': 'mode: warn' }), configMap(labelled('cluster')));
    expect(answer(request, { problems: [problem(4)], warnings: [] }).allowed).toBe(false);
    const relabelled = updateOf(configMap(undefined), configMap(labelled('cluster')));
    expect(answer(relabelled, { problems: [problem(4)], warnings: [] }).allowed).toBe(false);
  });
});
