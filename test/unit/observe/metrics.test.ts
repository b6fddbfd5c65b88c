/** The metrics as Prometheus scrapes them. */
import { describe, expect, test } from 'vitest';
import { changeOf, decodeReview, type Webhook } from '../../../src/admission/review.ts';
import { decide } from '../../../src/decision/decide.ts';
import { builtInKinds } from '../../../src/object/kinds.ts';
import { buildAuditRecord } from '../../../src/observe/audit/decision-record.ts';
import { beginRulesReviewRecord } from '../../../src/observe/audit/rules-review-record.ts';
import { createMetrics, type MetricSources, type Metrics } from '../../../src/observe/metrics.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { createRuleStore, readBundle } from '../../../src/rules/store/rule-store.ts';
import { accounts } from '../decision/changes.ts';
import { ruleSetOf, sha256 } from '../rules/documents.ts';
import { pod, reviewOf } from '../server/reviews.ts';

const corporate = '{name: corporate, registry: reg.example.com, pullSecret: corp-pull, pushSecret: corp-push}';
const evil = '{registry: evil.example.com, trust: false}';
const rules = ruleSetOf(`rules: [${corporate}, ${evil}, {registry: free.example.com}]`);
const facts = accounts({ default: ['own'] });

function setUp(sources: Partial<MetricSources> = {}): Metrics {
  return createMetrics({
    version: '1.2.3',
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
    now: () => 5_000,
    ...sources,
  });
}

/** Samples of metrics whose names begin with the prefix, sorted by name and labels. */
async function samples(metrics: Metrics, prefix: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n');
  return lines.filter((line) => line.startsWith(prefix)).sort();
}

/** The samples that are not 0. */
async function counted(metrics: Metrics, prefix: string): Promise<string[]> {
  return (await samples(metrics, prefix)).filter((line) => !line.endsWith(' 0'));
}

function record(webhook: Webhook, object: unknown, { request = {}, inForce = rules }: { request?: object; inForce?: RuleSet } = {}) {
  const review = decodeReview(reviewOf(object, { ...request }));
  if (!review.ok) throw new Error(review.message);
  const change = changeOf(review.request);
  const decision = change && decide(change, inForce, facts);
  return buildAuditRecord({ webhook, callerAuthenticated: false, request: review.request, decision, durationMicroseconds: 700 });
}

const buildConfig = {
  apiVersion: 'build.openshift.io/v1',
  kind: 'BuildConfig',
  metadata: { name: 'app' },
  spec: {
    strategy: { sourceStrategy: { from: { kind: 'DockerImage', name: 'reg.example.com/node:24' } } },
    output: { to: { kind: 'DockerImage', name: 'reg.example.com/app:1' } },
  },
};

