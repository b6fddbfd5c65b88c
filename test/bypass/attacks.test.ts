/** Tries every attack of the tables on the engine and, through injected requests, on the HTTP server. */
import { afterAll, describe, expect, test } from 'vitest';
import { issueCa, issueServerCertificate } from '../../src/certificates/issue.ts';
import { decide } from '../../src/decision/decide.ts';
import type { Decision } from '../../src/decision/decision.ts';
import type { JsonObject } from '../../src/object/json.ts';
import { createWebhookServer } from '../../src/server/webhook-server.ts';
import { accounts } from '../unit/decision/changes.ts';
import { ruleSetOf } from '../unit/rules/documents.ts';
import { type Attack, kindOf, namespace, rulesFor } from './attack.ts';
import { builds } from './builds.ts';
import { hosts } from './hosts.ts';
import { json } from './json.ts';
import { paths } from './paths.ts';
import { pods } from './pods.ts';
import { templates } from './templates.ts';

const themes = { hosts, paths, pods, templates, builds, json };
const strict = ruleSetOf(rulesFor());
/** Rules that allow unconfigured registries, where an attacker can only gain secrets. */
const open = ruleSetOf(rulesFor({ unconfigured: 'allow' }));

/** The service accounts that the Pods of the tables use. */
const facts = accounts({ default: [], 'system:masters': [] });

const validity = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...validity });
const tls = issueServerCertificate({
  ca,
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...validity,
});
const bugs: unknown[] = [];
const server = createWebhookServer(
  {
    rules: () => strict,
    facts: () => facts,
    audit: () => {},
    reportBug: (error) => bugs.push(error),
    failed: () => {},
  },
  { tls },
);
afterAll(() => server.close());

describe.each(Object.entries(themes))('%s', (_theme, attacks) => {
  test('contains no attack twice', () => {
    expect(new Set(attacks.map(({ attack }) => attack)).size).toBe(attacks.length);
  });

  test.each(attacks.map((row) => [row.right, row.attack, row.why, row] as const))('%s: %s (%s)', async (right, _attack, _why, row) => {
    const decision = decideOn(row, strict);
    expect(outcomeOf(decision), 'by the engine').toBe(right);
    expect(secretsOf(decision), 'secrets by the engine').toEqual(row.secrets ?? []);
    expect(secretsOf(decideOn(row, open)), 'secrets if unconfigured registries are allowed').toEqual(row.secrets ?? []);

    const mutated = await ask('mutate', row);
    const validated = await ask('validate', row);
    expect(validated.allowed ? 'allowed' : 'denied', 'by the server').toBe(right);
    expect(namesInPatch(mutated.patch), 'secrets by the server').toEqual(row.secrets ?? []);
    expect(bugs).toEqual([]);
  });
});

test('every theme has names that are denied and names that are allowed', () => {
  for (const attacks of Object.values(themes)) {
    expect(new Set(attacks.map(({ right }) => right))).toEqual(new Set(['denied', 'allowed']));
  }
});

function decideOn(row: Attack, rules: ReturnType<typeof ruleSetOf>): Decision {
  const { kind, group } = kindOf(row);
  const oldObject = (row.oldObject ?? null) as JsonObject | null;
  const object = row.text === undefined ? row.object : JSON.parse(row.text);
  const { subresource = '', user = 'alice' } = row;
  const operation = oldObject ? 'UPDATE' : 'CREATE';
  return decide({ operation, group, kind, subresource, namespace, name: 'x', user, object, oldObject }, rules, facts);
}

/** The outcome at the API server. Anything but a decision is an error, which denies the request under `failurePolicy: Fail`. */
function outcomeOf(decision: Decision): Attack['right'] {
  return decision.kind === 'decided' && decision.outcome !== 'denied' ? 'allowed' : 'denied';
}

function secretsOf(decision: Decision): readonly string[] {
  return decision.kind === 'decided' ? [...new Set(decision.injected.map(({ secret }) => secret))] : [];
}

type Response = { readonly allowed: boolean; readonly patch?: string };

async function ask(webhook: 'mutate' | 'validate', row: Attack): Promise<Response> {
  const { kind, group, version } = kindOf(row);
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11',
      kind: { group, version, kind },
      operation: row.oldObject === undefined ? 'CREATE' : 'UPDATE',
      ...(row.subresource !== undefined && { subResource: row.subresource }),
      namespace,
      name: 'x',
      userInfo: { username: row.user ?? 'alice', groups: ['system:authenticated'] },
      dryRun: false,
      object: 'OBJECT',
      oldObject: row.oldObject ?? null,
    },
  };
  const payload = JSON.stringify(review).replace('"OBJECT"', () => row.text ?? JSON.stringify(row.object));
  const { statusCode, body } = await server.inject({
    method: 'POST',
    url: `/${webhook}`,
    payload,
    headers: { 'content-type': 'application/json' },
  });
  expect(statusCode).toBe(200);
  return JSON.parse(body).response;
}

function namesInPatch(patch: string | undefined): readonly string[] {
  if (patch === undefined) return [];
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString()) as { path: string; value?: unknown }[];
  const values = operations.filter(({ path }) => /secrets?(\/-|\/name)?$/i.test(path)).map(({ value }) => value);
  return [
    ...new Set(
      values
        .flatMap((value) => [value].flat())
        .map((value) => (typeof value === 'string' ? value : ((value as { name?: string })?.name ?? ''))),
    ),
  ];
}
