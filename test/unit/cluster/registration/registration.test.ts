/** Tests how the webhook configurations are filled and repaired. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createCertificateSource } from '../../../../src/certificates/source.ts';
import { desiredWebhooks, type WebhookEntry } from '../../../../src/cluster/registration/desired.ts';
import { bundleOf } from '../../../../src/cluster/registration/live-configuration.ts';
import { createRegistration } from '../../../../src/cluster/registration/registration.ts';
import { ApiError, type KubeObject } from '../../../../src/kube/api-client.ts';
import type { Leadership } from '../../../../src/kube/leader-election.ts';
import { customKindRow } from '../../../../src/object/custom-kind.ts';
import { kindsWithImages } from '../../../../src/object/kinds.ts';
import { systemClock } from '../../../../src/time/clock.ts';
import { eventually } from '../../../eventually.ts';
import { sampleCa } from '../../certificates/samples.ts';
import { abortable } from '../../kube/abortable.ts';
import { leadershipByHand } from '../../kube/leadership.ts';
import { handClock, memoryApi } from '../../kube/memory-api.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const desiredOptions = { namespace: 'regkeeper', service: 'regkeeper', caBundle: 'the bundle', excludedNamespaces: ['cert-manager'] };
const conditionOf = (entry: WebhookEntry | undefined, name: string) =>
  (entry?.matchConditions as { name: string; expression: string }[] | undefined)?.find((each) => each.name === name)?.expression;

describe('the desired entries', () => {
  const { mutating, validating } = desiredWebhooks({ ...desiredOptions, guard: false });
  const mutatingNamed = (name: string) => mutating.find((each) => each.name === `${name}.mutate.regkeeper.io`);

  test('there is one entry for each kind with images, with a name that the API server accepts', () => {
    expect(mutating).toHaveLength(kindsWithImages.length);
    expect(validating.map(({ name }) => name)).toContain('deployments.apps.validate.regkeeper.io');
    for (const { name } of [...mutating, ...validating]) expect(name).toMatch(/^([a-z0-9-]+\.){2,}[a-z0-9-]+$/);
    expect(new Set(mutating.map(({ name }) => name)).size).toBe(mutating.length);
  });

  test('the entries call the Service, each configuration with its own path', () => {
    const service = { namespace: 'regkeeper', name: 'regkeeper', port: 443 };
    const caBundle = 'dGhlIGJ1bmRsZQ==';
    expect(mutating[0]?.clientConfig).toEqual({ service: { ...service, path: '/mutate' }, caBundle });
    expect(validating[0]?.clientConfig).toEqual({ service: { ...service, path: '/validate' }, caBundle });
  });

  test('the entries fail closed while no replica responds, with a timeout of 5 s', () => {
    for (const entry of [...mutating, ...validating]) {
      expect(entry).toMatchObject({
        failurePolicy: 'Fail',
        timeoutSeconds: 5,
        matchPolicy: 'Equivalent',
        sideEffects: 'NoneOnDryRun',
        admissionReviewVersions: ['v1'],
      });
    }
  });

  test('the mutating webhook is called again when another webhook has changed the object', () => {
    expect(mutating.every((each) => each.reinvocationPolicy === 'IfNeeded')).toBe(true);
    expect(validating.some((each) => 'reinvocationPolicy' in each)).toBe(false);
  });

  test("regkeeper's namespace, system namespaces and excluded ones are never intercepted", () => {
    for (const entry of [...mutating, ...validating]) {
      const values = ['regkeeper', 'kube-system', 'kube-node-lease', 'cert-manager'];
      expect(entry.namespaceSelector).toEqual({ matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values }] });
    }
  });

  test('OpenShift namespaces are excluded only on OpenShift, because elsewhere any user may create a namespace with such a name', () => {
    expect(conditionOf(mutating[0], 'not-of-the-platform')).toBeUndefined();
    const there = desiredWebhooks({ ...desiredOptions, openshift: true });
    expect(conditionOf(there.validating[0], 'not-of-the-platform')).toContain("startsWith('openshift-')");
  });

  test('the entries cover ephemeral containers, which use a subresource', () => {
    const rules = mutatingNamed('pods')?.rules as { resources: string[]; operations: string[] }[];
    expect(rules.map(({ resources, operations }) => [...resources, ...operations].join(' '))).toEqual([
      'pods CREATE UPDATE',
      'pods/ephemeralcontainers UPDATE',
    ]);
  });

  test.each([
    ['buildrequests.build.openshift.io', ['buildconfigs/instantiate CREATE', 'builds/clone CREATE']],
    ['builds.build.openshift.io', ['builds CREATE UPDATE']],
    ['imagestreams.image.openshift.io', ['imagestreams CREATE UPDATE', 'imagestreams/status UPDATE']],
    ['imagestreamtags.image.openshift.io', ['imagestreamtags CREATE UPDATE']],
    ['imagetags.image.openshift.io', ['imagetags CREATE UPDATE']],
    ['imagestreamimports.image.openshift.io', ['imagestreamimports CREATE']],
    ['imagestreammappings.image.openshift.io', ['imagestreammappings CREATE']],
  ])('the entries cover %s with %j', (name, entryPoints) => {
    const rules = mutatingNamed(name)?.rules as { resources: string[]; operations: string[] }[];
    expect(rules.map(({ resources, operations }) => [...resources, ...operations].join(' '))).toEqual(entryPoints);
  });

  test('the entries list every subresource, and no status except that of image streams', () => {
    const resources = mutating.flatMap(({ rules }) => (rules as { resources: string[] }[]).flatMap((rule) => rule.resources));
    const subresources = resources.filter((resource) => resource.includes('/'));
    expect(subresources).toEqual(['pods/ephemeralcontainers', 'buildconfigs/instantiate', 'builds/clone', 'imagestreams/status']);
    expect(resources.some((resource) => resource.includes('*'))).toBe(false);
  });

  test.each([
    ['pods', 'object.?spec.?ephemeralContainers != oldObject.?spec.?ephemeralContainers'],
    ['pods', 'object.?spec.?volumes != oldObject.?spec.?volumes'],
    ['pods', 'object.?spec.?imagePullSecrets != oldObject.?spec.?imagePullSecrets'],
    ['imagestreams.image.openshift.io', 'object.?status.?tags != oldObject.?status.?tags'],
    ['podtemplates', 'object.?template != oldObject.?template'],
    ['replicationcontrollers', 'object.?spec.?template != oldObject.?spec.?template'],
    ['deployments.apps', 'object.?spec.?template != oldObject.?spec.?template'],
    ['cronjobs.batch', 'object.?spec.?jobTemplate.?spec.?template != oldObject.?spec.?jobTemplate.?spec.?template'],
    ['deploymentconfigs.apps.openshift.io', 'object.?spec.?strategy.?customParams != oldObject.?spec.?strategy.?customParams'],
    ['buildconfigs.build.openshift.io', 'object.?spec != oldObject.?spec'],
    ['builds.build.openshift.io', 'object.?spec != oldObject.?spec'],
    ['imagestreams.image.openshift.io', 'object.?spec.?tags != oldObject.?spec.?tags'],
    ['imagestreams.image.openshift.io', 'object.?spec.?dockerImageRepository != oldObject.?spec.?dockerImageRepository'],
    ['imagestreamtags.image.openshift.io', 'object.?tag != oldObject.?tag'],
    ['imagetags.image.openshift.io', 'object.?spec != oldObject.?spec'],
  ])('updates of %s are intercepted if %s', (name, condition) => {
    const expression = conditionOf(mutatingNamed(name), 'brings-an-image');
    expect(expression?.split(' || ')).toContain(condition);
    expect(expression).toMatch(/^request\.operation == 'CREATE' \|\| /);
  });

  describe('with a policy of the installation', () => {
    const policy = {
      failurePolicy: 'Ignore',
      timeoutSeconds: 9,
      namespaceSelector: [
        { key: 'team', operator: 'In', values: ['a', 'b'] },
        { key: 'legacy', operator: 'DoesNotExist', values: [] },
      ],
      matchCondition: "request.userInfo.username != 'x'",
    } as const;
    const chosen = desiredWebhooks({ ...desiredOptions, policy });
    const ofKinds = [...chosen.mutating, ...chosen.validating].filter(({ name }) => !name.startsWith('configmaps.guard.'));

    test('the entries use it, in addition to what always applies', () => {
      expect(ofKinds).toHaveLength(2 * kindsWithImages.length);
      for (const entry of ofKinds) {
        expect(entry).toMatchObject({ failurePolicy: 'Ignore', timeoutSeconds: 9 });
        expect(entry.namespaceSelector).toEqual({
          matchExpressions: [
            { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: expect.arrayContaining(['regkeeper', 'kube-system']) },
            { key: 'team', operator: 'In', values: ['a', 'b'] },
            { key: 'legacy', operator: 'DoesNotExist' },
          ],
        });
        expect(conditionOf(entry, 'brings-an-image')).toBeDefined();
        expect(conditionOf(entry, 'chosen-for-this-installation')).toBe(policy.matchCondition);
      }
    });

    test('the guard of the rules does not change', () => {
      const guardOf = ({ validating }: typeof chosen) => validating.find(({ name }) => name === 'configmaps.guard.regkeeper.io');
      expect(guardOf(chosen)).toBeDefined();
      expect(guardOf(chosen)).toEqual(guardOf(desiredWebhooks(desiredOptions)));
    });
  });

  describe('for the rules', () => {
    const guards = desiredWebhooks(desiredOptions).validating.filter(({ name }) => name === 'configmaps.guard.regkeeper.io');

    test('one more entry covers labelled ConfigMaps in every namespace when they are written', () => {
      expect(desiredWebhooks(desiredOptions).validating).toHaveLength(validating.length + 1);
      expect(guards).toMatchObject([
        {
          clientConfig: { service: { namespace: 'regkeeper', name: 'regkeeper', port: 443, path: '/guard' } },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'] }],
          objectSelector: { matchExpressions: [{ key: 'regkeeper.io/rules', operator: 'Exists' }, { values: ['snapshot'] }] },
        },
      ]);
      expect(guards[0]).toMatchObject({ namespaceSelector: {} });
    });

    test('the guard locks no one out: while no replica responds, an edit is allowed', () => {
      expect(guards[0]).toMatchObject({ failurePolicy: 'Ignore', timeoutSeconds: 5, sideEffects: 'None' });
    });

    test('there is no guard if rules come from files', () => {
      expect(validating.map(({ name }) => name)).not.toContain('configmaps.guard.regkeeper.io');
    });
  });

  test('the entries intercept custom resources from the settings, with fields that may be reserved words in CEL', () => {
    const place = (...steps: string[]) => steps;
    const row = customKindRow({
      group: 'x.io',
      version: 'v1',
      resource: 'things',
      kind: 'Thing',
      template: ['spec', 'template'],
      podSpecs: [place('spec', 'namespace', 'pod-spec')],
      images: [],
    });
    const [entry] = desiredWebhooks({ ...desiredOptions, kinds: [row] }).mutating;
    expect(entry?.name).toBe('things.x.io.mutate.regkeeper.io');
    expect(conditionOf(entry, 'brings-an-image')?.split(' || ')).toEqual([
      "request.operation == 'CREATE'",
      'object.?spec.?template != oldObject.?spec.?template',
      'object.?spec[?"namespace"][?"pod-spec"] != oldObject.?spec[?"namespace"][?"pod-spec"]',
    ]);
  });

  test('the entries cover only the specified kinds', () => {
    const kinds = kindsWithImages.filter(({ kind }) => kind === 'Pod');
    expect(desiredWebhooks({ ...desiredOptions, kinds }).mutating.map(({ name }) => name)).toEqual(['pods.mutate.regkeeper.io']);
  });
});

type Prove = NonNullable<Parameters<typeof createRegistration>[0]['prove']>;
type Configuration = KubeObject & { webhooks: WebhookEntry[] };

const group = '/apis/admissionregistration.k8s.io/v1';
const mutatingPath = `${group}/mutatingwebhookconfigurations/regkeeper`;
const validatingPath = `${group}/validatingwebhookconfigurations/regkeeper`;
const shipped = (): Configuration => ({ metadata: { name: 'regkeeper' }, webhooks: [] });

/** A cluster with both shipped configurations, and a registration that can be started. */
function registering({
  ready = true,
  groups = [] as string[],
  caBundle = 'authority 1',
  prove = undefined as Prove | undefined,
  leadership = undefined as Leadership | undefined,
  onSchedule = (_milliseconds: number) => {},
} = {}) {
  const api = memoryApi(
    { '/api/v1/namespaces/regkeeper': { metadata: { name: 'regkeeper' } }, [mutatingPath]: shipped(), [validatingPath]: shipped() },
    { groups },
  );
  const log = recordingLog();
  const certificates = createCertificateSource({ certificate: 'leaf', key: 'key', ...(caBundle !== '' && { caBundle }) });
  const timers = handClock();
  let isReady = ready;
  let asked = 0;
  const start = () => {
    const registration = createRegistration({
      client: api.client,
      namespace: 'regkeeper',
      service: 'regkeeper',
      certificates,
      prove,
      leadership,
      ready: () => {
        asked += 1;
        return isReady;
      },
      log,
      clock: {
        ...systemClock,
        schedule(work, milliseconds) {
          onSchedule(milliseconds);
          return timers.schedule(work, milliseconds);
        },
      },
    });
    registration.start();
    onTestFinished(() => registration.stop());
    return registration;
  };
  const entries = (path: string) => (api.get(path) as Configuration | undefined)?.webhooks ?? [];
  return {
    ...api,
    log,
    certificates,
    start,
    entries,
    setReady: (value: boolean) => {
      isReady = value;
    },
    timesAsked: () => asked,
    passTime: timers.passTime,
    applies: () => api.calls.filter(({ method }) => method === 'apply'),
    filled: () => eventually(() => expect([entries(mutatingPath), entries(validatingPath)].every((each) => each.length > 0)).toBe(true)),
  };
}

