/**
 * What regkeeper reads from an OpenShift cluster: its internal registry, the search registries of its nodes for short names, and the images of
 * its image streams. The kinds are custom resources here, so the test writes their status.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { corpusPath } from '../../unit/conformance/corpus.ts';
import { serveWithoutSchema } from '../crds.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;

const hostname = 'image-registry.openshift-image-registry.svc:5000';
const route = 'default-route-openshift-image-registry.apps.example.com';
const registryNamespace = 'openshift-image-registry';
const imageKind = { group: 'config.openshift.io', version: 'v1', plural: 'images', kind: 'Image', scope: 'Cluster' } as const;
const imageConfig = (internalRegistryHostname: string, search?: readonly string[]) => ({
  apiVersion: 'config.openshift.io/v1',
  kind: 'Image',
  metadata: { name: 'cluster' },
  spec: { registrySources: { ...(search && { containerRuntimeSearchRegistries: search }) } },
  status: { internalRegistryHostname, externalRegistryHostnames: [route] },
});
const registryService = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'image-registry', namespace: registryNamespace },
  spec: { ports: [{ port: 5000 }] },
};

let address = '';

// Runs before the server starts, because the server only checks once a minute whether an API is served.
if (cluster.local) {
  beforeAll(async () => {
    await serveWithoutSchema(kubectl, [imageKind]);
    await apply(imageConfig(hostname));
    await kubectl(['create', 'namespace', registryNamespace]);
    await apply(registryService);
    const service = await kubectl.json<{ spec: { clusterIP: string } }>(['get', 'service', 'image-registry', '-n', registryNamespace]);
    address = service.spec.clusterIP;
  });
  afterAll(async () => {
    await kubectl(['delete', 'crd', 'images.config.openshift.io', '--ignore-not-found']);
    await kubectl(['delete', 'namespace', registryNamespace, '--ignore-not-found', '--wait=false']);
  });
}

const keeper = withRegkeeper(
  cluster,
  `
contact: the platform team
rules:
- {registry: registry.example.com, pullSecret: corp-pull}
- {registry: docker.io/library}
`,
);

describe.runIf(cluster.local)('the cluster’s own registry', () => {
  test('is trusted under all its names, without a rule, and gets no secret', async () => {
    for (const registry of [hostname, route, 'image-registry.openshift-image-registry.svc.cluster.local:5000', `${address}:5000`]) {
      const { patch, error } = await tryPod(`${registry}/shop/web:1`);
      expect([registry, patch, error]).toEqual([registry, [], undefined]);
    }
    const { error } = await tryPod('image-registry.elsewhere.svc:5000/shop/web:1');
    expect(error).toContain('is not from a configured registry');
  });

  test('is recorded with its source object, together with the revision of the rules', () => {
    const images = decisions().flatMap(({ images }) => images);
    expect(images).toContainEqual(
      expect.objectContaining({
        canonical: `${address}:5000/shop/web`,
        rule: expect.objectContaining({ source: { cluster: `service ${registryNamespace}/image-registry` } }),
      }),
    );
    const [decision] = decisions();
    const record = keeper.server
      ?.audit()
      .find(({ event, rulesRevision }) => event === 'rules' && rulesRevision === decision?.rulesRevision);
    expect(record).toMatchObject({ writtenRevision: expect.stringMatching(/^[0-9a-f]{12}$/) });
  });

  test('is followed when it changes, and a rule about it no longer has an effect, which is logged', async () => {
    await apply(imageConfig('registry.example.com'));
    await waitUntil(
      'the rule for what is now internal to be without effect',
      async () => (await tryPod('registry.example.com/app')).patch.length === 0,
    );
    expect((await tryPod(`${hostname}/shop/web:1`)).error).toContain('is not from a configured registry');
    const problem = keeper.server?.log().find(({ code }) => code === 'internal-conflict');
    expect(problem?.msg).toMatch(/regkeeper-rules.*specifies a secret for registry\.example\.com, but the cluster's own registry/);
    await apply(imageConfig(hostname));
    await waitUntil('the rule to take effect again', async () => (await tryPod('registry.example.com/app')).patch.includes('corp-pull'));
  });
});

describe.runIf(cluster.local)('a name without a registry', () => {
  test('is denied if the cluster does not specify search registries', async () => {
    expect((await tryPod('nginx')).error).toContain('does not specify a registry, and short names are denied');
  });

  test("is searched in the cluster's registries as soon as they are specified", async () => {
    await apply(imageConfig(hostname, ['docker.io']));
    await waitUntil('the short name to be allowed', async () => (await tryPod('nginx')).error === undefined);
    await apply(imageConfig(hostname, ['docker.io', 'quay.io']));
    await waitUntil('one of two to be denied', async () =>
      /may resolve a name without a registry to .* or /.test((await tryPod('nginx')).error ?? ''),
    );
  });

  test('has the meaning in the rules, if they specify it', async () => {
    const before = await keeper.rulesText();
    await keeper.writeRules(`${before}shortNames: docker.io\n`);
    await waitUntil('the rules to count', async () => (await tryPod('nginx')).error === undefined);
    await keeper.writeRules(before);
  });
});

describe('a build from an image stream', () => {
  const held = (reference: string) => ({
    status: {
      tags: [
        {
          tag: '1',
          items: [{ dockerImageReference: reference, image: `sha256:${'1'.repeat(64)}`, generation: 1, created: '2026-11-01T00:00:00Z' }],
        },
      ],
    },
  });

  test('a name without a registry is evaluated as the image in the stream of that name, if its lookup policy is local', async () => {
    const { namespace } = keeper;
    await apply({
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStream',
      metadata: { name: 'local', namespace },
      spec: { lookupPolicy: { local: false }, tags: [{ name: '1', from: { kind: 'DockerImage', name: 'registry.example.com/base:1' } }] },
    });
    const image = { kind: 'DockerImage', name: 'local:1' };
    expect(await tryBuild(image)).toContain('is not from a configured registry');
    await kubectl(['patch', 'imagestream', 'local', '-n', namespace, '--type=merge', '-p', '{"spec":{"lookupPolicy":{"local":true}}}']);
    await waitUntil('the stream to be found', async () => (await tryBuild(image)) === undefined);
  });

  test('a build is evaluated with the current image of its stream, in its own namespace and in another one', async () => {
    const { namespace } = keeper;
    const other = await cluster.namespace();
    for (const place of [namespace, other]) {
      await apply({
        apiVersion: 'image.openshift.io/v1',
        kind: 'ImageStream',
        metadata: { name: 'base', namespace: place },
        spec: { tags: [{ name: '1' }] },
      });
    }
    expect(await tryBuild({ name: 'base:1' })).toBeUndefined();

    await hold(namespace, 'unknown.example.com/base:1');
    // The API server has not authenticated, so the image is only in the record.
    const denialOf = (place: string) => `the image in image stream "${place}/base:1" is denied by the rules for this namespace.`;
    await waitUntil('the build to be denied', async () => (await tryBuild({ name: 'base:1' }))?.includes(denialOf(namespace)) === true);
    expect(await tryBuild({ name: 'base:1', namespace: other })).toBeUndefined();

    // The user may not be allowed to read the streams of the other namespace.
    await hold(other, 'unknown.example.com/base:1');
    await waitUntil(
      'the other to be denied',
      async () => (await tryBuild({ name: 'base:1', namespace: other }))?.includes(denialOf(other)) === true,
    );
    expect(await tryBuild({ name: 'base:1', namespace: other })).not.toContain('unknown.example.com');
    expect(decisions().flatMap(({ images }) => images)).toContainEqual(
      expect.objectContaining({ stream: `${other}/base:1`, image: 'unknown.example.com/base:1', reason: 'unconfigured' }),
    );
    await hold(namespace, 'registry.example.com/base:1');
    await waitUntil('the build to be allowed', async () => (await tryBuild({ name: 'base:1' })) === undefined);
  });

  /** The image comes into the stream while a rule trusts it. */
  async function hold(namespace: string, reference: string): Promise<void> {
    const patch = [
      'patch',
      'imagestream',
      'base',
      '-n',
      namespace,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify(held(reference)),
    ];
    const before = await keeper.rulesText();
    await keeper.writeRules(before.replace('rules:', 'rules:\n- {registry: unknown.example.com}'));
    await waitUntil('the image to be accepted', async () => (await kubectl(patch, { allowFailure: true })).code === 0);
    await keeper.writeRules(before);
  }

  async function tryBuild(from: object): Promise<string | undefined> {
    const build = {
      apiVersion: 'build.openshift.io/v1',
      kind: 'BuildConfig',
      metadata: { name: 'app', namespace: keeper.namespace },
      spec: { strategy: { sourceStrategy: { from: { kind: 'ImageStreamTag', ...from } } } },
    };
    const { code, stderr } = await kubectl(['create', '--dry-run=server', '-f', '-'], { stdin: JSON.stringify(build), allowFailure: true });
    return code === 0 ? undefined : stderr;
  }
});

