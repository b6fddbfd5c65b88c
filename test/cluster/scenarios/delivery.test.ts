/** Secret delivery on a real API server: what a namespace gets, when it gets it, and what is never touched. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiClient, KubeObject } from '../../../src/kube/api-client.ts';
import { applyDelivery, applyDeliveryRights, type DeliveryProcess, deleteDelivery, startDelivery } from '../delivery.ts';
import { applyBase, deleteBase, ownNamespace } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { deployment, pod, running } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;

const rules = `
mode: enforce
rules:
- {registry: reg.example.com, pullSecret: corp-pull}
- {registry: base.example.com, pullSecret: base-pull}
secrets:
- {name: corp-pull, source: corp-source, namespaces: {matchLabels: {tier: prod}}, retain: 1h}
- {name: base-pull, source: base-source, namespaces: {matchLabels: {base: 'true'}}, deliver: always}
`;

let folder = '';
let api: ApiClient;
let delivery: DeliveryProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-delivery-'));
  api = await kubectl.api();
  await applyBase(kubectl);
  await applyDelivery(kubectl, folder);
  await applyDeliveryRights(kubectl, folder, rules);
  await writeRules(rules);
  await putSource('corp-source', { 'reg.example.com': 'robot:one', 'other.example.com': 'robot:other' });
  await putSource('base-source', { 'base.example.com': 'robot:base' });
  delivery = await startDelivery({ kubectl, directory: join(folder, 'delivery') });
});

afterAll(async () => {
  await delivery?.end('SIGKILL');
  await deleteDelivery(kubectl);
  await deleteBase(kubectl);
  await rm(folder, { recursive: true, force: true });
});

async function writeRules(text: string): Promise<void> {
  const path = `/api/v1/namespaces/${ownNamespace}/configmaps/regkeeper-rules`;
  await api.request({ method: 'PATCH', path, body: { data: { 'rules.yaml': text } }, contentType: 'application/merge-patch+json' });
}

async function putSource(name: string, auths: Readonly<Record<string, string>>): Promise<void> {
  const entries = Object.entries(auths).map(([key, login]) => [key, { auth: btoa(login) }]);
  await api.patchApply(
    `/api/v1/namespaces/${ownNamespace}/secrets/${name}`,
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, labels: { 'regkeeper.io/source': 'true' } },
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': btoa(JSON.stringify({ auths: Object.fromEntries(entries) })) },
    },
    { fieldManager: 'test', force: true },
  );
}

type Secret = KubeObject & { readonly type: string; readonly data: Readonly<Record<string, string>> };

async function copy(namespace: string, name = 'corp-pull'): Promise<Secret | undefined> {
  return await api.get<Secret>(`/api/v1/namespaces/${namespace}/secrets/${name}`).catch(() => undefined);
}

async function waitForCopy(namespace: string, name = 'corp-pull'): Promise<Secret> {
  return await waitFor(() => copy(namespace, name), { deadlineSeconds: 10, what: `the copy ${namespace}/${name}` });
}

function entriesOf({ data }: Secret): Record<string, string> {
  const { auths } = JSON.parse(atob(data['.dockerconfigjson'] ?? '')) as { auths: Record<string, { auth: string }> };
  return Object.fromEntries(Object.entries(auths).map(([key, { auth }]) => [key, atob(auth)]));
}

const needing = { annotations: { 'regkeeper.io/secrets': 'corp-pull' } };

test('a namespace with a Deployment gets the entries that its rules need', async () => {
  const namespace = await cluster.namespace({ tier: 'prod' });
  const web = { ...deployment('web', running('reg.example.com/web:1')), metadata: { name: 'web', ...needing } };
  await api.create(`/apis/apps/v1/namespaces/${namespace}/deployments`, web);
  const delivered = await waitForCopy(namespace);
  expect(entriesOf(delivered)).toEqual({ 'reg.example.com': 'robot:one' });
  expect(delivered.type).toBe('kubernetes.io/dockerconfigjson');
  expect(delivered.metadata.labels).toEqual({ 'regkeeper.io/delivered': 'true', 'app.kubernetes.io/managed-by': 'regkeeper' });
});

test('a bare Pod', async () => {
  const namespace = await cluster.namespace({ tier: 'prod' });
  await api.create(`/api/v1/namespaces/${namespace}/pods`, pod('one', running('reg.example.com/web:1'), needing));
  await waitForCopy(namespace);
});
