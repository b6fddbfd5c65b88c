/** One object of every kind that regkeeper registers, with changes to it that introduce no image. */

import type { KindRow } from '../../src/object/kinds.ts';

export type Sample = {
  /** Without metadata. */
  readonly object: object;
  /** JSON pointer of the field with its image. Undefined where objects of the kind are only created, never changed. */
  readonly image?: string;
  /** Changes that leave the images as they are, as merge patches by description. */
  readonly changes?: Readonly<Record<string, object>>;
  /** Such changes that the API server nevertheless denies while regkeeper is unavailable. */
  readonly deniedChanges?: Readonly<Record<string, object>>;
  /** Merge patches by the subresource that they are sent to. */
  readonly subresources?: Readonly<Record<string, object>>;
};

const image = 'registry.example.com/x:1';
const from = (name: string) => ({ kind: 'DockerImage', name });

const labels = { app: 'x' };
const template = { metadata: { labels }, spec: { containers: [{ name: 'x', image }] } };
const ending = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
const inTemplate = '/spec/template/spec/containers/0/image';
const scale = { spec: { replicas: 1 } };
const restarted = { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': '2026-11-21T00:00:00Z' } } };
const restart = { 'the annotation of kubectl rollout restart': { spec: { template: restarted } } };
const conditions = [{ type: 'example.com/Seen', status: 'True', lastTransitionTime: '2026-11-21T00:00:00Z' }];
const status = { status: { conditions } };
const build = { strategy: { dockerStrategy: { from: from(image) } }, output: { to: from(image) } };
const inBuild = '/spec/strategy/dockerStrategy/from/name';

/** By kind. The tests that use the samples fail for a kind of `kindsWithImages` that has none. */
export const samples: Readonly<Record<string, Sample>> = {
  Pod: {
    object: { spec: { containers: [{ name: 'x', image, resources: { requests: { cpu: '10m' } } }] } },
    image: '/spec/containers/0/image',
    changes: { activeDeadlineSeconds: { spec: { activeDeadlineSeconds: 6000 } } },
    subresources: { status, resize: { spec: { containers: [{ name: 'x', image, resources: { requests: { cpu: '20m' } } }] } } },
  },
  PodTemplate: {
    object: { template },
    image: '/template/spec/containers/0/image',
    deniedChanges: { 'a label of the template': { template: { metadata: { labels: { a: 'b' } } } } },
  },
  ReplicationController: {
    object: { spec: { replicas: 0, selector: labels, template } },
    image: inTemplate,
    changes: { replicas: { spec: { replicas: 2 } }, minReadySeconds: { spec: { minReadySeconds: 1 } } },
    deniedChanges: restart,
    subresources: { scale, status },
  },
  Deployment: {
    object: { spec: { replicas: 0, selector: { matchLabels: labels }, template } },
    image: inTemplate,
    changes: {
      replicas: { spec: { replicas: 2 } },
      'paused, as by kubectl rollout pause': { spec: { paused: true } },
      strategy: { spec: { strategy: { rollingUpdate: { maxSurge: 2 } } } },
    },
    deniedChanges: restart,
    subresources: { scale, status },
  },
  ReplicaSet: {
    object: { spec: { replicas: 0, selector: { matchLabels: labels }, template } },
    image: inTemplate,
    changes: { replicas: { spec: { replicas: 2 } }, minReadySeconds: { spec: { minReadySeconds: 1 } } },
    deniedChanges: restart,
    subresources: { scale, status },
  },
  StatefulSet: {
    object: { spec: { replicas: 0, serviceName: 'x', selector: { matchLabels: labels }, template } },
    image: inTemplate,
    changes: { replicas: { spec: { replicas: 2 } }, updateStrategy: { spec: { updateStrategy: { rollingUpdate: { partition: 1 } } } } },
    deniedChanges: restart,
    subresources: { scale, status },
  },
  DaemonSet: {
    object: {
      spec: { selector: { matchLabels: labels }, template: { ...template, spec: { ...template.spec, nodeSelector: { no: 'node' } } } },
    },
    image: inTemplate,
    changes: { minReadySeconds: { spec: { minReadySeconds: 1 } }, updateStrategy: { spec: { updateStrategy: { type: 'OnDelete' } } } },
    deniedChanges: restart,
    subresources: { status },
  },
  Job: {
    object: { spec: { suspend: true, template: ending } },
    image: inTemplate,
    changes: {
      parallelism: { spec: { parallelism: 2 } },
      ttlSecondsAfterFinished: { spec: { ttlSecondsAfterFinished: 6000 } },
      suspend: { spec: { suspend: false } },
    },
    subresources: { status: { status: { terminating: 0 } } },
  },
  CronJob: {
    object: { spec: { schedule: '0 0 1 1 *', suspend: true, jobTemplate: { spec: { template: ending } } } },
    image: '/spec/jobTemplate/spec/template/spec/containers/0/image',
    changes: {
      schedule: { spec: { schedule: '0 0 2 1 *' } },
      suspend: { spec: { suspend: false } },
      'a field of the Job that is to be': { spec: { jobTemplate: { spec: { backoffLimit: 1 } } } },
    },
    subresources: { status: { status: { lastScheduleTime: '2026-11-21T00:00:00Z' } } },
  },
  DeploymentConfig: {
    object: { spec: { replicas: 0, selector: labels, template } },
    image: inTemplate,
    changes: {
      replicas: { spec: { replicas: 2 } },
      paused: { spec: { paused: true } },
      triggers: { spec: { triggers: [{ type: 'ConfigChange' }] } },
    },
    deniedChanges: restart,
    subresources: { scale, status },
  },
  BuildConfig: {
    object: { spec: build },
    image: inBuild,
    changes: { status: { status: { lastVersion: 2 } } },
    deniedChanges: { 'any field of the spec': { spec: { runPolicy: 'Parallel' } } },
  },
  Build: {
    object: { spec: build },
    image: inBuild,
    changes: { status: { status: { phase: 'Complete' } } },
  },
  ImageStream: {
    object: { spec: { tags: [{ name: '1', from: from(image) }] } },
    image: '/spec/tags/0/from/name',
    changes: { lookupPolicy: { spec: { lookupPolicy: { local: true } } } },
    subresources: { status: { status: { dockerImageRepository: 'x' } } },
  },
  ImageStreamTag: {
    object: { tag: { name: '1', from: from(image) } },
    image: '/tag/from/name',
    changes: { lookupPolicy: { lookupPolicy: { local: true } } },
  },
  ImageTag: {
    object: { spec: { name: '1', from: from(image) } },
    image: '/spec/from/name',
    changes: { status: { status: { tag: '1' } } },
  },
  ImageStreamImport: { object: { spec: { import: false, repository: { from: from(image) } } } },
  ImageStreamMapping: { object: { tag: '1', image: { dockerImageReference: image } } },
};

/** Kinds that are only sent to a subresource that a custom resource cannot have, so the test cluster does not serve them. */
export const notServedHere: readonly string[] = ['BuildRequest'];

/** The API path of the kind's objects in the namespace. */
export function collectionOf({ group, version, resource }: Pick<KindRow, 'group' | 'version' | 'resource'>, namespace: string): string {
  return `${group === '' ? '/api' : `/apis/${group}`}/${version}/namespaces/${namespace}/${resource}`;
}

export function sampleObject({ group, version, kind }: Pick<KindRow, 'group' | 'version' | 'kind'>, name: string): object {
  return { apiVersion: group === '' ? version : `${group}/${version}`, kind, metadata: { name }, ...samples[kind]?.object };
}
