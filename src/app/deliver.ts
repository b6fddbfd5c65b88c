/** Secret delivery as a list of components, in the order in which they start. They are stopped in reverse. */
import packageJson from '../../package.json' with { type: 'json' };
import { createDelivery } from '../cluster/delivery/delivery.ts';
import { createSecretEvents } from '../cluster/delivery/events.ts';
import { createDeliveryReporter } from '../cluster/delivery/reporter.ts';
import { createClusterPlatform } from '../cluster/facts/openshift-registries.ts';
import { allExcludedNamespaces } from '../cluster/registration/excluded-namespaces.ts';
import type { Component } from '../contracts/component.ts';
import { deliveryLease } from '../delivery/names.ts';
import { createLeaderElection } from '../kube/leader-election.ts';
import { hashRules } from '../loading/load-rules.ts';
import { createDeliveryMetrics } from '../observe/delivery-metrics.ts';
import { createRulesReporter } from '../observe/rules-reporter.ts';
import { selects } from '../rules/match/namespaces.ts';
import type { NamespaceContext } from '../rules/rule-set.ts';
import { createRuleStore } from '../rules/store/rule-store.ts';
import { createRulesInForce } from '../rules/store/rules-in-force.ts';
import { ConfigurationError } from '../settings/configuration-error.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import { connectCluster } from './components/cluster-view.ts';
import { createHealth } from './components/health.ts';
import { readKinds } from './components/kinds.ts';
import { createOutputs, type Logger } from './components/outputs.ts';
import { createRuleSource } from './components/rule-source.ts';
import { createSettingsReport } from './components/settings-report.ts';
import type { DeliverySettings } from './delivery-settings.ts';
import { group, runGroups } from './lifecycle.ts';
import type { Environment } from './settings.ts';

export type DeliveryRuntime = {
  readonly env: Environment;
  /** Stops the process, also during its start. Then `deliver` rejects once everything has been stopped. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
};

export type RunningDelivery = {
  readonly healthUrl: string;
  readonly log: Logger;
  stop(): Promise<void>;
};

/** @throws ConfigurationError for everything that the operator can correct. Everything that was started has been stopped by then. */
export async function deliver(settings: DeliverySettings, { env, signal, clock = systemClock }: DeliveryRuntime): Promise<RunningDelivery> {
  const kinds = await readKinds(settings);
  const client = await connectCluster(settings, env);
  if (!client) throw new ConfigurationError('secret delivery requires a cluster');
  const { namespace } = settings.cluster;
  const outputs = createOutputs(settings);
  const { log, auditLog } = outputs;
  const store = createRuleStore(hashRules);
  const rules = createRulesInForce(store, hashRules);
  const platform = createClusterPlatform({
    client,
    log,
    clock,
    onChange() {
      const current = platform.current();
      if (current) rules.platformChanged(current);
      delivery.rulesMayHaveChanged();
    },
  });
  const { loader, ...ruleSource } = createRuleSource({
    settings,
    cluster: { client },
    store,
    rules,
    // Only `serve` writes the snapshot.
    leads: () => false,
    onSkipped: () => undefined,
    log,
    clock,
  });
  const events = createSecretEvents({ client, log, clock });
  const leader = createLeaderElection({
    client,
    namespace,
    name: deliveryLease,
    able: () => rulesMissing() === undefined && delivery.able(),
    duty: 'deliver secrets',
    log,
  });
  const rulesMissing = () => store.missing() ?? loader.missing() ?? platform.missing();
  const readiness = [
    { name: 'rules', missing: rulesMissing },
    { name: 'cluster', missing: () => delivery.missing() },
    { name: 'policy', missing: () => delivery.unfenced() },
  ];
  const metrics = createDeliveryMetrics({
    version: packageJson.version,
    readiness,
    leads: leader.leads,
    rejectedRules: store.rejected,
    watches: () => client.watchedCollections ?? [],
    auditDelivery: outputs.auditDelivery,
    now: clock.now,
    copies: () => [...delivery.names()].map((name) => [name, delivery.copies.count(name)] as const),
    sources: () => [...delivery.sourceNames()].map((name) => stateOfSource(name)),
    findings: () => delivery.controller.findings(),
    notPermitted: () => delivery.notPermitted(),
    waiting: () => delivery.controller.waiting(),
    fenced: () => delivery.unfenced() === undefined,
  });
  const delivery = createDelivery({
    client,
    namespace,
    rules: { ...rules, current: () => (rulesMissing() === undefined ? rules.current() : undefined) },
    kinds: kinds.rows,
    isExcluded: createExclusion(settings),
    isSelected: createSelection(settings),
    excludedNamespaces: ['kube-node-lease', ...settings.excludedNamespaces],
    leadership: leader,
    hash: (text) => hashRules(text).slice(0, 16),
    observer: createDeliveryReporter({
      rules: rules.current,
      auditLog,
      metrics,
      events,
      uidOf: (inNamespace, name) => delivery.copies.get(inNamespace, name)?.uid,
      log,
      clock,
    }),
    log,
    clock,
  });
  const stateOfSource = (name: string) => ({
    name,
    usable: delivery.sources.get(name)?.state === 'usable',
    changedAt: delivery.sources.changedAt(name),
  });
  const health = createHealth({ settings, readiness, metrics, log, clock });
  const connection: Component = { name: 'API server connection', stop: () => client.close() };
  const noMetrics = { rulesInForce: metrics.rulesInForce, namespaceRules: () => undefined };

  const running = runGroups(
    [
      group('outputs', outputs),
      group('health', health),
      group('cluster', connection, createSettingsReport(settings, log)),
      group('platform', platform),
      group('rule loading', ruleSource.loading),
      group('rule subscribers', createRulesReporter({ rules, store, log, auditLog, metrics: noMetrics, clock })),
      group('leader election', leader),
      group('delivery', ...delivery.components),
      group('rules', ruleSource.source),
    ],
    { stopWithinMilliseconds: 4_000, onStopFailure: (name, err) => log.error({ err }, `failed to stop the component "${name}"`), clock },
  );
  const onAbort = () => void running.stop();
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  await running.started;
  return {
    healthUrl: health.url(),
    log,
    stop() {
      signal?.removeEventListener('abort', onAbort);
      return running.stop();
    },
  };
}

/**
 * The namespaces of OpenShift's platform are excluded on every cluster, since the policy that limits this account cannot know which one it is
 * on.
 */
function createExclusion({ cluster, excludedNamespaces }: DeliverySettings): (context: NamespaceContext) => boolean {
  const excluded = new Set(allExcludedNamespaces(cluster.namespace, excludedNamespaces));
  return ({ namespace }) => excluded.has(namespace) || namespace === 'openshift' || namespace.startsWith('openshift-');
}

function createSelection({ namespaceSelector }: DeliverySettings): (context: NamespaceContext) => boolean {
  const selector = namespaceSelector.length === 0 ? undefined : ({ kind: 'labels', requirements: namespaceSelector } as const);
  return (context) => selects(selector, context) === true;
}
