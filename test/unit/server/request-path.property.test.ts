/**
 * However the server reads a body, it decides, patches and records what follows from `JSON.parse` of the whole body. The bodies are requests
 * of a real API server and their like, whose text is then changed in ways that a reader in a hurry could overlook.
 *
 * `REGKEEPER_PROPERTY_RUNS=25` runs it for minutes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { allowed, renderAnswer } from '../../../src/admission/response.ts';
import { changeOf, decodeReview, type Webhook } from '../../../src/admission/review.ts';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { decide } from '../../../src/decision/decide.ts';
import { type AuditRecord, buildAuditRecord } from '../../../src/observe/audit/decision-record.ts';
import { createWebhookServer } from '../../../src/server/webhook-server.ts';
import { unwatched } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { reviewOf } from './reviews.ts';
import { textChanges } from './text-changes.ts';

const runs = 150 * Number(process.env.REGKEEPER_PROPERTY_RUNS ?? 1);

const rules = ruleSetOf(`
mode: enforce
unconfigured: deny
rules:
- {registry: reg.example.com, pullSecret: corp-pull}
- {registry: evil.example.com, trust: false, reason: no}
`);
const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({ ca, commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: [], ...life });
const records: AuditRecord[] = [];
const server = createWebhookServer(
  {
    rules: () => rules,
    facts: () => unwatched,
    audit: (record) => records.push(record),
    reportBug: (error) => {
      throw error;
    },
    failed: () => undefined,
  },
  { tls },
);
afterAll(() => server.close());

/** What follows from the whole body. */
function plainly(webhook: Webhook, body: Buffer): { readonly answer: object | 'unreadable'; readonly record?: object } {
  if (depthOf(body) > 500) return { answer: 'unreadable' };
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return { answer: 'unreadable' };
  }
  const review = decodeReview(value);
  if (!review.ok) return { answer: review.uid === undefined ? 'unreadable' : { uid: review.uid, message: review.message } };
  const { request } = review;
  const change = changeOf(request, { hideStreamContents: true });
  const decision = change && decide(change, rules, unwatched);
  if (decision?.kind === 'not-yet') throw new Error('the facts are complete');
  const evaluatedWith = decision && { rules, facts: unwatched };
  return {
    answer: decision ? renderAnswer(webhook, request, decision, rules) : allowed(request.uid),
    record: withoutTime(
      buildAuditRecord({ webhook, callerAuthenticated: false, request, decision, evaluatedWith, durationMicroseconds: 0 }),
    ),
  };
}

/** Outside of strings, whatever comes after. */
function depthOf(body: Buffer): number {
  let [depth, deepest, inString] = [0, 0, false];
  for (let at = 0; at < body.length; at += 1) {
    const character = String.fromCharCode(body[at] ?? 0);
    if (inString && character === '\\') at += 1;
    else if (character === '"') inString = !inString;
    else if (!inString && '[{'.includes(character)) deepest = Math.max(deepest, ++depth);
    else if (!inString && ']}'.includes(character)) depth -= 1;
  }
  return deepest;
}

async function byServer(webhook: Webhook, body: Buffer) {
  records.length = 0;
  const response = await server.inject({
    method: 'POST',
    url: `/${webhook}`,
    payload: body,
    headers: { 'content-type': 'application/json' },
  });
  const answer = JSON.parse(response.body);
  const [record, ...others] = records;
  expect(others).toEqual([]);
  return { code: response.statusCode, answer, ...(record && { record: withoutTime(record) }) };
}

function withoutTime({ durationMicroseconds: _time, ...record }: AuditRecord): object {
  return JSON.parse(JSON.stringify(record));
}

