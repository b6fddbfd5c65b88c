/** Rules out of the ConfigMaps of the own namespace, followed live. */
import type { Bundle, RuleBook, RulesChange } from '../rules/book.ts';
import type { ApiClient, KubeObject, Log } from './api.ts';
import { type Reflector, watchCollection } from './reflector.ts';

export const rulesLabel = 'regkeeper.io/rules';

export type ConfigMap = KubeObject & { readonly data?: Readonly<Record<string, string>> };

export type ClusterRules = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly book: RuleBook;
  /** Versions that an earlier run accepted. */
  readonly lastGood: readonly Bundle[];
  readonly log: Log;
  readonly onChange: (changes: readonly RulesChange[]) => void;
};

/** Feeds the book with every ConfigMap labelled `regkeeper.io/rules: cluster`, from the first list on, each change as it comes. */
export function watchClusterRules({ client, namespace, book, lastGood, log, onChange }: ClusterRules): Reflector<ConfigMap> {
  return watchCollection<ConfigMap>({
    client,
    path: `/api/v1/namespaces/${namespace}/configmaps`,
    labelSelector: `${rulesLabel}=cluster`,
    log,
    onChange: (change) => {
      if (change.type === 'synced') onChange(book.open([...change.items].sort(byAge).map(configMapBundle), lastGood));
      else if (change.type === 'deleted') onChange(book.withdraw(idOf(change.object)));
      else onChange(book.offer(configMapBundle(change.object)));
    },
  });
}

/** Of two that contradict each other at the start, the older one was there first. */
function byAge(left: ConfigMap, right: ConfigMap): number {
  const age = (left.metadata.creationTimestamp ?? '').localeCompare(right.metadata.creationTimestamp ?? '');
  return age === 0 ? left.metadata.name.localeCompare(right.metadata.name) : age;
}

/** The documents of one ConfigMap. */
export function configMapBundle(configMap: ConfigMap): Bundle {
  const { name, namespace = '', resourceVersion } = configMap.metadata;
  const keys = Object.keys(configMap.data ?? {}).filter((key) => /\.(ya?ml|json)$/.test(key));
  const documents = keys.sort().map((key) => ({
    source: { kind: 'configMap' as const, namespace, name, key },
    text: configMap.data?.[key] ?? '',
  }));
  return { id: idOf(configMap), ...(resourceVersion !== undefined && { version: resourceVersion }), documents };
}

function idOf({ metadata }: ConfigMap): string {
  return `ConfigMap ${metadata.namespace ?? ''}/${metadata.name}`;
}
