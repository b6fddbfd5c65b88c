/**
 * The Helm chart: it renders the same objects as the kustomize folders for the same choices and rejects unknown values. Installation, upgrade,
 * rollback and removal neither empty a webhook configuration nor change the user's rules.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { definitionName, serveWithoutSchema } from '../crds.ts';
import { createHelm, findHelm, type Helm } from '../helm.ts';
import { deleteBase, type Regkeeper, startRegkeeper, waitUntilFilled } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;
const deploy = join(import.meta.dirname, '../../../deploy');
const chart = join(deploy, 'chart');

let folder: string;
let helm: Helm;

// Building Helm with an empty Go cache takes minutes.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-chart-'));
  helm = createHelm({ binary: await findHelm(), kubeconfig: cluster.kubeconfig });
}, 20 * 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

type Manifest = {
  data?: Record<string, string> | undefined;
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
};

type Deployment = Manifest & { spec: { template: { spec: { containers: [{ args: string[] }, ...{ args: string[] }[]] } } } };

const customKinds = JSON.stringify(
  (parse(readFileSync(join(deploy, 'custom-kinds/custom-kinds.yaml'), 'utf8')) as { kinds: object[] }).kinds,
);
const digest = `sha256:${'a'.repeat(64)}`;

/** Each choice, as a kustomize overlay and as Helm flags. */
const choices: [choice: string, overlay: Record<string, unknown>, flags: readonly string[]][] = [
  ['nothing', { resources: ['base'] }, []],
  ['no rules', { resources: ['program'] }, ['--set', 'rules.starter=none']],
  ['OpenShift', { resources: ['openshift'] }, ['--set', 'rules.starter=openshift']],
  [
    "OpenShift with its service CA's certificates",
    { resources: ['openshift'], components: ['service-ca'] },
    ['--set', 'rules.starter=openshift,certs.mode=service-ca'],
  ],
  ["cert-manager's certificates", { resources: ['base'], components: ['cert-manager'] }, ['--set', 'certs.mode=cert-manager']],
  [
    'certificates from cert-manager, with your own issuer',
    {
      resources: ['base'],
      components: ['cert-manager'],
      patches: [
        {
          target: { group: 'cert-manager.io', kind: 'Certificate', name: 'regkeeper' },
          patch: JSON.stringify([
            { op: 'replace', path: '/spec/issuerRef', value: { group: 'cert-manager.io', kind: 'ClusterIssuer', name: 'corp' } },
          ]),
        },
        {
          target: { group: 'cert-manager.io', name: 'regkeeper-(ca|self-signed)' },
          patch: JSON.stringify({ $patch: 'delete', kind: 'any', metadata: { name: 'any' } }),
        },
      ],
    },
    ['--set', 'certs.mode=cert-manager,certs.certManager.issuerRef.kind=ClusterIssuer,certs.certManager.issuerRef.name=corp'],
  ],
  ['certificates in a Secret', { resources: ['base'], components: ['certificate-files'] }, ['--set', 'certs.mode=files']],
  ['namespace rules', { resources: ['base'], components: ['namespace-rules'] }, ['--set', 'namespaceRules=true']],
  [
    "cert-manager's certificates and namespace rules",
    { resources: ['base'], components: ['cert-manager', 'namespace-rules'] },
    ['--set', 'certs.mode=cert-manager,namespaceRules=true'],
  ],
  ['custom resources', { resources: ['base'], components: ['custom-kinds'] }, ['--set-json', `customKinds=${customKinds}`]],
  [
    'metrics and alerts',
    { resources: ['base'], components: ['monitoring'] },
    ['--set', 'serviceMonitor.enabled=true,prometheusRule.enabled=true'],
  ],
  [
    'callers that authenticate',
    { resources: ['base'], components: ['client-ca'] },
    ['--set', 'webhook.clientCaConfigMap=regkeeper-client-ca'],
  ],
  [
    'protected webhook configurations',
    { resources: ['base'], components: ['webhook-protection'] },
    ['--set', 'webhookProtection.enabled=true'],
  ],
  [
    'protected webhook configurations in another namespace, with administrators',
    {
      resources: ['base'],
      components: ['webhook-protection'],
      namespace: 'keeper',
      patches: [
        {
          target: { kind: 'ValidatingAdmissionPolicy', name: 'regkeeper-webhook-protection' },
          patch: JSON.stringify([
            { op: 'replace', path: '/spec/variables/0/expression', value: '"keeper"' },
            { op: 'replace', path: '/spec/variables/1/expression', value: '["o\'hara"]' },
            { op: 'replace', path: '/spec/variables/2/expression', value: '["system:masters","platform-admins"]' },
          ]),
        },
      ],
    },
    [
      ...['--namespace', 'keeper', '--set', 'webhookProtection.enabled=true'],
      ...['--set-json', 'webhookProtection.users=["o\'hara"],webhookProtection.groups=["system:masters","platform-admins"]'],
    ],
  ],
  ['secret delivery', { resources: ['base'], components: ['secret-delivery'] }, ['--set', 'secretDelivery.enabled=true']],
  ['reports', { resources: ['base'], components: ['scan-report'] }, ['--set', 'scanReport.enabled=true']],
  [
    'custom resources that may need delivered secrets',
    { resources: ['base'], components: ['secret-delivery', 'custom-kinds'] },
    ['--set', 'secretDelivery.enabled=true', '--set-json', `customKinds=${customKinds}`],
  ],
  [
    'custom resources in reports',
    { resources: ['base'], components: ['scan-report', 'custom-kinds'] },
    ['--set', 'scanReport.enabled=true', '--set-json', `customKinds=${customKinds}`],
  ],
  [
    'secret delivery, reports and custom resources in another namespace',
    { resources: ['base'], components: ['secret-delivery', 'scan-report', 'custom-kinds'], namespace: 'keeper' },
    [
      ...['--namespace', 'keeper', '--set', 'secretDelivery.enabled=true,scanReport.enabled=true'],
      ...['--set-json', `customKinds=${customKinds}`],
    ],
  ],
  [
    'metrics and alerts of secret delivery',
    { resources: ['base'], components: ['secret-delivery', 'monitoring', 'secret-delivery-monitoring'] },
    ['--set', 'secretDelivery.enabled=true,serviceMonitor.enabled=true,prometheusRule.enabled=true'],
  ],
  [
    'everything together',
    {
      resources: ['base'],
      components: ['cert-manager', 'namespace-rules', 'custom-kinds', 'client-ca', 'webhook-protection', 'monitoring'],
    },
    [
      ...['--set', 'certs.mode=cert-manager,namespaceRules=true,serviceMonitor.enabled=true,prometheusRule.enabled=true'],
      ...['--set', 'webhook.clientCaConfigMap=regkeeper-client-ca,webhookProtection.enabled=true'],
      ...['--set-json', `customKinds=${customKinds}`],
    ],
  ],
  ['another namespace', { resources: ['base'], namespace: 'keeper' }, ['--namespace', 'keeper']],
  [
    'metrics and alerts in another namespace',
    { resources: ['base'], components: ['monitoring'], namespace: 'keeper' },
    ['--namespace', 'keeper', '--set', 'serviceMonitor.enabled=true,prometheusRule.enabled=true'],
  ],
  [
    'your own image',
    {
      resources: ['base'],
      images: [{ name: 'regkeeper.invalid/regkeeper', newName: 'registry.example.com:5000/tools/regkeeper', newTag: '0.1.0-r2' }],
    },
    ['--set', 'image.repository=registry.example.com:5000/tools/regkeeper,image.tag=0.1.0-r2'],
  ],
  [
    'an image by digest',
    { resources: ['base'], images: [{ name: 'regkeeper.invalid/regkeeper', newName: 'registry.example.com/regkeeper', digest }] },
    ['--set', `image.repository=registry.example.com/regkeeper,image.digest=${digest}`],
  ],
  [
    'no priority',
    {
      resources: ['base'],
      patches: [
        {
          target: { kind: 'Deployment' },
          patch: JSON.stringify([{ op: 'remove', path: '/spec/template/spec/priorityClassName' }]),
        },
        {
          patch: JSON.stringify({
            $patch: 'delete',
            apiVersion: 'v1',
            kind: 'ResourceQuota',
            metadata: { name: 'regkeeper-critical-pods' },
          }),
        },
      ],
    },
    ['--set', 'priorityClassName='],
  ],
  ['three replicas', { resources: ['base'], replicas: [{ name: 'regkeeper', count: 3 }] }, ['--set', 'replicaCount=3']],
];