describe('registration', () => {
  test('fills both configurations by server-side apply under its own name', async () => {
    const { start, filled, applies, get } = registering();
    start();
    await filled();
    expect(applies().map(({ path, options }) => ({ path, options }))).toEqual(
      [mutatingPath, validatingPath].map((path) => ({ path, options: { fieldManager: 'regkeeper', force: false } })),
    );
    expect(applies()[0]?.body).toMatchObject({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'regkeeper', uid: get(mutatingPath)?.metadata.uid },
    });
  });

  test("makes regkeeper's namespace the owner, so that the configurations are deleted with it", async () => {
    const { start, filled, get } = registering();
    start();
    await filled();
    const uid = get('/api/v1/namespaces/regkeeper')?.metadata.uid;
    expect(get(validatingPath)?.metadata).toMatchObject({
      ownerReferences: [{ apiVersion: 'v1', kind: 'Namespace', name: 'regkeeper', uid }],
    });
  });

  test('waits until the server is ready', async () => {
    const { start, filled, calls, setReady, passTime } = registering({ ready: false });
    start();
    passTime();
    expect(calls).toEqual([]);
    setReady(true);
    passTime();
    await filled();
  });

  test.each([
    [['buildconfigs'], ['buildconfigs CREATE UPDATE']],
    [
      ['builds', 'builds/clone', 'builds/log'],
      ['builds CREATE UPDATE', 'builds/clone CREATE'],
    ],
    [['deploymentconfigs', 'deploymentconfigs/instantiate'], ['deploymentconfigs CREATE UPDATE']],
    [['imagestreams', 'imagestreams/layers'], ['imagestreams CREATE UPDATE']],
    [
      ['imagestreams', 'imagestreams/status'],
      ['imagestreams CREATE UPDATE', 'imagestreams/status UPDATE'],
    ],
    [[], []],
  ])('registers what the cluster serves: of %j', async (served, expected) => {
    const { start, filled, entries, client } = registering();
    client.resourcesOf = async () => new Set(served);
    start();
    await filled();
    const rules = entries(mutatingPath).flatMap(
      (each) => each.rules as { apiGroups: string[]; resources: string[]; operations: string[] }[],
    );
    const ofOpenShift = rules.filter(({ apiGroups }) => apiGroups[0]?.includes('openshift'));
    expect(ofOpenShift.map(({ resources, operations }) => [...resources, ...operations].join(' '))).toEqual(expected);
  });

  test('detects OpenShift by its ClusterVersion', async () => {
    const { start, filled, entries } = registering({ groups: ['config.openshift.io'] });
    start();
    await filled();
    expect(conditionOf(entries(mutatingPath)[0], 'not-of-the-platform')).toBeDefined();
  });

  test('logs when no CA is known with which the API server can verify regkeeper', async () => {
    const { start, log, applies } = registering({ caBundle: '' });
    start();
    await eventually(() => expect(log.lines.filter(({ level }) => level === 'error').length).toBeGreaterThanOrEqual(2));
    expect(log.lines.at(-1)?.message).toContain('provides no CA bundle');
    expect(applies()).toEqual([]);
  });
});

