/**
 * `regkeeper scan --report` with the account of deploy/scan-report and with deploy/custom-kinds: the Reports that it writes on a real API server, that every request is
 * allowed, that every permission is used, and that everything else is rejected. Runs on this file's own control plane, whose audit log shows
 * the requests.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiClient, ApiRequest } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { dayOf } from '../../../src/rules/trust-end.ts';
import type { NamespaceReport } from '../../../src/scan/report/namespace-report.ts';
import { type CommandResult, regkeeper } from '../command-line.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { installCrds, serveWithoutSchema } from '../crds.ts';
import { type Kubectl, kubectlOf } from '../kubectl.ts';
import { applyBase, serviceAccountKubeconfig } from '../regkeeper.ts';
import { waitFor } from '../wait-for.ts';
import { pod, running } from '../workloads.ts';

const user = 'system:serviceaccount:regkeeper:regkeeper-report';
const deploy = resolve(import.meta.dirname, '../../../deploy');
const day = (offset: number) => dayOf(Date.now() + offset * 86_400_000);
const rulesWith = (until: string) => `
mode: enforce
rules:
- {name: corporate, registry: reg.example.com, pullSecret: corp-pull}
exemptions:
- {image: legacy.example.com, until: ${until}, reason: TICKET-1}
secrets: [{name: corp-pull, source: corp-source, namespaces: '*'}]
`;

let plane: ControlPlane;
let kubectl: Kubectl;
let admin: ApiClient;
let account: ApiClient;
let kubeconfig = '';

beforeAll(async () => {
  plane = await startControlPlane({ auditOf: user });
  kubectl = kubectlOf(plane);
  admin = await kubectl.api();
  await Promise.all([installCrds(kubectl), serveWithoutSchema(kubectl, [rollouts]), applyBase(kubectl)]);
  const overlay = join(plane.directory, 'report-overlay');
  await mkdir(overlay);
  const inDeploy = (name: string) => relative(overlay, join(deploy, name));
  const kustomization = { resources: [inDeploy('base')], components: ['scan-report', 'custom-kinds'].map(inDeploy) };
  await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization));
  await kubectl(['apply', '--server-side', '--force-conflicts', '-k', overlay]);
  await writeRules(day(1));
  for (const name of ['shop', 'empty']) {
    await admin.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await waitFor(() => admin.get<object>(`/api/v1/namespaces/${name}/serviceaccounts/default`), {
      deadlineSeconds: 60,
      what: 'the account',
    });
  }
  const images = { good: 'reg.example.com/web:1', bad: 'docker.io/acme/web:1', old: 'legacy.example.com/web:1' };
  for (const [name, image] of Object.entries(images)) await admin.create('/api/v1/namespaces/shop/pods', pod(name, running(image)));
  await admin.create('/api/v1/namespaces/empty/pods', pod('alone', running('reg.example.com/web:1')));
  await admin.create('/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts', {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'rollout' },
    spec: { template: { spec: running('reg.example.com/web:1') } },
  });
  kubeconfig = await serviceAccountKubeconfig({ kubectl, directory: plane.directory }, 'regkeeper-report');
  account = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
});

afterAll(async () => {
  await account?.close();
  await plane?.stop();
});

/** One of the kinds of deploy/custom-kinds, without its controller. The others are not served. */
const rollouts = { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts', kind: 'Rollout' };

async function writeRules(until: string): Promise<void> {
  await admin.request({
    method: 'PATCH',
    path: '/api/v1/namespaces/regkeeper/configmaps/regkeeper-rules',
    body: { data: { 'rules.yaml': rulesWith(until) } },
    contentType: 'application/merge-patch+json',
  });
}

const runReport = (): Promise<CommandResult> => regkeeper(['scan', '--report', '--kubeconfig', kubeconfig]);
const reportsIn = async (namespace: string) =>
  (
    await admin.list<NamespaceReport & { metadata: { name: string; resourceVersion: string } }>(
      `/apis/openreports.io/v1alpha1/namespaces/${namespace}/reports`,
    )
  ).items;

describe('the Reports', () => {
  test('have the results of each namespace, and the revision of the rules that the scan shows', async () => {
    const { exitCode, err, out } = await runReport();
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: expect.not.stringContaining('cannot') });
    expect(out).toContain('2 Reports written, 0 deleted');
    const [report] = await reportsIn('shop');
    expect(report?.summary).toEqual({ fail: 1, error: 0, warn: 0, pass: 3, skip: 0 });
    expect(report?.results.map(({ result, resources }) => `${result} ${resources?.[0]?.name}`)).toEqual([
      'fail bad',
      'pass good',
      'pass old',
      'pass rollout',
    ]);
    const { rulesRevision } = JSON.parse((await regkeeper(['scan', '-o', 'json', '--kubeconfig', plane.kubeconfig])).out);
    expect(report?.metadata.labels['regkeeper.io/rules-revision']).toBe(rulesRevision);
    expect((await kubectl(['get', 'reports', '-n', 'shop'])).stdout).toMatch(
      /^NAME +PASS +FAIL +WARN +ERROR +SKIP +AGE\nregkeeper +3 +1 +0 +0 +0 /,
    );
  });

  test('are never stale: an expired exemption denies, and what was deleted disappears', async () => {
    await writeRules(day(-1));
    await admin.request({ method: 'DELETE', path: '/api/v1/namespaces/shop/pods/bad', body: { gracePeriodSeconds: 0 } });
    await admin.request({ method: 'DELETE', path: '/api/v1/namespaces/empty/pods/alone', body: { gracePeriodSeconds: 0 } });
    const { exitCode, out } = await runReport();
    expect(exitCode).toBe(0);
    expect(out).toContain('1 Report written, 1 deleted');
    const [report] = await reportsIn('shop');
    expect(report?.results.map(({ result, resources }) => `${result} ${resources?.[0]?.name}`)).toEqual([
      'fail old',
      'pass good',
      'pass rollout',
    ]);
    expect(await reportsIn('empty')).toEqual([]);
  });
});