describe('the same settings give the same objects with Helm as with kustomize', () => {
  test.each(choices)('%s', async (_choice, overlay, flags) => {
    const [fromHelm, fromKustomize] = [await template(flags), await kustomize(overlay)];
    expect(Object.keys(fromHelm).sort()).toEqual(Object.keys(fromKustomize).sort());
    expect(fromHelm).toEqual(fromKustomize);
  });

  test('the network of the nodes, as in deploy/README.md', async () => {
    const section = readFileSync(join(deploy, 'README.md'), 'utf8')
      .split('\n## ')
      .find((text) => text.startsWith('If the API server cannot reach Pods'));
    const [values, overlay] = [...(section ?? '').matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text as string);
    await writeFile(join(folder, 'nodes-network.yaml'), values as string);
    const [fromHelm, fromKustomize] = [
      await template(['--values', join(folder, 'nodes-network.yaml')]),
      await kustomize({ resources: ['base'], ...(parse(overlay as string) as object) }),
    ];
    expect(podOf(fromKustomize)).toMatchObject({
      hostNetwork: true,
      containers: [{ args: { '--port': '10443', '--health-port': '10080' } }],
    });
    expect(podOf(fromHelm)).toEqual(podOf(fromKustomize));
  });

  /** The Pod spec of the Deployment, with the last value of each flag as an object. An overlay can only append flags, and the last one wins. */
  function podOf(objects: Record<string, Manifest>) {
    const { spec } = objects['Deployment regkeeper/regkeeper'] as Deployment;
    const { containers, ...pod } = spec.template.spec;
    const lastValues = (args: string[]) =>
      Object.fromEntries(args.flatMap((each, index) => (each.startsWith('--') ? [[each, args[index + 1]]] : [])));
    return { ...pod, containers: containers.map(({ args, ...container }) => ({ ...container, args: lastValues(args) })) };
  }

  test('every component and overlay in deploy/ is tested', async () => {
    const used = new Set(
      choices.flatMap(([, { resources = [], components = [] }]) => [...(resources as string[]), ...(components as string[])]),
    );
    const folders = readdirSync(deploy).filter((name) => existsSync(join(deploy, name, 'kustomization.yaml')));
    // `starter-rules` is a part of `base` and cannot be chosen separately.
    expect([...used].sort()).toEqual(folders.filter((name) => name !== 'starter-rules').sort());
  });
});

async function template(flags: readonly string[]): Promise<Record<string, Manifest>> {
  const { stdout } = await helm(['template', 'regkeeper', chart, '--namespace', 'regkeeper', '--skip-tests', ...flags]);
  return byName(stdout);
}

async function kustomize({ resources, components = [], ...more }: Record<string, unknown>): Promise<Record<string, Manifest>> {
  const overlay = await mkdtemp(join(folder, 'overlay-'));
  const inDeploy = (names: unknown) => (names as string[]).map((name) => relative(overlay, join(deploy, name)));
  const kustomization = { ...more, resources: inDeploy(resources), components: inDeploy(components) };
  await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization));
  const { stdout } = await kubectl(['kustomize', overlay]);
  return byName(stdout);
}

const labelsOfTheTool = ['app.kubernetes.io/instance', 'app.kubernetes.io/version', 'app.kubernetes.io/managed-by', 'helm.sh/chart'];

/**
 * The objects by kind and name, without what differs between the tools: the labels and annotations that name the tool, and the Namespace.
 * Helm creates that separately (`--create-namespace`). kustomize takes policies for namespaced objects, which the API server does not mind. To restart the Pods for a changed file of custom kinds, the chart uses a checksum annotation
 * and kustomize a hash in the ConfigMap's name.
 */
