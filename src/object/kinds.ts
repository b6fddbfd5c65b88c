/** Lists the kinds that have images, with their image fields and the requests that can introduce images. Finds the reader of a kind. */

import { isObject, type JsonObject, type Path } from './json.ts';
import type { GroupKind, ObjectReading, ReadingContext } from './object-shape.ts';
import { readBuild, readBuildConfig } from './openshift/build-config.ts';
import { readBuildRequest } from './openshift/build-request.ts';
import {
  readImageStream,
  readImageStreamImport,
  readImageStreamMapping,
  readImageStreamTag,
  readImageTag,
} from './openshift/image-stream.ts';
import type { PathPattern } from './path-pattern.ts';
import { nameType, problemAt } from './pod.ts';
import { readBarePod, readDeploymentConfig, templateAt } from './workload.ts';

/** Reads the images and secret references of one object. Pure: the same object and context give the same shape. */
export function readObject(context: ReadingContext, object: unknown, kinds: Kinds = builtInKinds): ObjectReading {
  const row = kinds.find(context);
  if (!row) return { kind: 'unknown' };
  if (!isObject(object))
    return { kind: 'malformed', problem: problemAt(['object'], `must be a ${context.kind}, but is ${nameType(object)}`) };
  return row.read(object, context);
}

export type KindRow = GroupKind & {
  readonly version: string;
  /** Plural name. A kind without its own collection has the name that it would have. */
  readonly resource: string;
  readonly entryPoints: readonly EntryPoint[];
  /** All images are in these fields. A change of any of them is sent to the webhooks. */
  readonly fields: readonly Path[];
  /** Texts at these paths name an image only after a scheme, so that other texts there are no images. */
  readonly schemePaths?: readonly PathPattern[];
  /** The object is a request, or a view of a part of another object. */
  readonly notStored?: true;
  readonly read: (object: JsonObject, context: ReadingContext) => ObjectReading;
};

/** A request that can introduce an object of the kind: the plural name as in URLs, with its subresource, and the operations. */
export type EntryPoint = { readonly resource: string; readonly operations: readonly ('CREATE' | 'UPDATE')[] };

/** The kinds that are evaluated. */
export type Kinds = {
  readonly rows: readonly KindRow[];
  find(kind: GroupKind): KindRow | undefined;
};

export function kindsOf(rows: readonly KindRow[]): Kinds {
  const byGroup = new Map<string, Map<string, KindRow>>();
  const add = (group: string, row: KindRow) => {
    const ofGroup = byGroup.get(group) ?? new Map<string, KindRow>();
    byGroup.set(group, ofGroup.set(row.kind, row));
  };
  for (const row of rows) {
    add(row.group, row);
    // Old files have OpenShift's kinds with `apiVersion: v1`, from before its API had groups. API servers do not serve these.
    if (row.group.endsWith('.openshift.io')) add('', row);
  }
  return { rows, find: ({ group, kind }) => byGroup.get(group)?.get(kind) };
}

const builds = 'build.openshift.io';
const images = 'image.openshift.io';

/**
 * Every kind of Kubernetes and OpenShift that names images. These kinds of OpenShift seem to name images, and need no row:
 * - DeploymentRequest (`deploymentconfigs/instantiate`) names a DeploymentConfig. Its triggers change the template without a request, so no
 *   webhook is called. The images are evaluated at the ReplicationController and at the Pods.
 * - BinaryBuildRequestOptions (`buildconfigs/instantiatebinary`) has the name of a file and the description of a commit. Its operation is
 *   CONNECT. The Build that it creates is evaluated on CREATE.
 * - Template and TemplateInstance contain whole objects. Each one is evaluated when it is created.
 * - Image is created by an import and has no namespace. It runs under the name of a stream, or under the name in a Pod.
 * - DeploymentConfigRollback returns a DeploymentConfig, which its client then writes.
 */
