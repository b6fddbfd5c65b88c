/** Runs test/cases against a real API server, which must show the same messages and store the same secrets. */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { simulateAdmission } from '../../../src/admission/simulate.ts';
import { factsFromObjects } from '../../../src/evaluate/facts-from-objects.ts';
import type { Manifest } from '../../../src/evaluate/parse-manifests.ts';
import type { KubeObject } from '../../../src/kube/api-client.ts';
import { isObject } from '../../../src/object/json.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { type Case, cases, evaluatedObjectsOf, expectedOf, ruleSetOfCase } from '../../cases/cases.ts';
import { applyAll, ownNamespace } from '../regkeeper.ts';
import { deleteAll, target, waitFor } from '../target.ts';
import { createTrier } from '../try-create.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;
const tryCreate = createTrier(cluster.kubeconfig);
const keeper = withRegkeeper(cluster, 'contact: the platform team\nrules: []\n');

const namespaces: string[] = [];
afterAll(async () => {
  await deleteAll(
    kubectl,
    namespaces.map((name) => `/api/v1/namespaces/${name}`),
  );
});

describe('the cluster has the same results as the engine', () => {
  for (const each of cases) {
    if (each.notInCluster !== undefined) {
      test.skip(`${each.name}: not in a cluster, since ${each.notInCluster}`);
      continue;
    }
    test(each.name, async ({ skip }) => {
      if (!keeper.server) return skip('writes rules and waits for their record, so only where the server runs next to the test');
      await prepare(each);
      const rules = await ruleSetOfCase(each);
      const rows = evaluatedObjectsOf(each).map((manifest) => ({ manifest, expected: expectation(each, manifest, rules) }));
      // Waits with dry runs until the informers have seen the objects. Where an answer stays different, the comparison below shows it.
      const agrees = async ({ manifest, expected }: (typeof rows)[number]) =>
        isDeepStrictEqual(await create(each, manifest, { dryRun: true }), expected);
      await Promise.all(rows.map((row) => waitFor(() => agrees(row), { deadlineSeconds: 60, what: 'the watches' }).catch(() => undefined)));

      const answers = await Promise.all(rows.map(async ({ manifest }) => [callOf(manifest), await create(each, manifest)]));
      expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(rows.map(({ manifest, expected }) => [callOf(manifest), expected])));
    });
  }
});

type Answer = {
  readonly outcome: string;
  readonly messages: readonly string[];
  readonly credentials: Readonly<Record<string, unknown>> | undefined;
};

function expectation(each: Case, manifest: Manifest, rules: RuleSet): Answer {
  const { apiVersion, kind, object } = manifest;
  const { outcome, messages } = expectedOf(each, manifest);
  const rehearsal = simulateAdmission(
    { apiVersion, kind, object, namespace: each.namespace, user: each.user },
    rules,
    factsFromObjects(each.manifests, each),
  );
  const stored = rehearsal.kind === 'answered' && outcome !== 'denied' ? credentialsIn(rehearsal.object) : undefined;
  return { outcome, messages, credentials: stored };
}

async function create({ rules }: Case, { object }: Manifest, options?: { readonly dryRun: boolean }): Promise<Answer> {
  const { created, error, warnings: shown } = await tryCreate(object, options);
  // The messages only differ in the position of a rule: a key of a ConfigMap here, a file in expected.yaml.
  const fileOf = (key: string) => rules.find(({ file }) => keyOf(file) === key)?.file ?? key;
  const withFiles = (text: string) =>
    text.replace(/ConfigMap regkeeper\/regkeeper-rules, key (\S+), line /g, (_text, key: string) => `${fileOf(key)}:`);
  const warnings = shown.filter((warning) => warning.startsWith('regkeeper: ')).map(withFiles);
  const denial = / denied the request: (.*)$/s.exec(withFiles(error))?.[1]?.trimEnd();
  if (created === undefined) return { outcome: 'denied', messages: [...warnings, denial ?? error], credentials: undefined };
  return { outcome: warnings.length > 0 ? 'warned' : 'allowed', messages: warnings, credentials: credentialsIn(created) };
}

/** All fields that regkeeper may write, by their JSON pointer. */
function credentialsIn(value: unknown, path = ''): Record<string, unknown> {
  if (Array.isArray(value)) return Object.assign({}, ...value.map((item, index) => credentialsIn(item, `${path}/${index}`)));
  if (!isObject(value)) return {};
  const fields = Object.entries(value).map(([name, field]) =>
    writtenFields.has(name) ? { [`${path}/${name}`]: field } : credentialsIn(field, `${path}/${name}`),
  );
  return Object.assign({}, ...fields);
}

const writtenFields = new Set(['imagePullSecrets', 'pullSecret', 'pushSecret', 'regkeeper.io/injected']);

/** Creates the case's namespaces, service accounts and secrets, then its rules. The rules are in effect when this returns. */
async function prepare(each: Case): Promise<void> {
  const named = each.manifests.filter(({ kind }) => kind === 'Namespace').map(({ object }) => object);
  const labelled = new Set(named.map(nameOf));
  const others = [...new Set(each.results.map(({ object }) => object.namespace))].filter((name) => !labelled.has(name));
  const plain = others.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  const made = [...named, ...plain];
  namespaces.push(...made.map(nameOf));
  await applyAll(kubectl, made as KubeObject[]);
  const api = await kubectl.api();
  for (const namespace of made) {
    await waitFor(() => api.get<object>(`/api/v1/namespaces/${nameOf(namespace)}/serviceaccounts/default`), {
      deadlineSeconds: 60,
      what: 'the default account',
    });
  }
  const supporting = each.manifests.filter(({ kind }) => ['ServiceAccount', 'Secret'].includes(kind)).map(({ object }) => object);
  await applyAll(kubectl, supporting as KubeObject[]);

  const { data: before } = await kubectl.json<{ data: Record<string, string> }>([
    'get',
    'configmap',
    'regkeeper-rules',
    '-n',
    ownNamespace,
  ]);
  const without = Object.fromEntries(Object.keys(before).map((key) => [key, null]));
  const data = { ...without, ...Object.fromEntries(each.rules.map(({ file, text }) => [keyOf(file), text])) };
  const path = `/api/v1/namespaces/${ownNamespace}/configmaps/regkeeper-rules`;
  await api.request({ method: 'PATCH', path, body: { data }, contentType: 'application/merge-patch+json' });
  const { revision } = await ruleSetOfCase(each);
  const inForce = () => keeper.server?.audit().findLast(({ event }) => event === 'rules')?.rulesRevision === revision;
  await waitFor(inForce, { deadlineSeconds: 60, what: `the rules of ${each.name}, revision ${revision}` });
}

function callOf({ kind, object }: Manifest): string {
  return `${kind} ${JSON.stringify(object.metadata)}`;
}

function nameOf({ metadata }: { metadata?: unknown }): string {
  return (metadata as { name: string }).name;
}

function keyOf(file: string): string {
  return file.replace(/^rules\//, '');
}
