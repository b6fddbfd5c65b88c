/**
 * Objects that an earlier build of regkeeper marked, and the complete removal as docs/guides/uninstall.md describes it. The commands come from
 * that page.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { runnable, type Step, stepsOf } from '../../unit/docs/commands.ts';
import { blocks, readPage, section } from '../../unit/docs/pages.ts';
import { findBinaries } from '../binaries.ts';
import { createWorld, usualDeployment, type World } from '../docs-world.ts';
import { createHelm, findHelm } from '../helm.ts';
import { applyBase, ownNamespace, type Regkeeper, startRegkeeper } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { actingIn, type Workload } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;
const root = resolve(import.meta.dirname, '../../..');
const page = 'docs/guides/uninstall.md';
const rules = `mode: enforce
rules:
- {registry: "registry.example.com:5000", pullSecret: corp-pull, pushSecret: corp-push}
- {registry: docker.io/library}
`;
const mark = 'regkeeper.io/injected';

let folder = '';
let world: World;
let server: Regkeeper;
const shop = actingIn(kubectl, () => 'shop');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rk-uninstall-'));
  const [binaries, helm] = [await findBinaries(), await findHelm()];
  world = await createWorld({ folder, kubeconfig: cluster.kubeconfig, kubectl: binaries.kubectl, helm, servers: join(folder, 'servers') });
  await world.enter(page);
  await kubectl(['create', 'namespace', 'shop']);
  await waitFor(() => shop.get('serviceaccount', 'default'), { deadlineSeconds: 60, what: 'the default service account' });
}, 600_000);

afterAll(async () => {
  await server?.end('SIGKILL');
  await kubectl(['delete', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', 'regkeeper', '--ignore-not-found']);
  await kubectl(['delete', 'clusterrole,clusterrolebinding', '-l', 'app.kubernetes.io/name=regkeeper']);
  await kubectl(['delete', 'namespace', ownNamespace, 'shop', '--ignore-not-found', '--timeout=60s']);
  await rm(folder, { recursive: true, force: true });
});

/** Starts the server of an installation that was just applied, with the rules above. */
async function start(): Promise<void> {
  await server?.end('SIGKILL');
  await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '-p', JSON.stringify({ data: { 'rules.yaml': rules } })]);
  server = await startRegkeeper({
    kubectl,
    kubeconfig: cluster.kubeconfig,
    directory: await mkdtemp(join(folder, 'server-')),
    routeService: cluster.routeService,
    flags: ['--shutdown-delay-seconds', '0'],
  });
}

/** Runs a step of the page. @throws Error with its output if it fails */
async function run(script: string): Promise<string> {
  const { output, exitCode } = await world.run(`set -e\n${script}`);
  if (exitCode !== 0) throw new Error(`${script}\n${output}`);
  return output;
}

function stepWith(text: string): string {
  const found = stepsOf(page).filter(({ script }: Step) => script.includes(text));
  if (found.length !== 1) throw new Error(`${found.length} steps of ${page} contain ${text}`);
  return found[0]?.script ?? '';
}

const image = (name: string) => JSON.stringify([{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: name }]);
const secretsOf = ({ spec }: Workload) => spec.template.spec.imagePullSecrets?.map(({ name }) => name) ?? [];
const markOf = ({ spec }: Workload) => spec.template.metadata.annotations?.[mark];

/** What builds from before 0.1.0 wrote. Frozen: do not adapt it to the code. */
const marked = {
  deployment: (text: string) => {
    const object = parse(usualDeployment) as Record<string, unknown> & { spec: { template: { metadata: object; spec: object } } };
    const { template } = object.spec;
    template.metadata = { ...template.metadata, annotations: { [mark]: text } };
    template.spec = { ...template.spec, imagePullSecrets: [{ name: 'corp-pull' }] };
    return object;
  },
  buildConfig: {
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name: 'app', annotations: { [mark]: '{"spec.output.pushSecret":"corp-push"}' } },
    spec: {
      strategy: { type: 'Docker', dockerStrategy: {} },
      output: { to: { kind: 'DockerImage', name: 'registry.example.com:5000/shop/app:1' }, pushSecret: { name: 'corp-push' } },
    },
  },
};

