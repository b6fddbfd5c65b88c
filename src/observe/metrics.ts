/** The Prometheus metrics. docs/metrics.md has every name, and a test compares it with this file. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Kinds } from '../object/kinds.ts';
import { type Problem, renderSourcePath } from '../rules/language/problem.ts';
import type { Exemption, Rule, RuleSet } from '../rules/rule-set.ts';
import { endOf } from '../rules/trust-end.ts';
import { type AuditedDocument, type AuditedRule, auditSource } from './audit/audited-rule.ts';
import type { AuditRecord, CountedDecision } from './audit/decision-record.ts';
import { failures, type RequestFailure } from './audit/failure.ts';
import type { RulesReviewRecord } from './audit/rules-review-record.ts';
import { type EventDrop, eventDrops } from './event-drops.ts';
import { Tally } from './tally.ts';

/** Called when the metrics are scraped. These are of every process. */
export type ProcessSources = {
  readonly version: string;
  /** The readiness checks, as in `/readyz`. */
  readonly readiness: readonly { readonly name: string; missing(): string | undefined }[];
  /** Whether this replica is the leader. Undefined without leader election. */
  leads(): boolean | undefined;
  /** The rules that are rejected now. */
  rejectedRules(): readonly { readonly scope: { readonly kind: 'cluster' | 'namespace' }; readonly problems: readonly Problem[] }[];
  /** The collections of the API server that are watched. */
  watches(): Iterable<{ readonly path: string; lastContact(): number }>;
  /** Whether audit records can be written. */
  auditDelivery(): { readonly failing: boolean; readonly lost: number };
  /** Epoch milliseconds. */
  now(): number;
};

export type MetricSources = ProcessSources & {
  readonly kinds: Kinds;
  /** The number of namespaces whose changed rules have not been loaded yet. */
  waitingNamespaces(): number;
  /** Undefined before the certificate has been read. */
  certificate(): { readonly notBefore: Date; readonly notAfter: Date } | undefined;
  /** The registration. Undefined if the server does not manage the webhook configurations. */
  registration():
    | { unavailable(): readonly { readonly api: string }[]; readonly apis: readonly string[]; narrowed(): readonly string[] }
    | undefined;
  /** What is unknown about the cluster. Undefined without a cluster. */
  factGaps():
    | {
        readonly unwatchedSecrets: { readonly beyondLimit: number; readonly notPermitted: number };
        readonly namespacesOverBudget: readonly string[];
        readonly heldBytes: number;
      }
    | undefined;
  /** Whether secrets are delivered. Undefined without a cluster. */
  secretDelivery(): { readonly kind: 'running' | 'stopped' | 'unknown' } | undefined;
};

export type Metrics = {
  readonly contentType: string;
  text(): Promise<string>;
  /** `counted` has all images and secrets if the record does not show all. */
  decided(record: AuditRecord, counted?: CountedDecision): void;
  reviewed(record: RulesReviewRecord): void;
  failed(failure: RequestFailure): void;
  /** Versions of rules ConfigMaps of namespaces. The default is one. */
  namespaceRules(outcome: NamespaceRulesOutcome, versions?: number): void;
  /** A change of another writer to a webhook configuration was reverted. */
  webhookRepaired(change: WebhookChange): void;
  eventWritten(): void;
  eventDropped(reason: EventDrop): void;
  /** These rules are in effect from now on. May be called again for the same rules. */
  rulesInForce(rules: RuleSet): void;
};

/** `skipped`: not parsed, because a newer version arrived or the rules had not changed. */
export type NamespaceRulesOutcome = 'accepted' | 'rejected' | 'skipped';
/**
 * A change of a webhook configuration by another writer, see docs/webhooks.md, "When another controller writes the webhook
 * configurations".
 */
export type WebhookChange = 'weakened' | 'narrowed';

