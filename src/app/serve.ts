/** The server as a list of components, in the order in which they start. They are stopped in reverse. */
import packageJson from '../../package.json' with { type: 'json' };
import { noFacts } from '../decision/facts.ts';
import { hashRules } from '../loading/load-rules.ts';
import { createLintReporter } from '../observe/lint-reporter.ts';
import { createMetrics } from '../observe/metrics.ts';
import { createRulesReporter } from '../observe/rules-reporter.ts';
import { levelOf, type Problem } from '../rules/language/problem.ts';
import { lintRules } from '../rules/lint/lint.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { createRuleStore, type RuleStore } from '../rules/store/rule-store.ts';
import { createRulesInForce } from '../rules/store/rules-in-force.ts';
import { dayOf } from '../rules/trust-end.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import { createCertificates } from './components/certificates.ts';
import { createClientCa } from './components/client-ca.ts';
import { connectCluster, createClusterView } from './components/cluster-view.ts';
import { createDrain, finishMilliseconds } from './components/drain.ts';
import { createEvents } from './components/events.ts';
import { createHealth } from './components/health.ts';
import { readKinds } from './components/kinds.ts';
import { observeRequests } from './components/observe-requests.ts';
import { createOutputs, type Logger } from './components/outputs.ts';
import { createLeader, createRegistrationOf } from './components/registration.ts';
import { createRuleSource } from './components/rule-source.ts';
import { createRulesReview } from './components/rules-review.ts';
import { createSettingsReport } from './components/settings-report.ts';
import { createWebhook } from './components/webhook.ts';
import { group, runGroups } from './lifecycle.ts';
import { createReadiness } from './readiness.ts';
import type { Environment, Settings } from './settings.ts';

export type Runtime = {
  readonly env: Environment;
  /** Stops the server, also during its start. Then `serve` rejects once everything has been stopped. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
};

export type RunningServer = {
  /** The URL for clients, e.g. `https://localhost:8443`. */
  readonly url: string;
  readonly healthUrl: string;
  readonly ruleStore: RuleStore;
  readonly caFile: string | undefined;
  readonly log: Logger;
  /** Writes what was logged so far, if it was held for the welcome text of --dev. */
  releaseOutputs(): void;
  /** Resolves when the drain time is over and every request has been answered. */
  stop(): Promise<void>;
};

