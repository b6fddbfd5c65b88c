/** Runs the case corpus through the HTTP server. */
import jsonPatch from 'fast-json-patch';
import { afterAll, describe, expect, test } from 'vitest';
import type { AdmissionAnswer, AdmissionResponse } from '../../../src/admission/response.ts';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import type { Facts } from '../../../src/decision/facts.ts';
import { factsFromObjects } from '../../../src/evaluate/facts-from-objects.ts';
import type { Manifest } from '../../../src/evaluate/parse-manifests.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { createWebhookServer } from '../../../src/server/webhook-server.ts';
import { type Case, cases, evaluatedObjectsOf, expectedOf, ruleSetOfCase } from '../../cases/cases.ts';
import { patchOf, reviewOf } from '../server/reviews.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({
  ca,
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...life,
});

/** Of the current case. */
let rules: RuleSet | undefined;
let facts: Facts | undefined;
const bugs: unknown[] = [];
const server = createWebhookServer(
  {
    rules: () => rules,
    facts: () => facts,
    audit: () => {},
    reportBug: (error) => bugs.push(error),
    failed: () => {},
  },
  { tls },
);
afterAll(() => server.close());

describe.each(cases)('$name', (each) => {
  const rows = evaluatedObjectsOf(each).map((manifest) => {
    const { object, outcome, messages, patch } = expectedOf(each, manifest);
    return {
      called: `${object.kind} ${object.namespace}/${object.name || object.generateName}`,
      manifest,
      expected: { outcome, messages, patch },
    };
  });

  test.each(rows)('$called', async ({ manifest, expected }) => {
    rules = await ruleSetOfCase(each);
    facts = factsFromObjects(each.manifests, each);
    expect(await admit(each, manifest)).toEqual(expected);
    expect(bugs).toEqual([]);
  });
});

/** As the API server does: calls both webhooks, and applies the patch in between. */
async function admit(each: Case, manifest: Manifest) {
  const object = arriving(manifest, each);
  const mutated = await post('/mutate', object, each);
  const patch = (patchOf(mutated) ?? []) as jsonPatch.Operation[];
  const patched = jsonPatch.applyPatch(structuredClone(object), structuredClone(patch)).newDocument;
  const validated = mutated.allowed ? await post('/validate', patched, each) : mutated;
  const warnings = [...(mutated.warnings ?? []), ...(mutated.allowed ? (validated.warnings ?? []) : [])];
  const messages = validated.allowed ? warnings : [...warnings, validated.status?.message];
  return { outcome: validated.allowed ? (warnings.length > 0 ? 'warned' : 'allowed') : 'denied', messages, patch };
}

async function post(url: string, object: unknown, { user, namespace }: Case): Promise<AdmissionResponse> {
  const { metadata = {} } = object as { metadata?: { namespace?: string } };
  const review = reviewOf(object, { namespace: metadata.namespace ?? namespace, userInfo: { username: user, groups: [] } });
  const response = await server.inject({
    method: 'POST',
    url,
    payload: JSON.stringify(review),
    headers: { 'content-type': 'application/json' },
  });
  expect(response.statusCode).toBe(200);
  return (JSON.parse(response.body) as AdmissionAnswer).response;
}

/** The object after Kubernetes' own admission, which copies the account's secrets into the empty list of a new pod. */
function arriving({ kind, object }: Manifest, { manifests }: Case): unknown {
  const { spec, metadata } = object as {
    spec?: { imagePullSecrets?: unknown[]; serviceAccountName?: string };
    metadata?: { namespace?: string };
  };
  if (kind !== 'Pod' || !spec || spec.imagePullSecrets) return object;
  const account = manifests.find(({ kind: other, object: candidate }) => {
    const { name, namespace } = candidate.metadata as { name?: string; namespace?: string };
    return other === 'ServiceAccount' && name === (spec.serviceAccountName ?? 'default') && namespace === metadata?.namespace;
  });
  const secrets = account?.object.imagePullSecrets;
  return secrets ? { ...object, spec: { ...spec, imagePullSecrets: secrets } } : object;
}
