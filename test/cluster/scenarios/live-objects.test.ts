/** `init --cluster` and `scan` on a real API server: they agree with the responses of the webhooks, and need no more permissions than they report. */
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { corpusPath } from '../../unit/conformance/corpus.ts';
import { kubeconfigFor, regkeeper } from '../command-line.ts';
import { publicApplications } from '../public-applications.ts';
import { target, waitFor, waitUntilDeleted } from '../target.ts';
import { createTenant } from '../tenant.ts';
import { createTrier } from '../try-create.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { deployment, listOf, type PodLike, type PodTemplate, pod, running, secretsIn } from '../workloads.ts';

const cluster = target();
const { kubectl, kubeconfig } = cluster;
const tryCreate = createTrier(kubeconfig);

beforeAll(async () => {
  if (cluster.local) await waitUntilDeleted(kubectl);
});

const installed = withRegkeeper(cluster, 'mode: enforce\nrules: []\n');

const onCluster = (...argv: readonly string[]) => regkeeper([...argv, '--kubeconfig', kubeconfig]);

/** Waits until the server applies these rules. */
async function enforce(rules: string, isDenied: boolean): Promise<void> {
  await installed.writeRules(rules);
  const probe = pod('probe', running('unknown.example.com/x'));
  const attempt = async () => {
    const { error } = await tryCreate(probe, { namespace: installed.namespace, dryRun: true });
    return error.includes('denied the request') === isDenied;
  };
  await waitFor(attempt, { deadlineSeconds: 60, what: 'the rules to be in effect' });
}

/** Objects by namespace. */
type Applications = ReadonlyMap<string, readonly object[]>;

/** Creates the objects, and returns their manifests by namespace. At the same time, since each kubectl sends five requests per second. */
async function createInAudit(applications: readonly (readonly object[])[]): Promise<Applications> {
  await enforce('mode: audit\nrules: []\n', false);
  const created = applications.map(async (objects) => {
    const namespace = await cluster.namespace();
    await kubectl(['apply', '--validate=false', '-n', namespace, '-f', '-'], { stdin: JSON.stringify(listOf(objects)) });
    return [namespace, objects] as const;
  });
  return new Map(await Promise.all(created));
}

/** The rules of `init`, enforced. They have no problems, and deny nothing that runs or is created again. */
async function initAndEnforce(created: Applications, workloads: number): Promise<string> {
  const { out, err, exitCode } = await onCluster('init', '--cluster');
  expect({ exitCode, err }).toMatchObject({ exitCode: 0 });
  const file = join(installed.folder, 'init.yaml');
  const enforced = out.replace(/^mode: audit$/m, 'mode: enforce');
  await writeFile(file, enforced);
  expect((await regkeeper(['lint', '--strict', file])).out).toBe('');
  expect((await onCluster('scan')).exitCode).toBe(0);

  await enforce(enforced, true);
  const scanned = await onCluster('scan', '-o', 'json');
  const { summary, rulesRevision } = JSON.parse(scanned.out);
  expect(summary).toMatchObject({ denied: 0, uncertain: 0 });
  expect(summary.workloads).toBeGreaterThanOrEqual(workloads);
  expect(installed.server?.audit().at(-1)).toMatchObject({ rulesRevision });
  const again = [...created].map(async ([namespace, objects]) => {
    const stdin = JSON.stringify(listOf(objects));
    await kubectl(['delete', '-n', namespace, '-f', '-', '--wait=true', '--cascade=background'], { stdin });
    await kubectl(['create', '--validate=false', '-n', namespace, '-f', '-'], { stdin });
  });
  await Promise.all(again);
  return enforced;
}