export const ownMetrics = {
  requests: {
    name: 'regkeeper_admission_requests_total',
    help: 'Admission requests served, by outcome.',
    labelNames: ['webhook', 'operation', 'group', 'kind', 'outcome'],
  },
  duration: {
    name: 'regkeeper_admission_duration_seconds',
    help: 'Time from the parsed request to the response.',
    labelNames: ['webhook'],
  },
  failures: {
    name: 'regkeeper_admission_failures_total',
    help: 'Requests that could not be evaluated, by reason.',
    labelNames: ['reason'],
  },
  verdicts: {
    name: 'regkeeper_image_verdicts_total',
    help: 'Images evaluated by /validate, excluding dry runs, by verdict and deciding rule.',
    labelNames: ['verdict', 'rule'],
  },
  secrets: {
    name: 'regkeeper_secrets_injected_total',
    help: 'Secrets injected into objects, excluding dry runs, by the rule that requests them.',
    labelNames: ['rule'],
  },
  awaited: {
    name: 'regkeeper_secrets_awaited_total',
    help: 'Secrets that objects needed before they were delivered, excluding dry runs, by the state of secret delivery.',
    labelNames: ['delivery'],
  },
  reviews: {
    name: 'regkeeper_rules_reviews_total',
    help: 'Reviews of rules ConfigMaps before they are stored, by outcome.',
    labelNames: ['outcome'],
  },
  ready: {
    name: 'regkeeper_ready',
    help: 'Whether a readiness check of /readyz passes.',
    labelNames: ['check'],
  },
  leader: {
    name: 'regkeeper_leader',
    help: 'Whether this replica is the leader.',
    labelNames: [],
  },
  loaded: {
    name: 'regkeeper_rules_loaded_timestamp_seconds',
    help: 'Unix time at which the current rules took effect on this replica.',
    labelNames: [],
  },
  revision: {
    name: 'regkeeper_rules_revision_info',
    help: 'Revision of the rules in effect. Always 1.',
    labelNames: ['revision'],
  },
  entries: {
    name: 'regkeeper_rules_entries',
    help: 'Entries of the rules in effect, by type.',
    labelNames: ['type'],
  },
  problems: {
    name: 'regkeeper_rules_problems',
    help: 'Problems in rejected rules, whose last valid version remains in effect.',
    labelNames: ['scope'],
  },
  namespaceRules: {
    name: 'regkeeper_namespace_rules_total',
    help: 'Versions of namespace rules ConfigMaps, by outcome.',
    labelNames: ['outcome'],
  },
  waitingNamespaces: {
    name: 'regkeeper_namespace_rules_waiting',
    help: 'Namespaces whose changed rules have not been loaded yet.',
    labelNames: [],
  },
  exemptions: {
    name: 'regkeeper_exemption_expiry_timestamp_seconds',
    help: 'Unix time at which an exemption ends.',
    labelNames: ['pattern', 'until', 'source'],
  },
  ruleEnds: {
    name: 'regkeeper_rule_expiry_timestamp_seconds',
    help: 'Unix time at which a rule stops trusting its images. Covers the 1,000 cluster rules that stop first.',
    labelNames: ['rule', 'until', 'source'],
  },
  contact: {
    name: 'regkeeper_watch_last_contact_seconds',
    help: 'Seconds since the API server last sent data on a watch. The highest value, if a resource has several watches.',
    labelNames: ['resource'],
  },
  apiUnavailable: {
    name: 'regkeeper_api_unavailable',
    help: 'Whether discovery fails for an API whose kinds are registered.',
    labelNames: ['api'],
  },
  webhookRepairs: {
    name: 'regkeeper_webhook_repairs_total',
    help: 'Changes by other writers to the webhook configurations that were reverted.',
    labelNames: ['change'],
  },
  webhooksNarrowed: {
    name: 'regkeeper_webhooks_narrowed',
    help: 'Webhook configurations whose scope another writer keeps narrowing, and whose next repair is delayed.',
    labelNames: [],
  },
  heldBytes: {
    name: 'regkeeper_facts_held_bytes',
    help: 'Approximate memory in bytes of the cached names and tags of service accounts and image streams.',
    labelNames: [],
  },
  overBudget: {
    name: 'regkeeper_namespace_over_budget',
    help: 'Namespaces whose service accounts and image streams are not cached because they exceed the memory budget. Always 1.',
    labelNames: ['namespace'],
  },
  unwatchedSecrets: {
    name: 'regkeeper_secrets_unwatched',
    help: 'Secrets referenced by rules that are not watched, so missing ones are not reported, by reason.',
    labelNames: ['reason'],
  },
  secretDelivery: {
    name: 'regkeeper_secret_delivery_running',
    help: 'Whether secret delivery is running. Absent if the rules deliver no secrets.',
    labelNames: [],
  },
  eventsWritten: {
    name: 'regkeeper_events_written_total',
    help: 'Kubernetes Events written or updated.',
    labelNames: [],
  },
  eventsDropped: {
    name: 'regkeeper_events_dropped_total',
    help: 'Kubernetes Events that were not written, by reason.',
    labelNames: ['reason'],
  },
  auditFailing: {
    name: 'regkeeper_audit_log_failing',
    help: 'Whether writing audit records is currently failing.',
    labelNames: [],
  },
  auditLost: {
    name: 'regkeeper_audit_records_lost_total',
    help: 'Audit records lost because they could not be written and the buffer was full.',
    labelNames: [],
  },
  certificateStart: {
    name: 'regkeeper_certificate_start_timestamp_seconds',
    help: 'Unix time at which the serving certificate becomes valid.',
    labelNames: [],
  },
  certificateEnd: {
    name: 'regkeeper_certificate_expiry_timestamp_seconds',
    help: 'Unix time at which the serving certificate expires.',
    labelNames: [],
  },
  build: { name: 'regkeeper_build_info', help: 'Running version. Always 1.', labelNames: ['version'] },
} as const;

