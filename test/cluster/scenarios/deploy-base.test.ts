/** Applies deploy/base with kubectl: the rights of its ServiceAccount, its rules, what the server writes, and upgrades that keep that. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { manageCertificateSecret } from '../../../src/certificates/sources/secret.ts';
import { createRegistration } from '../../../src/cluster/registration/registration.ts';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import { kindsWithImages } from '../../../src/object/kinds.ts';
import { type Clock, systemClock } from '../../../src/time/clock.ts';
import { target, waitFor } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;

const base = folder('base');
const account = 'system:serviceaccount:regkeeper:regkeeper';
/** The entry for rules ConfigMaps, which has failurePolicy Ignore and so allows edits while regkeeper is unavailable. */
const guard = 'configmaps.guard.regkeeper.io';
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** The arguments of kubectl before the folder. */
type Command = readonly string[];
const plain: Command = ['apply', '-k'];
/** The command of deploy/README.md for installation and upgrades. */
const documented: Command = ['apply', '--server-side', '--field-manager=regkeeper-install', '-k'];
/** Its command for the first upgrade after a plain `kubectl apply`. */
const oncePlain: Command = ['apply', '--server-side', '--force-conflicts', '--field-manager=regkeeper-install', '-k'];

function folder(name: string): string {
  return join(import.meta.dirname, '../../../deploy', name);
}

function ignore(): void {}

// The object names are those of a real installation. Other files use the same cluster, so this one removes its objects again.
beforeAll(async () => {
  await uninstall();
  await kubectl(['apply', '-k', base]);
  await makeObjects();
});
afterAll(uninstall, 60_000);

async function uninstall(): Promise<void> {
  const configurations = 'mutatingwebhookconfiguration,validatingwebhookconfiguration';
  await kubectl(['delete', configurations, 'regkeeper', '--ignore-not-found']);
  await kubectl(['delete', 'clusterrole,clusterrolebinding', '-l', 'app.kubernetes.io/name=regkeeper']);
  await kubectl(['delete', 'namespace', 'regkeeper', '--ignore-not-found', '--timeout=50s']);
}

/** An API client with the permissions of the server's service account. */
async function asServer(): Promise<ApiClient> {
  const { stdout: token } = await kubectl(['create', 'token', 'regkeeper', '-n', 'regkeeper']);
  const kubeConfig = await loadKubeConfig({ file: cluster.kubeconfig, env: {} });
  const [server] = kubeConfig.clusters;
  if (!server) throw new Error('the kubeconfig names no cluster');
  kubeConfig.loadFromClusterAndUser(server, { name: 'regkeeper', token: token.trim() });
  const client = connectApi(kubeConfig);
  onTestFinished(() => client.close());
  return client;
}

/** A namespace with one object of each kind, created before the webhook configurations were filled. */
let namespace = '';

const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'x', image: 'registry.example.com/x:1' }] } };
const selector = { matchLabels: { app: 'x' } };
const jobTemplate = { spec: { template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } } };
const objects: [resource: string, manifest: object, pathOfImage: string][] = [
  ['pods', { apiVersion: 'v1', kind: 'Pod', spec: template.spec }, '/spec/containers/0/image'],
  ['podtemplates', { apiVersion: 'v1', kind: 'PodTemplate', template }, '/template/spec/containers/0/image'],
  [
    'replicationcontrollers',
    { apiVersion: 'v1', kind: 'ReplicationController', spec: { replicas: 0, template } },
    '/spec/template/spec/containers/0/image',
  ],
  ...['Deployment', 'ReplicaSet', 'StatefulSet'].map((kind): [string, object, string] => [
    `${kind.toLowerCase()}s`,
    { apiVersion: 'apps/v1', kind, spec: { replicas: 0, selector, template } },
    '/spec/template/spec/containers/0/image',
  ]),
  ['daemonsets', { apiVersion: 'apps/v1', kind: 'DaemonSet', spec: { selector, template } }, '/spec/template/spec/containers/0/image'],
  [
    'cronjobs',
    { apiVersion: 'batch/v1', kind: 'CronJob', spec: { schedule: '0 0 1 1 *', suspend: true, jobTemplate } },
    '/spec/jobTemplate/spec/template/spec/containers/0/image',
  ],
  [
    'deploymentconfigs.apps.openshift.io',
    { apiVersion: 'apps.openshift.io/v1', kind: 'DeploymentConfig', spec: { template } },
    '/spec/template/spec/containers/0/image',
  ],
  [
    'buildconfigs.build.openshift.io',
    {
      apiVersion: 'build.openshift.io/v1',
      kind: 'BuildConfig',
      spec: { strategy: { dockerStrategy: { from: { kind: 'DockerImage', name: 'registry.example.com/x:1' } } } },
    },
    '/spec/strategy/dockerStrategy/from/name',
  ],
];

