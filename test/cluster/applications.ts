/** 300 objects of six teams, as a cluster has them before regkeeper is installed: several registries, few secrets in the objects. */

import type { ApiClient } from '../../src/kube/api-client.ts';
import { waitFor } from './wait-for.ts';
import { deployment, pod, running, workload } from './workloads.ts';

export const teams = ['billing', 'checkout', 'data', 'monitoring', 'search', 'storefront'] as const;

const corporate = 'registry.example.com:5000';
const old = 'old.example.com';
const perTeam = 50;
export const objectCount = teams.length * perTeam;

export type Created = { readonly path: string; readonly object: { readonly metadata: { readonly name: string } } };

/** Creates the namespaces, their registry Secrets, and the objects. Returns when all Pods exist, those of controllers too. */
export async function createApplications(api: ApiClient): Promise<readonly Created[]> {
  await inParallel(teams, async (team) => {
    await api.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: team } });
    const inTeam = `/api/v1/namespaces/${team}`;
    await api.create(`${inTeam}/secrets`, registrySecret('corp-pull', corporate));
    if (usesOld(team)) await api.create(`${inTeam}/secrets`, registrySecret('old-pull', old));
    // The API server rejects Pods before the account exists.
    await waitFor(() => api.get<object>(`${inTeam}/serviceaccounts/default`), { deadlineSeconds: 60, what: `the account of ${team}` });
  });
  const objects = teams.flatMap(objectsOf);
  await inParallel(objects, ({ path, object }) => api.create(path, object));
  await waitForPods(api);
  return objects;
}

/** Creates each object under another name, and stores none. Returns those that would be stored, and the messages of the denials. */
export async function createAgain<Stored>(
  api: ApiClient,
  objects: readonly Created[],
): Promise<{ readonly stored: readonly Stored[]; readonly denials: readonly string[] }> {
  const stored: Stored[] = [];
  const denials: string[] = [];
  await inParallel(objects, async ({ path, object }) => {
    const again = { ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-again` } };
    await api.create(path, again, { dryRun: 'All' }).then(
      (result) => void stored.push(result as Stored),
      (error: Error) => void denials.push(error.message),
    );
  });
  return { stored, denials };
}

/** Each has one replica, and a bare Pod is its own. CronJobs are suspended. */
const podCount = teams.length * 40;

async function waitForPods(api: ApiClient): Promise<void> {
  const count = async () => (await podsOf(api)) === podCount;
  await waitFor(count, { deadlineSeconds: 60, what: `${podCount} Pods of the applications` });
}

async function podsOf(api: ApiClient): Promise<number> {
  const lists = await Promise.all(teams.map((team) => api.list(`/api/v1/namespaces/${team}/pods`)));
  return lists.reduce((sum, { items }) => sum + items.length, 0);
}

function objectsOf(team: string): readonly Created[] {
  const inTeam = (groupVersion: string, resource: string) =>
    `${groupVersion.includes('/') ? '/apis' : '/api'}/${groupVersion}/namespaces/${team}/${resource}`;
  const numbered = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  const spec = (name: string, index: number) => running(imageOf(team, name, index));
  return [
    ...numbered(20).map((index) => {
      const name = `api-${index}`;
      return { path: inTeam('apps/v1', 'deployments'), object: deployment(name, spec(name, index), { replicas: 1 }) };
    }),
    ...numbered(10).map((index) => {
      const name = `store-${index}`;
      const object = workload('apps/v1', 'StatefulSet', name, spec(name, index + 2), { serviceName: name, replicas: 1 });
      return { path: inTeam('apps/v1', 'statefulsets'), object };
    }),
    ...numbered(10).map((index) => ({ path: inTeam('batch/v1', 'cronjobs'), object: cronJob(`report-${index}`, spec('report', index)) })),
    ...numbered(10).map((index) => ({ path: inTeam('v1', 'pods'), object: pod(`worker-${index}`, spec('worker', index)) })),
  ];
}

function imageOf(team: string, name: string, index: number): string {
  if (index % 5 === 0) return `bitnami/${index % 2 === 0 ? 'redis:8' : 'postgresql:18'}`;
  if (index % 7 === 0) return 'nginx:1.29';
  if (team === 'monitoring' && index % 3 === 0) return 'quay.io/prometheus/node-exporter:v1.10.2';
  if (usesOld(team) && index % 6 === 1) return `${old}/${team}/${name}:4`;
  return `${corporate}/${team}/${name}:1.${index}`;
}

function usesOld(team: string): boolean {
  return team === 'billing' || team === 'data';
}

function cronJob(name: string, spec: object) {
  const template = { spec: { ...spec, restartPolicy: 'Never' } };
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name },
    spec: { schedule: '0 4 * * *', suspend: true, jobTemplate: { spec: { template } } },
  };
}

function registrySecret(name: string, registry: string) {
  const config = JSON.stringify({ auths: { [registry]: { username: 'ci', password: 'secret' } } });
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': config },
  };
}

/** The API server answers most in a few milliseconds, so a few at a time keep it busy. */
async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 12 }, worker));
}
