/** Which live objects belong to one workload, and which of them are evaluated. */
import { expect, test } from 'vitest';
import { ApiError } from '../../../src/kube/api-client.ts';
import { textAt } from '../../../src/object/json.ts';
import { builtInKinds } from '../../../src/object/kinds.ts';
import { type LiveObjects, readWorkloads } from '../../../src/scan/read-workloads.ts';
import { deployment, type LiveApiOptions, type LiveObject, liveApi, ownedBy, pod, specWith } from './live-api.ts';

/** Each workload on one line: what was evaluated of its templates, its Pods, and how many copies have no Pods. */
async function read(objects: readonly LiveObject[], options: LiveApiOptions = {}, live: Partial<LiveObjects> = {}) {
  const { client } = liveApi(objects, options);
  const found = await readWorkloads({ client, kinds: builtInKinds, isCovered: () => true, ...live }, ({ object }, user) => {
    const image =
      textAt(object, ['spec', 'containers', 0, 'image']) ?? textAt(object, ['spec', 'template', 'spec', 'containers', 0, 'image']);
    return user === 'controller' ? image : `${image} by ${user}`;
  });
  const lines = found.workloads.map(({ kind, namespace, name, templates, pods, idleCopies }) => {
    const groups = pods.map(({ count, value }) => `${count} × ${value}`);
    return `${kind} ${namespace}/${name}: ${[...templates, ...groups].join(', ')}${idleCopies > 0 ? `, ${idleCopies} idle` : ''}`;
  });
  return { ...found, lines };
}

const job = (name: string, status: object, owner?: string): LiveObject => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, namespace: 'shop', ...(owner !== undefined && ownedBy('batch/v1', 'CronJob', owner)) },
  spec: { template: { spec: specWith('job:1') } },
  status,
});
const cronJob: LiveObject = {
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name: 'nightly', namespace: 'shop' },
  spec: { jobTemplate: { spec: { template: { spec: specWith('cron:1') } } } },
};
const replicaSetOf = (apiVersion: string, kind: string, replicas: number, name = 'canary-1'): LiveObject => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { name, namespace: 'shop', ...ownedBy(apiVersion, kind, 'canary') },
  spec: { replicas, template: { spec: specWith('canary:1') } },
  status: { replicas },
});

test.each<[name: string, objects: readonly LiveObject[], lines: readonly string[]]>([
  [
    'a Deployment with its ReplicaSets and Pods is one workload',
    deployment({ image: 'web:2', pods: 3, before: ['web:1', 'web:0'] }),
    ['Deployment shop/web: web:2, 3 × web:2, 2 idle'],
  ],
  ['a Deployment without Pods is evaluated too', deployment({ image: 'web:2' }), ['Deployment shop/web: web:2, 1 idle']],
  [
    'Pods of an earlier template that are still running are a separate group',
    [...deployment({ image: 'web:2', pods: 1 }), pod({ name: 'web-new-x', image: 'web:1', owner: ['apps/v1', 'ReplicaSet', 'web-new'] })],
    ['Deployment shop/web: web:2, 1 × web:2, 1 × web:1'],
  ],
  [
    'a label that pretends to belong to a template hides no image',
    [
      pod({ name: 'a', image: 'good:1', labels: { 'pod-template-hash': '1' }, owner: ['apps/v1', 'ReplicaSet', 'web'] }),
      pod({ name: 'b', image: 'evil:1', labels: { 'pod-template-hash': '1' }, owner: ['apps/v1', 'ReplicaSet', 'web'] }),
    ],
    ['ReplicaSet shop/web: 1 × good:1, 1 × evil:1'],
  ],
  [
    'Pods of two namespaces are two workloads',
    [pod({ namespace: 'a', image: 'x:1' }), pod({ namespace: 'b', image: 'x:1' })],
    ['Pod a/alone: 1 × x:1', 'Pod b/alone: 1 × x:1'],
  ],
  [
    'Pods that will not run again are not evaluated',
    [pod({ image: 'x:1', phase: 'Succeeded' }), pod({ name: 'b', image: 'x:1', phase: 'Failed' })],
    [],
  ],
  [
    'Jobs of a CronJob belong to it, and finished ones are not evaluated again',
    [
      cronJob,
      job('nightly-1', { completionTime: '2026-01-01T00:00:00Z' }, 'nightly'),
      job('nightly-2', { conditions: [{ type: 'Failed', status: 'True' }] }, 'nightly'),
      job('nightly-3', { active: 1 }, 'nightly'),
      pod({ name: 'nightly-3-x', image: 'cron:1', owner: ['batch/v1', 'Job', 'nightly-3'] }),
    ],
    ['CronJob shop/nightly: , 1 × cron:1, 2 idle'],
  ],
  [
    'a Job without an owner is evaluated, even a finished one',
    [job('once', { completionTime: '2026-01-01T00:00:00Z' })],
    ['Job shop/once: job:1'],
  ],
  [
    'a ReplicaSet whose owner is of an unknown kind is evaluated in its place',
    [
      replicaSetOf('argoproj.io/v1alpha1', 'Rollout', 1),
      replicaSetOf('argoproj.io/v1alpha1', 'Rollout', 0, 'canary-0'),
      pod({ name: 'canary-1-x', image: 'canary:1', owner: ['apps/v1', 'ReplicaSet', 'canary-1'] }),
    ],
    ['Rollout shop/canary: canary:1, 1 × canary:1, 1 idle'],
  ],
  [
    'the mirror Pod of a static Pod is created by its node',
    [pod({ name: 'etcd-node-1', image: 'etcd:1', owner: ['v1', 'Node', 'node-1'], annotations: { 'kubernetes.io/config.mirror': 'x' } })],
    ['Pod shop/etcd-node-1: 1 × etcd:1 by system:node:node-1'],
  ],
  [
    'only the annotation of a mirror Pod does not make one',
    [pod({ image: 'etcd:1', annotations: { 'kubernetes.io/config.mirror': 'x' } })],
    ['Pod shop/alone: 1 × etcd:1'],
  ],
])('%s', async (_name, objects, lines) => {
  expect((await read(objects)).lines).toEqual(lines);
});