describe('first rules for public applications', () => {
  test('once enforced, deny nothing when three public applications are created again', async () => {
    const created = await createInAudit(Object.values(publicApplications));
    const pods = async () => {
      const lists = await Promise.all(
        [...created.keys()].map((namespace) =>
          kubectl.json<{ items: { metadata: { deletionTimestamp?: string } }[] }>(['get', 'pods', '-n', namespace]),
        ),
      );
      return lists.flatMap(({ items }) => items).filter(({ metadata }) => metadata.deletionTimestamp === undefined).length;
    };
    const expected = 6 + 12 + 7;
    await waitFor(async () => (await pods()) === expected, { deadlineSeconds: 60, what: 'the Pods of the applications' });

    const rules = await initAndEnforce(created, 22);
    const registries = [...rules.matchAll(/^- registry: (.*)$/gm)].map(([, registry]) => registry);
    expect(registries).toEqual(
      expect.arrayContaining(['docker.io', 'ghcr.io', 'public.ecr.aws', 'quay.io', 'us-docker.pkg.dev', 'us-central1-docker.pkg.dev']),
    );
    await waitFor(async () => (await pods()) === expected, { deadlineSeconds: 60, what: 'the Pods to be created again' });
    const namespaces = new Set(created.keys());
    const denied = installed.server?.audit().filter(({ namespace, outcome }) => namespaces.has(String(namespace)) && outcome === 'denied');
    expect(denied).toEqual([]);
  });

  const folder = corpusPath('openshift-objects');
  const files = folder === undefined ? [] : readdirSync(folder).filter((file) => file.endsWith('.json'));
  const applications = Map.groupBy(files, (file) => file.slice(0, file.indexOf('__')));
  const objectsOf = (application: string) =>
    (applications.get(application) ?? []).map((file) => JSON.parse(readFileSync(join(folder ?? '', file), 'utf8')) as { metadata: object });

  test.runIf(folder !== undefined)(
    'once enforced, deny nothing when other applications are created again',
    async () => {
      expect(applications.size).toBeGreaterThan(3);
      await initAndEnforce(await createInAudit([...applications.keys()].map(objectsOf)), files.length);
    },
    300_000,
  );
});