const captured = ['pod', 'deployment', 'build-config'].map((name) =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../../bench/speed/fixtures/${name}.json`), 'utf8')),
);

const images = fc.constantFrom('reg.example.com/app:v1', 'evil.example.com/app', 'unknown.example.com/app', 'not an image', 7);
const secrets = fc.subarray(['corp-pull', 'own', 'a"b']);

/** They show the engine which secrets the user supplied. */
const managed = fc.array(
  fc.record({
    manager: fc.constantFrom('kubectl', 'a]}"', 'argocd'),
    operation: fc.constantFrom('Apply', 'Update'),
    apiVersion: fc.constant('v1'),
    fieldsType: fc.constant('FieldsV1'),
    fieldsV1: secrets.map((names) => ({
      'f:metadata': { 'f:labels': {} },
      'f:spec': {
        'f:imagePullSecrets': Object.fromEntries(names.map((name) => [`k:${JSON.stringify({ name })}`, { '.': {}, 'f:name': {} }])),
        'f:template': { 'f:spec': { 'f:imagePullSecrets': { 'k:{"name":"corp-pull"}': {} } } },
      },
    })),
  }),
  { maxLength: 3 },
);

const metadata = fc.record(
  {
    name: fc.constant('web'),
    annotations: fc.record(
      {
        'regkeeper.io/injected': fc.constantFrom('{"rules":["corp-pull"]}', '{"rules":["corp-pull","own"]}', '{', 'corp-pull'),
        'kubectl.kubernetes.io/last-applied-configuration': fc.constantFrom(
          '{"spec":{"imagePullSecrets":[{"name":"corp-pull"}]}}',
          '{"spec":{"template":{"spec":{"imagePullSecrets":[{"name":"corp-pull"}]}}},"metadata":{"managedFields":[]}}',
          '{"spec":',
          '',
        ),
        note: fc.constantFrom('"managedFields":[', '\\"}]},\\"spec\\":{', '\ud800', '\u2028', 'ü'),
      },
      { requiredKeys: [] },
    ),
    managedFields: fc.oneof(managed, fc.constantFrom(null, {}, 'x', [null], [{ fieldsV1: 7 }])),
  },
  { requiredKeys: ['name'] },
);

const podSpec = fc.record(
  {
    containers: fc.array(fc.record({ name: fc.constant('app'), image: images }), { minLength: 1, maxLength: 2 }),
    imagePullSecrets: secrets.map((names) => names.map((name) => ({ name }))),
    managedFields: fc.constantFrom([], [{ image: 'evil.example.com/app' }]),
  },
  { requiredKeys: ['containers'] },
);

const objects = fc.oneof(
  fc.record({
    apiVersion: fc.constant('v1'),
    kind: fc.constant('Pod'),
    metadata,
    spec: podSpec,
    status: fc.constantFrom({}, { phase: 'x' }),
  }),
  fc.record({
    apiVersion: fc.constant('apps/v1'),
    kind: fc.constant('Deployment'),
    metadata,
    spec: fc.record({ template: fc.record({ metadata, spec: podSpec }) }),
  }),
  // A custom resource may have a field of this name anywhere.
  fc.record({
    apiVersion: fc.constant('example.com/v1'),
    kind: fc.constant('Widget'),
    metadata,
    managedFields: fc.constant([{ image: 'evil.example.com/app' }]),
    spec: fc.record({ managedFields: podSpec }),
  }),
);

const requests = fc
  .record({
    object: objects,
    other: objects,
    old: fc.constantFrom('same', 'other', 'none'),
    operation: fc.constantFrom('CREATE', 'UPDATE', 'UPDATE', 'DELETE', 'CONNECT', 'PATCH'),
    more: fc.constantFrom(
      {},
      { options: { kind: 'PatchOptions', fieldManager: 'kubectl', force: true } },
      { subResource: 'ephemeralcontainers' },
    ),
  })
  .map(({ object, other, old, operation, more }) =>
    reviewOf(object, { operation, oldObject: old === 'none' ? null : old === 'same' ? object : other, ...more }),
  );

const reviews = fc.oneof({ weight: 4, arbitrary: requests }, { weight: 1, arbitrary: fc.constantFrom(...captured) });

const bodies = fc
  .tuple(reviews, fc.array(textChanges, { maxLength: 3 }))
  .map(([review, each]) => each.reduce((text, change) => change(text), JSON.stringify(review)));

describe('a body', () => {
  test.for(['mutate', 'validate'] as const)('is parsed like by JSON.parse: /%s', { timeout: 600_000 }, async (webhook) => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(bodies, async (text) => {
        const body = Buffer.from(text);
        const plain = plainly(webhook, body);
        const served = await byServer(webhook, body);
        if (typeof plain.answer === 'object' && 'response' in plain.answer) {
          seen.add('evaluated');
          expect(served).toEqual({ code: 200, answer: plain.answer, record: plain.record });
        } else {
          seen.add('rejected');
          expect(served.record).toBeUndefined();
          // Never allowed. With the uid where it can be read.
          if (served.code === 200) expect(served.answer.response).toMatchObject({ allowed: false, status: { code: 400 } });
          else expect(served.code).toBe(400);
          if (typeof plain.answer === 'object')
            expect(served.answer.response).toMatchObject({ uid: (plain.answer as { uid: string }).uid });
        }
      }),
      { numRuns: runs },
    );
    expect([...seen].sort()).toEqual(['evaluated', 'rejected']);
  });

  test.for([
    [
      'a member that is nested too deeply and overwritten by a later one',
      (review: string) => review.replace('"spec":', `"spec":${'['.repeat(600)}${']'.repeat(600)},"spec":`),
      200,
    ],
    ['no uid', (review: string) => review.replace('"uid"', '"uix"'), 400],
    ['a uid whose name has an escape', (review: string) => review.replace('"uid"', '"\\u0075id"'), 200],
    ['a uid that is overwritten by null', (review: string) => review.replace('"dryRun"', '"uid":null,"dryRun"'), 400],
    ['a byte order mark', (review: string) => `\ufeff${review}`, 400],
  ] as const)('with %s', async ([, change, code]) => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web' },
      spec: { containers: [{ name: 'a', image: 'reg.example.com/a' }] },
    };
    const text = change(
      JSON.stringify(reviewOf(pod)).replace(
        '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"',
        '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"',
      ),
    );
    const served = await byServer('validate', Buffer.from(text));
    expect(served.code).toBe(code);
    const plain = plainly('validate', Buffer.from(text));
    if (typeof plain.answer === 'object') expect(served.answer).toEqual(plain.answer);
    else if (code === 200) expect(served.answer.response.allowed).toBe(false);
  });
});
