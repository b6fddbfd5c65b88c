/**
 * Runs the commands of docs/guides/zero-to-enforce.md on a cluster with 300 objects, and compares the documented output. `UPDATE_GOLDEN=1`
 * writes the actual output into the page. Afterwards everything is created again under the enforced rules.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dayOf } from '../../../src/rules/trust-end.ts';
import { runnable, type Step, stepsOf } from '../../unit/docs/commands.ts';
import { type Created, createAgain, createApplications, objectCount, teams } from '../applications.ts';
import { findBinaries } from '../binaries.ts';
import { type ActualOutput, runStep, writeOutputs } from '../docs-steps.ts';
import { createWorld, type World } from '../docs-world.ts';
import { target, waitFor, waitUntilDeleted } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { pod, running } from '../workloads.ts';

const page = 'docs/guides/zero-to-enforce.md';
const cluster = target();
const { kubectl } = cluster;

let folder = '';
let world: World;
let objects: readonly Created[] = [];

// Before regkeeper is installed, as on a cluster in use.
beforeAll(async () => {
  const api = await kubectl.api();
  await waitUntilDeleted(kubectl);
  objects = await createApplications(api);
});

const installed = withRegkeeper(cluster, 'mode: enforce\nrules: []\n');
const starterRules = 'mode: audit\nrules: []\n';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rk-zero-'));
  await installed.writeRules(starterRules);
  await waitUntilInEffect();
  const { kubectl: kubectlBinary } = await findBinaries();
  world = await createWorld({ folder, kubeconfig: cluster.kubeconfig, kubectl: kubectlBinary, helm: '', servers: folder });
  await world.enter(page);
});

afterAll(async () => {
  await kubectl(['delete', 'namespace', ...teams, '--ignore-not-found', '--wait=false']);
  await rm(folder, { recursive: true, force: true });
});

/** The rules of the ConfigMap as it is stored now. */
async function waitUntilInEffect(): Promise<void> {
  const path = '/api/v1/namespaces/regkeeper/configmaps';
  const api = await kubectl.api();
  const { metadata } = await api.get<{ metadata: { resourceVersion: string } }>(`${path}/regkeeper-rules`);
  const isInEffect = async () => {
    const { data = {} } = await api.get<{ data?: Record<string, string> }>(`${path}/regkeeper-rules-snapshot`);
    return Object.values(data).some((value) => value.includes(metadata.resourceVersion));
  };
  await waitFor(isInEffect, { deadlineSeconds: 60, what: 'the rules to be in effect' });
}

/** The page has a date that passes one day. Here it is always seven months ahead. */
const written = { until: '2027-06-30', after: '2027-07-01' };
const lastDay = Date.now() + 210 * 86_400_000;
const dates: readonly (readonly [string, string])[] = [
  [written.until, dayOf(lastDay)],
  [written.after, dayOf(lastDay + 86_400_000)],
];
const ahead = (text: string) => dates.reduce((result, [from, to]) => result.replaceAll(from, to), text);
const asWritten = (text: string) => dates.reduce((result, [to, from]) => result.replaceAll(from, to), text);

describe(page, () => {
  const actual: ActualOutput[] = [];
  const steps = stepsOf(page).map((step): Step => {
    const script = runnable(step.script);
    if (script !== step.script) throw new Error(`a command of ${page} is not run: ${step.script}`);
    return { ...step, script: ahead(script), output: step.output === undefined ? undefined : ahead(step.output) };
  });

  test('has ten steps', async () => {
    const text = await readFile(join(import.meta.dirname, '../../..', page), 'utf8');
    expect(text.match(/^## \d+\. /gm)).toHaveLength(10);
    expect(objects).toHaveLength(objectCount);
    expect(objectCount).toBe(300);
  });

  test.each(steps)('line $line', async (step) => {
    actual.push(await runStep(world, step));
    if (step.script.includes('kubectl apply')) await waitUntilInEffect();
    if (step.script.includes('rollout restart')) await waitForRestart();
  });

  afterAll(async () => {
    if (!process.env.UPDATE_GOLDEN) return;
    const found = actual.map(({ step, output }) => {
      return { step: { ...step, script: asWritten(step.script) }, output: asWritten(output) };
    });
    await writeOutputs(page, found);
  });
});

/** All Pods of checkout's Deployments are new ones, with the secret of their registry. */
async function waitForRestart(): Promise<void> {
  const api = await kubectl.api();
  type Restarted = { metadata: { annotations?: Record<string, string>; ownerReferences?: { kind: string }[] } };
  const restarted = async () => {
    const { items } = await api.list<Restarted & { metadata: { name: string } }>('/api/v1/namespaces/checkout/pods');
    return items.filter(({ metadata }) => metadata.annotations?.['kubectl.kubernetes.io/restartedAt'] !== undefined).length === 20;
  };
  await waitFor(restarted, { deadlineSeconds: 60, what: 'new Pods of 20 Deployments' });
}

describe('under the enforced rules', () => {
  test('everything can be created again, and nothing is denied', async () => {
    type Spec = { containers: { image: string }[]; imagePullSecrets?: { name: string }[] };
    type Stored = { spec: Spec & { template?: { spec: Spec }; jobTemplate?: { spec: { template: { spec: Spec } } } } };
    const { stored, denials } = await createAgain<Stored>(await kubectl.api(), objects);
    expect(denials).toEqual([]);
    expect(stored).toHaveLength(objectCount);
    const specs = stored.map(({ spec }) => spec.template?.spec ?? spec.jobTemplate?.spec.template.spec ?? spec);
    const secretsOf = (registry: string) => {
      const own = specs.filter(({ containers }) => containers[0]?.image.startsWith(`${registry}/`));
      return [...new Set(own.map(({ imagePullSecrets }) => JSON.stringify(imagePullSecrets)))];
    };
    expect(secretsOf('registry.example.com:5000')).toEqual(['[{"name":"corp-pull"}]']);
    expect(secretsOf('old.example.com')).toEqual(['[{"name":"old-pull"}]']);
    const denied = installed.server?.audit().filter(({ webhook, outcome, namespace }) => {
      return webhook === 'validate' && outcome !== 'allowed' && teams.includes(namespace as (typeof teams)[number]);
    });
    // The page tries one image of another registry. The new Pods of checkout, which it restarted, are among the others.
    expect(denied?.map(({ name }) => name)).toEqual(['tool']);
  });

  test('a registry is denied after the last day of its rule, and others are not', async () => {
    const yesterday = dayOf(Date.now() - 86_400_000);
    await installed.writeRules((await installed.rulesText()).replace(dayOf(lastDay), yesterday));
    await waitUntilInEffect();
    const create = async (image: string) => {
      const api = await kubectl.api();
      const attempt = api.create('/api/v1/namespaces/billing/pods', pod('probe', running(image)), { dryRun: 'All' });
      return attempt.then(() => 'allowed', String);
    };
    expect(await create('old.example.com/billing/api:4')).toContain(`until ${yesterday}`);
    expect(await create('registry.example.com:5000/billing/api:1')).toBe('allowed');
  });
});
