/**
 * The defaults and conversions of OpenShift's API that decide which images an object has. The API server applies them before it calls a
 * webhook, so only objects from files need them (openshift-apiserver pkg/build/apis/build/v1 and pkg/apps/apis/apps/v1: defaults and
 * conversion). Kubernetes' own kinds have no such default.
 */
import { isAbsent, isObject, type JsonObject, textAt } from '../json.ts';
import type { GroupKind } from '../object-shape.ts';

/** The object with the images that it has in a request. A copy, if anything is missing. */
export function withApiDefaults({ group, kind }: GroupKind, object: JsonObject): JsonObject {
  const row = rows.find((each) => each.kind === kind);
  // Old files have OpenShift's kinds with `apiVersion: v1`.
  if (!row || (group !== row.group && group !== '') || !isObject(object.spec)) return object;
  const spec = row.complete(object.spec);
  return spec === object.spec ? object : { ...object, spec };
}

const rows = [
  { group: 'build.openshift.io', kind: 'BuildConfig', complete: completeBuild },
  { group: 'build.openshift.io', kind: 'Build', complete: completeBuild },
  { group: 'apps.openshift.io', kind: 'DeploymentConfig', complete: completeDeploymentConfig },
] as const;

/** `type: Docker` alone is a Docker strategy. An inline Dockerfile is read only with one. */
function completeBuild(spec: JsonObject): JsonObject {
  const { strategy } = spec;
  if (!isObject(strategy)) return spec;
  const typed = strategy.type === 'Docker' && isAbsent(strategy.dockerStrategy) ? { ...strategy, dockerStrategy: {} } : strategy;
  const complete = ['sourceStrategy', 'dockerStrategy', 'customStrategy'].reduce((each, name) => withCompleteReference(each, name), typed);
  return complete === strategy ? spec : { ...spec, strategy: complete };
}

function completeDeploymentConfig(spec: JsonObject): JsonObject {
  const { triggers } = spec;
  if (!Array.isArray(triggers)) return spec;
  return {
    ...spec,
    triggers: triggers.map((trigger) => (isObject(trigger) ? withCompleteReference(trigger, 'imageChangeParams') : trigger)),
  };
}

/** `field` is a mapping with the reference `from`. Without a kind it is an ImageStreamTag. The kind ImageStream means the tag `latest`. */
function withCompleteReference(parent: JsonObject, field: string): JsonObject {
  const value = parent[field];
  if (!isObject(value) || !isObject(value.from)) return parent;
  const { kind } = value.from;
  const from = { ...value.from, kind: 'ImageStreamTag' };
  if (isAbsent(kind) || kind === '') return { ...parent, [field]: { ...value, from } };
  if (kind !== 'ImageStream' && kind !== 'ImageRepository') return parent;
  const name = textAt(from, ['name']) ?? '';
  return { ...parent, [field]: { ...value, from: { ...from, name: name.includes(':') ? name : `${name}:latest` } } };
}
