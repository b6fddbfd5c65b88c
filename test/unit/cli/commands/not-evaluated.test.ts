/** Tests that `check` and `diff` never pass what they did not evaluate. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../run.ts';
import { sarifRun } from '../sarif-run.ts';

let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-not-evaluated-'));
  await writeFile(join(folder, 'rules.yaml'), 'rules:\n- registry: reg.example.com\n');
});
afterAll(() => rm(folder, { recursive: true }));

const presets = 'deploy/custom-kinds/custom-kinds.yaml';
const good =
  'apiVersion: v1\nkind: Pod\nmetadata: {name: good, namespace: shop}\nspec: {containers: [{name: a, image: reg.example.com/a}]}\n';
const bad = good.replace('reg.example.com', 'evil.example.com').replace('name: good', 'name: bad');
const template = 'template: {spec: {containers: [{name: a, image: evil.example.com/a}]}}';

function objectOf(apiVersion: string, kind: string, spec: string): string {
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: web, namespace: shop}\nspec: ${spec}\n`;
}

/** Writes the files into a new folder and returns its path. */
async function input(files: Readonly<Record<string, string>>): Promise<string> {
  const root = join(folder, String(count++));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return root;
}

async function check(objects: string | Readonly<Record<string, string>>, ...more: readonly string[]) {
  const root = await input(typeof objects === 'string' ? { 'objects.yaml': objects } : objects);
  const rules = join(folder, 'rules.yaml');
  const json = await runCommand('check', '-f', root, '--rules', rules, '-o', 'json', ...more);
  const table = await runCommand('check', '-f', root, '--rules', rules, ...more);
  const yaml = await runCommand('check', '-f', root, '--rules', rules, '-o', 'yaml', ...more);
  const diff = await runCommand('diff', rules, rules, '-f', root, '-o', 'json', ...more);
  const { results, withoutImages, skipped, notEvaluated } = JSON.parse(json.out);
  const diffed = JSON.parse(diff.out);
  expect([table.exitCode, yaml.exitCode], 'exit codes of -o table and yaml').toEqual([json.exitCode, json.exitCode]);
  expect({ ...diffed, notEvaluated: diffed.notEvaluated }).toMatchObject({ withoutImages, skipped, notEvaluated });
  expect(diff.exitCode).toBe(json.exitCode === 1 ? 0 : json.exitCode);
  const codes: readonly string[] = notEvaluated.map(({ code }: { code: string }) => code);
  const err = table.err.replaceAll(`${root}/`, '').replaceAll(root, 'ROOT');
  return { exitCode: json.exitCode, results, withoutImages, skipped, notEvaluated, codes, err, table: table.out, yaml: yaml.out };
}