describe('counters for a decision include', () => {
  test.each<[sentence: string, ...Parameters<typeof record>, counts: string[]]>([
    [
      'a Pod that gets a secret, whose account has another one',
      'mutate',
      pod('reg.example.com/app'),
      {},
      [
        'regkeeper_admission_requests_total{webhook="mutate",operation="CREATE",group="",kind="Pod",outcome="allowed"} 1',
        'regkeeper_secrets_injected_total{rule="corporate"} 1',
      ],
    ],
    [
      'a BuildConfig that gets two',
      'mutate',
      buildConfig,
      {},
      [
        'regkeeper_admission_requests_total{webhook="mutate",operation="CREATE",group="build.openshift.io",kind="BuildConfig",outcome="allowed"} 1',
        'regkeeper_secrets_injected_total{rule="corporate"} 2',
      ],
    ],
    [
      'a denied image, by its rule',
      'validate',
      pod('evil.example.com/app'),
      {},
      [
        'regkeeper_admission_requests_total{webhook="validate",operation="CREATE",group="",kind="Pod",outcome="denied"} 1',
        'regkeeper_image_verdicts_total{verdict="untrusted",rule="evil.example.com"} 1',
      ],
    ],
    [
      'an image without a rule',
      'validate',
      pod('unknown.example.com/app'),
      {},
      [
        'regkeeper_admission_requests_total{webhook="validate",operation="CREATE",group="",kind="Pod",outcome="denied"} 1',
        'regkeeper_image_verdicts_total{verdict="unconfigured",rule=""} 1',
      ],
    ],
    [
      'a dry run, only as a request',
      'validate',
      pod('evil.example.com/app'),
      { request: { dryRun: true } },
      ['regkeeper_admission_requests_total{webhook="validate",operation="CREATE",group="",kind="Pod",outcome="denied"} 1'],
    ],
    [
      'an unknown kind, whatever its sender calls it',
      'validate',
      { apiVersion: 'made.up/v1', kind: 'Anything', metadata: { name: 'x' } },
      {},
      ['regkeeper_admission_requests_total{webhook="validate",operation="CREATE",group="other",kind="other",outcome="error"} 1'],
    ],
    [
      'a kind by its legacy name, as the current kind',
      'validate',
      { ...buildConfig, apiVersion: 'v1' },
      {},
      [
        'regkeeper_admission_requests_total{webhook="validate",operation="CREATE",group="build.openshift.io",kind="BuildConfig",outcome="allowed"} 1',
        'regkeeper_image_verdicts_total{verdict="trusted",rule="corporate"} 2',
      ],
    ],
  ])('%s', async (_sentence, webhook, object, how, counts) => {
    const metrics = setUp();
    metrics.rulesInForce(rules);
    metrics.decided(record(webhook, object, how));
    const names = ['regkeeper_admission_requests', 'regkeeper_image_verdicts', 'regkeeper_secrets_injected'];
    expect((await Promise.all(names.map((name) => counted(metrics, name)))).flat()).toEqual(counts);
  });

  test('the duration', async () => {
    const metrics = setUp();
    metrics.decided(record('mutate', pod('reg.example.com/app')));
    const lines = await counted(metrics, 'regkeeper_admission_duration_seconds');
    expect(lines).toContain('regkeeper_admission_duration_seconds_sum{webhook="mutate"} 0.0007');
    expect(lines).toContain('regkeeper_admission_duration_seconds_bucket{le="0.001",webhook="mutate"} 1');
    expect(lines.filter((line) => line.includes('le="0.0005"'))).toEqual([]);
  });

  test('a review of the rules', async () => {
    const metrics = setUp();
    const review = decodeReview(reviewOf({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'rules' } }));
    if (!review.ok) throw new Error(review.message);
    const conclusion = { outcome: 'rejected', problems: ['x'], warnings: [] } as const;
    metrics.reviewed(
      beginRulesReviewRecord(review.request, { callerAuthenticated: false })({ ...conclusion, durationMicroseconds: 2_000_000 }),
    );
    expect(await counted(metrics, 'regkeeper_rules_reviews_total')).toEqual(['regkeeper_rules_reviews_total{outcome="rejected"} 1']);
    expect(await counted(metrics, 'regkeeper_admission_duration_seconds_sum')).toEqual([
      'regkeeper_admission_duration_seconds_sum{webhook="guard"} 2',
    ]);
  });

  test('each webhook, before its first request, because otherwise the first one would not be an increase', async () => {
    expect(await samples(setUp(), 'regkeeper_admission_duration_seconds_count')).toEqual(
      ['guard', 'mutate', 'validate'].map((webhook) => `regkeeper_admission_duration_seconds_count{webhook="${webhook}"} 0`),
    );
  });

  test('a request without a decision, by its reason', async () => {
    const metrics = setUp();
    metrics.failed('bug');
    expect(await counted(metrics, 'regkeeper_admission_failures_total')).toEqual(['regkeeper_admission_failures_total{reason="bug"} 1']);
  });
});

describe('user-supplied strings', () => {
  test('are in no label: neither image, namespace, user nor secret', async () => {
    const metrics = setUp();
    metrics.rulesInForce(rules);
    for (const webhook of ['mutate', 'validate'] as const) metrics.decided(record(webhook, pod('reg.example.com/private/thing:1')));
    const text = await metrics.text();
    for (const word of ['private', 'thing', 'shop', 'alice', 'corp-pull']) expect(text).not.toContain(word);
  });

  test('create no series for the names of a namespace’s own rules, even if they equal those of the cluster’s', async () => {
    const store = createRuleStore(sha256);
    const source = (namespace: string) => ({ kind: 'configMap' as const, namespace, name: 'rules', key: 'rules.yaml' });
    const own = `rules: [{name: corporate, registry: own.example.com, pullSecret: own-pull}]`;
    store.open([
      readBundle({ id: 'a', documents: [{ source: source('regkeeper'), text: `delegate: [own.example.com]\nrules: [${corporate}]` }] }),
      readBundle({ id: 'b', scope: { kind: 'namespace', namespace: 'shop' }, documents: [{ source: source('shop'), text: own }] }),
    ]);
    const inForce = store.written() as RuleSet;
    const metrics = setUp();
    metrics.rulesInForce(inForce);
    for (const webhook of ['mutate', 'validate'] as const) metrics.decided(record(webhook, pod('own.example.com/x'), { inForce }));
    expect(await counted(metrics, 'regkeeper_image_verdicts_total')).toEqual([
      'regkeeper_image_verdicts_total{verdict="trusted",rule="(of a namespace)"} 1',
    ]);
    expect(await counted(metrics, 'regkeeper_secrets_injected_total')).toEqual([
      'regkeeper_secrets_injected_total{rule="(of a namespace)"} 1',
    ]);
    expect(await samples(metrics, 'regkeeper_rules_entries{type="namespace-rule"}')).toEqual([
      'regkeeper_rules_entries{type="namespace-rule"} 1',
    ]);
  });
});