type AuditEvent = {
  verb: string;
  objectRef?: { apiGroup?: string; resource: string; namespace?: string; name?: string };
  annotations: { 'authorization.k8s.io/decision': 'allow' | 'forbid' };
  requestURI: string;
};

/** Those of the command, without those that this file sends with the same account. */
async function events(): Promise<readonly AuditEvent[]> {
  const lines = (await readFile(plane.auditLog, 'utf8')).split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as AuditEvent).filter(({ requestURI }) => !requestURI.includes('probe-of-the-test'));
}

type PolicyRule = { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] };
type Role = { metadata: { name: string; namespace?: string }; rules: PolicyRule[] };

/** Not served by this cluster. */
const notServed = /config\.openshift\.io|services image-registry|serving\.knative\.dev|tekton\.dev|kubeflow\.org/;

describe('what the command requests', () => {
  test('is allowed, always', async () => {
    const all = await events();
    expect(all.length).toBeGreaterThan(20);
    const denied = all.filter(({ annotations }) => annotations['authorization.k8s.io/decision'] !== 'allow');
    expect(denied.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
  });

  test('is all that it is granted', async () => {
    const used = await events();
    const { items } = await kubectl.json<{ items: Role[] }>(['get', 'clusterroles,roles', '-A', '-l', 'app.kubernetes.io/name=regkeeper']);
    const roles = items.filter(({ metadata }) => metadata.name === 'regkeeper-report');
    expect(roles).toHaveLength(2);
    const rights = roles.flatMap(({ metadata, rules }) =>
      rules.flatMap(({ apiGroups: [group = ''], resources, resourceNames = [undefined], verbs }) =>
        resources.flatMap((resource) =>
          resourceNames.flatMap((name) => verbs.map((verb) => ({ namespace: metadata.namespace, group, resource, name, verb }))),
        ),
      ),
    );
    const isUsed = ({ namespace, group, resource, name, verb }: (typeof rights)[number]) =>
      used.some(
        ({ verb: usedVerb, objectRef }) =>
          // A server-side apply of a new object is authorized as `patch` and as `create`.
          (usedVerb === verb || (verb === 'create' && usedVerb === 'patch')) &&
          (objectRef?.apiGroup ?? '') === group &&
          objectRef?.resource === resource &&
          (name === undefined || objectRef.name === name) &&
          (namespace === undefined || objectRef.namespace === namespace),
      );
    const idle = rights.filter((right) => !isUsed(right));
    const shown = idle.map(({ group, resource, name, verb }) => `${verb} ${resource}${group && `.${group}`}${name ? ` ${name}` : ''}`);
    expect(shown.filter((right) => !notServed.test(right))).toEqual([]);
  });
});

const marker = { fieldManager: 'probe-of-the-test', dryRun: 'All' };
const reports = '/apis/openreports.io/v1alpha1/namespaces/shop/reports';
const report = (name: string) => ({ apiVersion: 'openreports.io/v1alpha1', kind: 'Report', metadata: { name, namespace: 'shop' } });
const apply = (path: string, body: object): ApiRequest => ({
  method: 'PATCH',
  path,
  query: { ...marker, force: true },
  contentType: 'application/apply-patch+yaml',
  body,
});
const read = (path: string): ApiRequest => ({ method: 'GET', path, query: { marker: 'probe-of-the-test' } });

describe('with the token of the account', () => {
  test('its Report may be written', async () => {
    await account.request(apply(`${reports}/regkeeper`, report('regkeeper')));
  });

  test.each<[what: string, request: ApiRequest, by: string]>([
    ['a Report of another name', apply(`${reports}/other`, report('other')), 'cannot patch resource'],
    ['a POST, which has no name', { method: 'POST', path: reports, query: marker, body: report('regkeeper') }, 'cannot create resource'],
    ['reading the Reports of other programs', read('/apis/openreports.io/v1alpha1/reports'), 'cannot list resource'],
    ['the deletion of all Reports', { method: 'DELETE', path: reports, query: marker }, 'cannot deletecollection resource'],
    ['reading Secrets', read('/api/v1/secrets'), 'cannot list resource'],
    ["reading regkeeper's certificate", read('/api/v1/namespaces/regkeeper/secrets/regkeeper-tls'), 'cannot get resource'],
    ['reading ConfigMaps of other namespaces', read('/api/v1/configmaps'), 'cannot list resource'],
    ['watching Pods', { ...read('/api/v1/pods'), query: { watch: true, marker: 'probe-of-the-test' } }, 'cannot watch resource'],
    [
      'creating a Pod',
      { method: 'POST', path: '/api/v1/namespaces/shop/pods', query: marker, body: pod('x', running('a')) },
      'cannot create resource',
    ],
    ['deleting a Pod', { method: 'DELETE', path: '/api/v1/namespaces/shop/pods/good', query: marker }, 'cannot delete resource'],
    [
      'changing the rules',
      {
        method: 'PATCH',
        path: '/api/v1/namespaces/regkeeper/configmaps/regkeeper-rules',
        query: marker,
        contentType: 'application/merge-patch+json',
        body: { data: {} },
      },
      'cannot patch resource',
    ],
    [
      'changing the webhooks',
      {
        method: 'DELETE',
        path: '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/regkeeper',
        query: marker,
      },
      'cannot delete resource',
    ],
  ])('%s is rejected', async (_what, request, by) => {
    await expect(account.request(request)).rejects.toThrow(by);
  });
});

test('the webhook may not write Reports', async () => {
  for (const verb of ['create', 'patch', 'delete']) {
    const as = '--as=system:serviceaccount:regkeeper:regkeeper';
    const { stdout } = await kubectl(['auth', 'can-i', verb, 'reports.openreports.io/regkeeper', '-n', 'shop', as], { allowFailure: true });
    expect(stdout.trim()).toBe('no');
  }
});

test('without the permission to list Pods, no Report is deleted, and an error replaces results that are no longer certain', async () => {
  await admin.create('/api/v1/namespaces/empty/pods', pod('denied', running('docker.io/acme/web:1')));
  await runReport();
  expect((await reportsIn('empty')).map(({ summary }) => summary)).toEqual([{ fail: 1, error: 0, warn: 0, pass: 0, skip: 0 }]);

  const path = '/apis/rbac.authorization.k8s.io/v1/clusterroles/regkeeper-report';
  const role = await admin.get<Role>(path);
  const without = (resources: string[]) => resources.filter((each) => each !== 'pods');
  await admin.replace(path, { ...role, rules: role.rules.map((rule) => ({ ...rule, resources: without(rule.resources) })) });
  const isForbidden = () =>
    account.request(read('/api/v1/pods')).then(
      () => undefined,
      (error: { status?: number }) => error.status === 403 || undefined,
    );
  await waitFor(isForbidden, { deadlineSeconds: 30, what: 'the permission to be removed' });

  const { exitCode, err, out } = await runReport();
  expect(exitCode).toBe(2);
  expect(err).toContain('cannot read pods in all namespaces');
  expect(out).toContain('2 Reports written (1 with only an error), 0 deleted');
  expect((await reportsIn('empty')).map(({ summary, results }) => [summary, results.map(({ result }) => result)])).toEqual([
    [{ fail: 0, error: 1, warn: 0, pass: 0, skip: 0 }, ['error']],
  ]);
  const [shop] = await reportsIn('shop');
  expect(shop?.results.map(({ result, resources }) => `${result} ${resources?.[0]?.name}`)).toEqual(['error undefined', 'pass rollout']);
});