describe('an object of an unknown kind with something that looks like an image', () => {
  test.each([
    ['a pod template', 'argoproj.io/v1alpha1', 'Rollout', `{${template}}`, 'spec.template.spec.containers[0].image'],
    [
      'a kind of another group',
      'batch.volcano.sh/v1alpha1',
      'Job',
      `{tasks: [{${template}}]}`,
      'spec.tasks[0].template.spec.containers[0].image',
    ],
    ['an image', 'monitoring.coreos.com/v1', 'Prometheus', '{image: "quay.io/prometheus/prometheus:v3"}', 'spec.image'],
    ['a repository and a tag', 'example.com/v1', 'App', '{image: {repository: evil.example.com/a, tag: "1"}}', 'spec.image'],
    ['an image with another name', 'postgresql.cnpg.io/v1', 'Cluster', '{imageName: "ghcr.io/a/postgresql:17"}', 'spec.imageName'],
    ['a compound name', 'example.com/v1', 'App', '{proxy: {sidecarImage: evil/a}}', 'spec.proxy.sidecarImage'],
    ['a compound name with underscores', 'example.com/v1', 'App', '{base_image: evil/a}', 'spec.base_image'],
    ['an image next to the address of its logo', 'example.com/v1', 'App', '{image: {logo: "https://a.io/b", name: evil/a}}', 'spec.image'],
    ['a list of images', 'example.com/v1', 'App', '{images: [evil/a]}', 'spec.images'],
    ['a list of images of containers', 'example.com/v1', 'App', '{sidecars: [evil/a]}', 'spec.sidecars'],
    ['an image below containers without images', 'example.com/v1', 'App', '{containers: [{name: a}], b: {image: evil/a}}', 'spec.b.image'],
    ['an OCI artifact', 'source.toolkit.fluxcd.io/v1', 'OCIRepository', '{url: "oci://ghcr.io/a/manifests"}', 'spec.url'],
    [
      'an image in a string with any name',
      'pkg.crossplane.io/v1',
      'Provider',
      '{package: "xpkg.crossplane.io/a/provider-x:v1.2"}',
      'spec.package',
    ],
    ['an image by digest', 'example.com/v1', 'App', `{runs: "localhost:5000/a@sha256:${'0'.repeat(64)}"}`, 'spec.runs'],
    [
      'a manifest in a string',
      'argoproj.io/v1alpha1',
      'Workflow',
      '{manifest: "spec:\\n  containers:\\n  - image: evil/a\\n"}',
      'spec.manifest',
    ],
    ['a field outside of spec', 'example.com/v1', 'App', '{}\nimage: evil/a', 'image'],
    [
      'the values of a chart in a string',
      'argoproj.io/v1alpha1',
      'Application',
      '{source: {helm: {values: "replicaCount: 2\\nimage:\\n  repository: evil.io/a\\n  tag: v1\\n"}}}',
      'spec.source.helm.values',
    ],
    [
      'a parameter of a chart',
      'argoproj.io/v1alpha1',
      'Application',
      '{source: {helm: {parameters: [{name: replicas, value: "2"}, {name: web.image.repository, value: evil/a}]}}}',
      'spec.source.helm.parameters[1].value',
    ],
    ['the tag in a value of a chart', 'helm.cattle.io/v1', 'HelmChart', '{set: {image.tag: v2}}', 'spec.set.image.tag'],
    ['a JSON patch', 'example.com/v1', 'App', '{patches: [{path: /spec/containers/0/image, value: evil/a}]}', 'spec.patches[0].value'],
    ['JSON in a string', 'example.com/v1', 'App', '{values: \'{"a":{"image":{"repository":"evil/a"}}}\'}', 'spec.values'],
    ['the registry of Istio', 'install.istio.io/v1alpha1', 'IstioOperator', '{hub: docker.io/istio, tag: 1.20.0}', 'spec.hub'],
    ['the repository that a build pushes to', 'kpack.io/v1alpha2', 'Image', '{tag: "reg.example.com:5000/a"}', 'spec.tag'],
  ])('is exit code 2: %s', async (_what, apiVersion, kind, spec, path) => {
    const { exitCode, results, notEvaluated, err, table, yaml } = await check(objectOf(apiVersion, kind, spec));
    expect({ exitCode, results, yaml }).toEqual({ exitCode: 2, results: [], yaml: '' });
    expect(notEvaluated).toEqual([
      {
        file: expect.stringMatching(/objects\.yaml$/),
        line: 1,
        code: 'unknown-kind',
        message: expect.stringContaining(`${kind} shop/web has an unknown kind, and ${path} looks like an image. `),
        object: { apiVersion, kind, namespace: 'shop', name: 'web' },
      },
    ]);
    expect(err).toContain(`objects.yaml:1: ${notEvaluated[0].message}\n`);
    expect(table).toBe('0 objects evaluated: 0 allowed, 0 warned, 0 denied. 1 input was not evaluated\n');
  });

  test.each([
    ['argoproj.io/v1alpha1', 'Rollout', `Pass --custom-kinds ${presets}`],
    ['tekton.dev/v1', 'Task', `Pass --custom-kinds ${presets}`],
    ['tekton.dev/v1', 'Pipeline', 'Describe the kind in a file for --custom-kinds (docs/kinds.md)'],
  ])('is reported with how to evaluate %s %s', async (apiVersion, kind, fix) => {
    const { err } = await check(objectOf(apiVersion, kind, '{steps: [{image: evil/a}]}'));
    expect(err).toBe(
      `objects.yaml:1: ${kind} shop/web has an unknown kind, and spec.steps[0].image looks like an image. ${fix}\n` +
        'regkeeper: 1 input was not evaluated. To skip objects of unknown kinds, use --skip-unknown\n',
    );
  });

  test('is evaluated with that file', async () => {
    const { exitCode, codes, results } = await check(
      objectOf('argoproj.io/v1alpha1', 'Rollout', `{${template}}`),
      '--custom-kinds',
      presets,
    );
    expect({ exitCode, codes, outcome: results[0].outcome }).toEqual({ exitCode: 1, codes: [], outcome: 'denied' });
  });

  test('is reported with its scheme, which the description of the kind needs', async () => {
    const volume = objectOf('cdi.kubevirt.io/v1beta1', 'DataVolume', '{source: {registry: {url: "docker://quay.io/a/fedora:1"}}}');
    const described = 'group: cdi.kubevirt.io, version: v1beta1, resource: datavolumes, kind: DataVolume';
    const kinds = async (images: string) => join(await input({ 'kinds.yaml': `kinds: [{${described}, images: ${images}}]` }), 'kinds.yaml');
    expect((await check(volume)).err).toContain(
      'spec.source.registry.url looks like an image. Describe the kind in a file for --custom-kinds, with "schemes: [docker]" for this path',
    );
    const registry = await kinds('[{path: spec.source.registry.url, schemes: [docker]}]');
    const { exitCode, results } = await check(volume, '--custom-kinds', registry);
    expect({ exitCode, results }).toMatchObject({
      exitCode: 1,
      results: [{ outcome: 'denied', images: [{ image: 'docker://quay.io/a/fedora:1', canonical: 'quay.io/a/fedora' }] }],
    });
    const allowed = await check(volume.replace('quay.io', 'reg.example.com'), '--custom-kinds', registry);
    expect(allowed).toMatchObject({ exitCode: 0, results: [{ outcome: 'allowed', messages: [] }] });
    const other = await check(volume.replace('registry: {url: "docker:', 'http: {url: "https:'), '--custom-kinds', registry);
    expect(other).toMatchObject({ exitCode: 0, codes: [], results: [{ images: [] }] });
  });

  test('is no image if the description of the kind requires a scheme that it lacks', async () => {
    const object = objectOf('example.com/v1', 'App', '{image: evil/a}');
    const described = 'group: example.com, version: v1, resource: apps, kind: App';
    const root = await input({
      'scheme.yaml': `kinds: [{${described}, images: [{path: spec.image, schemes: [oci]}]}]`,
      'other.yaml': `kinds: [{${described}, images: [{path: spec.url, schemes: [oci]}]}]`,
    });
    expect(await check(object, '--custom-kinds', join(root, 'scheme.yaml'))).toMatchObject({ exitCode: 0, results: [{ images: [] }] });
    expect(await check(object, '--custom-kinds', join(root, 'other.yaml'))).toMatchObject({ exitCode: 2, codes: ['unknown-kind'] });
  });

  test('is evaluated if only its containers have no image', async () => {
    const object = objectOf('monitoring.coreos.com/v1', 'Prometheus', '{containers: [{name: prometheus, args: [x]}]}');
    const described = 'group: monitoring.coreos.com, version: v1, resource: prometheuses, kind: Prometheus';
    const root = await input({ 'kinds.yaml': `kinds: [{${described}, images: [spec.image, "spec.containers[*].image"]}]` });
    expect(await check(object, '--custom-kinds', join(root, 'kinds.yaml'))).toMatchObject({ exitCode: 0, codes: [] });
  });

  test('is exit code 2 even if the file has other fields', async () => {
    const task = objectOf('tekton.dev/v1', 'Task', '{stages: [{image: evil/a}]}');
    const { exitCode, notEvaluated } = await check(task, '--custom-kinds', presets);
    expect(exitCode).toBe(2);
    expect(notEvaluated).toMatchObject([
      { code: 'unknown-kind', message: expect.stringContaining('has no image at the paths from --custom-kinds, but spec.stages[0].image') },
    ]);
  });

  test('is evaluated if the image is only a parameter, whose path cannot be specified in a file', async () => {
    const run = objectOf('tekton.dev/v1', 'TaskRun', '{taskRef: {name: t}, params: [{name: image, value: "reg.example.com/a:1"}]}');
    expect(await check(run, '--custom-kinds', presets)).toMatchObject({ exitCode: 0, codes: [], results: [{ images: [] }] });
    expect(await check(run)).toMatchObject({ exitCode: 2, codes: ['unknown-kind'] });
  });

  test('is accepted with --skip-unknown, and counted', async () => {
    const rollout = objectOf('argoproj.io/v1alpha1', 'Rollout', `{${template}}`);
    const { exitCode, skipped, codes, err, yaml } = await check(`${rollout}---\n${good}---\n${rollout}`, '--skip-unknown');
    expect({ exitCode, codes }).toEqual({ exitCode: 0, codes: [] });
    expect(skipped).toEqual([{ apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', count: 2 }]);
    expect(err).toContain('regkeeper: skipped: objects of unknown kinds: 2 Rollout (argoproj.io/v1alpha1)\n');
    expect(yaml.match(/^kind: /gm)).toHaveLength(3);
  });

  test('does not hide what is denied', async () => {
    const rollout = objectOf('argoproj.io/v1alpha1', 'Rollout', `{${template}}`);
    const { exitCode, results } = await check(`${rollout}---\n${bad}`);
    expect({ exitCode, outcomes: results.map(({ outcome }: { outcome: string }) => outcome) }).toEqual({
      exitCode: 2,
      outcomes: ['denied'],
    });
    expect((await check(`${rollout}---\n${bad}`, '--skip-unknown')).exitCode).toBe(1);
  });
});

describe('an object without images counts as evaluated', () => {
  test.each([
    ['v1', 'Service', '{ports: [{port: 80}]}'],
    ['v1', 'ConfigMap', '{}\ndata: {"pod.yaml": "image: evil/a"}'],
    ['rbac.authorization.k8s.io/v1', 'Role', '{}'],
    ['autoscaling/v2beta2', 'HorizontalPodAutoscaler', '{}'],
    ['networking.k8s.io/v1', 'Ingress', '{}'],
    [
      'apiextensions.k8s.io/v1',
      'CustomResourceDefinition',
      '{versions: [{schema: {openAPIV3Schema: {properties: {image: {type: string}, containers: {type: array}}}}}]}',
    ],
    ['route.openshift.io/v1', 'Route', '{to: {kind: Service, name: web}}'],
    ['v1', 'Route', '{to: {kind: Service, name: web}}'],
    ['project.openshift.io/v1', 'ProjectRequest', '{}'],
    ['cert-manager.io/v1', 'Certificate', '{secretName: web, issuerRef: {name: corp}}'],
    ['monitoring.coreos.com/v1', 'ServiceMonitor', '{endpoints: [{path: /metrics, scheme: "https://"}]}'],
    ['kustomize.toolkit.fluxcd.io/v1', 'Kustomization', '{path: ./deploy, interval: 5m}'],
    ['example.com/v1', 'App', '{image: "", images: [], imagePullPolicy: Always, imagePullSecrets: [{name: a}], url: "https://a.io/b:1"}'],
    ['example.com/v1', 'App', '{}\nstatus: {image: evil/a}'],
    ['example.com/v1', 'App', '{image: {from: []}, images: [{}, ""]}'],
    ['console.openshift.io/v1', 'ConsoleLink', '{applicationMenu: {imageURL: "data:image/svg+xml;base64,PHN2Zz4="}}'],
    ['console.openshift.io/v1', 'ConsoleLink', '{applicationMenu: {imageURL: "https://example.com/icons/launch.svg"}}'],
    ['console.openshift.io/v1', 'ConsoleLink', '{applicationMenu: {imageURL: /static/assets/public/imgs/logos/amq.svg}}'],
    ['metal3.io/v1alpha1', 'BareMetalHost', '{image: {url: "http://a.io/x.qcow2", checksum: "http://a.io/x.qcow2.md5sum"}}'],
    [
      'operator.openshift.io/v1',
      'MachineConfiguration',
      '{managedBootImages: {machineManagers: [{apiGroup: machine.openshift.io, resource: machinesets, selection: {mode: All}}]}}',
    ],
    // A kubelet's configuration file has `providers` at the top. Only the field matters here.
    ['kubelet.config.k8s.io/v1', 'CredentialProviderConfig', '{providers: [{name: ecr, matchImages: ["*.dkr.ecr.*.amazonaws.com"]}]}'],
    ['example.com/v1', 'AllowList', '{}'],
    ['gateway.networking.k8s.io/v1', 'HTTPRoute', '{}'],
    // A custom resource of Kubernetes' scheduler plugins, with the name of a kind of scheduling.k8s.io.
    ['scheduling.x-k8s.io/v1alpha1', 'PodGroup', '{minMember: 3}'],
    ['monitoring.coreos.com/v1', 'Prometheus', '{containers: [{name: prometheus, args: [--a]}], initContainers: []}'],
    ['example.com/v1', 'App', '{sidecars: [istio-proxy], image: {pullPolicy: Always, pullSecrets: [a]}}'],
    [
      'monitoring.coreos.com/v1',
      'PrometheusRule',
      '{groups: [{rules: [{labels: {image: "{{ $labels.image }}"}, annotations: {text: "Pod\\nimage: {{ $labels.image }}"}}]}]}',
    ],
    [
      'example.com/v1',
      'App',
      '{annotations: {text: "image: {{ $labels.image }}", description: "image: a"}, labels: {image: "{{ $labels.i }}"}}',
    ],
    ['metal3.io/v1alpha1', 'BareMetalHost', '{image: {url: "http://a.io/x.qcow2", checksumType: md5, format: qcow2}}'],
    ['source.toolkit.fluxcd.io/v1', 'GitRepository', '{ref: {tag: release/v1.2}, hub: local-cluster}'],
    ['tekton.dev/v1', 'PipelineRun', '{params: [{name: IMAGE, value: $(params.image)}]}'],
  ])('%s %s %s', async (apiVersion, kind, spec) => {
    const { exitCode, codes, withoutImages, table } = await check(objectOf(apiVersion, kind, spec));
    expect({ exitCode, codes, withoutImages }).toEqual({ exitCode: 0, codes: [], withoutImages: [{ apiVersion, kind, count: 1 }] });
    expect(table).toBe('1 object evaluated: 0 allowed, 0 warned, 0 denied, 1 without images\n');
  });
});

describe('a known kind in an unknown or mistyped API is exit code 2, even with --skip-unknown', () => {
  test.each([
    ['extensions/v1beta1', 'Deployment', 'kind "Deployment" of apps/v1'],
    ['apps/v1beta9', 'Deployment', 'kind "Deployment" of apps/v1'],
    ['apps/v1beta2', 'StatefulSet', 'kind "StatefulSet" of apps/v1'],
    ['batch/v1beta1', 'CronJob', 'kind "CronJob" of batch/v1'],
    ['v1', 'Deployment', 'kind "Deployment" of apps/v1'],
    ['apps/v1', 'Pod', 'kind "Pod" of v1'],
    ['v1beta3', 'Pod', 'kind "Pod" of v1'],
    ['apps/v1', 'deployment', 'kind "Deployment" of apps/v1'],
    ['apps/v1', 'Deployments', 'kind "Deployment" of apps/v1'],
    ['apps/v1', 'Depoyment', 'kind "Deployment" of apps/v1'],
    ['v1', 'pod', 'kind "Pod" of v1'],
    ['v1', 'Pods', 'kind "Pod" of v1'],
    ['v1', 'Pd', 'kind "Pod" of v1'],
    ['batch/v1', 'Jb', 'kind "Job" of batch/v1'],
    ['app/v1', 'Deployment', 'kind "Deployment" of apps/v1'],
    ['Apps/v1', 'Deployment', 'kind "Deployment" of apps/v1'],
    ['"v1 "', 'Pod', 'kind "Pod" of v1'],
    ['a/apps/v1', 'Deployment', 'kind "Deployment" of apps/v1'],
    ['build.openshift.io/v1beta1', 'BuildConfig', 'kind "BuildConfig" of build.openshift.io/v1'],
    ['apps.openshift.io/v1', 'deploymentconfig', 'kind "DeploymentConfig" of apps.openshift.io/v1'],
    ['apps.openshift.oi/v1', 'DeploymentConfig', 'kind "DeploymentConfig" of apps.openshift.io/v1'],
    ['v1', 'Configmap', 'kind "ConfigMap" of v1'],
    ['extensions/v1beta1', 'Ingress', 'kind "Ingress" of networking.k8s.io/v1'],
    ['v1', 'podlist', 'kind "PodList" of v1'],
    ['v1', 'list', 'kind "List" of v1'],
  ])('%s %s', async (apiVersion, kind, meant) => {
    const object = objectOf(apiVersion, kind, `{${template}}`);
    for (const more of [[], ['--skip-unknown']]) {
      const { exitCode, results, notEvaluated, err, yaml } = await check(object, ...more);
      expect({ exitCode, results, yaml }).toEqual({ exitCode: 2, results: [], yaml: '' });
      expect(notEvaluated).toMatchObject([{ code: 'mistyped-kind', message: expect.stringContaining(`Did you mean ${meant}?`) }]);
      expect(err).not.toContain('--skip-unknown');
    }
  });

  test('a custom kind whose case differs from its file', async () => {
    const rollout = objectOf('argoproj.io/v1alpha1', 'rollout', `{${template}}`);
    const { exitCode, notEvaluated } = await check(rollout, '--custom-kinds', presets, '--skip-unknown');
    expect({ exitCode, notEvaluated }).toMatchObject({ exitCode: 2, notEvaluated: [{ code: 'mistyped-kind' }] });
  });

  test.each(['apps/v1', 'v1', 'build.openshift.io/v1'])('a kind of %s that resembles none is unknown', async (apiVersion) => {
    const object = objectOf(apiVersion, 'Gizmo', '{}');
    expect(await check(object)).toMatchObject({ exitCode: 2, codes: ['unknown-kind'] });
    expect(await check(object, '--skip-unknown')).toMatchObject({ exitCode: 0, codes: [] });
  });

  test('other versions of a custom kind are evaluated, because its API server converts them', async () => {
    const rollout = objectOf('argoproj.io/v1', 'Rollout', `{${template}}`);
    expect(await check(rollout, '--custom-kinds', presets)).toMatchObject({ exitCode: 1, codes: [] });
  });
});

test('lists are expanded, and each of their objects is evaluated', async () => {
  const pods = `apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n  spec: {containers: [{name: a, image: evil.example.com/a}]}\n`;
  const nested = `apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: apps/v1beta9, kind: Deployment, metadata: {name: b}}\n`;
  const { exitCode, results, codes } = await check(`${pods}---\n${nested}`);
  expect({ exitCode, results: results.length, codes }).toEqual({ exitCode: 2, results: 1, codes: ['mistyped-kind'] });
});

describe('a directory in which some files are not objects', () => {
  const app = {
    'deployment.yaml': objectOf('apps/v1', 'Deployment', `{${template}}`),
    'kustomization.yaml': 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [deployment.yaml]\n',
    'patch.yaml': '- op: replace\n  path: /spec/replicas\n  value: 2\n',
    'values.yaml': 'replicas: 2\n',
    '.github/workflows/ci.yaml': 'name: ci\non: push\n',
    'overlays/.cache/a.yaml': '- not read\n',
  };

  test('the rest is evaluated, the files are listed, and the exit code is 2', async () => {
    const { exitCode, results, codes, notEvaluated, err, table } = await check(app);
    expect({ exitCode, outcomes: results.map(({ outcome }: { outcome: string }) => outcome) }).toEqual({
      exitCode: 2,
      outcomes: ['denied'],
    });
    expect(codes).toEqual(['not-rendered', 'not-an-object', 'not-an-object']);
    expect(notEvaluated[1]).toEqual({
      file: expect.stringMatching(/patch\.yaml$/),
      line: 1,
      column: 1,
      code: 'not-an-object',
      message: 'contains a list, not a Kubernetes object',
    });
    expect(err).toBe(
      [
        'kustomization.yaml:1:1: a kustomization must be rendered first. Pass the output of "kubectl kustomize ROOT"',
        'patch.yaml:1:1: contains a list, not a Kubernetes object',
        'values.yaml:1:1: not a Kubernetes object: no apiVersion and no kind. If these are the values of a chart, pass the output of "helm template"',
        'regkeeper: 3 inputs were not evaluated',
        '',
      ].join('\n'),
    );
    expect(table).toContain('1 object evaluated: 0 allowed, 0 warned, 1 denied. 3 inputs were not evaluated\n');
  });

  test('a kustomization that patches objects is reported with its files, in place of false results', async () => {
    const { exitCode, results, codes, err } = await check({
      'base/kustomization.yaml': 'resources: [deployment.yaml]\n',
      'base/deployment.yaml': objectOf('apps/v1', 'Deployment', `{${template}}`),
      'prod/kustomization.yaml': 'resources: [../base]\npatches: [{path: replicas.yaml}]\n',
      'prod/replicas.yaml': objectOf('apps/v1', 'Deployment', '{replicas: 3}'),
      'good.yaml': good,
    });
    expect({ exitCode, outcomes: results.map(({ outcome }: { outcome: string }) => outcome), codes }).toEqual({
      exitCode: 2,
      outcomes: ['allowed'],
      codes: ['not-rendered', 'not-rendered'],
    });
    expect(err).toContain(
      'Pass the output of "kubectl kustomize base". 1 file that the kustomization changes or uses as input was skipped: base/deployment.yaml\n',
    );
    expect(err).toContain(
      'Pass the output of "kubectl kustomize prod". 1 file that the kustomization changes or uses as input was skipped: prod/replicas.yaml\n',
    );
  });

  test.each([
    ['a chart', { 'web/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.0.0\n' }, 'not-rendered'],
    ['a template of a chart', { 'web/templates/a.yaml': 'apiVersion: v1\nkind: {{ .Values.kind }}\n' }, 'not-rendered'],
    ['an OpenShift Template', { 'a.yaml': 'apiVersion: template.openshift.io/v1\nkind: Template\nobjects: []\n' }, 'not-rendered'],
    ['invalid YAML', { 'a.yaml': 'a: [\n' }, 'invalid-yaml'],
  ])('next to a valid object: %s', async (_what, files, code) => {
    expect(await check({ 'good.yaml': good, ...files })).toMatchObject({ exitCode: 2, codes: [code], results: [{ outcome: 'allowed' }] });
    expect(await check({ 'good.yaml': good, ...files }, '--skip-unknown')).toMatchObject({ exitCode: 2, codes: [code] });
  });

  test('a path that does not exist next to a valid object', async () => {
    const root = await input({ 'good.yaml': good });
    const { exitCode, out } = await runCommand(
      'check',
      '-f',
      root,
      join(root, 'nowhere'),
      '--rules',
      join(folder, 'rules.yaml'),
      '-o',
      'json',
    );
    expect({ exitCode, json: JSON.parse(out) }).toMatchObject({
      exitCode: 2,
      json: { results: [{}], notEvaluated: [{ code: 'unreadable', message: 'no such file or directory' }] },
    });
  });
});

test.each([
  ['an empty file', '# nothing yet\n'],
  ['an empty list', 'apiVersion: v1\nkind: List\nitems: []\n'],
  ['a list without items', 'apiVersion: v1\nkind: List\n'],
])('nothing to evaluate at all is reported in every format: %s', async (_what, text) => {
  const root = await input({ 'a.yaml': text });
  const rules = join(folder, 'rules.yaml');
  const err = `${root}: no Kubernetes objects found\nregkeeper: 1 input was not evaluated\n`;
  expect(await runCommand('check', '-f', root, '--rules', rules)).toMatchObject({ exitCode: 2, err });
  expect(await runCommand('diff', rules, rules, '-f', root)).toMatchObject({ exitCode: 2, err });
  const json = await runCommand('check', '-f', root, '--rules', rules, '-o', 'json');
  expect(JSON.parse(json.out)).toMatchObject({ results: [], notEvaluated: [{ file: root, code: 'unreadable' }] });
  const github = await runCommand('check', '-f', root, '--rules', rules, '-o', 'github');
  expect(github.out).toMatch(/^::error .*::no Kubernetes objects found\n$/);
});

describe('every format reports what was not evaluated', () => {
  async function render(format: string, ...more: readonly string[]) {
    const root = await input({ 'a.yaml': objectOf('example.com/v1', 'App', '{image: evil/a}'), 'b.yaml': '- a\n', 'good.yaml': good });
    const { exitCode, out, err } = await runCommand('check', '-f', root, '--rules', join(folder, 'rules.yaml'), '-o', format, ...more);
    expect(exitCode).toBe(2);
    return { out: out.replaceAll(`${root}/`, ''), err: err.replaceAll(`${root}/`, '') };
  }

  test('github: an error at each position', async () => {
    const { out } = await render('github');
    expect(out).toMatch(
      /^::error file=b\.yaml,line=1,col=1,title=not evaluated%3A not-an-object::contains a list, not a Kubernetes object$/m,
    );
    expect(out).toMatch(/^::error file=a\.yaml,line=1,title=App shop\/web%3A unknown-kind::App shop\/web has an unknown kind/m);
  });

  test('sarif: a result with a rule for each', async () => {
    const [run] = JSON.parse((await render('sarif')).out).runs;
    expect(run.results).toMatchObject([
      { ruleId: 'not-an-object', level: 'error' },
      { ruleId: 'unknown-kind', level: 'error' },
    ]);
    expect(run.tool.driver.rules[run.results[0].ruleIndex].id).toBe('not-an-object');
  });

  test('junit: a failed case', async () => {
    const { out } = await render('junit');
    expect(out).toContain('<testsuite name="regkeeper" tests="3" failures="2" errors="0" skipped="0">');
    expect(out).toContain('<testcase classname="b.yaml" name="line 1">\n      <failure message="not evaluated: not-an-object">');
    expect(out).toContain('<testcase classname="a.yaml" name="App shop/web">\n      <failure message="not evaluated: unknown-kind">');
  });

  test('a file that cannot be read has no line', async () => {
    const run = (format: string) => runCommand('check', '-f', 'nowhere.yaml', '--rules', join(folder, 'rules.yaml'), '-o', format);
    expect((await run('github')).out).toMatch(
      /^::error file=nowhere\.yaml,title=not evaluated%3A unreadable::no such file or directory\n$/,
    );
    expect(sarifRun((await run('sarif')).out).results).toMatchObject([
      { ruleId: 'unreadable', locations: [{ physicalLocation: { artifactLocation: { uri: 'nowhere.yaml' } } }] },
    ]);
    expect((await run('sarif')).out).not.toContain('startLine');
    expect((await run('junit')).out).toContain('<testcase classname="nowhere.yaml" name="file">');
  });

  test('table with --quiet: the list is still printed', async () => {
    const { out, err } = await render('table', '--quiet');
    expect(out).toBe('');
    expect(err).toMatch(
      /^b\.yaml:1:1: contains a list.*\na\.yaml:1: App shop\/web .*\nregkeeper: 2 inputs were not evaluated\. To skip objects of unknown kinds, use --skip-unknown.*\n$/,
    );
  });
});
