/** Owners, requests and an API server in memory for tests of Events. */
import { setImmediate } from 'node:timers/promises';
import type { AnsweredRequest } from '../../../../src/admission/response.ts';
import { changeOf, decodeReview } from '../../../../src/admission/review.ts';
import type { CoreEvent } from '../../../../src/cluster/events/event.ts';
import { decide } from '../../../../src/decision/decide.ts';
import type { KubeObject } from '../../../../src/kube/api-client.ts';
import { unwatched } from '../../decision/changes.ts';
import type { memoryApi } from '../../kube/memory-api.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import type { manualClock } from '../../server/clock.ts';
import { reviewOf } from '../../server/reviews.ts';

export const rules = ruleSetOf(`
contact: the platform team
rules:
- registry: good.example.com
- {registry: evil.example.com, trust: false, reason: it was hacked}
`);

/** A Deployment, its ReplicaSet, and other owners, in the namespace `shop`. Their own owners exist too. */
export const owners: Record<string, KubeObject> = {
  '/apis/apps/v1/namespaces/shop/replicasets/web-6d4c': ownedBy('web-6d4c', 'rs-uid', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: 'web',
    uid: 'deployment-uid',
  }),
  '/apis/apps/v1/namespaces/shop/deployments/web': ownedBy('web', 'deployment-uid'),
  '/apis/batch/v1/namespaces/shop/cronjobs/report': ownedBy('report', 'cron-uid'),
  '/apis/apps.openshift.io/v1/namespaces/shop/deploymentconfigs/old': ownedBy('old', 'dc-uid'),
  '/apis/apps/v1/namespaces/shop/replicasets/lone': ownedBy('lone', 'lone-uid'),
  '/apis/apps/v1/namespaces/shop/statefulsets/db': ownedBy('db', 'db-uid'),
  '/apis/apps/v1/namespaces/shop/daemonsets/agent': ownedBy('agent', 'agent-uid'),
  '/apis/batch/v1/namespaces/shop/jobs/report-1': ownedBy('report-1', 'job-uid', {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    name: 'report',
    uid: 'cron-uid',
  }),
  '/api/v1/namespaces/shop/replicationcontrollers/old-1': ownedBy('old-1', 'rc-uid', {
    apiVersion: 'apps.openshift.io/v1',
    kind: 'DeploymentConfig',
    name: 'old',
    uid: 'dc-uid',
  }),
};

type OwnerEntry = { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string };

function ownedBy(name: string, uid: string, owner?: OwnerEntry): KubeObject {
  const metadata = { name, namespace: 'shop', uid, ...(owner && { ownerReferences: [{ ...owner, controller: true }] }) };
  return { metadata };
}

export const replicaSet: OwnerEntry = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-6d4c', uid: 'rs-uid' };

export const deployment: OwnerEntry = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'deployment-uid' };

export type AnsweredOptions = {
  /** Instead of a Pod: an object with a Pod template, such as a ReplicaSet. */
  readonly creates?: { readonly apiVersion: string; readonly kind: string };
  readonly images?: readonly string[];
  /** Instead of the images. */
  readonly containers?: readonly { readonly name: string; readonly image: string }[];
  readonly owner?: Partial<OwnerEntry> | undefined;
  readonly request?: Readonly<Record<string, unknown>>;
  readonly webhook?: AnsweredRequest['webhook'];
  readonly callerAuthenticated?: boolean;
  readonly rules?: typeof rules;
};

/** The request of a controller for a Pod or another object, and the decision about it. */
export function answered(options: AnsweredOptions = {}): AnsweredRequest {
  const { images = ['evil.example.com/x:1'], request, webhook = 'validate', callerAuthenticated = false, rules: ruleSet = rules } = options;
  const owner = 'owner' in options ? options.owner : replicaSet;
  const metadata = owner && { ownerReferences: [{ ...owner, controller: true }] };
  const spec = { containers: options.containers ?? images.map((image, index) => ({ name: `c${index}`, image })) };
  const object = options.creates
    ? { ...options.creates, metadata: { name: 'web-7f8d', ...metadata }, spec: { template: { spec } } }
    : { apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'web-6d4c-', ...metadata }, spec };
  const review = decodeReview(reviewOf(object, request));
  if (!review.ok) throw new Error(review.message);
  const change = changeOf(review.request);
  if (!change) throw new Error('the request introduces nothing');
  return { webhook, callerAuthenticated, request: review.request, decision: decide(change, ruleSet, unwatched), rules: ruleSet };
}

/** The Events that were stored, by path. */
export function eventsIn(api: ReturnType<typeof memoryApi>): CoreEvent[] {
  const paths = new Set(
    api.calls.flatMap(({ method, path, body }) => (method === 'create' ? [`${path}/${(body as KubeObject).metadata.name}`] : [])),
  );
  return [...paths].flatMap((path) => (api.get(path) as unknown as CoreEvent | undefined) ?? []);
}

/** Lets time pass in small steps, and after each lets the pending requests end. */
export async function pass(clock: ReturnType<typeof manualClock>, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 50) {
    clock.pass(50);
    for (let turn = 0; turn < 10; turn++) await setImmediate();
  }
}
