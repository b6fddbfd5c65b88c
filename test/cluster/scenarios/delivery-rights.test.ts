/**
 * The permissions of secret delivery: every request is allowed, every permission is used, and everything else is rejected, by RBAC or by the
 * policy. Runs on this file's own control plane, whose audit log shows the requests.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiClient, ApiRequest } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { installCrds } from '../crds.ts';
import { applyDelivery, applyDeliveryRights, type DeliveryProcess, startDelivery } from '../delivery.ts';
import { type Kubectl, kubectlOf } from '../kubectl.ts';
import { applyBase, serviceAccountKubeconfig } from '../regkeeper.ts';
import { waitFor } from '../wait-for.ts';

const user = 'system:serviceaccount:regkeeper:regkeeper-deliver';
const rules = `
rules: [{registry: reg.example.com, pullSecret: corp-pull}]
secrets: [{name: corp-pull, source: corp-source, namespaces: '*', retain: 0s}]
`;
const type = 'kubernetes.io/dockerconfigjson';
const data = { '.dockerconfigjson': btoa('{"auths":{"reg.example.com":{"auth":"YTpi"}}}') };
const label = { 'regkeeper.io/delivered': 'true' };

let plane: ControlPlane;
let kubectl: Kubectl;
let admin: ApiClient;
let account: ApiClient;
let delivery: DeliveryProcess;

beforeAll(async () => {
  plane = await startControlPlane({ auditOf: user });
  kubectl = kubectlOf(plane);
  admin = await kubectl.api();
  await installCrds(kubectl);
  const directory = join(plane.directory, 'delivery');
  await mkdir(directory);
  await applyBase(kubectl);
  await applyDelivery(kubectl, directory);
  await applyDeliveryRights(kubectl, directory, rules);
  await admin.request({
    method: 'PATCH',
    path: '/api/v1/namespaces/regkeeper/configmaps/regkeeper-rules',
    body: { data: { 'rules.yaml': rules } },
    contentType: 'application/merge-patch+json',
  });
  await admin.create('/api/v1/namespaces/regkeeper/secrets', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'corp-source', labels: { 'regkeeper.io/source': 'true' } },
    type,
    data,
  });
  for (const name of ['a', 'b', 'c', 'd', 'openshift', 'openshift-config'])
    await admin.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await put('b', 'corp-pull', {});
  await put('b', 'other', label);
  account = connectApi(
    await loadKubeConfig({ file: await serviceAccountKubeconfig({ kubectl, directory }, 'regkeeper-deliver'), env: {} }),
  );
  delivery = await startDelivery({ kubectl, directory });
  await causeRequests();
});

afterAll(async () => {
  await delivery?.end('SIGKILL');
  await account?.close();
  await plane?.stop();
});

function put(namespace: string, name: string, labels: object): Promise<unknown> {
  return admin.create(`/api/v1/namespaces/${namespace}/secrets`, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, labels },
    type,
    data,
  });
}

const copyPath = '/api/v1/namespaces/a/secrets/corp-pull';

/** A copy that is created, changed and deleted, and a foreign Secret that is reported. */
async function causeRequests(): Promise<void> {
  const user = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, annotations: { 'regkeeper.io/secrets': 'corp-pull' } },
  });
  const template = {
    ...user('needing'),
    kind: 'PodTemplate',
    template: { spec: { containers: [{ name: 'app', image: 'reg.example.com/x' }] } },
  };
  for (const namespace of ['a', 'b', 'd']) await admin.create(`/api/v1/namespaces/${namespace}/podtemplates`, template);
  for (const path of [copyPath, copyPath.replace('/a/', '/d/')]) await waitFor(() => admin.get(path), { deadlineSeconds: 60, what: path });
  const events = () => admin.list<never>('/api/v1/namespaces/b/events', { fieldSelector: 'reason=SecretNotDelivered' });
  await waitFor(async () => (await events()).items.length > 0, { deadlineSeconds: 60, what: 'the Event about the foreign Secret' });
  await admin.delete('/api/v1/namespaces/a/podtemplates/needing');
  await waitFor(async () => !(await admin.get(copyPath).catch(() => undefined)), { deadlineSeconds: 60, what: 'the copy to be deleted' });
}

type AuditEvent = {
  verb: string;
  objectRef?: { apiGroup?: string; resource: string; subresource?: string; namespace?: string; name?: string };
  annotations: { 'authorization.k8s.io/decision': 'allow' | 'forbid' };
  requestURI: string;
  responseStatus?: { code?: number };
  userAgent?: string;
};