describe('metrics of rules', () => {
  test('have counters from the start, which are removed with the rules', async () => {
    const metrics = setUp();
    metrics.rulesInForce(rules);
    metrics.decided(record('validate', pod('reg.example.com/app')));
    metrics.decided(record('mutate', pod('reg.example.com/app')));
    const withRule = async () => [
      ...(await samples(metrics, 'regkeeper_image_verdicts_total')).filter((line) => !line.includes('rule=""')),
      ...(await samples(metrics, 'regkeeper_secrets_injected_total')),
    ];
    expect(await withRule()).toEqual([
      'regkeeper_image_verdicts_total{verdict="trusted",rule="corporate"} 1',
      'regkeeper_image_verdicts_total{verdict="trusted",rule="free.example.com"} 0',
      'regkeeper_image_verdicts_total{verdict="untrusted",rule="evil.example.com"} 0',
      'regkeeper_secrets_injected_total{rule="corporate"} 1',
    ]);
    // Not read before the rule goes.
    metrics.decided(record('mutate', pod('reg.example.com/app')));
    metrics.rulesInForce(ruleSetOf(`rules: [{name: corporate, registry: reg.example.com}, {registry: new.example.com}]`));
    expect(await withRule()).toEqual([
      'regkeeper_image_verdicts_total{verdict="trusted",rule="corporate"} 1',
      'regkeeper_image_verdicts_total{verdict="trusted",rule="new.example.com"} 0',
    ]);
  });

  test('have counters from the first match on if there are more than a thousand', async () => {
    const many = ruleSetOf(`rules: [${Array.from({ length: 1_001 }, (_, index) => `{registry: r${index}.example.com}`).join(', ')}]`);
    const metrics = setUp();
    metrics.rulesInForce(many);
    metrics.decided(record('validate', pod('r7.example.com/app'), { inForce: many }));
    const lines = await samples(metrics, 'regkeeper_image_verdicts_total');
    expect(lines.filter((line) => !line.includes('rule=""'))).toEqual([
      'regkeeper_image_verdicts_total{verdict="trusted",rule="r7.example.com"} 1',
    ]);
  });

  test('include revision, entries and the time since which they have been in effect', async () => {
    let now = 5_000;
    const metrics = setUp({ now: () => now });
    expect(await samples(metrics, 'regkeeper_rules_loaded')).toEqual([]);
    metrics.rulesInForce(rules);
    now = 9_000;
    metrics.rulesInForce(ruleSetOf(`rules: [${evil}, ${corporate}, {registry: free.example.com}]`));
    expect(await samples(metrics, 'regkeeper_rules_loaded')).toEqual(['regkeeper_rules_loaded_timestamp_seconds 5']);
    expect(await samples(metrics, 'regkeeper_rules_revision')).toEqual([`regkeeper_rules_revision_info{revision="${rules.revision}"} 1`]);
    const others = ruleSetOf('rules: [{registry: a.example.com}]\nexemptions: [{image: quay.io/old, until: 2027-03-31, reason: r}]');
    metrics.rulesInForce(others);
    expect(await samples(metrics, 'regkeeper_rules_loaded')).toEqual(['regkeeper_rules_loaded_timestamp_seconds 9']);
    expect(await samples(metrics, 'regkeeper_rules_revision')).toEqual([`regkeeper_rules_revision_info{revision="${others.revision}"} 1`]);
    expect(await counted(metrics, 'regkeeper_rules_entries')).toEqual([
      'regkeeper_rules_entries{type="exemption"} 1',
      'regkeeper_rules_entries{type="rule"} 1',
    ]);
    expect(await samples(metrics, 'regkeeper_exemption')).toEqual([
      `regkeeper_exemption_expiry_timestamp_seconds{pattern="quay.io/old",until="2027-03-31",source="a.yaml"} ${Date.UTC(2027, 3, 1) / 1000}`,
    ]);
    metrics.rulesInForce(rules);
    expect(await samples(metrics, 'regkeeper_exemption')).toEqual([]);
  });

  test('include the end of the trust, with verdicts of both kinds', async () => {
    const metrics = setUp();
    metrics.rulesInForce(ruleSetOf('rules:\n- {name: old, registry: [a.io, b.io], until: 2027-03-31}\n- {registry: c.io}'));
    expect(await samples(metrics, 'regkeeper_rule_expiry')).toEqual([
      `regkeeper_rule_expiry_timestamp_seconds{rule="old",until="2027-03-31",source="a.yaml"} ${Date.UTC(2027, 3, 1) / 1000}`,
    ]);
    const verdicts = await samples(metrics, 'regkeeper_image_verdicts_total');
    expect(verdicts.filter((line) => !line.includes('rule=""'))).toEqual([
      'regkeeper_image_verdicts_total{verdict="trusted",rule="c.io"} 0',
      'regkeeper_image_verdicts_total{verdict="trusted",rule="old"} 0',
      'regkeeper_image_verdicts_total{verdict="untrusted",rule="old"} 0',
    ]);
    metrics.rulesInForce(ruleSetOf('rules: [{registry: c.io}]'));
    expect(await samples(metrics, 'regkeeper_rule_expiry')).toEqual([]);
  });

  test('include at most 1,000 series of ends, the earliest first', async () => {
    const metrics = setUp();
    const many = Array.from({ length: 1_200 }, (_, index) => `{registry: r${index}.io, until: ${3_200 - index}-01-01}`);
    metrics.rulesInForce(ruleSetOf(`rules: [${many.join(', ')}]`));
    const lines = await samples(metrics, 'regkeeper_rule_expiry');
    expect(lines).toHaveLength(1_000);
    expect(lines.some((line) => line.includes('until="2001-01-01"'))).toBe(true);
    expect(lines.some((line) => line.includes('until="3001-01-01"'))).toBe(false);
  });

  test('count rejected rules, for the cluster separately from namespaces', async () => {
    const store = createRuleStore(sha256);
    const bad = (id: string, scope: { kind: 'cluster' } | { kind: 'namespace'; namespace: string }, text: string) =>
      readBundle({ id, scope, documents: [{ source: { kind: 'file', file: id }, text }] });
    store.open([bad('a', { kind: 'cluster' }, 'rulez: []\nmodus: x'), bad('b', { kind: 'namespace', namespace: 'shop' }, 'rulez: []')]);
    expect(await samples(setUp({ rejectedRules: () => store.rejected() }), 'regkeeper_rules_problems')).toEqual([
      'regkeeper_rules_problems{scope="cluster"} 2',
      'regkeeper_rules_problems{scope="namespace"} 1',
    ]);
  });
});