/** Up to the webhook's timeout. Most answers take less than a millisecond. */
const buckets = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Gauges of prom-client whose names end like a counter's. Each has a second metric with the same values by type. */
const misnamedGauges = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** Namespaces choose the names of their rules, and must not be able to create any number of series. */
const ruleOfNamespace = '(of a namespace)';

/** Tenants decide which namespaces are over their budget, and must not be able to create any number of series. */
const maxNamespaces = 20;

/** If there are more rules than this, the series of a rule begins with its first match. */
const maxRulesWithInitialSeries = 1_000;

/** Ends of more rules would cost Prometheus more than they help. */
const maxRuleEnds = 1_000;

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({ ...ownMetrics.requests, registers });
  const duration = new Histogram({ ...ownMetrics.duration, buckets, registers });
  const failed = new Counter({ ...ownMetrics.failures, registers });
  const verdicts = new Counter({ ...ownMetrics.verdicts, registers });
  const secrets = new Counter({ ...ownMetrics.secrets, registers });
  const awaited = new Counter({ ...ownMetrics.awaited, registers });
  const reviews = new Counter({ ...ownMetrics.reviews, registers });
  const namespaceRules = new Counter({ ...ownMetrics.namespaceRules, registers });
  const repairs = new Counter({ ...ownMetrics.webhookRepairs, registers });
  const eventsWritten = new Counter({ ...ownMetrics.eventsWritten, registers });
  const eventsDropped = new Counter({ ...ownMetrics.eventsDropped, registers });
  const entries = new Gauge({ ...ownMetrics.entries, registers });
  const exemptions = new Gauge({ ...ownMetrics.exemptions, registers });
  const ruleEnds = new Gauge({ ...ownMetrics.ruleEnds, registers });
  const tallies = {
    requests: new Tally(requests, ownMetrics.requests.labelNames),
    verdicts: new Tally(verdicts, ownMetrics.verdicts.labelNames),
    secrets: new Tally(secrets, ownMetrics.secrets.labelNames),
  };
  const flushTallies = () => {
    for (const tally of Object.values(tallies)) tally.flush();
  };
  const { revisionInForce } = addProcessMetrics(registry, sources);
  collectOnScrape(registers, sources);

  // Counters begin with 0, since otherwise the first event would not be visible as an increase.
  for (const reason of Object.keys(failures)) failed.inc({ reason }, 0);
  for (const reason of Object.keys(eventDrops)) eventsDropped.inc({ reason }, 0);
  for (const change of ['weakened', 'narrowed'] satisfies WebhookChange[]) repairs.inc({ change }, 0);
  for (const delivery of ['running', 'stopped', 'unknown']) awaited.inc({ delivery }, 0);
  for (const outcome of ['accepted', 'rejected', 'error']) reviews.inc({ outcome }, 0);
  for (const outcome of ['accepted', 'rejected', 'skipped']) namespaceRules.inc({ outcome }, 0);
  for (const webhook of ['mutate', 'validate', 'guard']) duration.zero({ webhook });
  for (const verdict of ['untrusted', 'unconfigured', 'invalid', 'unresolved']) verdicts.inc({ verdict, rule: '' }, 0);

  let clusterRules: ClusterRules = { documents: new Set(), verdicts: new Map(), rulesWithSecrets: new Set() };
  const nameOf = (rule: AuditedRule | undefined) => {
    if (rule === undefined) return '';
    return 'cluster' in rule.source || clusterRules.documents.has(documentKey(rule.source)) ? rule.name : ruleOfNamespace;
  };

  return {
    contentType: registry.contentType,
    text() {
      flushTallies();
      return registry.metrics();
    },
    decided(record, { images, inject } = record) {
      const { webhook, operation, outcome, dryRun, durationMicroseconds, ...object } = record;
      const { group, kind } = sources.kinds.find(object) ?? otherKind;
      tallies.requests.count(webhook, operation, group, kind, outcome);
      duration.observe({ webhook }, durationMicroseconds / 1e6);
      if (dryRun) return;
      // Both webhooks evaluate the images. Only the second one sees the object as it is stored.
      if (webhook === 'validate') for (const { verdict, rule } of images) tallies.verdicts.count(verdict, nameOf(rule));
      for (const { from, rule } of inject) if (from === 'rule') tallies.secrets.count(nameOf(rule));
      const { awaited: names = [], awaitedOmitted = 0, state } = record.delivery ?? {};
      if (webhook === 'validate' && state) awaited.inc({ delivery: state }, names.length + awaitedOmitted);
    },
    reviewed({ outcome, durationMicroseconds }) {
      reviews.inc({ outcome });
      duration.observe({ webhook: 'guard' }, durationMicroseconds / 1e6);
    },
    failed: (reason) => failed.inc({ reason }),
    namespaceRules: (outcome, versions = 1) => namespaceRules.inc({ outcome }, versions),
    webhookRepaired: (change) => repairs.inc({ change }),
    eventWritten: () => eventsWritten.inc(),
    eventDropped: (reason) => eventsDropped.inc({ reason }),
    rulesInForce(rules) {
      // What was counted for a rule must not be added again after its series has been removed.
      flushTallies();
      const before = clusterRules;
      clusterRules = describeClusterRules(rules);
      for (const [key, labels] of before.verdicts) if (!clusterRules.verdicts.has(key)) verdicts.remove(labels);
      for (const rule of before.rulesWithSecrets) if (!clusterRules.rulesWithSecrets.has(rule)) secrets.remove({ rule });
      if (rules.rules.length <= maxRulesWithInitialSeries) {
        for (const labels of clusterRules.verdicts.values()) verdicts.inc(labels, 0);
        for (const rule of clusterRules.rulesWithSecrets) secrets.inc({ rule }, 0);
      }
      entries.reset();
      for (const [type, count] of Object.entries(countEntries(rules))) entries.set({ type }, count);
      exemptions.reset();
      for (const exemption of rules.exemptions) exemptions.set(labelsOf(exemption), endOf(exemption.until));
      ruleEnds.reset();
      for (const { labels, end } of endsOfRules(rules)) ruleEnds.set(labels, end);
      revisionInForce(rules.revision);
    },
  };
}