function byName(whole: string): Record<string, Manifest> {
  const text = whole
    .replaceAll(/(?<=regkeeper-custom-kinds)-[0-9a-z]{10}$/gm, '')
    .replaceAll(/^ +annotations:\n +#.*\n +checksum\/custom-kinds: [0-9a-f]{64}\n/gm, '');
  const manifests = parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
  const kept = manifests.filter(({ kind }) => kind !== 'Namespace');
  return Object.fromEntries(
    kept.map(({ metadata: { labels, annotations, namespace, ...named }, ...manifest }) => {
      const metadata = manifest.kind.startsWith('ValidatingAdmissionPolicy') || namespace === undefined ? named : { ...named, namespace };
      return [
        `${manifest.kind} ${'namespace' in metadata ? metadata.namespace : '-'}/${metadata.name}`,
        {
          ...manifest,
          ...(metadata.name === 'regkeeper-custom-kinds' && {
            data: parse(manifest.data?.['custom-kinds.yaml'] ?? '') as Manifest['data'],
          }),
          metadata: {
            ...metadata,
            labels: without(labels, (name) => labelsOfTheTool.includes(name)),
            annotations: without(annotations, (name) => /(^|\.)helm\.sh\//.test(name)),
          },
        },
      ];
    }),
  );
}

function without(entries: Record<string, string> = {}, unwanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).filter(([name]) => !unwanted(name)));
}

