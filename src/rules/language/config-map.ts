/** Rules documents in ConfigMaps: which ConfigMaps contain them, and under which keys. */

import type { RulesSize } from '../store/namespace-quota.ts';
import type { Bundle } from '../store/rule-store.ts';
import type { RuleScope } from './parse.ts';

/** Its values are `cluster`, `namespace`, and `snapshot` for the last valid versions that the server keeps. */
export const rulesLabel = 'regkeeper.io/rules';
/** On each Secret in regkeeper's namespace that may be copied. */
export const sourceLabel = 'regkeeper.io/source';

/** The fields of a ConfigMap that are read. */
export type RulesConfigMap = {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion?: string };
  readonly data?: Texts | null;
  readonly binaryData?: Texts | null;
  /** The size of its texts, if they were too large to keep. */
  readonly droppedSize?: RulesSize;
};

type Texts = Readonly<Record<string, string>>;

/** The documents of one ConfigMap, by the names of their keys. Its rules apply to the cluster, or to the ConfigMap's namespace. */
export function configMapBundle(configMap: RulesConfigMap, of: RuleScope['kind'] = 'cluster'): Bundle {
  const { name, namespace = '', resourceVersion } = configMap.metadata;
  const sourceOf = (key: string) => ({ kind: 'configMap' as const, namespace, name, key });
  const documents = [
    ...documentKeys(configMap.data).map((key) => ({ source: sourceOf(key), text: configMap.data?.[key] ?? '' })),
    // If such a key were skipped, its rules would silently not be in force.
    ...documentKeys(configMap.binaryData).map((key) => ({ source: sourceOf(key), text: '', unreadable: `${key} ${whyNotBinary}` })),
  ];
  const scope: RuleScope = of === 'cluster' ? { kind: 'cluster' } : { kind: 'namespace', namespace };
  const { droppedSize } = configMap;
  return {
    id: idOf(configMap, of),
    scope,
    ...(resourceVersion !== undefined && { version: resourceVersion }),
    ...(droppedSize && { droppedSize }),
    documents,
  };
}

function documentKeys(data: Texts | null | undefined): readonly string[] {
  return Object.keys(data ?? {})
    .filter(isDocumentKey)
    .sort();
}

/** Other keys are notes and are ignored. */
export function isDocumentKey(key: string): boolean {
  return /\.(ya?ml|json)$/.test(key);
}

/** Why the rules of a key are not read. Follows the name of the key. */
export const whyNotBinary =
  'is in binaryData, which is not read. kubectl puts files there that are not UTF-8 text. Save the file as UTF-8, so that it is in data.';

/**
 * The same for all versions of a ConfigMap, but different for each label: after a change of the label, the new bundle may arrive before the
 * old one is removed.
 */
export function idOf({ metadata }: Pick<RulesConfigMap, 'metadata'>, of: RuleScope['kind'] = 'cluster'): string {
  const fullName = `${metadata.namespace ?? ''}/${metadata.name}`;
  return of === 'cluster' ? `ConfigMap ${fullName}` : `namespace rules ${fullName}`;
}