describe('the proof that the API server reaches the Service', () => {
  test('is not requested once the namespace is being deleted, because its probe would stay in the emptied configuration', async () => {
    let proofs = 0;
    const { start, filled, put, entries, timesAsked, passTime } = registering({
      prove: async () => {
        proofs += 1;
        return true;
      },
    });
    start();
    await filled();
    expect(proofs).toBe(1);
    put('/api/v1/namespaces/regkeeper', {
      metadata: { name: 'regkeeper', uid: 'uid-1', deletionTimestamp: '2026-01-01T00:00:00Z' },
    } as KubeObject);
    await eventually(() => expect([...entries(mutatingPath), ...entries(validatingPath)]).toEqual([]));
    const before = timesAsked();
    await eventually(() => {
      passTime();
      expect(timesAsked()).toBeGreaterThan(before + 3);
    });
    expect(proofs).toBe(1);
  });

  test('precedes every request that may fail, and is repeated until it succeeds', async () => {
    const answers = [false, false, true];
    const seen: number[] = [];
    const { start, filled, applies } = registering({
      prove: async ({ webhooks }) => {
        seen.push(webhooks?.length ?? 0, applies().length);
        return answers.shift() === true;
      },
    });
    start();
    await filled();
    expect(seen).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('is retried soon at first, and less often the longer it fails', async () => {
    let proofs = 0;
    const rests: number[] = [];
    const { start, filled } = registering({
      prove: async () => {
        proofs += 1;
        return proofs > 8;
      },
      onSchedule: (milliseconds) => void rests.push(milliseconds),
    });
    start();
    await filled();
    // 250 is also the interval between two reconciles.
    expect(rests.filter((each) => [500, 2_000, 4_000].includes(each))).toEqual([500, 2_000, 4_000]);
  });

  test('is not requested if requests already arrive', async () => {
    const { start, certificates, entries, filled, put, get } = registering({
      prove: async () => {
        throw new Error('asked');
      },
    });
    const [entry] = desiredWebhooks(desiredOptions).mutating;
    put(mutatingPath, { ...(get(mutatingPath) as Configuration), webhooks: [entry] } as Configuration);
    start();
    await filled();
    expect(entries(validatingPath)).not.toEqual([]);
    expect(certificates.current().caBundle).toBe('authority 1');
  });
});

describe('after registration', () => {
  test('an up-to-date configuration is left alone', async () => {
    const { start, filled, applies, timesAsked, passTime, entries, put, get } = registering();
    start();
    await filled();
    const before = timesAsked();
    // Defaults of the API server, and an entry of another webhook.
    const webhooks = [...entries(mutatingPath).map((each) => ({ ...each, objectSelector: {} })), { name: 'a.other.example' }];
    put(mutatingPath, { ...(get(mutatingPath) as Configuration), webhooks } as Configuration);
    await eventually(() => {
      passTime();
      expect(timesAsked()).toBeGreaterThan(before + 3);
    });
    expect(applies()).toHaveLength(2);
  });

  test.each<[string, (webhooks: WebhookEntry[]) => WebhookEntry[]]>([
    ['weakened', ([first, ...rest]) => [{ ...(first as WebhookEntry), failurePolicy: 'Ignore' }, ...rest]],
    ['removed', ([, ...rest]) => rest],
    ['added in its name', (all) => [...all, { name: 'foreign.mutate.regkeeper.io' }]],
  ])('an entry is repaired that was %s', async (_what, change) => {
    const { start, filled, entries, put, get } = registering();
    start();
    await filled();
    const wanted = entries(mutatingPath);
    put(mutatingPath, { ...(get(mutatingPath) as Configuration), webhooks: change(wanted) } as Configuration);
    await eventually(() => expect(entries(mutatingPath)).toEqual(wanted));
  });

  test('a field that another manager owns is taken over, and the log names the manager', async () => {
    const { start, filled, failNext, applies, log } = registering();
    const conflict = 'PATCH: Conflict (409): Apply failed with 1 conflict: conflict with "kubectl-edit": .webhooks[0].failurePolicy';
    failNext('apply', new ApiError(409, 'Conflict', conflict));
    start();
    await filled();
    expect(applies().map(({ options }) => (options as { force: boolean }).force)).toEqual(expect.arrayContaining([true, false]));
    expect(log.lines.find(({ level }) => level === 'warn')?.message).toContain('kubectl-edit');
  });

  test('new CAs are published in both configurations', async () => {
    const { start, filled, certificates, entries } = registering();
    start();
    await filled();
    certificates.replace({ ...certificates.current(), caBundle: 'authority 1 and 2' });
    const caBundle = Buffer.from('authority 1 and 2').toString('base64');
    await eventually(() => {
      for (const entry of [...entries(mutatingPath), ...entries(validatingPath)])
        expect(entry).toMatchObject({ clientConfig: { caBundle } });
    });
  });

  test('a deleted configuration is never recreated, and the consequence is logged once', async () => {
    const { start, filled, remove, get, log, passTime, certificates, entries } = registering();
    start();
    await filled();
    remove(mutatingPath);
    certificates.replace({ ...certificates.current(), caBundle: 'authority 2' });
    const caBundle = Buffer.from('authority 2').toString('base64');
    await eventually(() => {
      passTime();
      expect(entries(validatingPath)[0]).toMatchObject({ clientConfig: { caBundle } });
      expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    });
    expect(get(mutatingPath)).toBeUndefined();
    expect(log.lines.find(({ level }) => level === 'warn')?.message).toContain('the MutatingWebhookConfiguration regkeeper does not exist');
  });

  test('a configuration that an administrator has recreated is filled again', async () => {
    const { start, filled, remove, put, log } = registering();
    start();
    await filled();
    remove(mutatingPath);
    await eventually(() => expect(log.lines.some(({ level }) => level === 'warn')).toBe(true));
    put(mutatingPath, shipped());
    await filled();
  });

  test('nothing is written during the shutdown', async () => {
    const { start, filled, setReady, put, applies, timesAsked, passTime } = registering();
    start();
    await filled();
    setReady(false);
    const before = timesAsked();
    put(mutatingPath, shipped());
    await eventually(() => {
      passTime();
      expect(timesAsked()).toBeGreaterThan(before + 3);
    });
    expect(applies()).toHaveLength(2);
  });

  test('both configurations are emptied when the namespace is being deleted, because no replica will respond', async () => {
    const { start, filled, put, entries, log } = registering();
    start();
    await filled();
    put('/api/v1/namespaces/regkeeper', {
      metadata: { name: 'regkeeper', uid: 'uid-1', deletionTimestamp: '2026-01-01T00:00:00Z' },
    } as KubeObject);
    await eventually(() => expect([...entries(mutatingPath), ...entries(validatingPath)]).toEqual([]));
    expect(log.lines.some(({ message }) => message.includes('is being deleted'))).toBe(true);
  });

  test('a failed write is retried', async () => {
    const { start, filled, failNext, log, passTime } = registering();
    failNext('apply', new ApiError(503, 'Unreachable', 'PATCH: no answer'));
    start();
    await eventually(() => expect(log.lines.some(({ level }) => level === 'error')).toBe(true));
    passTime();
    await filled();
  });
});

describe('an unavailable API', () => {
  const away = new ApiError(503, 'ServiceUnavailable', 'GET /apis/apps.openshift.io/v1: ServiceUnavailable (503)');
  const api = 'apps.openshift.io/v1';
  const entry = 'deploymentconfigs.apps.openshift.io.validate.regkeeper.io';
  const pods = 'pods.validate.regkeeper.io';
  const names = (entries: readonly WebhookEntry[]) => entries.map(({ name }) => name);

  test('does not prevent other kinds from being registered, and on a fresh install its own kinds have all their entry points', async () => {
    const { start, filled, entries, client, log } = registering({ groups: ['build.openshift.io'] });
    const served = client.resourcesOf;
    client.resourcesOf = async (name) => (name === api ? Promise.reject(away) : served(name));
    start();
    await filled();
    expect(names(entries(validatingPath))).toEqual(
      expect.arrayContaining([pods, entry, 'builds.build.openshift.io.validate.regkeeper.io']),
    );
    expect(names(entries(validatingPath))).not.toContain('imagestreams.image.openshift.io.validate.regkeeper.io');
    const entryPoints = kindsWithImages.find(({ kind }) => kind === 'DeploymentConfig')?.entryPoints.length;
    expect(entries(validatingPath).find(({ name }) => name === entry)?.rules).toHaveLength(entryPoints ?? 0);
    expect(log.lines.filter(({ message }) => message.startsWith(`discovery of the API ${api} failed`))).toHaveLength(1);
    expect(conditionOf(entries(mutatingPath)[0], 'not-of-the-platform')).toBeUndefined();
  });

  test('does not prevent repairs or the publication of a new CA', async () => {
    const { start, filled, entries, put, get, client, certificates } = registering({
      groups: ['apps.openshift.io', 'config.openshift.io'],
    });
    start();
    await filled();
    const wanted = entries(validatingPath);
    client.resourcesOf = async () => Promise.reject(away);
    put(validatingPath, { ...(get(validatingPath) as Configuration), webhooks: [] } as Configuration);
    await eventually(() => expect(entries(validatingPath)).toEqual(wanted));
    certificates.replace({ ...certificates.current(), caBundle: 'authority 1 and 2' });
    const caBundle = Buffer.from('authority 1 and 2').toString('base64');
    await eventually(() => {
      for (const each of entries(validatingPath)) expect(each).toMatchObject({ clientConfig: { caBundle } });
    });
    expect(names(entries(validatingPath))).toEqual(names(wanted));
  });

  test.each([
    ['its entries', ['apps.openshift.io', 'config.openshift.io'], [entry]],
    ['no entry if it was not served', ['config.openshift.io'], [entry]],
  ])('after a restart keeps %s, and what the live entries show about OpenShift', async (_what, groups, registered) => {
    const before = registering({ groups });
    const first = before.start();
    await before.filled();
    await first.stop();
    const { client, entries, put, get } = before;
    client.resourcesOf = async () => Promise.reject(away);
    put(mutatingPath, { ...(get(mutatingPath) as Configuration), webhooks: entries(mutatingPath).slice(1) } as Configuration);
    before.start();
    await eventually(() => expect(names(entries(mutatingPath))).toContain('pods.mutate.regkeeper.io'));
    expect(names(entries(validatingPath))).toEqual(expect.arrayContaining(groups.length > 1 ? registered : []));
    expect(conditionOf(entries(mutatingPath)[0], 'not-of-the-platform')).toBeDefined();
  });
});

describe('what a repair does not need', () => {
  test('is another proof, if the configuration has been in use', async () => {
    let proofs = 0;
    const { start, filled, entries, put, get } = registering({
      prove: async () => {
        proofs += 1;
        return true;
      },
    });
    start();
    await filled();
    for (const path of [mutatingPath, validatingPath]) put(path, { ...(get(path) as Configuration), webhooks: [] } as Configuration);
    await filled();
    expect(proofs).toBe(1);
    expect(entries(validatingPath).length).toBeGreaterThan(0);
  });

  test('is the Secret: if it cannot be read, the registered CAs stay, and the rest is repaired', async () => {
    const { start, filled, entries, put, get, certificates, log } = registering({ caBundle: 'authority 1' });
    start();
    await filled();
    Object.assign(certificates, { refresh: () => Promise.reject(new Error('the Secret cannot be read')) });
    certificates.replace({ ...certificates.current(), caBundle: 'authority 2' });
    const wanted = entries(validatingPath);
    put(validatingPath, { ...(get(validatingPath) as Configuration), webhooks: wanted.slice(1) } as Configuration);
    await eventually(() => expect(entries(validatingPath)).toHaveLength(wanted.length));
    expect(new Set(entries(validatingPath).map(bundleOf))).toEqual(new Set(['authority 1']));
    expect(log.lines.filter(({ message }) => message.includes('the registered CA bundle stays unchanged'))).toHaveLength(1);
  });

  test('is the other configuration: if one cannot be written, the other is repaired nevertheless', async () => {
    const { start, filled, entries, put, get, client } = registering();
    start();
    await filled();
    const wanted = entries(validatingPath);
    const apply = client.patchApply;
    const hanging = Promise.withResolvers<never>();
    onTestFinished(() => hanging.reject(new Error('the test is over')));
    client.patchApply = ((path: string, ...rest: [unknown, never]) =>
      path === mutatingPath ? hanging.promise : apply(path, ...rest)) as typeof apply;
    for (const path of [mutatingPath, validatingPath]) put(path, { ...(get(path) as Configuration), webhooks: [] } as Configuration);
    await eventually(() => expect(entries(validatingPath)).toEqual(wanted));
  });

  test('is the namespace, if it cannot be read but was read before', async () => {
    const { start, filled, entries, put, get, failNext, log } = registering();
    start();
    await filled();
    const wanted = entries(validatingPath);
    failNext('get', new ApiError(503, 'Unreachable', 'GET: no answer'));
    put(validatingPath, { ...(get(validatingPath) as Configuration), webhooks: [] } as Configuration);
    await eventually(() => expect(entries(validatingPath)).toEqual(wanted));
    expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('a replica that is not the leader', () => {
  /** Long enough to see that nothing more happens. */
  const looked = ({ timesAsked, passTime }: ReturnType<typeof registering>) => {
    const before = timesAsked();
    return eventually(() => {
      passTime();
      expect(timesAsked()).toBeGreaterThan(before + 3);
    });
  };

  test('writes nothing and proves nothing until it becomes the leader, or after it has lost leadership', async () => {
    const leadership = leadershipByHand();
    let proved = 0;
    const prove = async () => {
      proved += 1;
      return true;
    };
    const registered = registering({ leadership, prove });
    const { start, filled, applies, put } = registered;
    start();
    await looked(registered);
    expect([applies().length, proved]).toEqual([0, 0]);
    leadership.become(true);
    await filled();
    expect(applies()).toHaveLength(2);
    leadership.become(false);
    put(mutatingPath, shipped());
    await looked(registered);
    expect(applies()).toHaveLength(2);
  });

  test('does not finish a write that it prepared as the leader', async () => {
    const leadership = leadershipByHand(true);
    const registered = registering({ leadership });
    const { start, applies, certificates } = registered;
    let refreshed = 0;
    Object.assign(certificates, {
      refresh: async () => {
        refreshed += 1;
        leadership.become(false);
      },
    });
    start();
    await eventually(() => expect(refreshed).toBeGreaterThan(0));
    await looked(registered);
    expect(applies()).toEqual([]);
  });

  test('publishes a CA that is not published', async () => {
    const leadership = leadershipByHand(true);
    const { start, filled, applies, certificates, entries } = registering({ leadership });
    start();
    await filled();
    leadership.become(false);
    certificates.replace({ ...certificates.current(), caBundle: 'authority 2' });
    const caBundle = Buffer.from('authority 2').toString('base64');
    await eventually(() => expect(entries(validatingPath)[0]).toMatchObject({ clientConfig: { caBundle } }));
    expect(applies()).toHaveLength(4);
  });

  test('still logs that a configuration is missing, and empties both when its namespace is being deleted', async () => {
    const leadership = leadershipByHand(true);
    const { start, filled, put, remove, entries, log } = registering({ leadership });
    start();
    await filled();
    leadership.become(false);
    remove(mutatingPath);
    await eventually(() =>
      expect(log.lines.some(({ message }) => message.includes('the MutatingWebhookConfiguration regkeeper does not exist'))).toBe(true),
    );
    put('/api/v1/namespaces/regkeeper', {
      metadata: { name: 'regkeeper', uid: 'uid-1', deletionTimestamp: '2026-01-01T00:00:00Z' },
    } as KubeObject);
    await eventually(() => expect(entries(validatingPath)).toEqual([]));
  });
});

describe('CAs that another replica may need', () => {
  const [old, coming, foreign] = ['old', 'coming', 'foreign'].map((commonName) => sampleCa({ commonName }).certificate) as [
    string,
    string,
    string,
  ];
  const bundles = (entries: readonly WebhookEntry[]) => new Set(entries.map(bundleOf));

  test.each([
    ['a replica that becomes the leader', true],
    ['a replica that is not the leader, and whose own CA is not published', false],
  ])('are not removed by %s', async (_who, leads) => {
    const leadership = leadershipByHand(true);
    const { start, filled, entries, certificates } = registering({ leadership, caBundle: old });
    start();
    await filled();
    leadership.become(false);
    certificates.replace({ ...certificates.current(), caBundle: coming });
    leadership.become(leads);
    for (const path of [mutatingPath, validatingPath])
      await eventually(() => expect(bundles(entries(path))).toEqual(new Set([coming + old])));
  });

  test('are removed after ten minutes', async () => {
    const { start, filled, entries, certificates, passTime } = registering({ caBundle: old });
    start();
    await filled();
    certificates.replace({ ...certificates.current(), caBundle: coming });
    await eventually(() => expect(bundles(entries(validatingPath))).toEqual(new Set([coming + old])));
    for (const path of [mutatingPath, validatingPath])
      await eventually(() => {
        passTime();
        expect(bundles(entries(path))).toEqual(new Set([coming]));
      });
  });

  test('do not include those that another writer has added, which are reverted', async () => {
    const { start, filled, entries, put, get } = registering({ caBundle: old });
    start();
    await filled();
    const caBundle = Buffer.from(old + foreign).toString('base64');
    const webhooks = entries(mutatingPath).map((entry) => ({ ...entry, clientConfig: { ...(entry.clientConfig as object), caBundle } }));
    const { metadata } = get(mutatingPath) as Configuration;
    put(mutatingPath, { metadata: { ...metadata, managedFields: [] }, webhooks } as Configuration);
    await eventually(() => expect(bundles(entries(mutatingPath))).toEqual(new Set([old])));
  });
});

test('a missing namespace is logged once, and a configuration that is deleted while it is written is not a failure', async () => {
  const { start, filled, remove, log, before, certificates, passTime, timesAsked } = registering();
  start();
  await filled();
  before('apply', () => remove(mutatingPath));
  certificates.replace({ ...certificates.current(), caBundle: 'authority 2' });
  await eventually(() =>
    expect(log.lines.some(({ message }) => message.includes('the MutatingWebhookConfiguration regkeeper does not exist'))).toBe(true),
  );
  remove('/api/v1/namespaces/regkeeper');
  const asked = timesAsked();
  await eventually(() => {
    passTime();
    expect(timesAsked()).toBeGreaterThan(asked + 3);
  });
  expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  expect(log.lines.filter(({ message }) => message.includes('the namespace regkeeper does not exist'))).toHaveLength(1);
});

describe('a stop', () => {
  const never = new Promise<never>(() => {});

  test.each(['the proof', 'the write', 'the read of the certificate'])('aborts %s in progress, and it is not logged', async (which) => {
    const begun = Promise.withResolvers<void>();
    const hang = () => {
      begun.resolve();
      return never;
    };
    const api = memoryApi({
      '/api/v1/namespaces/regkeeper': { metadata: { name: 'regkeeper' } },
      [mutatingPath]: shipped(),
      [validatingPath]: shipped(),
    });
    const log = recordingLog();
    const certificates = createCertificateSource({ certificate: 'leaf', key: 'key', caBundle: 'authority' });
    const proof = Promise.withResolvers<never>();
    const registration = createRegistration({
      client: abortable(which === 'the write' ? { ...api.client, patchApply: hang } : api.client),
      namespace: 'regkeeper',
      service: 'regkeeper',
      certificates: which === 'the read of the certificate' ? { ...certificates, refresh: hang } : certificates,
      prove: (_mutating, signal) => {
        if (which !== 'the proof') return Promise.resolve(true);
        signal.addEventListener('abort', () => proof.reject(signal.reason));
        begun.resolve();
        return proof.promise;
      },
      ready: () => true,
      log,
    });
    registration.start();
    await begun.promise;
    await registration.stop();
    expect(log.lines.filter(({ level }) => level !== 'info')).toEqual([]);
  });
});
