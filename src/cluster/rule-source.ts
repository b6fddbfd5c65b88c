/** Rules out of the ConfigMaps of the own namespace, followed live. */
import type { RuleIntake } from '../intake/intake.ts';
import type { Bundle } from '../rules/book.ts';
import { configMapBundle, idOf, rulesLabel } from '../rules/config-map.ts';
import type { ApiClient, KubeObject, Log } from './api.ts';
import { type Reflector, watchCollection } from './reflector.ts';

export type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };

export type ClusterRules = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly intake: RuleIntake;
  /** Versions that an earlier run accepted. */
  readonly lastGood: readonly Bundle[];
  readonly log: Log;
};

/** Feeds the book with every ConfigMap labelled `regkeeper.io/rules: cluster`, from the first list on, each change as it comes. */
export function watchClusterRules({ client, namespace, intake, lastGood, log }: ClusterRules): Reflector<ConfigMap> {
  return watchCollection<ConfigMap>({
    client,
    path: `/api/v1/namespaces/${namespace}/configmaps`,
    labelSelector: `${rulesLabel}=cluster`,
    log,
    onChange: (change) => {
      if (change.type === 'synced')
        return intake.open(
          [...change.items].sort(byAge).map((configMap) => configMapBundle(configMap)),
          lastGood,
        );
      if (change.type === 'deleted') return intake.withdraw(idOf(change.object));
      return intake.offer(configMapBundle(change.object));
    },
  });
}

/** Of two that contradict each other at the start, the older one was there first. */
function byAge(left: ConfigMap, right: ConfigMap): number {
  const age = (left.metadata.creationTimestamp ?? '').localeCompare(right.metadata.creationTimestamp ?? '');
  return age === 0 ? left.metadata.name.localeCompare(right.metadata.name) : age;
}