export const kindsWithImages: readonly KindRow[] = [
  {
    ...kind('', 'v1', 'Pod', 'pods'),
    // `pods` does not match its subresources, and this one can introduce containers.
    entryPoints: [entryPoint('pods'), entryPoint('pods/ephemeralcontainers', 'UPDATE')],
    fields: [
      ['spec', 'containers'],
      ['spec', 'initContainers'],
      ['spec', 'ephemeralContainers'],
      ['spec', 'volumes'],
      // A file of the user lacks what we added, and the API server accepts no other list.
      ['spec', 'imagePullSecrets'],
    ],
    read: readBarePod,
  },
  workload('', 'v1', 'PodTemplate', 'podtemplates', ['template']),
  workload('', 'v1', 'ReplicationController', 'replicationcontrollers', ['spec', 'template']),
  workload('apps', 'v1', 'Deployment', 'deployments', ['spec', 'template']),
  workload('apps', 'v1', 'ReplicaSet', 'replicasets', ['spec', 'template']),
  workload('apps', 'v1', 'StatefulSet', 'statefulsets', ['spec', 'template']),
  workload('apps', 'v1', 'DaemonSet', 'daemonsets', ['spec', 'template']),
  workload('batch', 'v1', 'Job', 'jobs', ['spec', 'template']),
  workload('batch', 'v1', 'CronJob', 'cronjobs', ['spec', 'jobTemplate', 'spec', 'template']),
  {
    ...kind('apps.openshift.io', 'v1', 'DeploymentConfig', 'deploymentconfigs'),
    fields: [
      ['spec', 'template'],
      ['spec', 'strategy', 'customParams'],
    ],
    read: readDeploymentConfig,
  },
  { ...kind(builds, 'v1', 'BuildConfig', 'buildconfigs'), fields: [['spec']], read: readBuildConfig },
  { ...kind(builds, 'v1', 'Build', 'builds'), fields: [['spec']], read: readBuild },
  {
    ...kind(builds, 'v1', 'BuildRequest', 'buildrequests'),
    entryPoints: [entryPoint('buildconfigs/instantiate', 'CREATE'), entryPoint('builds/clone', 'CREATE')],
    fields: [],
    notStored: true,
    read: readBuildRequest,
  },
  {
    ...kind(images, 'v1', 'ImageStream', 'imagestreams'),
    entryPoints: [entryPoint('imagestreams'), entryPoint('imagestreams/status', 'UPDATE')],
    fields: [
      ['spec', 'tags'],
      ['spec', 'dockerImageRepository'],
      ['status', 'tags'],
    ],
    read: readImageStream,
  },
  { ...kind(images, 'v1', 'ImageStreamTag', 'imagestreamtags'), fields: [['tag']], notStored: true, read: readImageStreamTag },
  { ...kind(images, 'v1', 'ImageTag', 'imagetags'), fields: [['spec']], notStored: true, read: readImageTag },
  {
    ...kind(images, 'v1', 'ImageStreamImport', 'imagestreamimports'),
    entryPoints: [entryPoint('imagestreamimports', 'CREATE')],
    fields: [],
    notStored: true,
    read: readImageStreamImport,
  },
  {
    ...kind(images, 'v1', 'ImageStreamMapping', 'imagestreammappings'),
    entryPoints: [entryPoint('imagestreammappings', 'CREATE')],
    fields: [],
    notStored: true,
    read: readImageStreamMapping,
  },
];

export const builtInKinds: Kinds = kindsOf(kindsWithImages);

/** Whether the kind comes from a file for `--custom-kinds`. */
export function isCustomKind(row: KindRow): boolean {
  return !builtInKinds.rows.includes(row);
}

function workload(group: string, version: string, name: string, resource: string, template: Path): KindRow {
  return { ...kind(group, version, name, resource), fields: [template], read: templateAt(template) };
}

/** A kind that is created and updated through its own collection. */
function kind(group: string, version: string, name: string, resource: string): Omit<KindRow, 'fields' | 'read'> {
  return { group, version, kind: name, resource, entryPoints: [entryPoint(resource)] };
}

function entryPoint(resource: string, ...operations: EntryPoint['operations']): EntryPoint {
  return { resource, operations: operations.length > 0 ? operations : ['CREATE', 'UPDATE'] };
}