describe('an object that an earlier build marked', () => {
  beforeAll(async () => {
    await shop('delete', 'deployments,buildconfigs', '--all');
    await shop.create(marked.buildConfig);
    await applyBase(kubectl);
  });

  test.each([
    ['before 0.1.0', '{"rules":["corp-pull"]}'],
    ['later, with a field that this one does not support', '{"rules":["corp-pull"],"later":{"a":1}}'],
  ])(
    '%s keeps its template, and its secret follows the image',
    async (_when, text) => {
      await server?.end('SIGKILL');
      await kubectl(['delete', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', 'regkeeper', '--ignore-not-found']);
      await shop('delete', 'deployments', '--all');
      const [before] = await shop.create<Workload>(marked.deployment(text));
      await applyBase(kubectl);
      await start();

      // The author's file has neither the secret nor the mark.
      await kubectl(['apply', '-f', '-'], { stdin: usualDeployment });
      const applied = await shop.get<Workload>('deployment', 'api');
      expect(applied.spec.template).toEqual(before?.spec.template);
      expect(secretsOf(applied)).toEqual(['corp-pull']);

      await shop('patch', 'deployment', 'api', '--type=json', '-p', image('docker.io/library/nginx'));
      expect(secretsOf(await shop.get<Workload>('deployment', 'api'))).toEqual([]);
    },
    120_000,
  );

  test('as a BuildConfig loses the push secret with the image', async () => {
    const patch = [{ op: 'replace', path: '/spec/output/to/name', value: 'docker.io/library/app:1' }];
    await shop('patch', 'buildconfig', 'app', '--type=json', '-p', JSON.stringify(patch));
    const { spec } = await shop.get<{ spec: { output: { pushSecret?: object } } }>('buildconfig', 'app');
    expect(spec.output.pushSecret).toBeUndefined();
  });
});

describe('after an installation with kustomize, all components and what the documentation adds', () => {
  beforeAll(async () => {
    for (const name of ['webhook-protection/policy.yaml', 'namespace-rules/rbac.yaml']) {
      await kubectl(['apply', '-f', join(root, 'deploy', name), '-n', ownNamespace]);
    }
    await kubectl(['apply', '-f', '-'], { stdin: policyOfAks() });
    await run(runnable(stepsOf('docs/operations.md').find(({ script }) => script.includes('regkeeper rbac'))?.script ?? '') ?? '');
    const ofNamespace = { name: 'registries', namespace: 'shop', labels: { 'regkeeper.io/rules': 'namespace' } };
    await shop.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: ofNamespace, data: { 'rules.yaml': 'rules: []\n' } });
    await shop.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'copy', labels: { 'regkeeper.io/delivered': 'true' } } });
    await shop('delete', 'deployments,buildconfigs', '--all');
    await kubectl(['apply', '-f', '-'], { stdin: usualDeployment });
    expect(await namesLike(/regkeeper|labels-of-aks/)).not.toEqual([]);
  });

  test('the page finds every object with the annotation', async () => {
    const found = await run(stepWith('has("regkeeper.io/injected")'));
    expect(found.split('\n')).toContain('Deployment shop/api');
    expect(found).toMatch(/^Pod shop\/api-/m);
  });

  test('the commands in the page leave nothing in the cluster', async () => {
    await run(stepWith('validatingadmissionpolicybinding -l'));
    const added = blocks(readPage(page)).length > 0 ? commandsInTable('Remove what you added') : [];
    expect(added).toContain('kubectl delete configmaps -A -l regkeeper.io/rules=namespace');
    for (const command of added) await run(`${command} --ignore-not-found`);
    await expect.poll(() => namesLike(/regkeeper|labels-of-aks/), { timeout: 60_000, interval: 500 }).toEqual([]);
    expect(await shop.list('secrets', '-l', 'regkeeper.io/delivered')).toEqual([]);
    const { output } = await world.run(stepWith('-o name | grep -E'));
    expect(output).toBe('');
  });

  test('workloads keep their secrets, and new Pods have them', async () => {
    await shop('scale', 'deployment', 'api', '--replicas=3');
    const pods = await waitFor(
      async () => {
        const all = await shop.list('pods', '-l', 'app=api');
        return all.length === 3 && all;
      },
      { deadlineSeconds: 60, what: 'three Pods' },
    );
    expect(pods.map(({ spec }) => spec.imagePullSecrets)).toEqual(Array.from({ length: 3 }, () => [{ name: 'corp-pull' }]));
  });

  test('the annotation is removed by the command in the page, and the secret stays', async () => {
    await run(stepWith('regkeeper.io~1injected'));
    const deployment = await shop.get<Workload>('deployment', 'api');
    expect(markOf(deployment)).toBeUndefined();
    expect(secretsOf(deployment)).toEqual(['corp-pull']);
  });
});