describe('the state at the time of the scrape', () => {
  test('readiness, by condition', async () => {
    const readiness = [
      { name: 'rules', missing: () => undefined },
      { name: 'cluster', missing: () => 'the namespaces have not been read yet' },
    ];
    expect(await samples(setUp({ readiness }), 'regkeeper_ready')).toEqual([
      'regkeeper_ready{check="cluster"} 0',
      'regkeeper_ready{check="rules"} 1',
    ]);
  });

  test('whether it is the leader, if there is leader election', async () => {
    let leading: boolean | undefined;
    const metrics = setUp({ leads: () => leading });
    expect(await samples(metrics, 'regkeeper_leader')).toEqual([]);
    leading = true;
    expect(await samples(metrics, 'regkeeper_leader')).toEqual(['regkeeper_leader 1']);
    leading = false;
    expect(await samples(metrics, 'regkeeper_leader')).toEqual(['regkeeper_leader 0']);
  });

  test('the validity of the certificate, as soon as it exists', async () => {
    let certificate: ReturnType<MetricSources['certificate']>;
    const metrics = setUp({ certificate: () => certificate });
    expect(await samples(metrics, 'regkeeper_certificate')).toEqual([]);
    certificate = { notBefore: new Date(1_000), notAfter: new Date(9_000) };
    expect(await samples(metrics, 'regkeeper_certificate')).toEqual([
      'regkeeper_certificate_expiry_timestamp_seconds 9',
      'regkeeper_certificate_start_timestamp_seconds 1',
    ]);
  });

  test('the webhook configurations: unavailable APIs, and changes by other writers', async () => {
    let unavailable: { api: string }[] = [];
    let narrowed: string[] = [];
    const apis = ['apps.openshift.io/v1', 'build.openshift.io/v1'];
    const metrics = setUp({ registration: () => ({ apis, unavailable: () => unavailable, narrowed: () => narrowed }) });
    const now = async () => [...(await samples(metrics, 'regkeeper_api')), ...(await samples(metrics, 'regkeeper_webhook'))];
    expect(await now()).toEqual([
      'regkeeper_api_unavailable{api="apps.openshift.io/v1"} 0',
      'regkeeper_api_unavailable{api="build.openshift.io/v1"} 0',
      'regkeeper_webhook_repairs_total{change="narrowed"} 0',
      'regkeeper_webhook_repairs_total{change="weakened"} 0',
      'regkeeper_webhooks_narrowed 0',
    ]);
    unavailable = [{ api: 'apps.openshift.io/v1' }];
    narrowed = ['MutatingWebhookConfiguration'];
    metrics.webhookRepaired('weakened');
    expect(await now()).toEqual([
      'regkeeper_api_unavailable{api="apps.openshift.io/v1"} 1',
      'regkeeper_api_unavailable{api="build.openshift.io/v1"} 0',
      'regkeeper_webhook_repairs_total{change="narrowed"} 0',
      'regkeeper_webhook_repairs_total{change="weakened"} 1',
      'regkeeper_webhooks_narrowed 1',
    ]);
    expect((await samples(setUp(), 'regkeeper_api_unavailable')).length + (await samples(setUp(), 'regkeeper_webhooks')).length).toBe(0);
  });

  test('audit records that cannot be written', async () => {
    let delivery = { failing: false, lost: 0 };
    const metrics = setUp({ auditDelivery: () => delivery });
    expect(await samples(metrics, 'regkeeper_audit')).toEqual(['regkeeper_audit_log_failing 0', 'regkeeper_audit_records_lost_total 0']);
    delivery = { failing: true, lost: 7 };
    await metrics.text();
    expect(await samples(metrics, 'regkeeper_audit')).toEqual(['regkeeper_audit_log_failing 1', 'regkeeper_audit_records_lost_total 7']);
  });

  test('unknown facts about the cluster, for a limited number of namespaces', async () => {
    const namespacesOverBudget = Array.from({ length: 30 }, (_, index) => `evil-${index}`);
    const gaps = { unwatchedSecrets: { beyondLimit: 50, notPermitted: 3 }, namespacesOverBudget, heldBytes: 4_096 };
    const metrics = setUp({ factGaps: () => gaps });
    expect(await samples(metrics, 'regkeeper_secrets_unwatched')).toEqual([
      'regkeeper_secrets_unwatched{reason="beyond-limit"} 50',
      'regkeeper_secrets_unwatched{reason="not-permitted"} 3',
    ]);
    expect(await samples(metrics, 'regkeeper_facts')).toEqual(['regkeeper_facts_held_bytes 4096']);
    const named = await samples(metrics, 'regkeeper_namespace_over');
    expect(named).toContain('regkeeper_namespace_over_budget{namespace="evil-0"} 1');
    expect(named).toHaveLength(20);
  });

  test('secret delivery, while a rule needs it', async () => {
    let state: ReturnType<MetricSources['secretDelivery']>;
    const metrics = setUp({ secretDelivery: () => state });
    const shown = async () => {
      await metrics.text();
      return samples(metrics, 'regkeeper_secret_delivery');
    };
    expect(await shown()).toEqual([]);
    state = { kind: 'running' };
    expect(await shown()).toEqual(['regkeeper_secret_delivery_running 1']);
    state = { kind: 'stopped' };
    expect(await shown()).toEqual(['regkeeper_secret_delivery_running 0']);
    state = { kind: 'unknown' };
    expect(await shown()).toEqual([]);
  });

  test('the watches, with the longest idle time per resource', async () => {
    const watch = (path: string, contact: number) => ({ path, lastContact: () => contact });
    let followed = [
      watch('/api/v1/secrets', 4_000),
      watch('/api/v1/namespaces/regkeeper/secrets', 1_500),
      watch('/apis/config.openshift.io/v1/images', 5_000),
    ];
    const metrics = setUp({ watches: () => followed });
    expect(await samples(metrics, 'regkeeper_watch')).toEqual([
      'regkeeper_watch_last_contact_seconds{resource="images.config.openshift.io"} 0',
      'regkeeper_watch_last_contact_seconds{resource="secrets"} 3.5',
    ]);
    followed = [watch('/api/v1/namespaces', 5_000)];
    expect(await samples(metrics, 'regkeeper_watch')).toEqual(['regkeeper_watch_last_contact_seconds{resource="namespaces"} 0']);
  });

  test('the version, the process and its event loop', async () => {
    const metrics = setUp();
    expect(await samples(metrics, 'regkeeper_build_info')).toEqual(['regkeeper_build_info{version="1.2.3"} 1']);
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds'])
      expect(await samples(metrics, name)).toHaveLength(1);
  });
});