test('finished Pods are counted', async () => {
  const { finishedPods } = await read([pod({ image: 'x:1', phase: 'Succeeded' })]);
  expect(finishedPods).toBe(1);
});

test('a list that starts over counts nothing twice', async () => {
  const expiring = ['/apis/apps/v1/deployments', '/apis/apps/v1/replicasets', '/api/v1/pods'];
  const { lines } = await read(deployment({ image: 'web:2', pods: 3, before: ['web:1'] }), { expiring });
  expect(lines).toEqual(['Deployment shop/web: web:2, 3 × web:2, 1 idle']);
});

test('objects in namespaces that the webhooks do not intercept are only counted', async () => {
  const objects = [...deployment({ namespace: 'kube-system', image: 'dns:1', pods: 1 }), pod({ image: 'x:1' })];
  const { lines, excluded } = await read(objects, {}, { isCovered: (name) => name !== 'kube-system' });
  expect(lines).toEqual(['Pod shop/alone: 1 × x:1']);
  expect(excluded).toEqual({ namespaces: ['kube-system'], objects: 3 });
});

test('with a namespace, only its objects are requested', async () => {
  const { client, requested } = liveApi([pod({ image: 'x:1' }), pod({ namespace: 'other', image: 'y:1' })]);
  const { workloads } = await readWorkloads({ client, kinds: builtInKinds, namespace: 'shop', isCovered: () => true }, () => 'seen');
  expect(workloads.map(({ namespace }) => namespace)).toEqual(['shop']);
  expect(requested.filter((path) => !path.startsWith('/discovery/') && !path.includes('/namespaces/shop/'))).toEqual([]);
});

test('labels select', async () => {
  const objects = [pod({ name: 'a', image: 'x:1', labels: { app: 'a' } }), pod({ name: 'b', image: 'x:1', labels: { app: 'b' } })];
  expect((await read(objects, {}, { labelSelector: 'app=b' })).lines).toEqual(['Pod shop/b: 1 × x:1']);
});

test('progress is reported page by page', async () => {
  const seen: unknown[] = [];
  await read([pod({ image: 'x:1' })], {}, { onProgress: (progress) => seen.push(progress) });
  expect(seen.at(-1)).toEqual({ resource: 'pods', objects: 1, remaining: 0 });
});

test('a collection that may not be listed is reported with the permission, and the others are listed', async () => {
  const { lines, notRead } = await read([...deployment({ image: 'web:1', pods: 1 })], { forbidden: ['/apis/apps/v1/deployments'] });
  expect(lines).toEqual(['Deployment shop/web: web:1, 1 × web:1']);
  expect(notRead).toEqual([
    {
      resource: 'deployments.apps',
      code: 'forbidden',
      message: expect.stringContaining('apiGroups ["apps"], resources ["deployments"], verbs ["list"]'),
    },
  ]);
});

test('PodTemplates, from which no Pods are created, may be unreadable', async () => {
  const { notRead, gaps } = await read([], { forbidden: ['/api/v1/podtemplates'] });
  expect(notRead).toEqual([]);
  expect(gaps).toEqual([expect.stringContaining('cannot read podtemplates in all namespaces: ')]);
});

test('an aggregated API whose server is unavailable is reported for each of its kinds', async () => {
  const failures = {
    '/discovery/build.openshift.io/v1': new ApiError(503, 'ServiceUnavailable', 'GET /apis/build.openshift.io/v1: unavailable'),
  };
  const { notRead } = await read([], { failures });
  expect(notRead.map(({ resource, code }) => `${resource} ${code}`)).toEqual([
    'buildconfigs.build.openshift.io unavailable',
    'builds.build.openshift.io unavailable',
  ]);
});

test.each([
  ['an API server that cannot be reached', new ApiError(0, 'Unreachable', 'GET /api/v1/pods: connection failed')],
  ['a credential that is rejected', new ApiError(401, 'Unauthorized', 'GET /api/v1/pods: Unauthorized (401)')],
])('%s ends the scan', async (_name, error) => {
  await expect(read([], { failures: { '/api/v1/pods': error } })).rejects.toBe(error);
});
