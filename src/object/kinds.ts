/** Which kind keeps its images where, and by which requests it comes in. */

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
import { nameType, problemAt } from './pod.ts';
import { readBarePod, readDeploymentConfig, templateAt } from './workload.ts';

/** Reads the images and secret places of one object. Pure: the same object and context give the same shape. */
export function readObject(context: ReadingContext, object: unknown, kinds: Kinds = builtInKinds): ObjectReading {
  const row = kinds.find(context);
  if (!row) return { kind: 'unknown' };
  if (!isObject(object))
    return { kind: 'malformed', problem: problemAt(['object'], `must be a ${context.kind}, and is ${nameType(object)}`) };
  return row.read(object, context);
}

export type KindRow = GroupKind & {
  readonly version: string;
  /** Plural name; of a kind that has no collection of its own, what it would be. */
  readonly resource: string;
  readonly entryPoints: readonly EntryPoint[];
  /** Outside these fields no image can hide. */
  readonly fields: readonly Path[];
  readonly read: (object: JsonObject, context: ReadingContext) => ObjectReading;
};

/** A request that can bring an object of the kind in: a plural name as in URLs, with its subresource, and what is done with it. */
export type EntryPoint = { readonly resource: string; readonly operations: readonly ('CREATE' | 'UPDATE')[] };

/** The kinds that are read. */
export type Kinds = {
  readonly rows: readonly KindRow[];
  find(kind: GroupKind): KindRow | undefined;
};

export function kindsOf(rows: readonly KindRow[]): Kinds {
  const byName = new Map<string, KindRow>();
  for (const row of rows) {
    byName.set(nameOf(row), row);
    // Old files write OpenShift's kinds with `apiVersion: v1`, from before its API had groups. No API server does.
    if (row.group.endsWith('.openshift.io')) byName.set(nameOf({ group: '', kind: row.kind }), row);
  }
  return { rows, find: (kind) => byName.get(nameOf(kind)) };
}

function nameOf({ group, kind }: GroupKind): string {
  return `${kind}.${group}`;
}

const builds = 'build.openshift.io';
const images = 'image.openshift.io';

/**
 * Every kind of Kubernetes and OpenShift that names images. Those of OpenShift that look as if they did, and need no row:
 * - DeploymentRequest (`deploymentconfigs/instantiate`) names a DeploymentConfig; the images that its triggers put into the template are
 *   judged at the ReplicationController and at the Pods. That write of the template is not a request, and shows no webhook.
 * - BinaryBuildRequestOptions (`buildconfigs/instantiatebinary`) has a file's name and words about a commit. It comes by CONNECT; the Build
 *   that it makes comes by CREATE.
 * - Template and TemplateInstance hold whole objects, each of which comes by its own door when it is made.
 * - Image is what a stream has found, belongs to no namespace, and runs by the name of a stream or by what a Pod writes.
 * - DeploymentConfigRollback answers with a DeploymentConfig, which its sender then writes.
 */
export const kindsWithImages: readonly KindRow[] = [
  {
    ...kind('', 'v1', 'Pod', 'pods'),
    // `pods` does not match its subresources, and this one brings containers in.
    entryPoints: [entryPoint('pods'), entryPoint('pods/ephemeralcontainers', 'UPDATE')],
    fields: [
      ['spec', 'containers'],
      ['spec', 'initContainers'],
      ['spec', 'ephemeralContainers'],
      ['spec', 'volumes'],
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
    read: readBuildRequest,
  },
  {
    ...kind(images, 'v1', 'ImageStream', 'imagestreams'),
    fields: [
      ['spec', 'tags'],
      ['spec', 'dockerImageRepository'],
    ],
    read: readImageStream,
  },
  { ...kind(images, 'v1', 'ImageStreamTag', 'imagestreamtags'), fields: [['tag']], read: readImageStreamTag },
  { ...kind(images, 'v1', 'ImageTag', 'imagetags'), fields: [['spec']], read: readImageTag },
  {
    ...kind(images, 'v1', 'ImageStreamImport', 'imagestreamimports'),
    entryPoints: [entryPoint('imagestreamimports', 'CREATE')],
    fields: [],
    read: readImageStreamImport,
  },
  {
    ...kind(images, 'v1', 'ImageStreamMapping', 'imagestreammappings'),
    entryPoints: [entryPoint('imagestreammappings', 'CREATE')],
    fields: [],
    read: readImageStreamMapping,
  },
];

export const builtInKinds: Kinds = kindsOf(kindsWithImages);

function workload(group: string, version: string, name: string, resource: string, template: Path): KindRow {
  return { ...kind(group, version, name, resource), fields: [template], read: templateAt(template) };
}

/** One that is written and changed at its own collection. */
function kind(group: string, version: string, name: string, resource: string): Omit<KindRow, 'fields' | 'read'> {
  return { group, version, kind: name, resource, entryPoints: [entryPoint(resource)] };
}

function entryPoint(resource: string, ...operations: EntryPoint['operations']): EntryPoint {
  return { resource, operations: operations.length > 0 ? operations : ['CREATE', 'UPDATE'] };
}
