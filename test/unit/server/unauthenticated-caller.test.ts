/** What an unauthenticated caller, who may be anyone, can learn. docs/threats.md has the list. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { renderAnswer } from '../../../src/admission/response.ts';
import { changeOf, decodeReview, type ReviewRequest } from '../../../src/admission/review.ts';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { decide } from '../../../src/decision/decide.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import { createDocumentParser } from '../../../src/loading/document-parser.ts';
import type { AuditRecord } from '../../../src/observe/audit/decision-record.ts';
import { configMapBundle } from '../../../src/rules/language/config-map.ts';
import { lintRules } from '../../../src/rules/lint/lint.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { createRuleStore, readBundle } from '../../../src/rules/store/rule-store.ts';
import { createRulesInForce } from '../../../src/rules/store/rules-in-force.ts';
import { createRulesReviewer, type RulesReview } from '../../../src/server/rules-reviewer.ts';
import { createWebhookServer } from '../../../src/server/webhook-server.ts';
import { unwatched } from '../decision/changes.ts';
import { streams } from '../decision/stream-facts.ts';
import { ruleSetOf, sha256 } from '../rules/documents.ts';
import { pod, reviewOf } from './reviews.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const tls = issueServerCertificate({
  ca: issueCa({ commonName: 'test', ...life }),
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: [],
  ...life,
});

function requestOf(object: object, request: Record<string, unknown> = {}): ReviewRequest {
  const review = decodeReview(reviewOf(object, request));
  if (!review.ok) throw new Error(review.message);
  return review.request;
}

/** Sends the bodies without a certificate. Returns all answers as text, and the audit records. */
async function send(rules: RuleSet, facts: Facts, url: string, ...bodies: readonly unknown[]) {
  const records: AuditRecord[] = [];
  const server = createWebhookServer(
    {
      rules: () => rules,
      facts: () => facts,
      audit: (record) => records.push(record),
      reportBug: (error) => expect.unreachable(String(error)),
      failed() {},
    },
    { tls },
  );
  onTestFinished(() => server.close());
  const answers: string[] = [];
  for (const body of bodies) {
    const payload = typeof body === 'string' ? body : JSON.stringify(body);
    answers.push((await server.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } })).body);
  }
  return { answers: answers.join('\n'), records };
}

describe('of image streams', () => {
  const containing = (reference: string) => ({ images: [{ image: 'sha256:1', reference }] });
  const facts = streams({
    'victim/app': {
      tags: {
        untrusted: containing('evil.example.com/hidden:1'),
        unconfigured: containing('unknown.example.com/hidden:1'),
        invalid: containing('https://reg.example.com/hidden:1'),
        expired: containing('old.example.com/hidden:1'),
      },
    },
  });
  const rulesIn = (mode: string) =>
    ruleSetOf(`
mode: ${mode}
rules:
- {registry: evil.example.com, trust: false, reason: a hidden reason}
exemptions:
- {image: old.example.com/hidden, until: 2020-01-01, reason: a hidden reason}
`);
  const from = (tag: string) => ({ kind: 'ImageStreamTag', namespace: 'victim', name: `app:${tag}` });
  const build = (tag: string) => ({
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name: 'b', namespace: 'shop' },
    spec: { strategy: { type: 'Source', sourceStrategy: { from: from(tag) } } },
  });
  const triggered = (tag: string) => ({
    apiVersion: 'apps.openshift.io/v1',
    kind: 'DeploymentConfig',
    metadata: { name: 'd', namespace: 'shop' },
    spec: {
      triggers: [{ type: 'ImageChange', imageChangeParams: { automatic: true, containerNames: ['app'], from: from(tag) } }],
      template: { spec: { containers: [{ name: 'app', image: ' ' }] } },
    },
  });
  const tags = ['untrusted', 'unconfigured', 'invalid', 'expired'];

  test.each(['enforce', 'warn', 'audit'])('in mode %s no response shows the image of a stream, but the record does', async (mode) => {
    for (const object of tags.flatMap((tag) => [build(tag), triggered(tag)])) {
      for (const url of ['/mutate', '/validate']) {
        const { answers, records } = await send(rulesIn(mode), facts, url, reviewOf(object));
        expect(answers).not.toMatch(/hidden|example\.com/);
        expect(JSON.stringify(records.map(({ images }) => images))).toMatch(/example\.com\/hidden/);
      }
    }
  });

  test.each(tags)('the response contains the name of the stream: %s', async (tag) => {
    const expected = `the image in image stream \\"victim/app:${tag}\\" is denied by the rules for this namespace`;
    expect((await send(rulesIn('enforce'), facts, '/validate', reviewOf(build(tag)))).answers).toContain(expected);
    expect((await send(rulesIn('enforce'), facts, '/validate', reviewOf(triggered(tag)))).answers).toContain(expected);
  });

  test('a stream that is too large is not described', async () => {
    const large = { ...facts, imageStream: () => ({ kind: 'too-large' as const, why: 'a hidden reason' }) };
    const { answers } = await send(rulesIn('enforce'), large, '/validate', reviewOf(build('any')));
    expect(answers).toContain('image stream victim/app:any is too large to be evaluated');
    expect(answers).not.toContain('hidden');
  });

  test('an authenticated caller sees the image of a stream in its own namespace', () => {
    const request = { ...requestOf(build('untrusted')), namespace: 'victim' };
    const change = changeOf(request, { hideStreamContents: false });
    const rules = rulesIn('enforce');
    const decision = change && decide(change, rules, facts);
    if (decision?.kind !== 'decided') throw new Error('not decided');
    expect(renderAnswer('validate', request, decision, rules).response.status?.message).toContain('evil.example.com/hidden');
  });
});

