/** Rules documents in ConfigMaps: which ConfigMaps hold some, and under which keys. */
import type { Bundle } from './book.ts';

/** Its values: `cluster`, `namespace`, and `snapshot` for the last good versions that the server keeps. */
export const rulesLabel = 'regkeeper.io/rules';

/** As much of a ConfigMap as is read. */
export type RulesConfigMap = {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string };
  readonly data?: Readonly<Record<string, string>>;
};

/** The documents of one ConfigMap, by the names of their keys. */
export function configMapBundle(configMap: RulesConfigMap): Bundle {
  const { name, namespace = '', resourceVersion } = configMap.metadata;
  const keys = Object.keys(configMap.data ?? {}).filter(isDocumentKey);
  const documents = keys.sort().map((key) => ({
    source: { kind: 'configMap' as const, namespace, name, key },
    text: configMap.data?.[key] ?? '',
  }));
  return { id: idOf(configMap), ...(resourceVersion !== undefined && { version: resourceVersion }), documents };
}

/** Other keys are notes, and left alone. */
export function isDocumentKey(key: string): boolean {
  return /\.(ya?ml|json)$/.test(key);
}

/** The same for all versions of a ConfigMap. */
export function idOf({ metadata }: Pick<RulesConfigMap, 'metadata'>): string {
  return `ConfigMap ${metadata.namespace ?? ''}/${metadata.name}`;
}