const otherKind = { group: 'other', kind: 'other' };

/** Metrics whose values are read at each scrape, so that nothing has to keep them up to date. */
function collectOnScrape(
  registers: Registry[],
  { waitingNamespaces, certificate, registration, factGaps, secretDelivery }: MetricSources,
): void {
  new Gauge({
    ...ownMetrics.secretDelivery,
    registers,
    collect() {
      const { kind = 'unknown' } = secretDelivery() ?? {};
      if (kind === 'unknown') this.remove();
      else this.set(kind === 'running' ? 1 : 0);
    },
  });
  new Gauge({
    ...ownMetrics.waitingNamespaces,
    registers,
    collect() {
      this.set(waitingNamespaces());
    },
  });
  new Gauge({
    ...ownMetrics.apiUnavailable,
    registers,
    collect() {
      this.reset();
      const { apis = [], unavailable = () => [] } = registration() ?? {};
      for (const api of apis) this.set({ api }, 0);
      for (const { api } of unavailable()) this.set({ api }, 1);
    },
  });
  new Gauge({
    ...ownMetrics.webhooksNarrowed,
    registers,
    collect() {
      const narrowed = registration()?.narrowed();
      if (narrowed === undefined) this.remove();
      else this.set(narrowed.length);
    },
  });
  new Gauge({
    ...ownMetrics.heldBytes,
    registers,
    collect() {
      const gaps = factGaps();
      if (gaps) this.set(gaps.heldBytes);
      else this.remove();
    },
  });
  new Gauge({
    ...ownMetrics.overBudget,
    registers,
    collect() {
      this.reset();
      for (const namespace of factGaps()?.namespacesOverBudget.slice(0, maxNamespaces) ?? []) this.set({ namespace }, 1);
    },
  });
  new Gauge({
    ...ownMetrics.unwatchedSecrets,
    registers,
    collect() {
      const { beyondLimit = 0, notPermitted = 0 } = factGaps()?.unwatchedSecrets ?? {};
      this.set({ reason: 'beyond-limit' }, beyondLimit);
      this.set({ reason: 'not-permitted' }, notPermitted);
    },
  });
  for (const [metric, end] of [
    [ownMetrics.certificateStart, 'notBefore'],
    [ownMetrics.certificateEnd, 'notAfter'],
  ] as const) {
    new Gauge({
      ...metric,
      registers,
      collect() {
        const validity = certificate();
        if (validity) this.set(validity[end].getTime() / 1000);
        else this.remove();
      },
    });
  }
}