async function makeObjects(): Promise<void> {
  namespace = await cluster.namespace();
  const items = objects.map(([, manifest]) => ({ ...manifest, metadata: { name: 'x', namespace } }));
  await kubectl(['create', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
}

type Live = { metadata: { ownerReferences?: object[] }; webhooks: { name: string; clientConfig?: object }[] };

/** An entry of another webhook, for a resource that does not exist. */
const foreign = {
  name: 'somebody.else.example.com',
  admissionReviewVersions: ['v1'],
  clientConfig: { url: 'https://127.0.0.1:1/' },
  rules: [{ apiGroups: ['nothing.example.com'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['nothings'] }],
  sideEffects: 'None',
};

function ofAnother(entry: Live['webhooks'][0]): Live['webhooks'][0] {
  return { ...entry, clientConfig: { ...entry.clientConfig, caBundle: Buffer.from('another').toString('base64') } };
}

function ours(entries: readonly { name: string }[]): Record<string, object> {
  return Object.fromEntries(entries.flatMap((entry) => (entry.name === foreign.name ? [] : [[entry.name, entry]])));
}

type Configuration = {
  metadata: { resourceVersion: string; ownerReferences?: { kind: string; name: string }[] };
  webhooks?: { name: string; failurePolicy: string; clientConfig: { caBundle: string } }[];
};

const mutating = () => kubectl.json<Configuration>(['get', 'mutatingwebhookconfiguration', 'regkeeper']);
const validating = () => kubectl.json<Configuration>(['get', 'validatingwebhookconfiguration', 'regkeeper']);
const secretData = async () =>
  (await kubectl.json<{ data?: Record<string, string> }>(['get', 'secret', 'regkeeper-tls', '-n', 'regkeeper'])).data;

const editedRules = 'mode: enforce\nunconfigured: deny\nrules: []\n';
const editRules = () =>
  kubectl([
    ...['patch', 'configmap', 'regkeeper-rules', '-n', 'regkeeper', '--type=merge'],
    ...['--field-manager=kubectl-edit', `--patch=${JSON.stringify({ data: { 'rules.yaml': editedRules } })}`],
  ]);
const rules = async () =>
  (await kubectl.json<{ data: Record<string, string> }>(['get', 'configmap', 'regkeeper-rules', '-n', 'regkeeper'])).data['rules.yaml'];

describe('the service account of the server', () => {
  test.each([
    ['list', 'serviceaccounts', '--all-namespaces'],
    ['watch', 'serviceaccounts', '--all-namespaces'],
    ['get', 'namespaces/regkeeper', ''],
    ['list', 'configmaps', 'regkeeper'],
    ['watch', 'configmaps', 'regkeeper'],
    ['get', 'secrets/regkeeper-tls', 'regkeeper'],
    ['watch', 'secrets/regkeeper-tls', 'regkeeper'],
    ['update', 'secrets/regkeeper-tls', 'regkeeper'],
    ['list', 'mutatingwebhookconfigurations/regkeeper', ''],
    ['watch', 'validatingwebhookconfigurations/regkeeper', ''],
    ['patch', 'mutatingwebhookconfigurations/regkeeper', ''],
  ])('may %s %s %s', async (verb, resource, where) => {
    expect(await may(verb, resource, where)).toBe('yes');
  });

  test.each([
    ['get', 'secrets/other', 'regkeeper'],
    ['list', 'secrets', 'regkeeper'],
    ['create', 'secrets', 'regkeeper'],
    ['delete', 'secrets/regkeeper-tls', 'regkeeper'],
    ['get', 'secrets/regkeeper-tls', 'default'],
    ['list', 'secrets', '--all-namespaces'],
    ['list', 'configmaps', '--all-namespaces'],
    ['update', 'configmaps/regkeeper-rules', 'regkeeper'],
    ['patch', 'configmaps/regkeeper-rules', 'regkeeper'],
    ['patch', 'mutatingwebhookconfigurations/other', ''],
    ['list', 'mutatingwebhookconfigurations', ''],
    ['create', 'validatingwebhookconfigurations', ''],
    ['list', 'pods', '--all-namespaces'],
    ['update', 'namespaces/regkeeper', ''],
    ['update', 'serviceaccounts', '--all-namespaces'],
    ['create', 'pods', 'regkeeper'],
  ])('may not %s %s %s', async (verb, resource, where) => {
    expect(await may(verb, resource, where)).toBe('no');
  });

  async function may(verb: string, resource: string, where: string): Promise<string> {
    const place = where === '' || where.startsWith('--') ? [where].filter(Boolean) : ['-n', where];
    const { stdout } = await kubectl(['auth', 'can-i', verb, resource, ...place, `--as=${account}`], { allowFailure: true });
    return stdout.trim();
  }
});

describe('the shipped Pods', () => {
  test('are allowed under the restricted Pod Security Standard', async () => {
    const pods = await waitFor(
      async () => {
        const { items } = await kubectl.json<{ items: object[] }>(['get', 'pods', '-n', 'regkeeper']);
        return items.length === 2 && items;
      },
      { deadlineSeconds: 60, what: 'two Pods' },
    );
    expect(pods).toHaveLength(2);
  });

  test('get their rules with the base, in a mode that denies nothing', async () => {
    const rules = await kubectl.json<{ data: Record<string, string> }>(['get', 'configmap', 'regkeeper-rules', '-n', 'regkeeper']);
    expect(rules.data['rules.yaml']).toMatch(/^mode: audit$/m);
  });
});

test("the owner's rules stop a server-side apply of deploy/base, and survive it", async () => {
  await uninstall();
  await kubectl([...documented, base]);
  await editRules();
  const { code, stderr } = await kubectl([...documented, base], { allowFailure: true });
  expect(code).not.toBe(0);
  expect(stderr.match(/\.data\.rules\.yaml|Apply failed with [0-9]+/g)).toEqual(['Apply failed with 1', '.data.rules.yaml']);
  expect(await rules()).toBe(editedRules);
});

describe('with the permissions of the shipped service account', () => {
  /** Starts the components that fill the Secret and the webhook configurations, as the server does. Returns the certificates. */
  async function serve() {
    const client = await asServer();
    const certificates = await manageCertificateSecret({
      client,
      namespace: 'regkeeper',
      secretName: 'regkeeper-tls',
      service: 'regkeeper',
      log,
    });
    const clock: Clock = { ...systemClock, schedule: (work, milliseconds) => systemClock.schedule(work, Math.min(milliseconds, 200)) };
    const registration = createRegistration({
      client,
      namespace: 'regkeeper',
      service: 'regkeeper',
      certificates,
      ready: () => true,
      log,
      clock,
    });
    registration.start();
    onTestFinished(async () => {
      await registration.stop();
      certificates.close();
    });
    await waitFor(async () => (await mutating()).webhooks?.length && (await validating()).webhooks?.length, {
      deadlineSeconds: 60,
      what: 'entries in both configurations',
    });
    return certificates;
  }

  test('the server fills the Secret and both webhook configurations', async () => {
    const certificates = await serve();
    const caBundle = Buffer.from(certificates.current().caBundle ?? '').toString('base64');
    for (const { webhooks = [], metadata } of [await mutating(), await validating()]) {
      const kinds = webhooks.filter(({ name }) => name !== guard);
      // The test cluster serves every kind, including OpenShift's, except BuildRequest, whose subresources a custom resource cannot have.
      const servedKinds = kindsWithImages.filter(({ kind }) => kind !== 'BuildRequest');
      expect(kinds).toHaveLength(cluster.local ? servedKinds.length : kindsWithImages.length);
      expect(new Set(webhooks.map((each) => each.clientConfig.caBundle))).toEqual(new Set([caBundle]));
      expect(metadata.ownerReferences).toMatchObject([{ kind: 'Namespace', name: 'regkeeper' }]);
    }
    expect(Object.keys((await secretData()) ?? {}).sort()).toEqual(['ca.crt', 'ca.key', 'tls.crt', 'tls.key']);
  });

  test('the server accepts the entries as the API server has stored them', async () => {
    await serve();
    const before = (await mutating()).metadata.resourceVersion;
    const certificates = await serve();
    expect(certificates.current().certificate).toBeTruthy();
    expect((await mutating()).metadata.resourceVersion).toBe(before);
  });

  test('an entry that a user weakens is restored', async () => {
    await serve();
    const weaken = JSON.stringify([{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }]);
    await kubectl(['patch', 'validatingwebhookconfiguration', 'regkeeper', '--type=json', `--patch=${weaken}`]);
    await waitFor(async () => (await validating()).webhooks?.every((each) => each.name === guard || each.failurePolicy === 'Fail'), {
      deadlineSeconds: 60,
      what: 'the repaired entry',
    });
  });

  test.each<[string, (live: Live) => Live]>([
    ['an entry is removed', ({ webhooks: [, ...others], ...live }) => ({ ...live, webhooks: others })],
    ['every entry is removed', (live) => ({ ...live, webhooks: [] })],
    ['a different caBundle is written into an entry', (live) => ({ ...live, webhooks: live.webhooks.map(ofAnother) })],
    ['the owner is removed', (live) => ({ ...live, metadata: { ...live.metadata, ownerReferences: [] } })],
    [
      'the backup of an older release is restored, with fewer kinds and one that no longer exists, next to a foreign entry',
      ({ webhooks, ...live }) => ({
        ...live,
        webhooks: [
          foreign,
          ...webhooks.slice(2).map(ofAnother),
          ...webhooks.slice(0, 1).map((each) => ({ ...each, name: `older.${each.name}` })),
        ],
      }),
    ],
  ])('both configurations are repaired when %s', async (_name, edit) => {
    await serve();
    for (const [plural, read] of [
      ['mutatingwebhookconfigurations', mutating],
      ['validatingwebhookconfigurations', validating],
    ] as const) {
      const { metadata, ...before } = (await read()) as Live;
      // Plain `kubectl replace` would also update the last-applied annotation that the next `kubectl apply` compares with.
      const path = `/apis/admissionregistration.k8s.io/v1/${plural}/regkeeper`;
      await kubectl(['replace', '--raw', path, '-f', '-'], { stdin: JSON.stringify(edit({ metadata, ...before })) });
      await waitFor(
        async () => {
          const { webhooks, metadata: now } = (await read()) as Live;
          expect(now.ownerReferences).toEqual(metadata.ownerReferences);
          expect(ours(webhooks)).toEqual(ours(before.webhooks));
          return true;
        },
        { deadlineSeconds: 60, what: 'the configuration as it was' },
      );
    }
  });

  test('a foreign entry in our configurations stays', async () => {
    await serve();
    for (const kind of ['mutatingwebhookconfiguration', 'validatingwebhookconfiguration']) {
      const { webhooks } = await kubectl.json<Live>(['get', kind, 'regkeeper']);
      expect(webhooks.map(({ name }) => name)).toContain(foreign.name);
      const index = webhooks.findIndex(({ name }) => name === foreign.name);
      await kubectl(['patch', kind, 'regkeeper', '--type=json', '-p', JSON.stringify([{ op: 'remove', path: `/webhooks/${index}` }])]);
    }
  });

  test('an emptied Secret is filled again, and its CA is published to the API server', async () => {
    const certificates = await serve();
    const before = certificates.current().certificate;
    await kubectl(['patch', 'secret', 'regkeeper-tls', '-n', 'regkeeper', '--type=json', '--patch=[{"op":"remove","path":"/data"}]']);
    await waitFor(() => certificates.current().certificate !== before, { deadlineSeconds: 60, what: 'a new certificate' });
    const caBundle = Buffer.from(certificates.current().caBundle ?? '').toString('base64');
    await waitFor(async () => (await validating()).webhooks?.every((each) => each.clientConfig.caBundle === caBundle), {
      deadlineSeconds: 60,
      what: 'the new caBundle',
    });
  });

  test('a missing Secret that it may not create is reported with the fix', async () => {
    await kubectl(['delete', 'secret', 'regkeeper-tls', '-n', 'regkeeper']);
    const client = await asServer();
    const keeping = manageCertificateSecret({ client, namespace: 'regkeeper', secretName: 'regkeeper-tls', service: 'regkeeper', log });
    await expect(keeping).rejects.toThrow(/Apply the deployment again/);
    await kubectl(['apply', '-k', base]);
  });

  test.each(objects)('while no replica responds, %s can be labelled, and no image can be introduced', async (resource, _manifest, path) => {
    await serve();
    const image = JSON.stringify([{ op: 'replace', path, value: 'registry.example.com/x:2' }]);
    // A filled configuration takes effect a moment after it is stored.
    const denial = await waitFor(
      async () => {
        const { code, stderr } = await kubectl(
          ['patch', resource, 'x', '-n', namespace, '--type=json', '--dry-run=server', `--patch=${image}`],
          {
            allowFailure: true,
          },
        );
        return code !== 0 && stderr;
      },
      { deadlineSeconds: 60, what: 'the denial' },
    );
    expect(denial).toContain(`failed calling webhook "${resource.split('.')[0]}`);
    await kubectl(['label', resource, 'x', '-n', namespace, 'a=b']);
    await kubectl(['annotate', resource, 'x', '-n', namespace, 'a=b']);
  });

  test.each<[string, Command, Command[]]>([
    ['installed and upgraded by plain kubectl apply', plain, [plain, plain]],
    ['installed and upgraded as documented', documented, [documented, documented]],
    ['installed by plain kubectl apply, upgraded as documented', plain, [oncePlain, documented]],
    ['installed as documented, then by plain kubectl apply and back', documented, [plain, oncePlain, documented]],
  ])(
    'an installation keeps webhooks, certificate and rules: %s',
    async (_name, install, upgrades) => {
      await uninstall();
      await kubectl([...install, base]);
      const certificates = await serve();
      const before = { data: await secretData(), mutating: (await mutating()).webhooks, validating: (await validating()).webhooks };
      const expectKept = async () => {
        const after = { data: await secretData(), mutating: (await mutating()).webhooks, validating: (await validating()).webhooks };
        expect(after).toEqual(before);
        expect(certificates.current().certificate).toBe(Buffer.from(before.data?.['tls.crt'] ?? '', 'base64').toString());
      };
      await kubectl([...install, base]);
      await expectKept();

      await editRules();
      for (const [index, upgrade] of upgrades.entries()) {
        await kubectl([...upgrade, await nextRelease(index + 1)]);
        const { args, image } = await container();
        expect([image, args.at(-1)]).toEqual([`registry.example.com/regkeeper:${index + 1}`, `--shutdown-delay-seconds=${index + 1}`]);
        expect(await rules()).toBe(editedRules);
        await expectKept();
      }
    },
    120_000,
  );

  /** Writes an overlay on deploy/program whose image, argument and port depend on the number. Returns its folder. */
  async function nextRelease(number: number): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'regkeeper-release-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const args = { op: 'add', path: '/spec/template/spec/containers/0/args/-', value: `--shutdown-delay-seconds=${number}` };
    const port = { op: 'add', path: '/spec/egress/0/ports/-', value: { port: 7_000 + number, protocol: 'TCP' } };
    const kustomization = {
      resources: [relative(directory, folder('program'))],
      images: [{ name: 'regkeeper.invalid/regkeeper', newName: 'registry.example.com/regkeeper', newTag: String(number) }],
      patches: [
        { target: { kind: 'Deployment', name: 'regkeeper' }, patch: JSON.stringify([args]) },
        { target: { kind: 'NetworkPolicy', name: 'regkeeper' }, patch: JSON.stringify([port]) },
      ],
    };
    await writeFile(join(directory, 'kustomization.yaml'), JSON.stringify(kustomization));
    return directory;
  }

  async function container(): Promise<{ args: string[]; image: string }> {
    type Deployment = { spec: { template: { spec: { containers: [{ args: string[]; image: string }] } } } };
    return (await kubectl.json<Deployment>(['get', 'deployment', 'regkeeper', '-n', 'regkeeper'])).spec.template.spec.containers[0];
  }
});

test('deploy/openshift differs from deploy/base only in the rules', async () => {
  const rendered = async (name: string) => (await kubectl(['kustomize', folder(name)])).stdout.split(/^---\n/m);
  const [plain, openshift] = [await rendered('base'), await rendered('openshift')];
  const different = openshift.filter((each) => !plain.includes(each));
  expect(different).toHaveLength(1);
  expect(different[0]).toContain('name: regkeeper-rules');
});

test('the configurations are deleted with the namespace', async () => {
  await kubectl(['delete', 'namespace', 'regkeeper', '--timeout=50s']);
  const gone = async () => {
    const { stdout } = await kubectl(['get', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-o', 'name']);
    return !stdout.includes('/regkeeper');
  };
  await waitFor(gone, { deadlineSeconds: 60, what: 'the webhook configurations to be collected' });
});
