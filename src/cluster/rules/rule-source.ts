/** Watches the ConfigMaps with rules, and passes their documents to the rule loader. */

import type { Component } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { createInformer, type Informer, type InformerEvent } from '../../kube/informer.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import type { RuleLoader } from '../../loading/rule-loader.ts';
import { configMapBundle, idOf, rulesLabel } from '../../rules/language/config-map.ts';
import type { RuleScope } from '../../rules/language/parse.ts';
import type { Bundle } from '../../rules/store/rule-store.ts';
import type { Clock } from '../../time/clock.ts';
import { type ConfigMap, createRulesConfigMapStore, trimRulesConfigMap } from './rule-texts.ts';

export type { ConfigMap } from './rule-texts.ts';

export type ClusterRules = {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Whether namespaces may have their own rules, in ConfigMaps anywhere. */
  readonly namespaceRules: boolean;
  readonly intake: Pick<RuleLoader, 'open' | 'offer' | 'withdraw'>;
  /** How many own rules of a namespace are in force. */
  readonly rulesInForce?: (namespace: string) => number;
  /** The versions that an earlier run accepted. Read before the first list. */
  readonly lastGood: (signal: AbortSignal) => Promise<readonly Bundle[]>;
  readonly log: Log;
  readonly clock?: Clock | undefined;
};

/** Its `start` resolves when the ConfigMaps are watched. Their rules come into force later. */
export type ClusterRuleSource = Required<Pick<Component, 'name' | 'start' | 'stop'>> & {
  /** The ConfigMap as it is stored now. Undefined if none with rules has this name. */
  versionOf(namespace: string, name: string): { readonly uid: string; readonly resourceVersion: string } | undefined;
};

/**
 * Passes every ConfigMap with the label `regkeeper.io/rules: cluster` in regkeeper's namespace, and `namespace` in all namespaces, to the rule
 * store, and then each change. The store opens after all first lists, so that no rule is missing at the start.
 */
export function createClusterRuleSource(options: ClusterRules): ClusterRuleSource {
  const { client, namespace, namespaceRules, log } = options;
  let opened = false;
  let lastGood: readonly Bundle[] = [];
  const texts = createRulesConfigMapStore(
    (configMap) => void handleChange('namespace', { type: 'modified', object: configMap, items: [] }),
    {},
    options.rulesInForce,
  );
  const informers = [
    { scope: 'cluster' as const, path: `/api/v1/namespaces/${namespace}/configmaps` },
    ...(namespaceRules ? [{ scope: 'namespace' as const, path: '/api/v1/configmaps' }] : []),
  ].map(({ scope, path }) => ({
    scope,
    informer: createInformer<ConfigMap>({
      client,
      path,
      labelSelector: `${rulesLabel}=${scope}`,
      keep: trimRulesConfigMap(scope),
      store: scope === 'namespace' ? texts : undefined,
      log,
      clock: options.clock,
      onChange: (change) => handleChange(scope, change),
    }),
  }));

  function handleChange(scope: RuleScope['kind'], change: InformerEvent<ConfigMap>): Promise<void> | undefined {
    const { intake } = options;
    if (!opened) {
      if (!informers.every(({ informer }) => informer.synced)) return undefined;
      opened = true;
      const bundles = informers.flatMap(({ scope: label, informer }) =>
        [...informer.items()].sort(byAge).map((configMap) => bundleOf(configMap, label, informer)),
      );
      return intake.open(bundles, lastGood);
    }
    const { type, object } = change;
    if (type === 'synced') return undefined;
    if (type === 'deleted') return intake.withdraw(idOf(object, scope), scopeOf(object, scope));
    const informer = informers.find((each) => each.scope === scope)?.informer;
    return intake.offer(bundleOf(object, scope, informer));
  }

  // Lists again when there is room for a ConfigMap whose text was omitted.
  const reloadLoop = createReconcileLoop({
    reconcile: async () => {
      if (texts.hasRoomAgain()) for (const { scope, informer } of informers) if (scope === 'namespace') informer.reload();
    },
    onFailure: (err) => log.error({ err }, 'cannot check for rules ConfigMaps that now fit within the memory limit'),
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 60_000,
    clock: options.clock,
  });

  return {
    name: 'cluster rules',
    versionOf(namespace, name) {
      const { uid, resourceVersion } = informers.map(({ informer }) => informer.get(namespace, name)).find(Boolean)?.metadata ?? {};
      return uid !== undefined && resourceVersion !== undefined ? { uid, resourceVersion } : undefined;
    },
    async start(signal) {
      lastGood = await options.lastGood(signal);
      signal.throwIfAborted();
      reloadLoop.start();
      for (const { informer } of informers) informer.start();
    },
    async stop() {
      await Promise.all([reloadLoop.stop(), ...informers.map(({ informer }) => informer.stop())]);
    },
  };
}

/** Only the informer keeps the texts. A bundle in the queue of its namespace reads the newest version when it is its turn. */
function bundleOf(configMap: ConfigMap, scope: RuleScope['kind'], informer: Pick<Informer<ConfigMap>, 'get'> | undefined): Bundle {
  const { name, namespace } = configMap.metadata;
  const again = () => {
    const newest = informer?.get(namespace, name);
    return newest && bundleOf(newest, scope, informer);
  };
  return { ...configMapBundle(configMap, scope), readNewest: again };
}

function scopeOf({ metadata: { namespace = '' } }: ConfigMap, scope: RuleScope['kind']): RuleScope {
  return scope === 'cluster' ? { kind: 'cluster' } : { kind: 'namespace', namespace };
}

/** If two ConfigMaps contradict each other at the start, the older one was first. */
function byAge(left: ConfigMap, right: ConfigMap): number {
  const age = (left.metadata.creationTimestamp ?? '').localeCompare(right.metadata.creationTimestamp ?? '');
  return age === 0 ? left.metadata.name.localeCompare(right.metadata.name) : age;
}