test('after an installation with Helm, the commands in the page leave nothing in the cluster', async () => {
  const helm = createHelm({ binary: await findHelm(), kubeconfig: cluster.kubeconfig });
  await helm(['install', 'regkeeper', join(root, 'deploy/chart'), '-n', ownNamespace, '--create-namespace']);
  await start();
  await run(stepWith('helm uninstall'));
  await expect.poll(() => namesLike(/regkeeper/), { timeout: 60_000, interval: 500 }).toEqual([]);
});

test('the emergency command in docs/operations.md allows every image, and applying the installation restores the webhooks', async () => {
  await applyBase(kubectl);
  await start();
  expect((await kubectl(['run', 'x', '-n', 'shop', '--image=ghcr.io/x', '--dry-run=server'], { allowFailure: true })).code).toBe(1);
  const [step] = stepsOf('docs/operations.md').filter(({ script }) => script.startsWith('kubectl delete mutatingwebhookconfiguration'));
  await run(step?.script ?? '');
  await waitFor(
    async () => (await kubectl(['run', 'x', '-n', 'shop', '--image=ghcr.io/x', '--dry-run=server'], { allowFailure: true })).code === 0,
    {
      deadlineSeconds: 60,
      what: 'the image to be allowed',
    },
  );
  await kubectl(['apply', '--server-side', '--force-conflicts', '--field-manager=regkeeper-install', '-k', join(root, 'deploy/program')]);
  await waitFor(
    async () => (await kubectl(['run', 'x', '-n', 'shop', '--image=ghcr.io/x', '--dry-run=server'], { allowFailure: true })).code === 1,
    {
      deadlineSeconds: 60,
      what: 'the image to be denied',
    },
  );
});

/** The names of all objects of all kinds, except Events, that match. */
async function namesLike(pattern: RegExp): Promise<readonly string[]> {
  const { stdout: kinds } = await kubectl(['api-resources', '--verbs=list,delete', '-o', 'name']);
  const listed = kinds.split('\n').filter((kind) => kind !== '' && !/^events/.test(kind));
  const { stdout } = await kubectl([
    'get',
    listed.join(','),
    '-A',
    '-o',
    'custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name',
  ]);
  return stdout.split('\n').filter((line) => pattern.test(line));
}

function commandsInTable(heading: string): readonly string[] {
  return [...section(readPage(page), heading).matchAll(/^\|.*?`(kubectl [^`]+)`/gm)].map(([, command = '']) => command);
}

/** The policy and its binding in deploy/README.md, under "On AKS". */
function policyOfAks(): string {
  const found = blocks(section(readPage('deploy/README.md'), 'On AKS')).filter(({ language }) => language === 'yaml');
  expect(found.map(({ text }) => parseAllDocuments(text)).length).toBe(2);
  return found.map(({ text }) => text).join('\n---\n');
}
