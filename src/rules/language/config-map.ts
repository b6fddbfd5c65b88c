/** Rules documents in ConfigMaps: which ConfigMaps hold some, and under which keys. */

import type { RulesSize } from '../store/namespace-quota.ts';
import type { Bundle } from '../store/rule-store.ts';
import type { RuleScope } from './parse.ts';

/** Its values: `cluster`, `namespace`, and `snapshot` for the last good versions that the server keeps. */
export const rulesLabel = 'regkeeper.io/rules';

/** As much of a ConfigMap as is read. */
export type RulesConfigMap = {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string };
  readonly data?: Texts | null;
  readonly binaryData?: Texts | null;
  /** Where its texts are not held: their size. */
  readonly unheld?: RulesSize;
};

type Texts = Readonly<Record<string, string>>;

/** The documents of one ConfigMap, by the names of their keys; rules of the cluster, or of the namespace that it lies in. */
export function configMapBundle(configMap: RulesConfigMap, of: RuleScope['kind'] = 'cluster'): Bundle {
  const { name, namespace = '', resourceVersion } = configMap.metadata;
  const sourceOf = (key: string) => ({ kind: 'configMap' as const, namespace, name, key });
  const documents = [
    ...documentKeys(configMap.data).map((key) => ({ source: sourceOf(key), text: configMap.data?.[key] ?? '' })),
    // Left out without a word, its rules would be gone.
    ...documentKeys(configMap.binaryData).map((key) => ({ source: sourceOf(key), text: '', unreadable: `${key} ${whyNotBinary}` })),
  ];
  const scope: RuleScope = of === 'cluster' ? { kind: 'cluster' } : { kind: 'namespace', namespace };
  const { unheld } = configMap;
  return {
    id: idOf(configMap, of),
    scope,
    ...(resourceVersion !== undefined && { version: resourceVersion }),
    ...(unheld && { unheld }),
    documents,
  };
}

function documentKeys(data: Texts | null | undefined): readonly string[] {
  return Object.keys(data ?? {})
    .filter(isDocumentKey)
    .sort();
}

/** Other keys are notes, and left alone. */
export function isDocumentKey(key: string): boolean {
  return /\.(ya?ml|json)$/.test(key);
}

/** Said of a key that would hold rules; after its name. */
export const whyNotBinary =
  'stands in binaryData, which is not read: a file that is not UTF-8 text is put there; save it as UTF-8, and have it under data';

/** The same for all versions of a ConfigMap; another for another label, since what comes under the one may come before the other has gone. */
export function idOf({ metadata }: Pick<RulesConfigMap, 'metadata'>, of: RuleScope['kind'] = 'cluster'): string {
  const place = `${metadata.namespace ?? ''}/${metadata.name}`;
  return of === 'cluster' ? `ConfigMap ${place}` : `namespace rules ${place}`;
}