/** Those of the process, without those that this file sends with the same account. */
async function events(): Promise<AuditEvent[]> {
  const lines = (await readFile(plane.auditLog, 'utf8')).split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as AuditEvent).filter(({ requestURI }) => !requestURI.includes('probe-of-the-test'));
}

type PolicyRule = { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] };
type Role = { kind: string; metadata: { name: string; namespace?: string }; rules: PolicyRule[] };

/** A list or watch of a source includes what `get` would show. */
const unused = ['regkeeper-secret-sources: get secrets corp-source'];

/** Not served by this cluster, or only with OpenShift's configuration. */
const ofOpenShift = /openshift\.io|services image-registry/;

describe('what the process requests', () => {
  test('is allowed, always', async () => {
    const denied = (await events()).filter(({ annotations }) => annotations['authorization.k8s.io/decision'] !== 'allow');
    expect(denied.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
  });

  test('is all that it is granted', async () => {
    // The Lease is renewed every few seconds.
    await waitFor(async () => (await events()).some(({ verb }) => verb === 'update'), { deadlineSeconds: 60, what: 'a renewed Lease' });
    const used = await events();
    const { items } = await kubectl.json<{ items: Role[] }>(['get', 'clusterroles,roles', '-A', '-l', 'app.kubernetes.io/name=regkeeper']);
    const own = ['regkeeper-deliver', 'regkeeper-delivered-secrets', 'regkeeper-secret-sources'];
    const roles = items.filter(({ metadata }) => own.includes(metadata.name));
    expect([...new Set(roles.map(({ metadata }) => metadata.name))].sort()).toEqual(own);
    const rights = roles.flatMap(({ metadata, rules: granted }) =>
      granted.flatMap(({ apiGroups: [group = ''], resources, resourceNames = [undefined], verbs }) =>
        resources.flatMap((resource) =>
          resourceNames.flatMap((name) =>
            verbs.map((verb) => ({ role: metadata.name, namespace: metadata.namespace, group, resource, name, verb })),
          ),
        ),
      ),
    );
    const idle = rights.filter(
      ({ namespace, group, resource, name, verb }) =>
        !used.some(
          ({ verb: usedVerb, objectRef }) =>
            // A server-side apply of a new object is authorized as `patch` and as `create`.
            (usedVerb === verb || (verb === 'create' && resource === 'secrets' && usedVerb === 'patch')) &&
            (objectRef?.apiGroup ?? '') === group &&
            objectRef?.resource === resource &&
            (name === undefined || objectRef.name === name) &&
            (namespace === undefined || objectRef.namespace === namespace),
        ),
    );
    const shown = idle.map(
      ({ role, group, resource, name, verb }) =>
        `${role}: ${verb} ${resource}${group && `.${group}`}${name === undefined ? '' : ` ${name}`}`,
    );
    expect(shown.filter((right) => !ofOpenShift.test(right))).toEqual(unused);
  });
});

const secretsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`;
const secret = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, labels: label },
  type,
  data,
  ...more,
});
const apply = (namespace: string, name: string, body: object = secret(name)): ApiRequest => ({
  method: 'PATCH',
  path: `${secretsOf(namespace)}/${name}`,
  query: { fieldManager: 'probe-of-the-test', force: true, dryRun: 'All' },
  contentType: 'application/apply-patch+yaml',
  body,
});
const patch = (namespace: string, name: string, contentType: string, body: unknown): ApiRequest => ({
  method: 'PATCH',
  path: `${secretsOf(namespace)}/${name}`,
  query: { fieldManager: 'probe-of-the-test', dryRun: 'All' },
  contentType,
  body,
});
const remove = (namespace: string, name: string): ApiRequest => ({
  method: 'DELETE',
  path: `${secretsOf(namespace)}/${name}`,
  query: { dryRun: 'All', fieldManager: 'probe-of-the-test' },
});
const read = (path: string, query: Record<string, string> = {}): ApiRequest => ({
  method: 'GET',
  path,
  query: { ...query, marker: 'probe-of-the-test' },
});

describe('with the token of the account', () => {
  test('a copy may be created, and deleted', async () => {
    await account.request(apply('c', 'corp-pull'));
    await put('c', 'corp-pull', label);
    await account.request(apply('c', 'corp-pull'));
    await account.request(remove('c', 'corp-pull'));
  });

  const byPolicy = "ValidatingAdmissionPolicy 'regkeeper-delivery'";
  test.each<[what: string, request: ApiRequest, by: string]>([
    ['a Secret with another name', apply('c', 'other'), 'cannot patch resource'],
    ['a Secret with another type', apply('a', 'corp-pull', secret('corp-pull', { type: 'Opaque', data: {} })), byPolicy],
    [
      'a token of a service account',
      apply(
        'a',
        'corp-pull',
        secret('corp-pull', {
          type: 'kubernetes.io/service-account-token',
          metadata: { name: 'corp-pull', labels: label, annotations: { 'kubernetes.io/service-account.name': 'default' } },
          data: {},
        }),
      ),
      byPolicy,
    ],
    ['a Secret without the label', apply('a', 'corp-pull', secret('corp-pull', { metadata: { name: 'corp-pull' } })), byPolicy],
    [
      'a Secret with a different value of the label',
      apply('a', 'corp-pull', secret('corp-pull', { metadata: { name: 'corp-pull', labels: { 'regkeeper.io/delivered': 'no' } } })),
      byPolicy,
    ],
    ['a foreign Secret with that name', apply('b', 'corp-pull'), byPolicy],
    ['a copy in kube-system', apply('kube-system', 'corp-pull'), byPolicy],
    ["a copy in regkeeper's namespace", apply('regkeeper', 'corp-pull'), byPolicy],
    ['a copy in place of the source', apply('regkeeper', 'corp-source'), 'cannot patch resource'],
    ['the deletion of a foreign Secret with that name', remove('b', 'corp-pull'), byPolicy],
    ['the deletion of a copy with another name', remove('b', 'other'), 'cannot delete resource'],
    [
      'a merge patch that labels a foreign Secret',
      patch('b', 'corp-pull', 'application/merge-patch+json', { metadata: { labels: label } }),
      byPolicy,
    ],
    [
      'a JSON patch that labels a foreign Secret',
      patch('b', 'corp-pull', 'application/json-patch+json', [{ op: 'add', path: '/metadata/labels', value: label }]),
      byPolicy,
    ],
    [
      'a strategic merge patch that changes a foreign Secret',
      patch('b', 'corp-pull', 'application/strategic-merge-patch+json', { data }),
      byPolicy,
    ],
    [
      'a patch that removes the label from a copy',
      patch('d', 'corp-pull', 'application/merge-patch+json', { metadata: { labels: { 'regkeeper.io/delivered': null } } }),
      byPolicy,
    ],
    [
      'an apply that changes a Secret of another name by its body',
      apply('c', 'corp-pull', secret('other')),
      'does not match the name on the URL',
    ],
    [
      'an apply that changes a Secret in another namespace by its body',
      apply('c', 'corp-pull', secret('corp-pull', { metadata: { name: 'corp-pull', namespace: 'kube-system', labels: label } })),
      'does not match the namespace',
    ],
    ["a copy in OpenShift's own namespace", apply('openshift-config', 'corp-pull'), byPolicy],
    ["a copy in OpenShift's namespace for templates", apply('openshift', 'corp-pull'), byPolicy],
    [
      'a token for a service account',
      {
        method: 'POST',
        path: '/api/v1/namespaces/a/serviceaccounts/default/token',
        query: { dryRun: 'All', fieldManager: 'probe-of-the-test' },
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
      },
      'cannot create resource "serviceaccounts/token"',
    ],
    [
      'a POST, which RBAC cannot limit to a name',
      { method: 'POST', path: secretsOf('a'), query: { dryRun: 'All', fieldManager: 'probe-of-the-test' }, body: secret('corp-pull') },
      'cannot create resource',
    ],
    [
      'a PUT',
      {
        method: 'PUT',
        path: `${secretsOf('b')}/corp-pull`,
        query: { dryRun: 'All', fieldManager: 'probe-of-the-test' },
        body: secret('corp-pull'),
      },
      'cannot update resource',
    ],
    [
      'the deletion of a collection',
      {
        method: 'DELETE',
        path: secretsOf('b'),
        query: { dryRun: 'All', fieldManager: 'probe-of-the-test', fieldSelector: 'metadata.name=corp-pull' },
      },
      'cannot deletecollection resource',
    ],
    ['reading a copy by name', read(`${secretsOf('b')}/corp-pull`), 'cannot get resource'],
    ['reading all Secrets', read('/api/v1/secrets'), 'cannot list resource'],
    ["reading all Secrets in regkeeper's namespace", read(secretsOf('regkeeper')), 'cannot list resource'],
    ["reading regkeeper's certificate", read(`${secretsOf('regkeeper')}/regkeeper-tls`), 'cannot get resource'],
    [
      'changing the rules',
      {
        method: 'PATCH',
        path: '/api/v1/namespaces/regkeeper/configmaps/regkeeper-rules',
        query: { dryRun: 'All', fieldManager: 'probe-of-the-test' },
        contentType: 'application/merge-patch+json',
        body: { data: {} },
      },
      'cannot patch resource',
    ],
    [
      'deleting the policy',
      {
        method: 'DELETE',
        path: '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/regkeeper-delivery',
        query: { dryRun: 'All', fieldManager: 'probe-of-the-test' },
      },
      'cannot delete resource',
    ],
  ])('%s is rejected', async (_what, request, by) => {
    await expect(account.request(request)).rejects.toThrow(by);
  });
});

test.each([
  ['act as another user', ['impersonate', 'users/system:admin']],
  ['act as another account', ['impersonate', 'serviceaccounts/regkeeper', '-n', 'regkeeper']],
  ['act as a group', ['impersonate', 'groups/system:masters']],
  ['grant itself a role', ['bind', 'clusterroles/cluster-admin']],
  ['extend a role', ['escalate', 'clusterroles/regkeeper-delivered-secrets']],
  ['create a binding', ['create', 'rolebindings', '-n', 'a']],
  ['change the binding of the policy', ['patch', 'validatingadmissionpolicybindings/regkeeper-delivery']],
  ['label a namespace', ['patch', 'namespaces/a']],
  ['create a Pod that mounts a Secret', ['create', 'pods', '-n', 'a']],
  ['run a command in a Pod', ['create', 'pods/exec', '-n', 'a']],
  ['change a source', ['patch', 'secrets/corp-source', '-n', 'regkeeper']],
  ['change the saved rules', ['patch', 'configmaps/regkeeper-rules-snapshot', '-n', 'regkeeper']],
])('the account may not %s', async (_what, right) => {
  const as = '--as=system:serviceaccount:regkeeper:regkeeper-deliver';
  const { stdout } = await kubectl(['auth', 'can-i', ...right, as], { allowFailure: true });
  expect(stdout.trim()).toBe('no');
});

test('the webhook has no permission to write delivered Secrets', async () => {
  for (const verb of ['create', 'patch', 'update', 'delete']) {
    const as = '--as=system:serviceaccount:regkeeper:regkeeper';
    const { stdout } = await kubectl(['auth', 'can-i', verb, 'secrets/corp-pull', '-n', 'a', as], { allowFailure: true });
    expect(stdout.trim()).toBe('no');
  }
});

test('without the policy nothing is written, and with it again everything is', async () => {
  const policy = 'validatingadmissionpolicybinding/regkeeper-delivery';
  const { stdout } = await kubectl(['get', policy, '-o', 'json']);
  // Releases the Lease.
  await delivery.end('SIGTERM');
  await kubectl(['delete', policy]);
  await waitFor(async () => account.request(apply('kube-system', 'corp-pull')).then(() => true), {
    deadlineSeconds: 60,
    what: 'the policy to be deleted',
  });
  const { launchDelivery } = await import('../delivery.ts');
  delivery = await launchDelivery({ kubectl, directory: join(plane.directory, 'without-policy') });
  const { apiVersion, kind, metadata, spec } = JSON.parse(stdout) as Record<string, { name: string }>;
  const ready = async () => (await fetch(`http://localhost:${delivery.healthPort}/readyz`)).text();
  await waitFor(async () => (await ready()).includes('the API server accepted a copy in the excluded namespace kube-node-lease'), {
    deadlineSeconds: 60,
    what: 'the finding',
  });
  expect(await delivery.metric('regkeeper_leader')).toBe(0);
  await kubectl(['create', '-f', '-'], { stdin: JSON.stringify({ apiVersion, kind, metadata: { name: metadata?.name }, spec }) });
  await waitFor(async () => (await delivery.metric('regkeeper_leader')) === 1, { deadlineSeconds: 60, what: 'the delivery to lead' });
});