/** Adds the metrics that every process has. The result sets the revision of the rules, which may be the same as before. */
export function addProcessMetrics(registry: Registry, sources: ProcessSources): { revisionInForce(revision: string): void } {
  const { readiness, leads, rejectedRules, watches, auditDelivery, now } = sources;
  const registers = [registry];
  const loaded = new Gauge({ ...ownMetrics.loaded, registers });
  const revision = new Gauge({ ...ownMetrics.revision, registers });
  new Gauge({ ...ownMetrics.build, registers }).set({ version: sources.version }, 1);
  // There is no value yet, and 0 would mean the year 1970.
  loaded.remove();
  new Gauge({
    ...ownMetrics.ready,
    registers,
    collect() {
      for (const { name, missing } of readiness) this.set({ check: name }, missing() === undefined ? 1 : 0);
    },
  });
  new Gauge({
    ...ownMetrics.leader,
    registers,
    collect() {
      const leading = leads();
      if (leading === undefined) this.remove();
      else this.set(leading ? 1 : 0);
    },
  });
  new Gauge({
    ...ownMetrics.problems,
    registers,
    collect() {
      for (const kind of ['cluster', 'namespace'] as const) {
        const rejected = rejectedRules().filter(({ scope }) => scope.kind === kind);
        this.set(
          { scope: kind },
          rejected.reduce((sum, { problems }) => sum + problems.length, 0),
        );
      }
    },
  });
  new Gauge({
    ...ownMetrics.contact,
    registers,
    collect() {
      this.reset();
      const longest = new Map<string, number>();
      for (const { path, lastContact } of watches()) {
        const resource = resourceOf(path);
        longest.set(resource, Math.max(longest.get(resource) ?? 0, (now() - lastContact()) / 1000));
      }
      for (const [resource, seconds] of longest) this.set({ resource }, seconds);
    },
  });
  new Gauge({
    ...ownMetrics.auditFailing,
    registers,
    collect() {
      this.set(auditDelivery().failing ? 1 : 0);
    },
  });
  new Counter({
    ...ownMetrics.auditLost,
    registers,
    collect() {
      this.reset();
      this.inc(auditDelivery().lost);
    },
  });
  collectDefaultMetrics({ register: registry });
  for (const name of misnamedGauges) registry.removeSingleMetric(name);

  let current: string | undefined;
  return {
    revisionInForce(next) {
      if (next === current) return;
      current = next;
      revision.reset();
      revision.set({ revision: next }, 1);
      loaded.set(now() / 1000);
    },
  };
}

