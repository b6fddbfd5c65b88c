/** Rules out of ConfigMaps, followed live. */

import type { ApiClient, Log } from '../../kube/api-client.ts';
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
  /** Whether namespaces may have rules of their own, in ConfigMaps anywhere. */
  readonly namespaceRules: boolean;
  readonly intake: Pick<RuleLoader, 'open' | 'offer' | 'withdraw'>;
  /** Versions that an earlier run accepted; read before the first list. */
  readonly lastGood: (signal: AbortSignal | undefined) => Promise<readonly Bundle[]>;
  readonly log: Log;
  readonly clock?: Clock | undefined;
};

export type ClusterRuleSource = {
  readonly name: string;
  /** Resolves when the ConfigMaps are watched; their rules come into force later. */
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
};

/**
 * Feeds the book with every ConfigMap labelled `regkeeper.io/rules: cluster` of the own namespace, and `namespace` of all, from the first
 * lists on, each change as it comes. The book is opened when all are listed: nobody's refusals are missing at the start.
 */
export function createClusterRuleSource(options: ClusterRules): ClusterRuleSource {
  const { client, namespace, namespaceRules, log } = options;
  let opened = false;
  let lastGood: readonly Bundle[] = [];
  const texts = createRulesConfigMapStore((configMap) => void take('namespace', { type: 'modified', object: configMap, items: [] }));
  const watches = [
    { of: 'cluster' as const, path: `/api/v1/namespaces/${namespace}/configmaps` },
    ...(namespaceRules ? [{ of: 'namespace' as const, path: '/api/v1/configmaps' }] : []),
  ].map(({ of, path }) => ({
    of,
    watch: createInformer<ConfigMap>({
      client,
      path,
      labelSelector: `${rulesLabel}=${of}`,
      keep: trimRulesConfigMap(of),
      store: of === 'namespace' ? texts : undefined,
      log,
      clock: options.clock,
      onChange: (change) => take(of, change),
    }),
  }));

  function take(of: RuleScope['kind'], change: InformerEvent<ConfigMap>): Promise<void> | undefined {
    const { intake } = options;
    if (!opened) {
      if (!watches.every(({ watch }) => watch.synced)) return undefined;
      opened = true;
      const bundles = watches.flatMap(({ of: label, watch }) =>
        [...watch.items()].sort(byAge).map((configMap) => bundleOf(configMap, label, watch)),
      );
      return intake.open(bundles, lastGood);
    }
    const { type, object } = change;
    if (type === 'synced') return undefined;
    if (type === 'deleted') return intake.withdraw(idOf(object, of), scopeOf(object, of));
    const watch = watches.find((each) => each.of === of)?.watch;
    return intake.offer(bundleOf(object, of, watch));
  }

  // A ConfigMap whose text was left out for lack of room is read again once there is some.
  const rereading = createReconcileLoop({
    check: async () => {
      if (texts.hasRoomAgain()) for (const { of, watch } of watches) if (of === 'namespace') watch.reload();
    },
    onFailure: (err) => log.error({ err }, 'cannot look for rules ConfigMaps that fit now'),
    everyMilliseconds: 60_000,
    apartMilliseconds: 60_000,
    clock: options.clock,
  });

  return {
    name: 'rules of the cluster',
    async start(signal) {
      lastGood = await options.lastGood(signal);
      signal?.throwIfAborted();
      rereading.start();
      for (const { watch } of watches) watch.start();
    },
    async stop() {
      rereading.stop();
      await Promise.all(watches.map(({ watch }) => watch.stop()));
    },
  };
}

/** The texts are held by the watch alone: whatever waits for a namespace's turn is asked for when the turn has come. */
function bundleOf(configMap: ConfigMap, of: RuleScope['kind'], watch: Pick<Informer<ConfigMap>, 'get'> | undefined): Bundle {
  const { name, namespace } = configMap.metadata;
  const again = () => {
    const newest = watch?.get(namespace, name);
    return newest && bundleOf(newest, of, watch);
  };
  return { ...configMapBundle(configMap, of), readNewest: again };
}

function scopeOf({ metadata: { namespace = '' } }: ConfigMap, of: RuleScope['kind']): RuleScope {
  return of === 'cluster' ? { kind: 'cluster' } : { kind: 'namespace', namespace };
}

/** Of two that contradict each other at the start, the older one was there first. */
function byAge(left: ConfigMap, right: ConfigMap): number {
  const age = (left.metadata.creationTimestamp ?? '').localeCompare(right.metadata.creationTimestamp ?? '');
  return age === 0 ? left.metadata.name.localeCompare(right.metadata.name) : age;
}
