/** Attacks with workloads: image triggers, owners, and objects of another kind than they claim. */
import { type Attack, containers, evil, good, pod } from './attack.ts';

const template = (...images: unknown[]) => ({ metadata: { labels: { app: 'x' } }, ...pod(...images) });
const workload = (of: object, metadata: object = {}) => ({ metadata, spec: { selector: { matchLabels: { app: 'x' } }, template: of } });
const triggers = (...entries: object[]) => ({ annotations: { 'image.openshift.io/triggers': JSON.stringify(entries) } });
const trigger = (fieldPath: string) => ({ from: { kind: 'ImageStreamTag', name: 'web:1' }, fieldPath });
const first = 'spec.template.spec.containers[0].image';
const owned = {
  ownerReferences: [
    { apiVersion: 'apps/v1', kind: 'Deployment', name: 'x', uid: '00000000-0000-0000-0000-000000000000', controller: true },
  ],
};
const evaluatedLikePods = 'the template is evaluated like its Pods';
const placeholder = 'a name without a registry is a placeholder there; the Pod is always evaluated';

export const templates: readonly Attack[] = [
  ...['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'ReplicationController'].map(
    (kind): Attack => ({
      attack: `an unknown image in a ${kind}`,
      kind,
      object: workload(template(evil)),
      right: 'denied',
      why: evaluatedLikePods,
      notOnCluster: 'other tests send it',
    }),
  ),
  {
    attack: 'an unknown image in a Job',
    kind: 'Job',
    object: { spec: { template: template(evil) } },
    right: 'denied',
    why: evaluatedLikePods,
    notOnCluster: 'other tests send it',
  },
  {
    attack: 'an unknown image in a CronJob',
    kind: 'CronJob',
    object: { spec: { jobTemplate: { spec: { template: template(evil) } } } },
    right: 'denied',
    why: evaluatedLikePods,
    notOnCluster: 'other tests send it',
  },
  {
    attack: 'an unknown image in a PodTemplate',
    kind: 'PodTemplate',
    object: { template: template(evil) },
    right: 'denied',
    why: evaluatedLikePods,
  },
  {
    attack: 'an owner that would have been evaluated',
    kind: 'ReplicaSet',
    object: workload(template(evil), owned),
    right: 'denied',
    why: 'an owner can be forged: it only affects what is written',
  },
  {
    attack: 'an owner, to avoid the secret',
    kind: 'ReplicaSet',
    object: workload(template(good), owned),
    right: 'allowed',
    why: 'its Pods get the secret',
  },
  {
    attack: 'an image trigger for an image with a registry',
    kind: 'Deployment',
    object: workload(template(evil), triggers(trigger(first))),
    right: 'denied',
    why: 'only a name without a registry is a placeholder',
  },
  {
    attack: 'an image trigger for an invalid name',
    kind: 'Deployment',
    object: workload(template('docker://nginx'), triggers(trigger(first))),
    right: 'denied',
    why: 'only a name without a registry is a placeholder',
  },
  {
    attack: 'an image trigger for a port that looks like a tag',
    kind: 'Deployment',
    object: workload(template('evil:443/app'), triggers(trigger(first))),
    right: 'denied',
    why: 'the port makes it a host',
  },
  {
    attack: 'an image trigger for a short name',
    kind: 'Deployment',
    object: workload(template('nginx'), triggers(trigger(first))),
    right: 'allowed',
    why: placeholder,
  },
  {
    attack: 'an image trigger for another container',
    kind: 'Deployment',
    object: workload(template('nginx'), triggers(trigger('spec.template.spec.containers[1].image'))),
    right: 'denied',
    why: 'an image that no trigger fills would run',
  },
  {
    attack: 'an image trigger in the metadata of the template',
    kind: 'Deployment',
    object: workload({ ...pod('nginx'), metadata: triggers(trigger(first)) }),
    right: 'denied',
    why: 'no controller reads it there',
    notOnCluster: 'its selector has no labels',
  },
  {
    attack: 'an image trigger on a ReplicaSet, copied from its Deployment',
    kind: 'ReplicaSet',
    object: workload(template('nginx'), { ...owned, ...triggers(trigger(first)) }),
    right: 'denied',
    why: 'no controller fills a ReplicaSet',
  },
  {
    attack: 'an image trigger that is removed, with the image unchanged',
    kind: 'Deployment',
    object: workload(template('nginx')),
    oldObject: workload(template('nginx'), triggers(trigger(first))),
    right: 'denied',
    why: 'the placeholder was not an image; now it is',
    notOnCluster: 'only the annotation changes, so no webhook is called: the Pods are evaluated',
  },
  {
    attack: 'an image trigger of a DeploymentConfig for an image with a registry',
    kind: 'DeploymentConfig',
    object: {
      spec: {
        template: template(evil),
        triggers: [{ type: 'ImageChange', imageChangeParams: { containerNames: ['c0'], from: { kind: 'ImageStreamTag', name: 'web:1' } } }],
      },
    },
    right: 'denied',
    why: 'only a name without a registry is a placeholder',
  },
  {
    attack: 'a custom deployment strategy',
    kind: 'DeploymentConfig',
    object: { spec: { template: template(good), strategy: { type: 'Custom', customParams: { image: evil } } } },
    right: 'denied',
    why: 'its image runs in the deployer Pod',
    secrets: ['good-pull'],
  },
  {
    attack: 'a deployment hook that runs in a new Pod',
    kind: 'DeploymentConfig',
    object: {
      spec: {
        template: template(good),
        strategy: { rollingParams: { pre: { failurePolicy: 'Abort', execNewPod: { containerName: 'c0', command: ['x'] } } } },
      },
    },
    right: 'allowed',
    why: 'it runs the image of a container of the template',
    secrets: ['good-pull'],
  },
  {
    attack: 'an image moved from a container to an image volume',
    kind: 'Deployment',
    object: workload({ ...template(good), spec: { ...pod(good).spec, volumes: [{ name: 'v', image: { reference: evil } }] } }),
    oldObject: workload(template(evil)),
    right: 'allowed',
    why: 'the image already existed; new Pods are denied nevertheless',
    secrets: ['good-pull'],
  },
  {
    attack: 'a legacy apiVersion of an OpenShift kind',
    kind: 'DeploymentConfig',
    group: '',
    object: { spec: { template: template(evil) } },
    right: 'denied',
    why: 'it is parsed like the current version',
    notOnCluster: 'no API server serves it',
  },
  {
    attack: 'a kind in a group that does not have it',
    kind: 'Deployment',
    group: 'extensions',
    object: workload(template(evil)),
    right: 'denied',
    why: 'a kind that is not evaluated is denied, if a webhook is called for it',
    notOnCluster: 'no API server serves it',
  },
  {
    attack: 'an object of a different kind than the request',
    object: { apiVersion: 'v1', kind: 'ConfigMap', ...pod(evil) },
    right: 'denied',
    why: "the request's kind counts",
    notOnCluster: 'the API server derives the kind from the URL',
  },
  {
    attack: 'a template that is null',
    kind: 'Deployment',
    object: { spec: { template: null } },
    right: 'denied',
    why: 'it is not a valid workload',
  },
  {
    attack: 'thousands of trusted images before an unknown one',
    kind: 'Deployment',
    object: workload({ ...template(), spec: { containers: containers(...Array.from({ length: 500 }, () => good), evil) } }),
    right: 'denied',
    why: 'all are evaluated',
    secrets: ['good-pull'],
  },
];
