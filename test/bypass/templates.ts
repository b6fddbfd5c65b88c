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
const evaluatedLikePods = 'the template is judged as its Pods will be';
const placeholder = 'a name without registry is a placeholder there; the Pod is judged, always';

export const templates: readonly Attack[] = [
  ...['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'ReplicationController'].map(
    (kind): Attack => ({
      attack: `an unknown image in a ${kind}`,
      kind,
      object: workload(template(evil)),
      right: 'refused',
      why: evaluatedLikePods,
      notOnCluster: 'other files do',
    }),
  ),
  {
    attack: 'an unknown image in a Job',
    kind: 'Job',
    object: { spec: { template: template(evil) } },
    right: 'refused',
    why: evaluatedLikePods,
    notOnCluster: 'other files do',
  },
  {
    attack: 'an unknown image in a CronJob',
    kind: 'CronJob',
    object: { spec: { jobTemplate: { spec: { template: template(evil) } } } },
    right: 'refused',
    why: evaluatedLikePods,
    notOnCluster: 'other files do',
  },
  {
    attack: 'an unknown image in a PodTemplate',
    kind: 'PodTemplate',
    object: { template: template(evil) },
    right: 'refused',
    why: evaluatedLikePods,
  },
  {
    attack: 'an owner that would have been judged',
    kind: 'ReplicaSet',
    object: workload(template(evil), owned),
    right: 'refused',
    why: 'an owner can be forged: only writing depends on it',
  },
  {
    attack: 'an owner, to be spared the secret',
    kind: 'ReplicaSet',
    object: workload(template(good), owned),
    right: 'admitted',
    why: 'its Pods are given theirs',
  },
  {
    attack: 'an image trigger around an image that names its registry',
    kind: 'Deployment',
    object: workload(template(evil), triggers(trigger(first))),
    right: 'refused',
    why: 'only a name without registry is a placeholder',
  },
  {
    attack: 'an image trigger around a name that no tool reads',
    kind: 'Deployment',
    object: workload(template('docker://nginx'), triggers(trigger(first))),
    right: 'refused',
    why: 'only a name without registry is a placeholder',
  },
  {
    attack: 'an image trigger around a port that looks like a tag',
    kind: 'Deployment',
    object: workload(template('evil:443/app'), triggers(trigger(first))),
    right: 'refused',
    why: 'the port makes it a host',
  },
  {
    attack: 'an image trigger around a short name',
    kind: 'Deployment',
    object: workload(template('nginx'), triggers(trigger(first))),
    right: 'admitted',
    why: placeholder,
  },
  {
    attack: 'an image trigger of another container',
    kind: 'Deployment',
    object: workload(template('nginx'), triggers(trigger('spec.template.spec.containers[1].image'))),
    right: 'refused',
    why: 'what no trigger fills would run',
  },
  {
    attack: 'an image trigger in the metadata of the template',
    kind: 'Deployment',
    object: workload({ ...pod('nginx'), metadata: triggers(trigger(first)) }),
    right: 'refused',
    why: 'no controller reads it there',
    notOnCluster: 'its selector has no labels',
  },
  {
    attack: 'an image trigger on a ReplicaSet, as its Deployment has it',
    kind: 'ReplicaSet',
    object: workload(template('nginx'), { ...owned, ...triggers(trigger(first)) }),
    right: 'refused',
    why: 'no controller fills a ReplicaSet',
  },
  {
    attack: 'an image trigger taken away with the image put back',
    kind: 'Deployment',
    object: workload(template('nginx')),
    oldObject: workload(template('nginx'), triggers(trigger(first))),
    right: 'refused',
    why: 'the placeholder was no image; now it is one',
    notOnCluster: 'only the annotation changes, so nobody is asked: the Pods are judged',
  },
  {
    attack: 'an image trigger of a DeploymentConfig around an image that names its registry',
    kind: 'DeploymentConfig',
    object: {
      spec: {
        template: template(evil),
        triggers: [{ type: 'ImageChange', imageChangeParams: { containerNames: ['c0'], from: { kind: 'ImageStreamTag', name: 'web:1' } } }],
      },
    },
    right: 'refused',
    why: 'only a name without registry is a placeholder',
  },
  {
    attack: 'a custom deployment strategy',
    kind: 'DeploymentConfig',
    object: { spec: { template: template(good), strategy: { type: 'Custom', customParams: { image: evil } } } },
    right: 'refused',
    why: 'its image runs in the deployer pod',
    secrets: ['good-pull'],
  },
  {
    attack: 'a hook of a deployment that runs in a new pod',
    kind: 'DeploymentConfig',
    object: {
      spec: {
        template: template(good),
        strategy: { rollingParams: { pre: { failurePolicy: 'Abort', execNewPod: { containerName: 'c0', command: ['x'] } } } },
      },
    },
    right: 'admitted',
    why: 'it runs the image of a container of the template',
    secrets: ['good-pull'],
  },
  {
    attack: 'an image moved from a container to an image volume',
    kind: 'Deployment',
    object: workload({ ...template(good), spec: { ...pod(good).spec, volumes: [{ name: 'v', image: { reference: evil } }] } }),
    oldObject: workload(template(evil)),
    right: 'admitted',
    why: 'the image was there before; new pods are refused all the same',
    secrets: ['good-pull'],
  },
  {
    attack: 'a legacy apiVersion of an OpenShift kind',
    kind: 'DeploymentConfig',
    group: '',
    object: { spec: { template: template(evil) } },
    right: 'refused',
    why: 'it is read as its newer form is',
    notOnCluster: 'no API server serves it',
  },
  {
    attack: 'a kind in a group that has none of it',
    kind: 'Deployment',
    group: 'extensions',
    object: workload(template(evil)),
    right: 'refused',
    why: 'what is not read is not let in, where somebody has it asked about',
    notOnCluster: 'no API server serves it',
  },
  {
    attack: 'an object that calls itself another kind than the request',
    object: { apiVersion: 'v1', kind: 'ConfigMap', ...pod(evil) },
    right: 'refused',
    why: "the request's kind counts",
    notOnCluster: 'the API server decides the kind by the address',
  },
  {
    attack: 'a template that is null',
    kind: 'Deployment',
    object: { spec: { template: null } },
    right: 'refused',
    why: 'such a workload is none',
  },
  {
    attack: 'thousands of good images before an unknown one',
    kind: 'Deployment',
    object: workload({ ...template(), spec: { containers: containers(...Array.from({ length: 500 }, () => good), evil) } }),
    right: 'refused',
    why: 'all are judged',
    secrets: ['good-pull'],
  },
];
