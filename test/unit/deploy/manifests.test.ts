/** The manifests of deploy: flags, ports, probes and starter rules. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readSettings } from '../../../src/app/settings.ts';
import { runProgram } from '../../../src/cli/program.ts';
import { parseRulesDocument } from '../../../src/rules/language/parse.ts';
import type { Flags } from '../../../src/settings/input.ts';

const root = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

type Manifest = {
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  data?: Record<string, string>;
  webhooks?: object[];
  spec?: { template?: { spec: PodSpec }; ports?: { port: number; targetPort: string }[] };
};
type PodSpec = { enableServiceLinks?: boolean; priorityClassName?: string; terminationGracePeriodSeconds: number; containers: [Container] };
type Container = {
  image: string;
  args: string[];
  ports: { name: string; containerPort: number }[];
  readinessProbe: Probe;
  livenessProbe: Probe;
};
type Probe = { httpGet: { path: string; port: string } };

const manifests = readdirSync(join(root, 'deploy/program')).flatMap((file) =>
  parseAllDocuments(read(join('deploy/program', file))).map((document) => document.toJS() as Manifest),
);
const ofKind = (kind: string): Manifest => {
  const found = manifests.find((each) => each.kind === kind);
  if (!found) throw new Error(`no ${kind} in deploy/program`);
  return found;
};

describe('the Deployment', () => {
  const pod = ofKind('Deployment').spec?.template?.spec as PodSpec;
  const [container] = pod.containers;
  const settings = async (more: readonly string[] = []) => {
    let flags: Flags | undefined;
    const serve = async (parsed: Flags) => {
      flags = parsed;
    };
    const printed: string[] = [];
    const connect = () => Promise.reject(new Error('not for serve'));
    const print = (text: string) => void printed.push(text);
    await runProgram([...container.args, ...more], { serve, deliver: serve, connect }, { out: print, err: print });
    if (!flags) throw new Error(printed.join(''));
    return readSettings(flags, { POD_NAMESPACE: 'regkeeper', KUBERNETES_SERVICE_HOST: '10.0.0.1' });
  };

  test('starts the server with a valid command line', async () => {
    expect(await settings()).toMatchObject({
      tls: { mode: 'self', secretName: ofKind('Secret').metadata.name },
      cluster: { namespace: ofKind('Namespace').metadata.name },
      service: ofKind('Service').metadata.name,
      manageWebhooks: true,
      dev: false,
    });
  });

  test('uses the flag that deploy/namespace-rules adds', async () => {
    const [component] = parseAllDocuments(read('deploy/namespace-rules/kustomization.yaml')).map(
      (document) => document.toJS() as { patches: { target: object; patch: string }[] },
    );
    const [patch] = component?.patches ?? [];
    const flag = /value: (\S+)/.exec(patch?.patch ?? '')?.[1] ?? '';
    expect(patch?.target).toEqual({ kind: 'Deployment', name: 'regkeeper' });
    expect(await settings([flag])).toMatchObject({ namespaceRules: true });
    expect(await settings()).toMatchObject({ namespaceRules: false });
  });

  test('opens the ports that the server listens on', async () => {
    const { port, healthPort } = await settings();
    expect(container.ports).toEqual([
      { name: 'webhook', containerPort: port },
      { name: 'health', containerPort: healthPort },
    ]);
    expect(ofKind('Service').spec?.ports).toMatchObject([{ port: 443, targetPort: 'webhook' }]);
    expect([container.readinessProbe, container.livenessProbe].map(({ httpGet }) => httpGet)).toEqual([
      { path: '/readyz', port: 'health' },
      { path: '/healthz', port: 'health' },
    ]);
  });

  test("has a termination grace period that is longer than the server's drain time", async () => {
    const { shutdownDelayMilliseconds } = await settings();
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(shutdownDelayMilliseconds + 5_000);
  });

  test('the Pods are evicted last from a full node, and have the quota that GKE requires', () => {
    expect(pod.priorityClassName).toBe('system-cluster-critical');
    expect(ofKind('ResourceQuota').spec).toMatchObject({
      scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', values: expect.arrayContaining([pod.priorityClassName]) }] },
    });
  });

  test('does not get the variables that Kubernetes creates for Services', () => {
    expect(pod.enableServiceLinks).toBe(false);
  });

  test('is for this release, from a registry that cannot exist', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(container.image).toBe(`regkeeper.invalid/regkeeper:${version}`);
  });
});

test('the Secret has no data, so applying it again keeps what the server wrote', () => {
  expect(ofKind('Secret')).not.toHaveProperty('data');
  expect(ofKind('Secret').metadata.labels).toEqual({ 'regkeeper.io/certificate': 'self' });
});

test.each(['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])(
  'the %s calls no webhook before the server fills it',
  (kind) => {
    expect(ofKind(kind).webhooks).toEqual([]);
  },
);

test('the indexes in deploy/README.md match the variables of the policy', () => {
  const [policy] = parseAllDocuments(read('deploy/webhook-protection/policy.yaml')).map(
    (document) => document.toJS() as { spec: { variables: { name: string; expression: string }[] } },
  );
  const patches = [...read('deploy/README.md').matchAll(/path: \/spec\/variables\/(\d)\/expression, .*# (\w+)$/gm)];
  expect(patches.map(([, index]) => policy?.spec.variables[Number(index)]?.name)).toEqual(['ownNamespace', 'users', 'groups']);
  expect(patches.map(([, , remark]) => remark)).toEqual(['namespace', 'users', 'groups']);
});

describe.each(['deploy/starter-rules/rules.yaml', 'deploy/openshift/starter-rules.yaml'])('the starter rules of %s', (file) => {
  const [manifest] = parseAllDocuments(read(file)).map((document) => document.toJS() as Manifest);
  const parsed = parseRulesDocument(manifest?.data?.['rules.yaml'] ?? '', { kind: 'file', file });

  test('have no problems, and deny nothing', () => {
    expect(parsed).toMatchObject({ ok: true, document: { settings: { mode: { value: 'audit' }, unconfigured: { value: 'deny' } } } });
  });

  test('are still valid with all their examples enabled', () => {
    const text = (manifest?.data?.['rules.yaml'] ?? '').replaceAll(/^# (?=- |contact:| {2}\w+: )/gm, '');
    expect(text).toMatch(/^contact:/m);
    expect(text).toMatch(/^ {2}pushSecret:/m);
    const result = parseRulesDocument(text, { kind: 'file', file });
    expect(result.ok ? [] : result.problems).toEqual([]);
  });
});