describe('the chart', () => {
  test('passes helm lint, strictly', async () => {
    await helm(['lint', '--strict', chart]);
  });

  /** What is rejected, with its message. Each group is rendered once, since Helm reports all values that the schema rejects. */
  const rejectedBySchema: readonly (readonly [setting: string, message: string])[][] = [
    [
      ['imagePulSecrets=x', "'imagePulSecrets' not allowed"],
      ['image.repo=registry.example.com/regkeeper', "'repo' not allowed"],
      ['image.digest=abc', '/image/digest'],
      ['certs.mode=certmanager', '/certs/mode'],
      ['replicaCount=two', '/replicaCount'],
      ['image.registry=registry.example.com/', '/image/registry'],
      ['image.repository=registry.example.com:5000/regkeeper:1', '/image/repository'],
      ['commonLabels.app\\.kubernetes\\.io/name=other', "invalid propertyName 'app.kubernetes.io/name'"],
      ['securityContext.privileged=true', "'privileged' not allowed"],
      ['logLevel=verbose', '/logLevel'],
      ['logFormat=xml', '/logFormat'],
      ['podSecurityContext.runAsNonRoot=false', "'runAsNonRoot' not allowed"],
      ['rules.documents.rules=x', "invalid propertyName 'rules'"],
      ['serviceMonitor.interval=soon', '/serviceMonitor/interval'],
      ['prometheusRule.severity=x', "'severity' not allowed"],
      ['certs.certManager.namespace=', '/certs/certManager/namespace'],
      ['podDisruptionBudget.maxUnavailable=0', '/podDisruptionBudget/maxUnavailable'],
      ['extraContainers[0].name=regkeeper,extraContainers[0].image=x', '/extraContainers/0/name'],
    ],
    [
      ['certs.secretName=regkeeper-tls', '/certs/secretName'],
      ['image.repository=registry.example.com/regkeeper@sha256', '/image/repository'],
      ['commonLabels.regkeeper\\.io/rules=cluster', "invalid propertyName 'regkeeper.io/rules'"],
      ['podLabels.app\\.kubernetes\\.io/name=other', "invalid propertyName 'app.kubernetes.io/name'"],
      ['securityContext.seccompProfile.type=Unconfined', '/securityContext/seccompProfile/type'],
      ['podSecurityContext.runAsUser=0', '/podSecurityContext/runAsUser'],
      ['serviceMonitor.fromNamespaces={monitoring}', "'fromNamespaces' not allowed"],
      ['podDisruptionBudget.maxUnavailable=0%', '/podDisruptionBudget/maxUnavailable'],
    ],
  ];

  /** Of the same kind, for what only the templates can check. */
  const rejectedByTemplates: typeof rejectedBySchema = [
    [
      ['extraArgs[0]=--port=9443', 'extraArgs must not contain --port: the ports of the Pod depend on it. Set webhook.port'],
      [
        'extraArgs[1]=--log-level,extraArgs[2]=debug,extraArgs[3]=--shutdown-delay-seconds=60',
        'extraArgs must not contain --shutdown-delay-seconds: terminationGracePeriodSeconds depends on it. Set shutdownDelaySeconds',
      ],
      ['extraArgs[4]=--no-manage-webhooks', 'extraArgs must not contain --no-manage-webhooks'],
      ['extraArgs[5]=-nother', 'extraArgs must not contain -nother: it is the release namespace'],
      ['extraArgs[6]=--namespace,extraArgs[7]=other', 'extraArgs must not contain --namespace: '],
      ['extraEnv[0].name=REGKEEPER_TLS_CERT', 'extraEnv must not contain REGKEEPER_TLS_CERT: mounts and RBAC depend on it. Set certs.mode'],
      ['extraEnv[1].name=REGKEEPER_NAMESPACE', 'extraEnv must not contain REGKEEPER_NAMESPACE'],
      ['extraEnv[2].name=POD_NAMESPACE', 'extraEnv must not contain POD_NAMESPACE'],
      ['podDisruptionBudget.minAvailable=2', 'podDisruptionBudget.minAvailable is 2, but the number of replicas is 2'],
      ['healthPort=8443', 'webhook.port and healthPort must differ, but both are 8443'],
    ],
    [['podDisruptionBudget.minAvailable=51%', 'podDisruptionBudget.minAvailable is 51%, but the number of replicas is 2']],
    [['replicaCount=0', 'kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration regkeeper']],
    [['autoscaling.enabled=true,autoscaling.minReplicas=9', 'autoscaling.maxReplicas must not be less']],
    [['serviceAccount.create=false', 'serviceAccount.create is false, so serviceAccount.name must be set']],
  ];

  test.each([...rejectedBySchema, ...rejectedByTemplates].map((group) => ({ first: group[0]?.[0], group })))(
    'rejects --set $first and others in its group',
    async ({ group }) => {
      const error = await renderError(...group.flatMap(([setting]) => ['--set', setting]));
      for (const [, message] of group) expect(error).toContain(message);
    },
  );

  test.each(['self', 'files'])('rejects every flag that the Deployment sets itself, with certs.mode %s', async (mode) => {
    const flags = await wiredFlags(mode);
    expect(flags).toContain('--port');
    const error = await renderError('--set', `extraArgs={${flags.join(',')}}`);
    for (const flag of flags) expect(error).toContain(`extraArgs must not contain ${flag}:`);
  });

  test('rejects custom resources without images, and in a built-in group', async () => {
    const kind = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget' };
    const kinds = [
      kind,
      { ...kind, images: [] },
      { ...kind, images: ['spec.image'], group: 'apps' },
      { ...kind, images: [{ path: 'spec.url', schemes: ['oci://'] }] },
      { ...kind, images: [{ path: 'spec.url', schemes: ['oci'] }, 'spec.image'] },
    ];
    const error = await renderError('--set-json', `customKinds=${JSON.stringify(kinds)}`);
    for (const message of ["at '/customKinds/0': 'anyOf' failed", '/customKinds/1/images', '/customKinds/2/group', '/customKinds/3/images'])
      expect(error).toContain(message);
    expect(error).not.toContain('/customKinds/4');
  });

  test('works as a dependency of your own chart, under its condition', async () => {
    const parent = await mkdtemp(join(folder, 'parent-'));
    const dependencies = [{ name: 'regkeeper', version: '*', condition: 'regkeeper.enabled' }];
    await writeFile(join(parent, 'Chart.yaml'), JSON.stringify({ apiVersion: 'v2', name: 'parent', version: '1.0.0', dependencies }));
    await cp(chart, join(parent, 'charts/regkeeper'), { recursive: true });
    const objects = async (enabled: boolean) => {
      const { stdout } = await helm(['template', 'parent', parent, '--namespace', 'regkeeper', '--set', `regkeeper.enabled=${enabled}`]);
      return Object.keys(byName(stdout));
    };
    expect(await objects(true)).toContain('Deployment regkeeper/regkeeper');
    expect(await objects(false)).toEqual([]);
  });

  test.each([
    ['without your own image', [], 'helm upgrade regkeeper CHART -n regkeeper -f values.yaml'],
    ['alerts without metrics', ['--set', 'prometheusRule.enabled=true'], 'this release has no ServiceMonitor'],
    ['with any values', ['--set', 'image.repository=registry.example.com/x'], 'Pods in the namespace regkeeper are never evaluated'],
  ])('prints a note: %s', async (_what, flags, sentence) => {
    const { stdout } = await helm(['install', 'regkeeper', chart, '--namespace', 'regkeeper', '--dry-run=client', ...flags]);
    expect(stdout).toContain(sentence);
  });

  test.each([
    ['image.registry=mirror.example.com', 'mirror.example.com/regkeeper:0.1.0'],
    [
      'image.registry=mirror.example.com/hub,image.repository=quay.io/org/regkeeper,image.tag=v1',
      'mirror.example.com/hub/org/regkeeper:v1',
    ],
    ['image.registry=localhost:5000,image.repository=org/regkeeper,image.tag=v1', 'localhost:5000/org/regkeeper:v1'],
    ['image.registry=mirror.example.com,image.repository=regkeeper,image.tag=v1', 'mirror.example.com/regkeeper:v1'],
    [`image.registry=mirror.example.com,image.digest=${digest}`, `mirror.example.com/regkeeper@${digest}`],
    ['image.repository=org/regkeeper,image.tag=v1', 'org/regkeeper:v1'],
  ])('--set %s runs the image %s', async (setting, image) => {
    const objects = await template(['--set', setting]);
    expect(objects['Deployment regkeeper/regkeeper']).toMatchObject({ spec: { template: { spec: { containers: [{ image }] } } } });
  });

  test('the additional labels are on every object, and the selectors are unchanged', async () => {
    const values = ['--set', 'commonLabels.team=platform,podLabels.team=web'];
    const [objects, before] = [await template(values), await template([])];
    for (const [name, { metadata }] of Object.entries(objects)) expect([name, metadata.labels]).toMatchObject([name, { team: 'platform' }]);
    const of = (all: Record<string, Manifest>) => all['Deployment regkeeper/regkeeper'] as Manifest & { spec: { selector: object } };
    expect(of(objects).spec.selector).toEqual(of(before).spec.selector);
    expect(of(objects)).toMatchObject({ spec: { template: { metadata: { labels: { team: 'web' } } } } });
  });

  test('additional objects are rendered, with templates, from YAML and from text', async () => {
    const extraObjects = [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one', namespace: '{{ .Release.Namespace }}' } },
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: two\n  namespace: {{ .Release.Namespace }}\n',
    ];
    const objects = await template(['--set-json', `extraObjects=${JSON.stringify(extraObjects)}`]);
    expect(Object.keys(objects)).toEqual(expect.arrayContaining(['ConfigMap regkeeper/one', 'ConfigMap regkeeper/two']));
  });

  test("the service CA's annotation on the Service cannot be overwritten", async () => {
    const name = 'service\\.beta\\.openshift\\.io/serving-cert-secret-name';
    const objects = await template(['--set', `certs.mode=service-ca,service.annotations.${name}=other,service.annotations.note=x`]);
    expect(objects['Service regkeeper/regkeeper']?.metadata.annotations).toEqual({
      note: 'x',
      'service.beta.openshift.io/serving-cert-secret-name': 'regkeeper-serving-cert',
    });
  });

  test("helm test runs the release's image in a Pod that no selector of regkeeper matches", async () => {
    const flags = ['--set', 'image.repository=registry.example.com/regkeeper,image.tag=v1,healthPort=9090,commonLabels.team=platform'];
    const { stdout } = await helm(['template', 'regkeeper', chart, '--namespace', 'regkeeper', ...flags]);
    const hooks = parseAllDocuments(stdout)
      .map((document) => document.toJS() as Manifest)
      .filter((manifest) => manifest?.metadata.annotations?.['helm.sh/hook'] === 'test');
    expect(hooks.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual(
      ['NetworkPolicy', 'Pod', 'Service'].map((kind) => `${kind} regkeeper-test`),
    );
    const program = readFileSync(join(chart, 'files/test-readiness.mjs'), 'utf8');
    const command = ['/nodejs/bin/node', '--input-type=module', '--eval', program, 'regkeeper-test.regkeeper.svc', '9090', '60'];
    expect(hooks.find(({ kind }) => kind === 'Pod')).toMatchObject({
      metadata: { labels: { 'app.kubernetes.io/name': 'regkeeper-test', team: 'platform' } },
      spec: { containers: [{ image: 'registry.example.com/regkeeper:v1', command }] },
    });
  });

  test('accepts additional flags and variables', async () => {
    await template(['--set', 'extraArgs={--rules,/etc/rules,--log-level=debug},extraEnv[0].name=REGKEEPER_CONTEXT']);
  });

  test.each(['default', 'kube-system', 'kube-public', 'kube-node-lease'])('rejects the namespace %s', async (namespace) => {
    expect(await renderError('--namespace', namespace)).toContain(
      `the release namespace is ${namespace}, but Pods in regkeeper's namespace`,
    );
  });

  async function renderError(...flags: string[]): Promise<string> {
    const { code, stderr } = await helm(['template', 'regkeeper', chart, '--namespace', 'regkeeper', ...flags], { allowFailure: true });
    expect(code).not.toBe(0);
    return stderr;
  }

  async function wiredFlags(mode: string): Promise<string[]> {
    const objects = await template(['--set', `certs.mode=${mode}`]);
    const { spec } = objects['Deployment regkeeper/regkeeper'] as Deployment;
    return spec.template.spec.containers[0].args.filter((each) => each.startsWith('--'));
  }

  test('sets the fields of the Deployment', async () => {
    const objects = await template(['--values', await everyValue()]);
    expect(objects['Deployment regkeeper/regkeeper']).toMatchObject({
      spec: {
        template: {
          metadata: {
            labels: { 'app.kubernetes.io/name': 'regkeeper', team: 'platform', cost: 'platform' },
            annotations: { note: 'x' },
          },
          spec: {
            serviceAccountName: 'keeper',
            imagePullSecrets: [{ name: 'corp-pull' }],
            priorityClassName: 'system-cluster-critical',
            terminationGracePeriodSeconds: 50,
            securityContext: { runAsNonRoot: true, runAsUser: 2000, seccompProfile: { type: 'RuntimeDefault' } },
            nodeSelector: { 'node-role.kubernetes.io/infra': '' },
            tolerations: [{ operator: 'Exists' }],
            affinity: { podAntiAffinity: {} },
            containers: [
              {
                image: 'registry.example.com/regkeeper:1',
                imagePullPolicy: 'Always',
                securityContext: {
                  runAsUser: 2001,
                  readOnlyRootFilesystem: true,
                  seccompProfile: { type: 'Localhost', localhostProfile: 'regkeeper.json' },
                },
                args: expect.arrayContaining([
                  '--exclude-namespaces',
                  'calico-system',
                  '--namespace-selector',
                  'team in (a, b), !legacy',
                  '--match-condition',
                  'request.userInfo.username != "x"',
                  '--failure-policy',
                  'Ignore',
                  '--webhook-timeout-seconds',
                  '9',
                  '--log-level',
                  'debug',
                  '--log-format',
                  'text',
                  '--audit-log',
                  '/audit/$(POD_NAME).jsonl',
                ]),
                env: expect.arrayContaining([{ name: 'HTTPS_PROXY', value: 'http://proxy.example.com' }]),
                volumeMounts: [{ name: 'audit', mountPath: '/audit' }],
              },
              { name: 'shipper', image: 'registry.example.com/shipper', securityContext: { allowPrivilegeEscalation: false } },
            ],
            volumes: [{ name: 'audit', emptyDir: {} }],
          },
        },
      },
    });
    expect(objects['Deployment regkeeper/regkeeper']).toMatchObject({
      spec: { revisionHistoryLimit: 3, template: { spec: { dnsPolicy: 'Default' } } },
    });
    expect(objects['Deployment regkeeper/regkeeper']).not.toHaveProperty('spec.replicas');
    expect(objects).toHaveProperty('HorizontalPodAutoscaler regkeeper/regkeeper');
    expect(objects).not.toHaveProperty('NetworkPolicy regkeeper/regkeeper');
    expect(objects).not.toHaveProperty('PodDisruptionBudget regkeeper/regkeeper');
    expect(objects['Service regkeeper/regkeeper']).toMatchObject({ metadata: { annotations: { note: 'x' } } });
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
      expect(objects[`${kind} -/regkeeper`]).toMatchObject({ metadata: { annotations: { note: 'x' } } });
    }
    expect(objects).toHaveProperty('ConfigMap regkeeper/extra');
    expect(objects['ServiceMonitor regkeeper/regkeeper']).toMatchObject({
      metadata: { labels: { 'app.kubernetes.io/name': 'regkeeper', release: 'prometheus' } },
      spec: {
        endpoints: [{ port: 'health', interval: '15s', scrapeTimeout: '5s', relabelings: [{ action: 'labeldrop', regex: 'pod' }] }],
      },
    });
    expect(objects['PrometheusRule regkeeper/regkeeper']).toMatchObject({ metadata: { labels: { role: 'alert-rules' } } });
    expect(objects['ClusterRoleBinding -/regkeeper-facts']).toMatchObject({ subjects: [{ name: 'keeper', namespace: 'regkeeper' }] });
    expect(objects['ConfigMap regkeeper/regkeeper-rules']).toMatchObject({ data: { 'corp.yaml': 'rules: []\n' } });
  });

  test('allows Prometheus to reach the health port from the configured namespaces, and no one if metrics are off', async () => {
    const ingress = async (...flags: string[]) =>
      (await template(flags))['NetworkPolicy regkeeper/regkeeper'] as Manifest & { spec: { ingress: object[] } };
    expect((await ingress()).spec.ingress).toEqual([{ ports: [{ port: 'webhook' }] }]);
    const values = ['monitoring', 'openshift-monitoring'];
    const namespaceSelector = { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values }] };
    for (const serviceMonitor of [true, false]) {
      const flag = `serviceMonitor.enabled=${serviceMonitor},networkPolicy.metricsFromNamespaces={${values.join(',')}}`;
      expect((await ingress('--set', flag)).spec.ingress[1]).toEqual({ from: [{ namespaceSelector }], ports: [{ port: 'health' }] });
    }
  });

  test('sets the PodDisruptionBudget and the NetworkPolicy', async () => {
    const to = [{ namespaceSelector: {} }];
    const flags = ['--set', 'podDisruptionBudget.minAvailable=1', '--set-json', `networkPolicy.extraEgress=${JSON.stringify([{ to }])}`];
    const objects = await template(flags);
    const budget = objects['PodDisruptionBudget regkeeper/regkeeper'] as Manifest & { spec: object };
    expect(budget.spec).toMatchObject({ minAvailable: 1 });
    expect(budget.spec).not.toHaveProperty('maxUnavailable');
    expect(objects['NetworkPolicy regkeeper/regkeeper']).toMatchObject({ spec: { egress: [expect.anything(), { to }] } });
  });

  test.each([
    ['the defaults', []],
    ['all values', undefined],
    [
      'metrics and alerts',
      ['--set', 'serviceMonitor.enabled=true,networkPolicy.metricsFromNamespaces={monitoring},prometheusRule.enabled=true'],
    ],
    ['certificates in a Secret', ['--set', 'certs.mode=files']],
    ["the service CA's certificates", ['--set', 'certs.mode=service-ca']],
  ])('is accepted by the API server under the restricted Pod Security Standard: %s', async (_name, flags) => {
    const namespace = await cluster.namespace({ 'pod-security.kubernetes.io/warn': 'restricted' });
    const { stdout } = await helm([
      ...['template', 'regkeeper', chart, '--namespace', namespace],
      ...(flags ?? ['--values', await everyValue()]),
    ]);
    const { stderr } = await kubectl(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { stdin: stdout });
    expect(stderr).not.toContain('would violate PodSecurity');
  });

  async function everyValue(): Promise<string> {
    const values = {
      image: { registry: 'registry.example.com', repository: 'regkeeper', tag: '1', pullPolicy: 'Always' },
      imagePullSecrets: [{ name: 'corp-pull' }],
      autoscaling: { enabled: true, minReplicas: 3, maxReplicas: 6, targetCPUUtilizationPercentage: 60 },
      resources: { requests: { cpu: '1' } },
      nodeSelector: { 'node-role.kubernetes.io/infra': '' },
      tolerations: [{ operator: 'Exists' }],
      affinity: { podAntiAffinity: {} },
      topologySpreadConstraints: [],
      priorityClassName: 'system-cluster-critical',
      podDisruptionBudget: { enabled: false },
      shutdownDelaySeconds: 30,
      revisionHistoryLimit: 3,
      dnsPolicy: 'Default',
      extraContainers: [
        {
          name: 'shipper',
          image: 'registry.example.com/shipper',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
      commonLabels: { cost: 'platform' },
      podAnnotations: { note: 'x' },
      podLabels: { team: 'platform' },
      securityContext: {
        runAsUser: 2001,
        runAsGroup: 2001,
        seLinuxOptions: { type: 'container_t', level: 's0:c1,c2' },
        seccompProfile: { type: 'Localhost', localhostProfile: 'regkeeper.json' },
        appArmorProfile: { type: 'RuntimeDefault' },
      },
      podSecurityContext: { runAsUser: 2000, runAsGroup: 2000, fsGroup: 2000, supplementalGroups: [3000] },
      serviceAccount: { name: 'keeper', annotations: { note: 'x' } },
      networkPolicy: { enabled: false },
      service: { annotations: { note: 'x' } },
      webhook: {
        annotations: { note: 'x' },
        excludeNamespaces: ['calico-system'],
        namespaceSelector: 'team in (a, b), !legacy',
        matchCondition: 'request.userInfo.username != "x"',
        failurePolicy: 'Ignore',
        timeoutSeconds: 9,
        admissionsEnforcer: 'disable',
      },
      rules: { documents: { 'corp.yaml': 'rules: []\n' } },
      namespaceRules: true,
      serviceMonitor: {
        enabled: true,
        labels: { release: 'prometheus' },
        interval: '15s',
        scrapeTimeout: '5s',
        relabelings: [{ action: 'labeldrop', regex: 'pod' }],
      },
      prometheusRule: { enabled: true, labels: { role: 'alert-rules' } },
      logLevel: 'debug',
      logFormat: 'text',
      auditLog: '/audit/$(POD_NAME).jsonl',
      extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy.example.com' }],
      extraVolumes: [{ name: 'audit', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'audit', mountPath: '/audit' }],
      extraObjects: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'extra', namespace: '{{ .Release.Namespace }}' } }],
    };
    const file = join(folder, 'every-value.yaml');
    await writeFile(file, JSON.stringify(values));
    return file;
  }
});