/** @throws ConfigurationError for everything that the operator can correct. Everything that was started has been stopped by then. */
export async function serve(settings: Settings, { env, signal, clock = systemClock }: Runtime): Promise<RunningServer> {
  const kinds = await readKinds(settings);
  const client = await connectCluster(settings, env, 'use --dev or --rules to run without a cluster');
  const outputs = createOutputs(settings);
  const { log, auditLog } = outputs;
  const store = createRuleStore(hashRules);
  const rules = createRulesInForce(store, hashRules);
  const lint = (ruleSet: RuleSet) => lintIfSmall(ruleSet, clock);
  const namespace = settings.cluster?.namespace ?? '';
  const cluster = client && createClusterView({ client, namespace, kinds, rules, log, clock });
  const onSkipped = (versions: number) => metrics.namespaceRules('skipped', versions);
  const { loader, ...ruleSource } = createRuleSource({
    settings,
    cluster,
    store,
    rules,
    leads: () => leader?.leads() ?? true,
    onSkipped,
    log,
    clock,
  });
  const canAnswer = () => store.missing() === undefined && cluster?.missing() === undefined;
  // Does not depend on whether the API server knows the CA, since in a new installation only the leader publishes it.
  const canLead = () => webhook.isListening() && !drain.isDraining() && canAnswer() && certificates.invalidity() === undefined;
  const leader = createLeader(settings, client, canLead, log);
  const certificates = createCertificates({ settings, client, leader, log, clock });
  const readiness = createReadiness({ store, loader, cluster, certificates, drain: () => drain, registration: () => registration });
  const metrics = createMetrics({
    version: packageJson.version,
    kinds,
    readiness,
    now: clock.now,
    rejectedRules: store.rejected,
    waitingNamespaces: loader.waitingNamespaces,
    auditDelivery: outputs.auditDelivery,
    certificate: certificates.validity,
    leads: () => leader?.leads(),
    registration: () => registration,
    watches: () => client?.watchedCollections ?? [],
    factGaps: () => cluster?.gaps(),
    secretDelivery: () => cluster?.delivery(),
  });
  const review = createRulesReview({ settings, store, rules, lint, clock });
  const events = createEvents({ settings, client, rules, store, ruleSource, metrics, log, clock });
  const observers = observeRequests({ log, auditLog, metrics, review: review?.review, events });
  const unwatched = { ...noFacts(clock.now), kinds };
  const rulesOf = (namespace: string) => (loader.isStillLoading(namespace) ? undefined : rules.current());
  const collaborators = { rules: rulesOf, facts: cluster ? cluster.facts : () => unwatched, ...observers };
  const clientCa = createClientCa({ settings, log, clock });
  const webhook = createWebhook({ settings, certificates, clientCa, collaborators, log, clock });
  const registration = createRegistrationOf(settings, client, {
    certificates,
    ready: canAnswer,
    leadership: leader,
    kinds: kinds.rows,
    guard: review !== undefined,
    onRepair: metrics.webhookRepaired,
    log,
    clock,
  });
  const health = createHealth({ settings, readiness, metrics, log, clock });
  const settingsReport = createSettingsReport(settings, log);
  const drain = createDrain({
    webhook,
    leader,
    milliseconds: settings.shutdownDelayMilliseconds,
    finishMilliseconds: finishMilliseconds(settings),
    log,
    clock,
  });

  const running = runGroups(
    [
      group('outputs', outputs),
      group('health', health),
      // The settings are logged before anything waits for the cluster. Without a cluster, a mistake in the rules stays a single line.
      group('cluster', cluster?.connection, cluster && settingsReport),
      group('events', events?.recorder),
      group('watches', ...(cluster?.watches ?? [])),
      group('rule loading', ruleSource.loading),
      group(
        'rule subscribers',
        createRulesReporter({ rules, store, log, auditLog, metrics, clock }),
        cluster?.secretsOfRules,
        createLintReporter({ rules, lint, log }),
        ruleSource.snapshot,
        events?.ofRules,
      ),
      group('rules', ruleSource.source),
      group('leader election', leader),
      group('certificates', certificates, clientCa),
      group('webhook', review, webhook),
      group('settings', !cluster && settingsReport),
      group('registration', registration),
      group('drain', drain),
    ],
    { stopWithinMilliseconds: 2_000, onStopFailure: (name, err) => log.error({ err }, `failed to stop the component "${name}"`), clock },
  );
  let isStarted = false;
  const unsubscribe = onceAborted(signal, () => {
    if (!isStarted) log.info({}, 'shutting down before startup completed');
    void running.stop();
  });
  await running.started;
  isStarted = true;
  const stop = () => {
    unsubscribe();
    return running.stop();
  };
  return {
    url: webhook.url(),
    healthUrl: health.url(),
    ruleStore: store,
    caFile: certificates.caFile(),
    log,
    releaseOutputs: outputs.release,
    stop,
  };
}

/**
 * Warnings without hints, about the cluster's rules only, since tenants must not be able to fill the log. Lint runs between requests: 1,000
 * rules take about 80 ms. For more rules, use `regkeeper lint`.
 */
function lintIfSmall(rules: RuleSet, { now }: Clock): readonly Problem[] {
  if (rules.rules.length > 1_000) return [];
  return lintRules({ ...rules, namespaceRules: new Map() }, dayOf(now())).filter(({ code }) => levelOf(code) === 'warning');
}

/** Calls it at once if the signal is aborted already. Returns a function that removes the listener. */
function onceAborted(signal: AbortSignal | undefined, onAbort: () => void): () => void {
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  return () => signal?.removeEventListener('abort', onAbort);
}
