/**
 * The recipes of docs/secret-delivery.md, with replacements for the tools that write the sources, on an installation with Helm. Their Secrets have the
 * metadata that the real tools write, and scripts are run as the page shows them.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readExistingSecret } from '../../../src/delivery/existing-secret.ts';
import { deliveryRights } from '../../../src/delivery/rights.ts';
import type { ApiClient, KubeObject } from '../../../src/kube/api-client.ts';
import { findBinaries } from '../binaries.ts';
import { type DeliveryProcess, deleteDelivery, startDelivery } from '../delivery.ts';
import { createHelm, findHelm, type Helm } from '../helm.ts';
import { deleteBase, ownNamespace, serviceAccountKubeconfig } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;
const root = resolve(import.meta.dirname, '../../..');
const page = await readFile(join(root, 'docs/secret-delivery.md'), 'utf8');

const ecr = '012345678901.dkr.ecr.eu-west-1.amazonaws.com';
const registries = {
  'eso-pull': 'eso.dkr.ecr.eu-west-1.amazonaws.com',
  'ecr-pull': ecr,
  'quay-pull': 'quay.io/corp',
  'harbor-pull': 'harbor.example.com/team',
  'openshift-pull': 'registry.redhat.io',
  'sealed-pull': 'sealed.example.com',
  'image-pull-secret': 'old.example.com',
  'narrow-pull': 'narrow.example.com',
};
const secrets = Object.keys(registries).map((name) => ({
  name,
  source: name === 'image-pull-secret' ? name : name.replace('-pull', '-source'),
}));
const rulesPart = Object.entries(registries).map(([name, registry]) => `- {registry: ${registry}, pullSecret: ${name}}`);
const entries = secrets.map(
  ({ name, source }) => `- {name: ${name}, source: ${source}, namespaces: {matchLabels: {team: shop}}, deliver: always}`,
);
/** For a namespace that the rules no longer select, from a source that never changes. */
const narrowed = entries.map((entry) => entry.replace('team: shop}', entry.includes('name: narrow-pull') ? 'team: none}' : 'team: shop}'));
const withoutDelivery = `mode: audit\nrules:\n${rulesPart.join('\n')}\n`;
const rulesWith = (lines: readonly string[]) => `${withoutDelivery}secrets:\n${lines.join('\n')}\n`;

const secretsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`;
const type = 'kubernetes.io/dockerconfigjson';

// Uses the names of a real installation, so it only runs in a cluster without one.
describe.runIf(cluster.local)('secret delivery installed with Helm', () => {
  let folder = '';
  let helm: Helm;
  let api: ApiClient;
  let delivery: DeliveryProcess | undefined;
  let shop = '';
  let old = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'regkeeper-recipes-'));
    helm = createHelm({ binary: await findHelm(), kubeconfig: cluster.kubeconfig });
    api = await kubectl.api();
    // Two controllers that copied Secrets before.
    old = await cluster.namespace();
    await create(
      old,
      'image-pull-secret',
      { 'old.example.com': 'robot:old' },
      { annotations: { 'app.kubernetes.io/managed-by': 'imagepullsecret-patcher' } },
    );
    await create(old, 'quay-pull', { 'quay.io': 'corp+old:old' }, { annotations: reflected });
    await create(old, 'sealed-pull', {}, {}, 'Opaque');
    await release('install', rulesWith(entries), '--create-namespace');
    delivery = await startDelivery({ kubectl, directory: join(folder, 'delivery') });
    shop = await cluster.namespace({ team: 'shop' });
    await create(ownNamespace, 'narrow-source', { 'narrow.example.com': 'robot:narrow' }, source);
    await becomes(shop, 'narrow-pull', { 'narrow.example.com': 'robot:narrow' });
    // Its copy is deleted 30 seconds later. The last test sees that.
    await release('upgrade', rulesWith(narrowed));
  });

  afterAll(async () => {
    await delivery?.end('SIGKILL');
    await helm(['uninstall', 'regkeeper', '-n', ownNamespace, '--ignore-not-found']);
    await deleteDelivery(kubectl);
    await deleteBase(kubectl);
    await kubectl(['delete', 'namespace', 'openshift-config', '--ignore-not-found', '--wait=false']);
    await rm(folder, { recursive: true, force: true });
  });

  async function release(command: 'install' | 'upgrade', rules: string, ...flags: string[]): Promise<void> {
    const values = { secretDelivery: { enabled: true, secrets }, rules: { documents: { 'rules.yaml': rules } } };
    const file = join(folder, 'values.yaml');
    await writeFile(file, JSON.stringify(values));
    await helm([command, 'regkeeper', join(root, 'deploy/chart'), '-n', ownNamespace, '-f', file, ...flags]);
  }

  const reflected = {
    'reflector.v1.k8s.emberstack.com/auto-reflects': 'True',
    'reflector.v1.k8s.emberstack.com/reflects': 'registry/quay-pull',
    'reflector.v1.k8s.emberstack.com/reflected-version': '785051',
    'reflector.v1.k8s.emberstack.com/reflected-at': '"2026-03-23T04:36:27.4193224+00:00"',
  };

  function create(namespace: string, name: string, logins: Record<string, string>, metadata: object, ofType = type): Promise<unknown> {
    const auths = Object.fromEntries(Object.entries(logins).map(([key, login]) => [key, { auth: btoa(login) }]));
    return createText(namespace, name, JSON.stringify({ auths }), metadata, ofType);
  }

  function createText(namespace: string, name: string, text: string, metadata: object, ofType = type): Promise<unknown> {
    return api.create(secretsOf(namespace), {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, ...metadata },
      type: ofType,
      data: { '.dockerconfigjson': btoa(text) },
    } as KubeObject);
  }

  const source = { labels: { 'regkeeper.io/source': 'true' } };

  async function loginsIn(namespace: string, name: string): Promise<Record<string, string>> {
    const { data } = await api.get<{ data: Record<string, string> }>(`${secretsOf(namespace)}/${name}`);
    const { auths } = JSON.parse(atob(data['.dockerconfigjson'] ?? '')) as { auths: Record<string, Record<string, string>> };
    return Object.fromEntries(
      Object.entries(auths).map(([key, { auth, username, password }]) => [
        key,
        auth === undefined ? `${username}:${password}` : atob(auth),
      ]),
    );
  }

  async function becomes(namespace: string, name: string, logins: Record<string, string>): Promise<void> {
    const matches = async () => JSON.stringify(await loginsIn(namespace, name)) === JSON.stringify(logins);
    await waitFor(() => matches().catch(() => false), { deadlineSeconds: 60, what: `the copy ${namespace}/${name}` });
  }

  /** Runs a script as a Pod of this account would, with an `aws` that prints a token. */
  async function run(script: string, account: string, env: Record<string, string> = {}): Promise<void> {
    const kubeconfig = await serviceAccountKubeconfig({ kubectl, directory: folder }, account);
    const bin = join(folder, 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'aws'), '#!/bin/sh\necho "$TOKEN"\n');
    await chmod(join(bin, 'aws'), 0o755);
    const PATH = [bin, dirname((await findBinaries()).kubectl), process.env.PATH].join(':');
    await promisify(execFile)('/bin/sh', ['-euc', script], { env: { PATH, HOME: folder, KUBECONFIG: kubeconfig, ...env } });
  }

  const blocks = (language: string, heading: string) => {
    const section = page.split(/^##+ /m).find((text) => text.startsWith(heading)) ?? '';
    return [...section.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, text]) => text as string);
  };

  test('grants what `regkeeper rbac --deliver` grants, with the same policy', async () => {
    const options = { namespace: ownNamespace, serviceAccount: 'regkeeper-deliver', excludedNamespaces: [] };
    for (const { kind, metadata, rules: granted, spec } of deliveryRights(secrets, options)) {
      const { name, namespace } = metadata as { name: string; namespace?: string };
      const live = await kubectl.json<{
        rules?: { resourceNames: string[] }[];
        spec?: { validations: { expression: string }[]; variables: unknown };
      }>([...['get', String(kind), name], ...(namespace === undefined ? [] : ['-n', namespace])]);
      if (granted) expect(live.rules?.map((rule) => ({ ...rule, resourceNames: rule.resourceNames.toSorted() }))).toEqual(granted);
      if (kind !== 'ValidatingAdmissionPolicy') continue;
      const { validations, variables } = spec as { validations: { expression: string }[]; variables: unknown };
      expect(live.spec?.validations.map(({ expression }) => expression)).toEqual(validations.map(({ expression }) => expression));
      expect(live.spec?.variables).toEqual(variables);
    }
  });

  test('External Secrets with a generator for ECR: the copy follows each refresh', async () => {
    const config = (password: string) =>
      JSON.stringify({ auths: { 'https://eso.dkr.ecr.eu-west-1.amazonaws.com': { username: 'AWS', password } } });
    await createText(ownNamespace, 'eso-source', config('one'), {
      labels: { ...source.labels, 'reconcile.external-secrets.io/managed': 'true', 'reconcile.external-secrets.io/created-by': '1f0c' },
      annotations: { 'reconcile.external-secrets.io/data-hash': '51ad' },
    });
    await becomes(shop, 'eso-pull', { 'https://eso.dkr.ecr.eu-west-1.amazonaws.com': 'AWS:one' });
    const live = await api.get<KubeObject & { data: object }>(`${secretsOf(ownNamespace)}/eso-source`);
    await api.replace(`${secretsOf(ownNamespace)}/eso-source`, { ...live, data: { '.dockerconfigjson': btoa(config('two')) } });
    await becomes(shop, 'eso-pull', { 'https://eso.dkr.ecr.eu-west-1.amazonaws.com': 'AWS:two' });
  });

  test('the CronJob for ECR, with the account in the page: first token, next token, and after the source was deleted', async () => {
    const [manifests = ''] = blocks('yaml', 'A CronJob for ECR');
    await kubectl(['apply', '--server-side', '-f', '-'], { stdin: manifests });
    const cronJob = parseAllDocuments(manifests)
      .map((document) => document.toJS())
      .find(({ kind }) => kind === 'CronJob');
    const { serviceAccountName, containers } = cronJob.spec.jobTemplate.spec.template.spec;
    const [{ args, env }] = containers;
    const variables = Object.fromEntries(env.map(({ name, value }: { name: string; value: string }) => [name, value]));
    for (const TOKEN of ['one', 'two']) {
      await run(args[0], serviceAccountName, { ...variables, TOKEN });
      await becomes(shop, 'ecr-pull', { [ecr]: `AWS:${TOKEN}` });
    }
    await api.delete(`${secretsOf(ownNamespace)}/ecr-source`);
    await run(args[0], serviceAccountName, { ...variables, TOKEN: 'three' });
    await becomes(shop, 'ecr-pull', { [ecr]: 'AWS:three' });
    await expect(run('kubectl get secrets -n regkeeper', serviceAccountName)).rejects.toThrow('forbidden');
  });

  test('robot accounts of Quay and Harbor, and what sealed-secrets unseals', async () => {
    // The manifest that Quay offers for download, without a label.
    await createText(
      ownNamespace,
      'quay-source',
      JSON.stringify({ auths: { 'quay.io': { auth: btoa('corp+pull:token'), email: '' } } }),
      {},
    );
    await kubectl(['label', 'secret', 'quay-source', '-n', ownNamespace, 'regkeeper.io/source=true']);
    await becomes(shop, 'quay-pull', { 'quay.io': 'corp+pull:token' });
    const harbor = ['--docker-server=harbor.example.com', '--docker-username=robot$team+pull', '--docker-password=token'];
    await kubectl(['create', 'secret', 'docker-registry', 'harbor-source', '-n', ownNamespace, ...harbor]);
    await kubectl(['label', 'secret', 'harbor-source', '-n', ownNamespace, 'regkeeper.io/source=true']);
    await becomes(shop, 'harbor-pull', { 'harbor.example.com': 'robot$team+pull:token' });
    const controller = {
      apiVersion: 'bitnami.com/v1alpha1',
      kind: 'SealedSecret',
      name: 'sealed-source',
      uid: crypto.randomUUID(),
      controller: true,
    };
    // Without the owner's kind, the garbage collector leaves the Secret alone.
    await create(ownNamespace, 'sealed-source', { 'sealed.example.com': 'robot:sealed' }, { ...source, ownerReferences: [controller] });
    await becomes(shop, 'sealed-pull', { 'sealed.example.com': 'robot:sealed' });
  });

  test("OpenShift's cluster pull secret: the copy only has the registry in the rule", async () => {
    await api.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'openshift-config' } });
    const all = Object.fromEntries(
      ['cloud.openshift.com', 'quay.io', 'registry.connect.redhat.com', 'registry.redhat.io'].map((key) => [
        key,
        { auth: btoa(`uhc-pool:${key}`), email: 'ops@example.com' },
      ]),
    );
    await createText('openshift-config', 'pull-secret', JSON.stringify({ auths: all }), {});
    const account = 'openshift-source';
    const role = (verbs: string, name: string) => ['--resource=secrets', `--verb=${verbs}`, `--resource-name=${name}`];
    await kubectl(['create', 'serviceaccount', account, '-n', ownNamespace]);
    for (const [namespace, flags] of [
      ['openshift-config', role('get', 'pull-secret')],
      [ownNamespace, role('create,patch', account)],
    ] as const) {
      await kubectl(['create', 'role', account, '-n', namespace, ...flags]);
      await kubectl([
        'create',
        'rolebinding',
        account,
        '-n',
        namespace,
        `--role=${account}`,
        `--serviceaccount=${ownNamespace}:${account}`,
      ]);
    }
    const [script = ''] = blocks('sh', "OpenShift's cluster pull secret");
    await run(script, account);
    await becomes(shop, 'openshift-pull', { 'registry.redhat.io': 'uhc-pool:registry.redhat.io' });
  });

  test('a project from a template has its secrets before its first object, as `oc import-image` needs them', async () => {
    const project = await cluster.namespace({ team: 'shop' });
    for (const name of ['ecr-pull', 'quay-pull']) await becomes(project, name, await loginsIn(shop, name));
  });

  test('copies of imagepullsecret-patcher and reflector stay until they are labelled, and then are taken over', async () => {
    await create(ownNamespace, 'image-pull-secret', { 'old.example.com': 'robot:new' }, source);
    await kubectl(['label', 'namespace', old, 'team=shop']);
    const events = () => api.list<never>(`/api/v1/namespaces/${old}/events`, { fieldSelector: 'reason=SecretNotDelivered' });
    await waitFor(async () => (await events()).items.length >= 3, { deadlineSeconds: 60, what: 'the Events about foreign Secrets' });
    expect(await loginsIn(old, 'image-pull-secret')).toEqual({ 'old.example.com': 'robot:old' });
    expect(await loginsIn(old, 'quay-pull')).toEqual({ 'quay.io': 'corp+old:old' });
    await kubectl(['label', 'secret', 'image-pull-secret', 'quay-pull', '-n', old, 'regkeeper.io/delivered=true']);
    await becomes(old, 'image-pull-secret', { 'old.example.com': 'robot:new' });
    await becomes(old, 'quay-pull', { 'quay.io': 'corp+pull:token' });
    // Objects that are older than the rule have no annotation about the secrets that they need, so these copies are kept without it.
    const taken = await api.get<KubeObject>(`/api/v1/namespaces/${old}/secrets/image-pull-secret`);
    expect(readExistingSecret(taken)).toMatchObject({ delivered: true, takenOver: true, intact: true });
    // Its type cannot change, so a label does not help.
    await kubectl(['label', 'secret', 'sealed-pull', '-n', old, 'regkeeper.io/delivered=true']);
    const blocked = () => delivery?.metric('regkeeper_delivery_findings{finding="foreign"}');
    await waitFor(async () => (await blocked()) === 1, { deadlineSeconds: 60, what: 'the finding about the Secret of another type' });
    expect(await delivery?.metric('regkeeper_delivery_writes_total{action="update",outcome="failed"}')).toBe(0);
    await kubectl(['delete', 'secret', 'sealed-pull', '-n', old]);
    await becomes(old, 'sealed-pull', { 'sealed.example.com': 'robot:sealed' });
  });

  test('a narrowed rule removes its copy, and removing delivery removes every copy, the permissions and the policy, but no source', {
    timeout: 180_000,
  }, async () => {
    const copies = () => api.list('/api/v1/secrets', { labelSelector: 'regkeeper.io/delivered=true' });
    expect((await copies()).items.length).toBeGreaterThan(10);
    await release('upgrade', withoutDelivery);
    const narrow = async () => (await copies()).items.some(({ metadata }) => metadata.name === 'narrow-pull');
    await waitFor(async () => !(await narrow()), { deadlineSeconds: 60, what: 'the copy of the narrowed rule to be deleted' });
    await waitFor(async () => (await copies()).items.length === 0, { deadlineSeconds: 60, what: 'all copies to be deleted' });
    await delivery?.end('SIGTERM');
    await release('upgrade', withoutDelivery, '--set', 'secretDelivery.enabled=false');
    const kinds = 'clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings';
    const { stdout } = await kubectl(['get', kinds, '-l', 'app.kubernetes.io/name=regkeeper', '-o', 'name']);
    expect(stdout).not.toMatch(/deliver/);
    const own = await kubectl(['get', 'deployments,serviceaccounts,roles,rolebindings', '-n', ownNamespace, '-o', 'name']);
    expect(own.stdout).not.toMatch(/regkeeper-deliver\n|delivered-secrets|secret-sources/);
    expect((await api.list(secretsOf(ownNamespace), { labelSelector: 'regkeeper.io/source=true' })).items).toHaveLength(secrets.length);
  });
});