describe('of rules ConfigMaps', () => {
  const rulesConfigMap = (name: string, namespace: string, label: string, data: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, labels: { 'regkeeper.io/rules': label } },
    data,
  });

  /** Reviews a ConfigMap `ours` while `theirs` is in effect. */
  async function review(
    theirs: string,
    ours: string | Record<string, string>,
    callerAuthenticated: boolean,
    label = 'cluster',
    clusterRules = label === 'cluster' ? theirs : 'rules: []',
  ): Promise<RulesReview> {
    const store = createRuleStore(sha256);
    const namespace = label === 'cluster' ? 'regkeeper' : 'shop';
    const stored = [rulesConfigMap('theirs', 'regkeeper', 'cluster', { 'rules.yaml': clusterRules })];
    if (label === 'namespace') stored.push(rulesConfigMap('theirs', 'shop', 'namespace', { 'rules.yaml': theirs }));
    store.open(
      stored.map((each) => readBundle(configMapBundle(each, each.metadata.labels['regkeeper.io/rules'] as 'cluster' | 'namespace'))),
    );
    const parser = createDocumentParser();
    onTestFinished(() => parser.stop());
    const reviewer = createRulesReviewer({
      settings: { namespace: 'regkeeper', namespaceRules: true },
      store,
      parsers: { cluster: parser, namespaces: parser },
      rules: createRulesInForce(store, sha256),
      lint: (rules) => lintRules(rules, '2026-01-01'),
      timings: { waitForOthers: 1 },
    });
    const data = typeof ours === 'string' ? { 'rules.yaml': ours } : ours;
    return await reviewer(requestOf(rulesConfigMap('ours', namespace, label, data), { namespace }), callerAuthenticated);
  }

  const cases: [what: string, theirs: string, ours: string, hidden: RegExp][] = [
    ['a setting', 'contact: hidden people\nrules: []', 'contact: us\nrules: []', /hidden people/],
    [
      'the namespaces of a rule that ties',
      'rules: [{registry: a.io, namespaces: "hidden-*"}]',
      'rules: [{registry: a.io, namespaces: "*-theirs"}]',
      /hidden-/,
    ],
    [
      'the labels of a rule that ties',
      'rules: [{registry: a.io, namespaces: {matchLabels: {team: hidden}}}]',
      'rules: [{registry: a.io, namespaces: {matchLabels: {tier: x}}}]',
      /hidden/,
    ],
    [
      'an override that ties',
      'rules: []\noverrides: [{namespaces: "hidden-*", mode: warn}]',
      'rules: []\noverrides: [{namespaces: "*-theirs", mode: audit}]',
      /hidden-/,
    ],
    [
      'the rule that makes another one redundant',
      'rules: [{registry: a.io, pullSecret: s}, {registry: b.io, namespaces: [hidden-team]}]',
      'rules: [{registry: a.io/path, pullSecret: s}, {registry: b.io/path, namespaces: [hidden-team]}]',
      /b\.io for [^"]*in ConfigMap|same effect as the rule of a\.io/,
    ],
  ];

  test.each(cases)('the response does not contain %s, only its position', async (_what, theirs, ours, hidden) => {
    const answerTo = async (authenticated: boolean) => JSON.stringify((await review(theirs, ours, authenticated)).answer);
    expect(await answerTo(true)).toMatch(hidden);
    expect(await answerTo(false)).not.toMatch(hidden);
    expect(await answerTo(false)).toContain('ConfigMap regkeeper/theirs, key rules.yaml, line ');
  });

  test('a tenant who may not read the cluster rules sees first what is wrong and how to fix it, and then where the other rule is', async () => {
    const cluster = 'rules: [{registry: reg.example.com/hidden, trust: false}]';
    const ours = 'rules: [{registry: reg.example.com/hidden/app}]';
    const { answer } = await review('rules: []', ours, false, 'namespace', cluster);
    expect(answer?.response.status?.message).toBe(
      'ConfigMap shop/ours: rules.yaml:1:20: A namespace rule trusts a registry that the cluster rules deny, or that they neither trust nor delegate, so it has no effect. Remove the rule, or ask an administrator to trust or delegate the pattern in the cluster rules. See ConfigMap regkeeper/theirs, key rules.yaml, line 1:20. (namespace-rule-without-effect)',
    );
  });

  test('the record contains it nevertheless', async () => {
    const { problems } = await review('contact: hidden people\nrules: []', 'contact: us\nrules: []', false);
    expect(problems).toEqual([expect.stringContaining('hidden people')]);
  });

  test('the response does not show how many rules a namespace has', async () => {
    const documents = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`${index}.yaml`, 'rules: []']));
    const answerTo = async (authenticated: boolean) =>
      JSON.stringify((await review('rules: []', documents, authenticated, 'namespace')).answer);
    const hidden = /the other rules ConfigMaps in namespace shop have 1 document/;
    expect(await answerTo(true)).toMatch(hidden);
    expect(await answerTo(false)).not.toMatch(hidden);
    expect(await answerTo(false)).toContain('(namespace-quota)');
  });
});

test('the response to a body that is not an AdmissionReview contains only what was sent', async () => {
  const rules = ruleSetOf('contact: hidden people\nrules: [{registry: hidden.example.com, pullSecret: hidden-secret}]');
  const facts: Facts = { ...unwatched, secrets: () => expect.unreachable('no facts are needed') } as Facts;
  const bodies = ['', '{', '[]', 'null', { kind: 'Pod' }, { kind: 'AdmissionReview' }, { ...reviewOf(pod('x')), apiVersion: 'v9' }];
  for (const url of ['/mutate', '/validate', '/guard', '/probe', '/nothing']) {
    const { answers, records } = await send(rules, facts, url, ...bodies);
    expect(answers).not.toContain('hidden');
    expect(records).toEqual([]);
  }
});