// Uses the names of a real installation, so it only runs in a cluster without one.
describe.runIf(cluster.local)('an installation with Helm', () => {
  const onlyTrusted = 'mode: enforce\nunconfigured: deny\nrules:\n- registry: registry.example.com\n  pullSecret: corp-pull\n';
  let server: Regkeeper | undefined;
  let namespace = '';

  beforeAll(async () => {
    namespace = await cluster.namespace();
    await helm(['install', 'regkeeper', chart, '--namespace', 'regkeeper', '--create-namespace']);
    server = await start('server');
    await write(onlyTrusted);
    await waitFor(async () => (await tryPod('unknown.example.com/x')).code !== 0, {
      deadlineSeconds: 60,
      what: 'the rules to take effect',
    });
  });
  afterAll(async () => {
    await server?.end('SIGKILL');
    await uninstall();
  });

  test('gives a Pod its secret, and denies unconfigured images', async () => {
    const pod = await kubectl.json<{ spec: { imagePullSecrets?: object[] } }>(podOf('registry.example.com/x'));
    expect(pod.spec.imagePullSecrets).toEqual([{ name: 'corp-pull' }]);
    expect((await tryPod('unknown.example.com/x')).stderr).toContain('denied the request');
  });

  test.each<[string, readonly string[]]>([
    ['helm upgrade', ['upgrade', 'regkeeper', chart, '--set', 'replicaCount=3']],
    [
      'helm upgrade with a three-way merge, as in Helm 3',
      ['upgrade', 'regkeeper', chart, '--server-side=false', '--set', 'logLevel=debug'],
    ],
    ['helm upgrade, server-side again', ['upgrade', 'regkeeper', chart, '--server-side=true', '--set', 'podLabels.a=b']],
    ['helm rollback to the first revision', ['rollback', 'regkeeper', '1']],
  ])('keeps webhooks, certificate and rules: %s', async (_name, command) => {
    const before = await state();
    expect(before.webhooks.every((each) => (each?.length ?? 0) > 0)).toBe(true);
    const { resourceVersion } = await deployment();
    await helm([...command, '--namespace', 'regkeeper']);
    expect((await deployment()).resourceVersion).not.toBe(resourceVersion);
    expect(await state()).toEqual(before);
    expect((await tryPod('unknown.example.com/x')).stderr).toContain('denied the request');
  });

  test('does not overwrite rules that a user edited with those in the values', async () => {
    const { code, stderr } = await withDocuments('mode: audit\nrules: []\n');
    expect(code).not.toBe(0);
    expect(stderr).toContain('conflict');
    expect((await state()).rules).toBe(onlyTrusted);
  });

  test('leaves nothing behind that calls a webhook, and leaves the rules to their owner', async () => {
    await helm(['uninstall', 'regkeeper', '--namespace', 'regkeeper', '--wait']);
    await waitFor(async () => (await tryPod('unknown.example.com/x')).code === 0, {
      deadlineSeconds: 60,
      what: 'a Pod of an unknown image',
    });
    const kinds = 'mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings';
    const { stdout } = await kubectl(['get', kinds, '-l', 'app.kubernetes.io/name=regkeeper', '-o', 'name']);
    expect(stdout).toBe('');
    expect(await rulesText()).toBe(onlyTrusted);
    await server?.end('SIGKILL');
  });

  test('a second installation uses the existing rules', async () => {
    await helm(['install', 'regkeeper', chart, '--namespace', 'regkeeper']);
    expect(await rulesText()).toBe(onlyTrusted);
    // Of the server that was killed: the next one would wait until it has expired.
    await kubectl(['delete', 'lease', 'regkeeper', '-n', 'regkeeper', '--ignore-not-found']);
    server = await start('again');
    expect((await tryPod('unknown.example.com/x')).stderr).toContain('denied the request');
    await server.end('SIGKILL');
    await uninstall();
  });

  test('rules in the values are applied at every upgrade, and stay when the release is uninstalled', async () => {
    await helm(['install', 'regkeeper', chart, '--namespace', 'regkeeper', '--create-namespace']);
    expect(await rulesText()).toMatch(/^mode: audit$/m);
    const [one, two] = ['mode: warn\nrules: []\n', 'mode: enforce\nrules: []\n'];
    await withDocuments(one, { allowFailure: false });
    expect(await rulesText()).toBe(one);
    await withDocuments(two, { allowFailure: false });
    expect(await rulesText()).toBe(two);
    await helm(['uninstall', 'regkeeper', '--namespace', 'regkeeper']);
    expect(await rulesText()).toBe(two);
    await uninstall();
  });

  test.each([
    ['server-side', 'true'],
    ['with a three-way merge, as in Helm 3', 'false'],
  ])('no other rules remain in effect unnoticed next to those in the values: %s', async (_way, serverSide) => {
    onTestFinished(uninstall);
    const way = `--server-side=${serverSide}`;
    const upgrade = (...names: string[]) => {
      const documents = names.flatMap((name) => ['--set', `rules.documents.${name}\\.yaml=rules: []`]);
      return helm(['upgrade', 'regkeeper', chart, '--namespace', 'regkeeper', way, ...documents], { allowFailure: true });
    };
    await helm(['install', 'regkeeper', chart, '--namespace', 'regkeeper', '--create-namespace', way]);
    expect(await upgrade('corp')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the ConfigMap regkeeper-rules already contains rules.yaml, which is not in rules.documents'),
    });
    expect(await documentNames()).toEqual(['rules.yaml']);
    for (const names of [['rules'], ['rules', 'corp'], ['corp']]) {
      expect(await upgrade(...names)).toMatchObject({ code: 0 });
      expect(await documentNames()).toEqual(names.map((name) => `${name}.yaml`).sort());
    }
    await helm(['uninstall', 'regkeeper', '--namespace', 'regkeeper']);
    const again = ['install', 'regkeeper', chart, '--namespace', 'regkeeper', way, '--set', 'rules.documents.rules\\.yaml=rules: []'];
    expect(await helm(again, { allowFailure: true })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('already contains corp.yaml, which is not in rules.documents'),
    });
  });

  test.each([
    ['server-side', 'true'],
    ['with a three-way merge, as in Helm 3', 'false'],
  ])('keeps the current number of replicas when autoscaling is switched on: %s', async (_way, serverSide) => {
    onTestFinished(uninstall);
    const way = ['--namespace', 'regkeeper', `--server-side=${serverSide}`];
    const scale = async () => {
      const { metadata, spec } = await kubectl.json<{ metadata: { generation: number }; spec: { replicas: number } }>([
        ...['get', 'deployment', 'regkeeper', '-n', 'regkeeper'],
      ]);
      return { generation: metadata.generation, replicas: spec.replicas };
    };
    await helm(['install', 'regkeeper', chart, '--create-namespace', ...way, '--set', 'replicaCount=5']);
    const autoscaling = 'autoscaling.enabled=true,autoscaling.minReplicas=3';
    await helm(['upgrade', 'regkeeper', chart, ...way, '--set', autoscaling]);
    expect(await scale()).toEqual({ generation: 1, replicas: 5 });
    // Scales through the subresource, as the autoscaler does.
    await kubectl(['scale', 'deployment', 'regkeeper', '-n', 'regkeeper', '--replicas=4']);
    await helm(['upgrade', 'regkeeper', chart, ...way, '--set', `${autoscaling},autoscaling.maxReplicas=7`]);
    expect(await scale()).toEqual({ generation: 2, replicas: 4 });
    const conflicts = serverSide === 'true' ? ['--force-conflicts'] : [];
    await helm(['upgrade', 'regkeeper', chart, ...way, '--set', 'replicaCount=2', ...conflicts]);
    expect(await scale()).toEqual({ generation: 3, replicas: 2 });
  });

  test("works with cert-manager's certificates, without permissions for Secrets", async () => {
    await withCertManagerKinds();
    await helm(['install', 'regkeeper', chart, '--namespace', 'regkeeper', '--create-namespace', '--set', 'certs.mode=cert-manager']);
    const { spec } = await kubectl.json<{ spec: { secretName: string; dnsNames: string[] } }>([
      'get',
      'certificate',
      'regkeeper',
      '-n',
      'regkeeper',
    ]);
    expect(spec.secretName).toBe('regkeeper-serving-cert');
    const mounted = await makeCertificate(spec.dnsNames);
    const flags = tlsFlags(await args(), mounted);
    expect(flags).toHaveLength(8);
    const { stdout: right } = await kubectl(
      ['auth', 'can-i', 'get', 'secrets/regkeeper-tls', '-n', 'regkeeper', '--as=system:serviceaccount:regkeeper:regkeeper'],
      { allowFailure: true },
    );
    expect(right.trim()).toBe('no');
    await write(onlyTrusted);
    server = await start('cert-manager', flags);
    const pod = await kubectl.json<{ spec: { imagePullSecrets?: object[] } }>(podOf('registry.example.com/x'));
    expect(pod.spec.imagePullSecrets).toEqual([{ name: 'corp-pull' }]);
  });

  async function start(name: string, flags: readonly string[] = []): Promise<Regkeeper> {
    const directory = join(folder, name);
    const { kubeconfig, routeService } = cluster;
    const started = await startRegkeeper({
      kubectl,
      kubeconfig,
      directory,
      routeService,
      flags: ['--shutdown-delay-seconds', '0', ...flags],
    });
    await waitUntilFilled(kubectl);
    return started;
  }

  async function uninstall(): Promise<void> {
    await helm(['uninstall', 'regkeeper', '--namespace', 'regkeeper', '--ignore-not-found']);
    await deleteBase(kubectl);
  }

  const podOf = (image: string) => ['run', 'probe', `--image=${image}`, '-n', namespace, '--dry-run=server'];
  const tryPod = (image: string) => kubectl(podOf(image), { allowFailure: true });

  const write = (text: string) => {
    const patch = JSON.stringify({ data: { 'rules.yaml': text } });
    return kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', 'regkeeper', '--type=merge', '-p', patch]);
  };
  const rulesText = async () =>
    (await kubectl.json<{ data: Record<string, string> }>(['get', 'configmap', 'regkeeper-rules', '-n', 'regkeeper'])).data['rules.yaml'];

  const documentNames = async () => {
    const { data } = await kubectl.json<{ data: object }>(['get', 'configmap', 'regkeeper-rules', '-n', 'regkeeper']);
    return Object.keys(data).sort();
  };

  async function withDocuments(text: string, options: { allowFailure: boolean } = { allowFailure: true }) {
    const values = join(folder, 'documents.yaml');
    await writeFile(values, JSON.stringify({ rules: { documents: { 'rules.yaml': text } } }));
    return await helm(['upgrade', 'regkeeper', chart, '--namespace', 'regkeeper', '--values', values], options);
  }

  type LiveDeployment = Deployment & { metadata: { resourceVersion: string } };
  const liveDeployment = () => kubectl.json<LiveDeployment>(['get', 'deployment', 'regkeeper', '-n', 'regkeeper']);
  const deployment = async () => (await liveDeployment()).metadata;
  const args = async () => (await liveDeployment()).spec.template.spec.containers[0].args;

  async function state() {
    const configuration = (kind: string) => kubectl.json<{ webhooks?: object[] }>(['get', `${kind}webhookconfiguration`, 'regkeeper']);
    const secret = await kubectl.json<{ data?: object }>(['get', 'secret', 'regkeeper-tls', '-n', 'regkeeper']);
    const webhooks = [(await configuration('mutating')).webhooks, (await configuration('validating')).webhooks];
    return { webhooks, certificate: secret.data, rules: await rulesText() };
  }

  /** Serves cert-manager's kinds without their schemas, for the duration of a test. cert-manager itself does not run. */
  async function withCertManagerKinds(): Promise<void> {
    const kinds = [
      { group: 'cert-manager.io', version: 'v1', plural: 'certificates', kind: 'Certificate' },
      { group: 'cert-manager.io', version: 'v1', plural: 'issuers', kind: 'Issuer' },
    ];
    onTestFinished(async () => void (await kubectl(['delete', 'crd', '--ignore-not-found', '--wait=false', ...kinds.map(definitionName)])));
    await serveWithoutSchema(kubectl, kinds);
  }

  /** Writes the files that cert-manager would put into the Secret and the kubelet would mount into the Pod. Returns their folder. */
  async function makeCertificate(dnsNames: string[]): Promise<string> {
    const mounted = join(folder, 'mounted');
    await mkdir(mounted);
    const [notBefore, notAfter] = [new Date(Date.now() - 60_000), new Date(Date.now() + 3_600_000)];
    const ca = issueCa({ commonName: 'regkeeper', notBefore, notAfter });
    const leaf = issueServerCertificate({ ca, commonName: 'regkeeper', dnsNames, ipAddresses: [], notBefore, notAfter });
    await writeFile(join(mounted, 'ca.crt'), ca.certificate);
    await writeFile(join(mounted, 'tls.crt'), leaf.certificate);
    await writeFile(join(mounted, 'tls.key'), leaf.key);
    return mounted;
  }

  function tlsFlags(all: readonly string[], mounted: string): string[] {
    return all.flatMap((each, index) =>
      each.startsWith('--tls') ? [each, (all[index + 1] ?? '').replace('/etc/regkeeper/tls', mounted)] : [],
    );
  }
});