const corpus = corpusPath('openshift-objects');

test.runIf(corpus !== undefined)('all objects in public templates are allowed', async () => {
  // Three of them have unknown fields, which the API server drops without strict validation.
  const { code, stdout, stderr } = await kubectl(
    ['create', '--validate=ignore', '--dry-run=server', '-n', keeper.namespace, '-f', corpus ?? '', '-o', 'name'],
    {
      allowFailure: true,
    },
  );
  expect({ code, stderr: stderr.split('\n').filter((line) => /error|denied/i.test(line)) }).toEqual({ code: 0, stderr: [] });
  expect(stdout.trim().split('\n').length).toBeGreaterThanOrEqual(41);
});

async function apply(object: object): Promise<void> {
  await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(object) });
}

/** The secrets that a Pod would get, or the error, with a dry run. */
async function tryPod(image: string): Promise<{ patch: readonly string[]; error: string | undefined }> {
  const args = ['run', 'probe', `--image=${image}`, '-n', keeper.namespace, '--dry-run=server', '-o', 'json'];
  const { code, stdout, stderr } = await kubectl(args, { allowFailure: true });
  if (code !== 0) return { patch: [], error: stderr };
  const pod = JSON.parse(stdout) as { spec: { imagePullSecrets?: { name: string }[] } };
  return { patch: (pod.spec.imagePullSecrets ?? []).map(({ name }) => name), error: undefined };
}

type Decision = { event: string; rulesRevision: string; images: readonly object[] };

function decisions(): readonly Decision[] {
  return (keeper.server?.audit() ?? []).filter((record) => record.event === 'decision' && record.rulesRevision !== undefined) as Decision[];
}

async function waitUntil(what: string, isSo: () => Promise<boolean>): Promise<void> {
  await waitFor(isSo, { deadlineSeconds: 60, what });
}