/** The plural and, outside the core group, its group: `configmaps`, `images.config.openshift.io`. */
function resourceOf(path: string): string {
  const [, root, group] = path.split('/');
  const plural = path.slice(path.lastIndexOf('/') + 1);
  return root === 'apis' ? `${plural}.${group}` : plural;
}

type ClusterRules = {
  /** Keys of the documents that contain the cluster's rules. */
  readonly documents: ReadonlySet<string>;
  /** Labels of all verdicts that the cluster's rules can lead to, by a key. */
  readonly verdicts: ReadonlyMap<string, { readonly verdict: string; readonly rule: string }>;
  /** Names of the cluster's rules with a secret. */
  readonly rulesWithSecrets: ReadonlySet<string>;
};

function describeClusterRules({ rules, sources }: RuleSet): ClusterRules {
  const labels = rules.flatMap(({ name, trust, until }) => {
    const verdicts = [...(trust ? ['trusted'] : []), ...(trust && until === undefined ? [] : ['untrusted'])];
    return verdicts.map((verdict) => ({ verdict, rule: name }));
  });
  return {
    documents: new Set(sources.map((source) => documentKey(auditSource(source) as AuditedDocument))),
    verdicts: new Map(labels.map((each) => [`${each.verdict} ${each.rule}`, each])),
    rulesWithSecrets: new Set(rules.filter(hasSecret).map(({ name }) => name)),
  };
}

function documentKey(document: AuditedDocument): string {
  return 'file' in document ? document.file : `${document.configMap}/${document.key}`;
}

function hasSecret({ pullSecrets, pushSecret }: Rule): boolean {
  return pullSecrets.length > 0 || pushSecret !== undefined;
}

function countEntries({ rules, exemptions, overrides, delegate, deliveredSecrets, namespaceRules }: RuleSet) {
  const ofNamespaces = [...namespaceRules.values()].reduce((sum, each) => sum + each.length, 0);
  return {
    rule: rules.length,
    exemption: exemptions.length,
    override: overrides.length,
    delegation: delegate.length,
    'delivered-secret': deliveredSecrets.length,
    'namespace-rule': ofNamespaces,
  };
}

/** Two exemptions with the same pattern and end in one document differ only in their namespaces, and end at the same time. */
function labelsOf({ pattern, until, origin }: Exemption) {
  return { pattern: pattern.text, until, source: renderSourcePath(origin.source) };
}

/** The rules of the cluster whose trust ends, the first to end first. Two with the same labels end at the same time. */
function endsOfRules({ rules }: RuleSet) {
  return rules
    .flatMap(({ name, until, origin }) =>
      until === undefined ? [] : [{ labels: { rule: name, until, source: renderSourcePath(origin.source) }, end: endOf(until) }],
    )
    .sort((one, other) => one.end - other.end)
    .slice(0, maxRuleEnds);
}