describe('scan', () => {
  const rules = `
mode: enforce
contact: the platform team
rules:
- registry: registry.example.com
- registry: old.example.com
  until: 2099-12-31
- registry: docker.io
  trust: false
  reason: Use the mirror.
`;
  const images = ['registry.example.com/web:1', 'old.example.com/web:1', 'docker.io/acme/web:1', 'nowhere.example.com/web:1', 'UPPER/case'];

  test('matches exactly what the webhooks respond', async () => {
    await enforce('mode: audit\nrules: []\n', false);
    const namespace = await cluster.namespace();
    const objects = images.map((image, index) => deployment(`web-${index}`, running(image), { replicas: 2 }));
    await kubectl(['create', '-n', namespace, '-f', '-'], { stdin: JSON.stringify(listOf(objects)) });
    const pods = async () =>
      (await kubectl.json<{ items: unknown[] }>(['get', 'pods', '-n', namespace])).items.length === 2 * images.length;
    await waitFor(pods, { deadlineSeconds: 60, what: 'the Pods' });

    await enforce(rules, true);
    const { out, exitCode } = await onCluster('scan', '-n', namespace, '-o', 'json');
    expect(exitCode).toBe(1);
    const { workloads, summary } = JSON.parse(out);
    expect(workloads).toHaveLength(images.length);
    expect(summary.deniedWhenRecreated).toEqual({ workloads: 3, pods: 6, namespaces: 1 });
    for (const object of objects) {
      const again = { ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-again` } };
      const { error } = await tryCreate(again, { namespace, dryRun: true });
      const found = workloads.find((each: { object: { name: string } }) => each.object.name === object.metadata.name);
      const denial = /denied the request: ([\s\S]*)/.exec(error)?.[1]?.trim();
      expect(found.templates[0].outcome).toBe(denial === undefined ? 'allowed' : 'denied');
      if (denial !== undefined)
        expect(denial).toBe(found.templates[0].messages.at(-1).replace(object.metadata.name, `${object.metadata.name}-again`));
    }
  });

  test('only needs an ordinary role for a namespace with rules from files, and reports everything else', async () => {
    const namespace = await cluster.namespace();
    const { token } = await createTenant({ kubectl, kubeconfig, namespace });
    await kubectl(['create', '-n', namespace, '-f', '-'], {
      stdin: JSON.stringify(deployment('web', running('registry.example.com/web:1'))),
    });
    const file = await kubeconfigFor(kubeconfig, token, join(installed.folder, 'tenant.json'));
    const rulesFile = join(installed.folder, 'rules.yaml');
    await writeFile(rulesFile, rules);
    const asTenant = (...argv: readonly string[]) => regkeeper(['scan', '--kubeconfig', file, ...argv]);

    const own = await asTenant('--rules', rulesFile, '-n', namespace);
    expect(own.out).toContain('1 allowed, 0 warned, 0 denied');
    expect(own.err).toContain('cannot read podtemplates in namespace');
    expect(own.exitCode).toBe(0);

    const all = await asTenant('--rules', rulesFile);
    expect(all.err).toContain('cannot read pods in all namespaces: GET /api/v1/pods: Forbidden (403)');
    expect(all.out).toContain('incomplete: ');
    expect(all.exitCode).toBe(2);

    const withoutRules = await asTenant('-n', namespace);
    expect(withoutRules.err).toContain('cannot load the rules of the cluster: ');
    expect(withoutRules.exitCode).toBe(2);
  });
});

describe('diff --cluster', () => {
  test('shows before a change what the webhooks respond after it, and a wrong change denies nothing while it is only compared', async () => {
    const before = 'mode: enforce\nrules:\n- registry: registry.example.com\n- registry: docker.io\n';
    await enforce(before, true);
    const namespace = await cluster.namespace();
    const objects = [
      deployment('kept', running('registry.example.com/kept:1'), { replicas: 1 }),
      deployment('caught', running('docker.io/acme/caught:1'), { replicas: 2 }),
    ];
    await kubectl(['create', '-n', namespace, '-f', '-'], { stdin: JSON.stringify(listOf(objects)) });
    const pods = async () => (await kubectl.json<{ items: unknown[] }>(['get', 'pods', '-n', namespace])).items.length === 3;
    await waitFor(pods, { deadlineSeconds: 60, what: 'the Pods' });

    // A registry is lost by mistake.
    const after = before.replace('- registry: docker.io\n', '');
    const file = join(installed.folder, 'change.json');
    const metadata = { name: 'regkeeper-rules', labels: { 'regkeeper.io/rules': 'cluster' } };
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'rules.yaml': after } }));
    const preview = await onCluster('diff', '--cluster', file, '-n', namespace, '-o', 'json');
    expect(preview.exitCode).toBe(1);
    const { changes, summary, rulesRevision } = JSON.parse(preview.out);
    expect(changes).toMatchObject([
      { object: { kind: 'Deployment', name: 'caught' }, effect: 'newly-denied', pods: 2, podsNewlyDenied: 2 },
    ]);
    expect(summary.newlyDeniedWhenRecreated).toEqual({ workloads: 1, pods: 2, namespaces: 1 });
    const restart = (name: string) => kubectl(['delete', 'pod', '-n', namespace, '-l', `app=${name}`, '--wait=false']);
    const available = async (name: string) =>
      (await kubectl.json<{ items: unknown[] }>(['get', 'pods', '-n', namespace, '-l', `app=${name}`])).items.length;

    await enforce(after, true);
    const scanned = JSON.parse((await onCluster('scan', '-n', namespace, '-o', 'json')).out);
    expect(scanned.rulesRevision).toBe(rulesRevision.after);
    await restart('kept');
    await restart('caught');
    await waitFor(async () => (await available('kept')) === 1, { deadlineSeconds: 60, what: 'the allowed Pod to be created again' });
    const denied = async () => {
      const { stdout } = await kubectl(['get', 'events', '-n', namespace, '-o', 'name', '--field-selector', 'reason=FailedCreate']);
      return stdout !== '' && (await available('caught')) === 0;
    };
    await waitFor(denied, { deadlineSeconds: 60, what: 'the denied Pods' });
  });

  test('previews which objects are denied and which secrets they gain and lose when they are created again', async () => {
    const rules = (...entries: readonly string[]) =>
      `mode: enforce\nrules:\n${entries.map((entry) => `- {registry: ${entry}}\n`).join('')}`;
    const before = rules(
      'corp.example.com, pullSecret: corp',
      'both.example.com, pullSecret: [own, first]',
      'hub.example.com',
      'old.example.com, pullSecret: old',
    );
    const after = rules(
      'corp.example.com, pullSecret: [corp, next]',
      'both.example.com, pullSecret: second',
      'old.example.com',
      'new.example.com, pullSecret: new',
    );
    await enforce(before.replace('enforce', 'audit'), false);
    const namespace = await cluster.namespace();
    const type = 'kubernetes.io/dockerconfigjson';
    const secrets = ['corp', 'next', 'own', 'first', 'second', 'old', 'new'].map((name) => {
      return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type, stringData: { '.dockerconfigjson': '{"auths":{}}' } };
    });
    const own = { imagePullSecrets: [{ name: 'own' }] };
    const objects = [
      ...['corp', 'hub', 'old', 'new', 'nowhere'].flatMap((name) => [
        deployment(`${name}-deployment`, running(`${name}.example.com/app:1`), { replicas: 1 }),
        pod(`${name}-pod`, running(`${name}.example.com/app:1`)),
      ]),
      deployment('both-deployment', running('both.example.com/app:1', own), { replicas: 1 }),
      pod('both-pod', running('both.example.com/app:1', own)),
    ];
    const inNamespace = (...args: readonly string[]) => [...args, '-n', namespace];
    await kubectl(inNamespace('create', '-f', '-'), { stdin: JSON.stringify(listOf([...secrets, ...objects])) });
    const podsOf = async () => (await kubectl.json<{ items: PodLike[] }>(inNamespace('get', 'pods'))).items;
    await waitFor(async () => (await podsOf()).length === objects.length, { deadlineSeconds: 60, what: 'the Pods' });
    await enforce(before, true);

    const file = join(installed.folder, 'previewed.json');
    const metadata = { name: 'regkeeper-rules', labels: { 'regkeeper.io/rules': 'cluster' } };
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'rules.yaml': after } }));
    const { changes } = JSON.parse((await onCluster('diff', '--cluster', file, '-n', namespace, '-o', 'json')).out) as {
      changes: { object: { name: string }; effect: string; secretsGained: { secret: string }[]; secretsLost: { secret: string }[] }[];
    };
    const previewOf = (name: string) => {
      const change = changes.find(({ object }) => object.name === name);
      const namesIn = (list: readonly { secret: string }[] = []) => [...new Set(list.map(({ secret }) => secret))].sort();
      const effect = change?.effect === 'secrets' ? undefined : change?.effect;
      return { effect, gained: namesIn(change?.secretsGained), lost: namesIn(change?.secretsLost) };
    };

    type Stored = PodLike & { spec: { template?: PodTemplate } };
    const secretsNow = (stored: Stored) => secretsIn(stored.spec.template ?? stored);
    const attempt = async (object: object) => {
      const { created } = await tryCreate(object, { namespace });
      return created && secretsNow(created as unknown as Stored);
    };
    const observed = new Map<string, { before: readonly string[] | undefined; after: readonly string[] | undefined }>();
    const renamed = (object: (typeof objects)[number]) => ({
      ...object,
      metadata: { ...object.metadata, name: `${object.metadata.name}-again` },
    });
    const tryAll = async () => {
      const results = new Map<string, readonly string[] | undefined>();
      for (const object of objects) results.set(object.metadata.name, await attempt(renamed(object)));
      await kubectl(inNamespace('delete', '-f', '-', '--ignore-not-found', '--wait=false', '--grace-period=0', '--force'), {
        stdin: JSON.stringify(listOf(objects.map(renamed))),
      });
      await waitFor(
        async () =>
          (await kubectl.json<{ items: PodLike[] }>(inNamespace('get', 'pods,deployments'))).items.every(
            ({ metadata: { name } }) => !name.endsWith('-again'),
          ),
        { deadlineSeconds: 60, what: 'the copies to be deleted' },
      );
      return results;
    };
    const resultsBefore = await tryAll();
    await enforce(after, true);
    const resultsAfter = await tryAll();
    for (const {
      metadata: { name },
    } of objects)
      observed.set(name, { before: resultsBefore.get(name), after: resultsAfter.get(name) });

    for (const [name, { before: had, after: has }] of observed) {
      const effect = had && !has ? 'newly-denied' : !had && has ? 'newly-allowed' : undefined;
      const live = await kubectl.json<Stored>(inNamespace('get', name.endsWith('-pod') ? 'pod' : 'deployment', name));
      // What runs was created by the old rules in audit mode, so it has their secrets also where they would deny it.
      const [old, now] = [secretsNow(live), has ?? secretsNow(live)];
      const without = (one: readonly string[], other: readonly string[]) => one.filter((secret) => !other.includes(secret)).sort();
      expect({ name, effect, gained: without(now, old), lost: without(old, now) }).toEqual({ name, ...previewOf(name) });
    }
    const effects = objects.map(({ metadata: { name } }) => previewOf(name));
    expect(new Set(effects.map(({ effect }) => effect))).toEqual(new Set([undefined, 'newly-denied', 'newly-allowed']));
    expect(effects.some(({ gained }) => gained.length > 0) && effects.some(({ lost }) => lost.length > 0)).toBe(true);
  });
});
