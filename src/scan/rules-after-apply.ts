/** The rules bundles of a cluster after rules from files are applied to it. */
import type { RuleFilesContent } from '../loading/rule-files.ts';
import type { ConfigMapInFile, LabelAfterApply, LabelInCluster } from '../loading/rule-manifests.ts';
import { isObject, parseJsonText, valueAt } from '../object/json.ts';
import { lastAppliedAnnotation as lastApplied } from '../object/user-supplied.ts';
import { idOf, rulesLabel } from '../rules/language/config-map.ts';
import type { Bundle } from '../rules/store/rule-store.ts';

export type AfterApply = {
  readonly change: (bundles: readonly Bundle[]) => readonly Bundle[];
  /** Names of the ConfigMaps that are replaced or added. Undefined if the files replace all rules of the cluster. */
  readonly configMaps?: readonly string[];
  /** How the manifests differ from what is compared. One sentence each, without the full stop at the end. */
  readonly warnings: readonly string[];
  /** Why rules are no longer in effect, although the files contain them. As `warnings`. */
  readonly removals: readonly string[];
};

/** What an apply without the label does to the rules ConfigMaps of a cluster. Keys are the IDs of their bundles. */
export type LabelsInCluster = ReadonlyMap<Bundle['id'], LabelAfterApply>;

/** `namespace` is that of regkeeper. */
export function labelFinder(labels: LabelsInCluster, namespace: string): LabelInCluster {
  return (name, place) => {
    const metadata = { name, namespace: place || namespace };
    for (const scope of ['cluster', 'namespace'] as const) {
      const afterApply = labels.get(idOf({ metadata }, scope));
      if (afterApply) return { scope, afterApply };
    }
    return undefined;
  };
}

/**
 * What an apply does to the rules label of this live ConfigMap if the file has no label. The name of the field manager of that apply is
 * unknown, so the label counts as its own if a manager has applied both the label and the rules. Without a trace of another owner, too.
 */
export function labelAfterApply(live: unknown): LabelAfterApply {
  const managers = valueAt(live, ['metadata', 'managedFields']);
  if (!Array.isArray(managers) || isInLastApplied(live)) return 'removed';
  return managers.some(keepsLabel) ? 'kept' : 'removed';
}

function keepsLabel(manager: unknown): boolean {
  const has = (...path: readonly string[]) => valueAt(manager, ['fieldsV1', ...path]) !== undefined;
  if (!has('f:metadata', 'f:labels', `f:${rulesLabel}`)) return false;
  // `kubectl apply --server-side` first takes over the fields of client-side applies: those of Update managers that own the annotation
  // (kubectl, migrateToSSAIfNecessary).
  if (valueAt(manager, ['operation']) === 'Update') return !has('f:metadata', 'f:annotations', `f:${lastApplied}`);
  return valueAt(manager, ['operation']) === 'Apply' && !has('f:data');
}

/** A client-side apply removes what the annotation has and the file does not. */
function isInLastApplied(live: unknown): boolean {
  const text = valueAt(live, ['metadata', 'annotations', lastApplied]);
  if (typeof text !== 'string') return false;
  const applied = parseJsonText(text);
  return !isObject(applied) || valueAt(applied, ['metadata', 'labels', rulesLabel]) !== undefined;
}

/**
 * ConfigMaps replace those of the same name, as with `kubectl apply`. A rules document has no name, so files with one replace all rules of
 * the cluster. The rules of namespaces stay. `namespace` is that of regkeeper.
 *
 * @throws Error for a ConfigMap that the server would not read, with one sentence
 */
export function afterApply({ bundles, configMaps }: Pick<RuleFilesContent, 'bundles' | 'configMaps'>, namespace: string): AfterApply {
  const removals = configMaps.filter(isRemoved).map((configMap) => removalOf(configMap, namespace));
  if (bundles.length > configMaps.length) {
    const replacing = bundles.filter(({ documents }) => documents.length > 0);
    return { change: (present) => [...present.filter(({ scope }) => scope?.kind === 'namespace'), ...replacing], warnings: [], removals };
  }
  const ids = new Set(configMaps.map((configMap) => bundleOf(configMap, namespace).id));
  const replacing = configMaps.filter((configMap) => !isRemoved(configMap)).map((configMap) => bundleOf(configMap, namespace));
  return {
    change: (present) => [...present.filter(({ id }) => !ids.has(id)), ...replacing],
    removals,
    configMaps: configMaps.map((configMap) => `${configMap.namespace || namespace}/${configMap.name}`),
    warnings: configMaps.flatMap((configMap) => warningsAbout(configMap, namespace)),
  };
}

function isRemoved({ labelInCluster }: ConfigMapInFile): boolean {
  return labelInCluster === 'removed';
}

function removalOf({ name, namespace }: ConfigMapInFile, ownNamespace: string): string {
  return `ConfigMap ${namespace || ownNamespace}/${name} has no label ${rulesLabel} in the file. No other field manager owns the label in the cluster, so kubectl apply removes it, and the rules with it. Add it to the file`;
}

function warningsAbout({ name, namespace, labelInCluster }: ConfigMapInFile, ownNamespace: string): readonly string[] {
  const withoutNamespace = `ConfigMap ${name} has no metadata.namespace, so kubectl would write it to the current namespace. Add namespace: ${ownNamespace}, or use kubectl apply -n ${ownNamespace}`;
  const withoutLabel = `ConfigMap ${namespace || ownNamespace}/${name} has no label ${rulesLabel} in the file. The label in the cluster is used, because another field manager owns it and kubectl apply keeps it. Add it to the file`;
  return [...(namespace === '' ? [withoutNamespace] : []), ...(labelInCluster === 'kept' ? [withoutLabel] : [])];
}

/** With the id that the ConfigMap has in the cluster. */
function bundleOf({ name, namespace, scope, documents }: ConfigMapInFile, ownNamespace: string): Bundle {
  const place = namespace || ownNamespace;
  if (scope.kind === 'cluster' && place !== ownNamespace) {
    throw new Error(
      `ConfigMap ${place}/${name} is not in regkeeper's namespace, so the server would not read it. Set its metadata.namespace to "${ownNamespace}", or pass regkeeper's namespace with --regkeeper-namespace`,
    );
  }
  return { id: idOf({ metadata: { name, namespace: place } }, scope.kind), scope, documents };
}
