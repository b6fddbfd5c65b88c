/**
 * Prints what a server answers to every known case, as one JSON line each, without times. A refactoring must not change the output.
 *
 *     npm run -s behaviour > before.txt    # then change the code
 *     npm run -s behaviour > after.txt
 *     diff before.txt after.txt
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { issueCa, issueServerCertificate } from '../../src/certificates/issue.ts';
import type { Facts } from '../../src/decision/facts.ts';
import { factsFromObjects } from '../../src/evaluate/facts-from-objects.ts';
import { builtInKinds } from '../../src/object/kinds.ts';
import type { AuditRecord } from '../../src/observe/audit/decision-record.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import type { RuleSet } from '../../src/rules/rule-set.ts';
import { createWebhookServer } from '../../src/server/webhook-server.ts';
import { systemClock } from '../../src/time/clock.ts';
import { type Attack, kindOf, namespace, rulesFor } from '../bypass/attack.ts';
import { builds } from '../bypass/builds.ts';
import { hosts } from '../bypass/hosts.ts';
import { json } from '../bypass/json.ts';
import { paths } from '../bypass/paths.ts';
import { pods } from '../bypass/pods.ts';
import { templates } from '../bypass/templates.ts';
import { cases, evaluatedObjectsOf, ruleSetOfCase } from '../cases/cases.ts';
import { accounts } from '../unit/decision/changes.ts';
import { ruleSetOf } from '../unit/rules/documents.ts';

const root = resolve(import.meta.dirname, '../..');
const corpus = resolve(root, process.env.REGKEEPER_CORPUS ?? '../shared/corpus', 'openshift-objects');
const validity = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...validity });
const tls = issueServerCertificate({
  ca,
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...validity,
});

let rules: RuleSet | undefined;
let facts: Facts | undefined;
let records: AuditRecord[] = [];
const metrics = createMetrics({
  version: '0.0.0',
  kinds: builtInKinds,
  readiness: [],
  leads: () => undefined,
  rejectedRules: () => [],
  waitingNamespaces: () => 0,
  certificate: () => undefined,
  watches: () => [],
  registration: () => undefined,
  factGaps: () => undefined,
  secretDelivery: () => undefined,
  auditDelivery: () => ({ failing: false, lost: 0 }),
  now: () => 0,
});
const server = createWebhookServer(
  {
    rules: () => rules,
    facts: () => facts,
    audit(record) {
      records.push(record);
      metrics.decided(record);
    },
    reportBug(error) {
      throw error;
    },
    failed: metrics.failed,
  },
  { tls, clock: { ...systemClock, monotonic: () => 0 } },
);

type Request = {
  readonly what: string;
  readonly gvk: { readonly group: string; readonly version: string; readonly kind: string };
  readonly namespace: string;
  readonly name: string;
  readonly user: string;
  /** As JSON text. */
  readonly object: string;
  readonly oldObject?: unknown;
};

async function print({ what, gvk, namespace: where, name, user, object, oldObject }: Request): Promise<void> {
  for (const webhook of ['mutate', 'validate'] as const) {
    const request = {
      uid: '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11',
      kind: gvk,
      operation: oldObject === undefined ? 'CREATE' : 'UPDATE',
      namespace: where,
      name,
      userInfo: { username: user, groups: ['system:authenticated'] },
      dryRun: false,
      object: 'OBJECT',
      oldObject: oldObject ?? null,
    };
    const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request };
    records = [];
    const { statusCode, body } = await server.inject({
      method: 'POST',
      url: `/${webhook}`,
      payload: JSON.stringify(review).replace('"OBJECT"', () => object),
      headers: { 'content-type': 'application/json' },
    });
    const answer = JSON.parse(body);
    const patch = answer.response?.patch && JSON.parse(Buffer.from(answer.response.patch, 'base64').toString());
    process.stdout.write(`${JSON.stringify({ what, webhook, statusCode, answer, patch, records })}\n`);
  }
}

for (const each of cases) {
  rules = await ruleSetOfCase(each);
  facts = factsFromObjects(each.manifests, { ...each, now: Date.parse('2026-11-21T12:00:00Z') });
  for (const { apiVersion, kind, object } of evaluatedObjectsOf(each)) {
    const { name = '', namespace: own = each.namespace } = (object.metadata ?? {}) as { name?: string; namespace?: string };
    const [version = '', group = ''] = apiVersion.split('/').reverse();
    const gvk = { group, version, kind };
    await print({ what: `case ${each.name}`, gvk, namespace: own, name, user: each.user, object: JSON.stringify(object) });
  }
}

const attacks: readonly Attack[] = [hosts, paths, pods, templates, builds, json].flat();
facts = accounts({ default: [], 'system:masters': [] });
for (const unconfigured of ['deny', 'allow']) {
  rules = ruleSetOf(rulesFor({ unconfigured }));
  for (const row of attacks) {
    const object = row.text ?? JSON.stringify(row.object);
    const { oldObject, user = 'alice' } = row;
    await print({
      what: `attack ${row.attack}`,
      gvk: kindOf(row),
      namespace,
      name: 'x',
      user,
      object,
      ...(oldObject !== undefined && { oldObject }),
    });
  }
}

const starter: string = parse(readFileSync(join(root, 'deploy/openshift/starter-rules.yaml'), 'utf8')).data['rules.yaml'];
rules = ruleSetOf(starter);
facts = accounts({ default: ['default-dockercfg'], deployer: ['deployer-dockercfg'] });
for (const file of readdirSync(corpus).sort()) {
  if (!file.endsWith('.json')) continue;
  const object = readFileSync(join(corpus, file), 'utf8');
  const { apiVersion, kind, metadata } = JSON.parse(object);
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  await print({ what: file, gvk: { group, version, kind }, namespace: 'shop', name: metadata.name ?? '', user: 'alice', object });
}

const counted = (await metrics.text()).split('\n').filter((line) => /^regkeeper_/.test(line) && !/seconds|timestamp/.test(line));
process.stdout.write(`${counted.join('\n')}\n`);
await server.close();
