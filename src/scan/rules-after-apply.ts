/** The rules bundles of a cluster after rules from files are applied to it. */
import type { RuleFilesContent } from '../loading/rule-files.ts';
import type { ConfigMapInFile, LabelInCluster } from '../loading/rule-manifests.ts';
import { idOf, rulesLabel } from '../rules/language/config-map.ts';
import type { Bundle } from '../rules/store/rule-store.ts';

export type AfterApply = {
  readonly change: (bundles: readonly Bundle[]) => readonly Bundle[];
  /** Names of the ConfigMaps that are replaced or added. Undefined if the files replace all rules of the cluster. */
  readonly configMaps?: readonly string[];
  /** How the manifests differ from what is compared. One sentence each, without the full stop at the end. */
  readonly warnings: readonly string[];
};

/** Which labels the ConfigMaps of these bundles have. `namespace` is that of regkeeper. */
export function labelsOf(present: readonly Bundle[], namespace: string): LabelInCluster {
  const ids = new Set(present.map(({ id }) => id));
  return (name, place) => {
    const metadata = { name, namespace: place || namespace };
    return (['cluster', 'namespace'] as const).find((scope) => ids.has(idOf({ metadata }, scope)));
  };
}

/**
 * ConfigMaps replace those of the same name, as with `kubectl apply`. A rules document has no name, so files with one replace all rules of
 * the cluster. The rules of namespaces stay. `namespace` is that of regkeeper.
 *
 * @throws Error for a ConfigMap that the server would not read, with one sentence
 */
export function afterApply({ bundles, configMaps }: Pick<RuleFilesContent, 'bundles' | 'configMaps'>, namespace: string): AfterApply {
  if (bundles.length > configMaps.length) {
    return { change: (present) => [...present.filter(({ scope }) => scope?.kind === 'namespace'), ...bundles], warnings: [] };
  }
  const replacing = configMaps.map((configMap) => bundleOf(configMap, namespace));
  const ids = new Set(replacing.map(({ id }) => id));
  return {
    change: (present) => [...present.filter(({ id }) => !ids.has(id)), ...replacing],
    configMaps: configMaps.map((configMap) => `${configMap.namespace || namespace}/${configMap.name}`),
    warnings: configMaps.flatMap((configMap) => warningsAbout(configMap, namespace)),
  };
}

function warningsAbout({ name, namespace, labelIsFromCluster }: ConfigMapInFile, ownNamespace: string): readonly string[] {
  const withoutNamespace = `ConfigMap ${name} has no metadata.namespace, so kubectl would write it to the current namespace. Add namespace: ${ownNamespace}, or use kubectl apply -n ${ownNamespace}`;
  const withoutLabel = `ConfigMap ${namespace || ownNamespace}/${name} has no label ${rulesLabel} in the file. The label in the cluster is used, because kubectl apply --server-side keeps it. Add it to the file`;
  return [...(namespace === '' ? [withoutNamespace] : []), ...(labelIsFromCluster ? [withoutLabel] : [])];
}

/** With the id that the ConfigMap has in the cluster. */
function bundleOf({ name, namespace, scope, documents }: ConfigMapInFile, ownNamespace: string): Bundle {
  const place = namespace || ownNamespace;
  if (scope.kind === 'cluster' && place !== ownNamespace) {
    throw new Error(`ConfigMap ${place}/${name} is not in regkeeper's namespace ("${ownNamespace}"), so the server would not read it`);
  }
  return { id: idOf({ metadata: { name, namespace: place } }, scope.kind), scope, documents };
}
