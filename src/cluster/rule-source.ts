/** Rules out of ConfigMaps, followed live. */
import type { RuleIntake } from '../intake/intake.ts';
import type { Bundle } from '../rules/book.ts';
import { configMapBundle, idOf, type RulesConfigMap, rulesLabel } from '../rules/config-map.ts';
import type { RuleScope } from '../rules/parse.ts';
import type { ApiClient, KubeObject, Log } from './api.ts';
import { type Change, watchCollection } from './reflector.ts';

export type ConfigMap = KubeObject & Pick<RulesConfigMap, 'data' | 'binaryData'>;

export type ClusterRules = {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Whether namespaces may have rules of their own, in ConfigMaps anywhere. */
  readonly namespaceRules: boolean;
  readonly intake: RuleIntake;
  /** Versions that an earlier run accepted. */
  readonly lastGood: readonly Bundle[];
  readonly log: Log;
};

/**
 * Feeds the book with every ConfigMap labelled `regkeeper.io/rules: cluster` of the own namespace, and `namespace` of all, from the first
 * lists on, each change as it comes. The book is opened when all are listed: nobody's refusals are missing at the start.
 */
export function watchClusterRules(options: ClusterRules): { close(): Promise<void> } {
  const { client, namespace, namespaceRules, log } = options;
  let opened = false;
  const watches = [
    { of: 'cluster' as const, path: `/api/v1/namespaces/${namespace}/configmaps` },
    ...(namespaceRules ? [{ of: 'namespace' as const, path: '/api/v1/configmaps' }] : []),
  ].map(({ of, path }) => ({
    of,
    watch: watchCollection<ConfigMap>({
      client,
      path,
      labelSelector: `${rulesLabel}=${of}`,
      log,
      onChange: (change) => take(of, change),
    }),
  }));

  function take(of: RuleScope['kind'], change: Change<ConfigMap>): Promise<void> | undefined {
    const { intake, lastGood } = options;
    if (!opened) {
      if (!watches.every(({ watch }) => watch.synced)) return undefined;
      opened = true;
      const bundles = watches.flatMap(({ of: label, watch }) =>
        [...watch.items()].sort(byAge).map((configMap) => configMapBundle(configMap, label)),
      );
      return intake.open(bundles, lastGood);
    }
    const { type, object } = change;
    if (type === 'synced') return undefined;
    return type === 'deleted' ? intake.withdraw(idOf(object, of)) : intake.offer(configMapBundle(object, of));
  }

  return { close: async () => void (await Promise.all(watches.map(({ watch }) => watch.close()))) };
}

/** Of two that contradict each other at the start, the older one was there first. */
function byAge(left: ConfigMap, right: ConfigMap): number {
  const age = (left.metadata.creationTimestamp ?? '').localeCompare(right.metadata.creationTimestamp ?? '');
  return age === 0 ? left.metadata.name.localeCompare(right.metadata.name) : age;
}
