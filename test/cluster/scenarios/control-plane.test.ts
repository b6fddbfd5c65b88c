/** The test cluster itself: its release, its kinds, its controllers, and webhooks that are called through Services. */
import { afterAll, describe, expect, test } from 'vitest';
import { kubernetesVersion } from '../binaries.ts';
import { type AdmissionRequest, serveWebhook } from '../other-webhook.ts';
import { target, waitFor } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;

describe('the test cluster', () => {
  test('is ready, in every check', async () => {
    const { stdout } = await kubectl(['get', '--raw', '/readyz?verbose']);
    expect(stdout).toContain('readyz check passed');
  });

  // Executables and clusters that the user provides may be of another release.
  test.runIf(cluster.local && !process.env.KUBEBUILDER_ASSETS)('runs the release in go.mod', async () => {
    const { serverVersion } = await kubectl.json<{ serverVersion: { gitVersion: string } }>(['version']);
    expect(serverVersion.gitVersion).toBe(kubernetesVersion());
  });

  test.each([
    ['buildconfigs', 'build.openshift.io'],
    ['builds', 'build.openshift.io'],
    ['deploymentconfigs', 'apps.openshift.io'],
    ['imagestreams', 'image.openshift.io'],
  ])('serves %s of %s', async (resource, group) => {
    const { stdout } = await kubectl(['get', `${resource}.v1.${group}`, '-n', 'kube-public', '-o', 'name']);
    expect(stdout).toBe('');
  });

  test('keeps the image and secret fields of a BuildConfig', async () => {
    const namespace = await cluster.namespace();
    const strategy = {
      type: 'Docker',
      dockerStrategy: { from: { kind: 'DockerImage', name: 'registry.example.com:5000/base:1' }, pullSecret: { name: 'corp-pull' } },
    };
    const source = {
      type: 'Dockerfile',
      dockerfile: 'FROM scratch',
      images: [{ from: { kind: 'DockerImage', name: 'quay.io/a/b' }, as: ['b'], paths: [{ sourcePath: '/x/.', destinationDir: '.' }] }],
    };
    const output = { to: { kind: 'DockerImage', name: 'registry.example.com:5000/app:1' }, pushSecret: { name: 'corp-push' } };
    const spec = { source, strategy, output, nodeSelector: null };
    const manifest = { apiVersion: 'build.openshift.io/v1', kind: 'BuildConfig', metadata: { name: 'app', namespace }, spec };
    const stored = await kubectl.json<{ spec: unknown }>(['create', '-f', '-'], { stdin: JSON.stringify(manifest) });
    expect(stored.spec).toEqual(spec);
  });

  test('turns a Deployment into a ReplicaSet and Pods', async () => {
    const namespace = await cluster.namespace();
    await kubectl(['create', 'deployment', 'web', '--image=registry.example.com/web:1', '--replicas=2', '-n', namespace]);
    const pods = await waitFor(
      async () => {
        const { items } = await kubectl.json<{ items: Pod[] }>(['get', 'pods', '-n', namespace, '-l', 'app=web']);
        return items.length === 2 && items;
      },
      { deadlineSeconds: 60, what: 'two Pods of the Deployment' },
    );
    expect(pods.map((pod) => pod.metadata.ownerReferences?.[0]?.kind)).toEqual(['ReplicaSet', 'ReplicaSet']);
  });

  test('authenticates the token of a service account as that account', async () => {
    const namespace = await cluster.namespace();
    const { stdout: token } = await kubectl(['create', 'token', 'default', '-n', namespace]);
    const asAccount = cluster.kubectlAs(token.trim());
    const { status } = await asAccount.json<{ status: { userInfo: { username: string } } }>(['auth', 'whoami']);
    expect(status.userInfo.username).toBe(`system:serviceaccount:${namespace}:default`);
  });
});

describe.runIf(cluster.local)('a webhook registered by Service reference', () => {
  const seen: AdmissionRequest[] = [];
  const configurations: string[] = [];

  afterAll(async () => {
    for (const name of configurations) await kubectl(['delete', 'validatingwebhookconfiguration', name, '--ignore-not-found']);
  });

  test('is called on its loopback port once its Service is routed to it, and not before', async () => {
    const namespace = await cluster.namespace();
    const service = { namespace, service: 'hook', port: 443 };
    const { port, caBundle } = await serveWebhook(`hook.${namespace}.svc`, (request) => {
      seen.push(request);
      return { allowed: false, status: { message: 'the scenario says no' } };
    });
    await kubectl(['create', 'service', 'clusterip', 'hook', '--tcp=443:8443', '-n', namespace]);
    await registerForConfigMaps(namespace, caBundle);
    const tryToCreate = () => kubectl(['create', 'configmap', 'attempt', '-n', namespace, '--dry-run=server'], { allowFailure: true });

    const unrouted = await waitFor(
      async () => {
        const attempt = await tryToCreate();
        return attempt.code !== 0 && attempt.stderr;
      },
      { deadlineSeconds: 60, what: 'the webhook configuration to take effect' },
    );
    expect(unrouted).toContain(`502 no route for /namespaces/${namespace}/services/hook/ports/443`);
    expect(seen).toEqual([]);

    await cluster.routeService(service, port);
    const { stderr } = await tryToCreate();
    expect(stderr).toContain('denied the request: the scenario says no');
    expect(seen).toMatchObject([{ namespace, name: 'attempt', operation: 'CREATE', dryRun: true }]);
  });

  async function registerForConfigMaps(namespace: string, caBundle: string): Promise<void> {
    const webhook = {
      name: 'scenario.regkeeper.io',
      clientConfig: { service: { namespace, name: 'hook', port: 443, path: '/validate' }, caBundle },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['CREATE'] }],
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
      matchConditions: [{ name: 'the-attempt', expression: "request.name == 'attempt'" }],
      sideEffects: 'None',
      failurePolicy: 'Fail',
      timeoutSeconds: 10,
      admissionReviewVersions: ['v1'],
    };
    const manifest = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: namespace },
      webhooks: [webhook],
    };
    configurations.push(namespace);
    await kubectl(['create', '-f', '-'], { stdin: JSON.stringify(manifest) });
  }
});

interface Pod {
  readonly metadata: { readonly name: string; readonly ownerReferences?: readonly { readonly kind: string }[] };
}
