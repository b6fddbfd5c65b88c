/** What users do with their manifests every day, and how some try to bypass the rules, with kubectl against a real API server. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;

const rules = `
mode: enforce
unconfigured: deny
contact: the platform team
internalRegistries: [image-registry.openshift-image-registry.svc:5000]
rules:
- {registry: "registry.example.com:5000", pullSecret: corp-pull, pushSecret: corp-push}
- {registry: second.example.com, pullSecret: second-pull}
- {registry: docker.io, trust: false, reason: use registry.example.com:5000/hub}
`;
const corp = 'registry.example.com:5000/team/app:1';
const second = 'second.example.com/app:1';

const keeper = withRegkeeper(cluster, rules);

describe("the author's own file", () => {
  const pods = (name: string, spec: object = {}) => ({
    metadata: { labels: { app: name } },
    spec: { containers: [{ name: 'app', image: corp }], ...spec },
  });
  const once = { restartPolicy: 'Never' };
  const workload = (apiVersion: string, kind: string, name: string, spec: object = {}) => ({
    apiVersion,
    kind,
    metadata: { name },
    spec: { selector: { matchLabels: { app: name } }, template: pods(name), ...spec },
  });
  const items = [
    workload('apps/v1', 'Deployment', 'web', {
      template: pods('web', {
        initContainers: [{ name: 'side', image: second, restartPolicy: 'Always' }],
        volumes: [{ name: 'model', image: { reference: second, pullPolicy: 'IfNotPresent' } }],
      }),
    }),
    workload('apps/v1', 'StatefulSet', 'db', { serviceName: 'db' }),
    workload('apps/v1', 'DaemonSet', 'agent', { template: pods('agent', { hostNetwork: true }) }),
    // A Job's template is immutable, so the API server would reject an update without regkeeper's entries.
    workload('batch/v1', 'Job', 'migrate', { suspend: true, manualSelector: true, template: pods('migrate', once) }),
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'nightly' },
      spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: { spec: { ...pods('nightly').spec, ...once } } } } },
    },
  ];

  test('a file can be applied, diffed, replaced and applied server-side, and no template changes', async () => {
    const file = await write('workloads.json', { apiVersion: 'v1', kind: 'List', items });
    await run(['apply', '-f', file]);
    const templates = await templatesOf(file);
    expect(templates.map(secretsIn)).toEqual([['corp-pull', 'second-pull'], ['corp-pull'], ['corp-pull'], ['corp-pull'], ['corp-pull']]);

    await run(['apply', '-f', file]);
    expect((await run(['diff', '-f', file])).stdout).toBe('');
    await run(['replace', '-f', file]);
    await run(['apply', '--server-side', '--force-conflicts', '-f', file]);
    await run(['apply', '--server-side', '--force-conflicts', '-f', file]);
    expect(await templatesOf(file)).toEqual(templates);
  });

  test('a Job created from a CronJob gets the secrets, although objects with a controller are not changed', async () => {
    await run(['create', 'job', 'by-hand', '--from=cronjob/nightly']);
    expect(secretsIn(await template('job/by-hand'))).toEqual(['corp-pull']);
  });

  test.each(['client', 'server'] as const)(
    'the author can list a secret that regkeeper added, and keeps it from then on (%s side)',
    async (side) => {
      const name = `claims-${side}`;
      const how = side === 'server' ? ['--server-side'] : [];
      const apply = async (image: string, imagePullSecrets?: object[]) => {
        const spec = { containers: [{ name: 'app', image }], ...(imagePullSecrets && { imagePullSecrets }) };
        await run([
          'apply',
          ...how,
          '-f',
          await write(`${name}.json`, workload('apps/v1', 'Deployment', name, { template: pods(name, spec) })),
        ]);
      };
      await apply(second);
      await apply(second, [{ name: 'second-pull' }]);
      await apply(corp, [{ name: 'second-pull' }]);
      expect(secretsIn(await template(`deployment/${name}`))).toEqual(['second-pull', 'corp-pull']);
    },
  );
});

describe('rollouts', () => {
  test('happen on request: restart, image, undo, service account', async () => {
    await serviceAccount('first', 'first-own');
    await serviceAccount('next', 'next-own');
    const spec = { serviceAccountName: 'first', containers: [{ name: 'app', image: corp }] };
    await create(deployment('rolling', spec));
    await replicaSets('rolling', 1);

    await run(['rollout', 'restart', 'deployment/rolling']);
    await replicaSets('rolling', 2);
    await run(['set', 'image', 'deployment/rolling', `app=${second}`]);
    await replicaSets('rolling', 3);
    expect(secretsIn(await template('deployment/rolling'))).toEqual(['first-own', 'second-pull']);

    await run(['rollout', 'undo', 'deployment/rolling']);
    expect(secretsIn(await template('deployment/rolling'))).toEqual(['corp-pull', 'first-own']);
    await run(['set', 'serviceaccount', 'deployment/rolling', 'next']);
    expect(secretsIn(await template('deployment/rolling'))).toEqual(['corp-pull', 'next-own']);
    // The undo reused the old ReplicaSet, so only the other service account needed a new one.
    await replicaSets('rolling', 4);
  });

  test('of a Deployment whose image is now denied cause a warning, and other changes are still possible', async () => {
    await create(deployment('sinner', { containers: [{ name: 'app', image: second }] }));
    await keeper.writeRules(rules.replace('second.example.com', 'third.example.com'));
    await waitUntilDenied(second);

    expect((await run(['set', 'env', 'deployment/sinner', 'A=b'])).stderr).toContain(
      'already in use, so this update is allowed, but new Pods will be denied',
    );
    expect((await run(['label', 'deployment/sinner', 'a=b'])).stderr).toBe('');
    await run(['scale', 'deployment/sinner', '--replicas=2']);
    await run(['patch', 'deployment/sinner', '--type=merge', '-p', '{"metadata":{"finalizers":["example.com/wait"]}}']);
    await run(['delete', 'deployment/sinner', '--wait=false']);
    await run(['patch', 'deployment/sinner', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);

    await keeper.writeRules(rules);
    await waitFor(
      async () => (await tryCreate(pod('probe', { containers: [{ name: 'a', image: second }] }), ['--dry-run=server'])).code === 0,
      {
        deadlineSeconds: 60,
        what: 'the rules to be back',
      },
    );
  });
});

describe('DeploymentConfigs', () => {
  const config = (name: string, triggers: object[]) => ({
    apiVersion: 'apps.openshift.io/v1',
    kind: 'DeploymentConfig',
    metadata: { name },
    spec: {
      replicas: 0,
      selector: { app: name },
      triggers,
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'app', image: 'eap-app' }] } },
    },
  });

  test('with a placeholder for an image trigger are allowed, and without the trigger it is a Docker Hub image', async () => {
    const from = { kind: 'ImageStreamTag', name: 'eap-app:latest' };
    const trigger = { type: 'ImageChange', imageChangeParams: { automatic: true, containerNames: ['app'], from } };
    await create(config('triggered', [trigger]));
    expect((await tryCreate(config('plain', []))).stderr).toContain('"eap-app" (docker.io/library/eap-app) is from an untrusted registry');

    // Changes the image as the image trigger would.
    await run([
      'patch',
      'deploymentconfig/triggered',
      '--type=json',
      '-p',
      JSON.stringify([{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: corp }]),
    ]);
    expect(secretsIn(await template('deploymentconfig/triggered'))).toEqual(['corp-pull']);
  });
});

describe('BuildConfigs', () => {
  const image = (name: string) => ({ kind: 'DockerImage', name });
  const stream = { kind: 'ImageStreamTag', name: 'nodejs:20' };
  const build = (name: string, spec: object) => ({
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name },
    spec: { source: { git: { uri: 'https://git.example.com/app.git' } }, ...spec },
  });
  const change = (name: string, ...operations: object[]) =>
    run(['patch', `buildconfig/${name}`, '--type=json', '-p', JSON.stringify(operations)]);
  const read = async (name: string) => (await kubectl.json<{ spec: object }>(['get', `buildconfig/${name}`, '-n', keeper.namespace])).spec;

  test('a BuildConfig whose strategy changes and then builds from a stream keeps no added secret, which would disable the builder account', async () => {
    await create(build('renamed', { strategy: { sourceStrategy: { from: image(corp) } }, output: { to: image(corp) } }));
    await change('renamed', { op: 'move', from: '/spec/strategy/sourceStrategy', path: '/spec/strategy/dockerStrategy' });
    expect(await read('renamed')).toMatchObject({ strategy: { dockerStrategy: { pullSecret: { name: 'corp-pull' } } } });
    await change('renamed', { op: 'replace', path: '/spec/strategy/dockerStrategy/from', value: stream });
    expect(await read('renamed')).toMatchObject({
      strategy: { dockerStrategy: { from: stream } },
      output: { pushSecret: { name: 'corp-push' } },
    });
    expect(await read('renamed')).not.toHaveProperty('strategy.dockerStrategy.pullSecret');
  });

  test('whose extracted images move up keep the secret of each image', async () => {
    const extract = (from: object) => ({ from, paths: [{ sourcePath: '/a', destinationDir: 'a' }] });
    const images = [extract(image(corp)), extract(image(second))];
    await create(build('extracting', { source: { images }, strategy: { sourceStrategy: { from: stream } } }));
    await change('extracting', { op: 'remove', path: '/spec/source/images/0' });
    expect(await read('extracting')).toMatchObject({ source: { images: [{ pullSecret: { name: 'second-pull' } }] } });
    await change('extracting', { op: 'replace', path: '/spec/source/images/0/from', value: stream });
    expect(await read('extracting')).not.toHaveProperty('source.images.0.pullSecret');
  });

  test('with denied images in an inline Dockerfile are denied with the line of each', async () => {
    const dockerfile = `ARG BASE=bad.example.com/base\nFROM $BASE AS build\nFROM ${corp}\nCOPY --from=build /a /a\nCOPY --from=bad.example.com/tools /b /b\n`;
    const { stderr } = await tryCreate(build('inline', { source: { dockerfile }, strategy: { dockerStrategy: {} } }));
    expect(stderr).toContain('- FROM on line 2 of the inline Dockerfile: image "bad.example.com/base"');
    expect(stderr).toContain('- COPY --from on line 5 of the inline Dockerfile: image "bad.example.com/tools"');
    expect(stderr).not.toContain('"build"');
  });
});

describe('no image bypasses the webhook', () => {
  test('through its spelling', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const names = [
      'INDEX.docker.io/nginx',
      'registry-1.docker.io/library/nginx',
      'docker.io:443/nginx',
      `nginx@${digest}`,
      `nginx:1@${digest}`,
      'docker.io/library/library/nginx',
      'SECOND.example.com.:443/app',
      'second.example.com@bad.example.com/app',
      'second.example.com.bad.example.com/app',
      'second.example.com:5000/app',
      'https://second.example.com/app',
      'second.example.com//app',
      'second.example.com\t/app',
      'sеcond.example.com/app',
      '[::1]/app',
    ];
    const items = names.map((image, index) => pod(`spelt-${index}`, { containers: [{ name: 'app', image }] }));
    const { stdout, stderr } = await tryCreate({ apiVersion: 'v1', kind: 'List', items }, ['--dry-run=server']);
    expect(stdout).toBe('');
    for (const index of names.keys()) expect(stderr).toContain(`Pod ${keeper.namespace}/spelt-${index}: container "app": image `);
  });

  test('through a Pod that claims to be a mirror Pod or owned, or through a forged mark', async () => {
    const bad = { containers: [{ name: 'app', image: 'bad.example.com/app' }] };
    const mirror = { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' };
    const mark = { 'regkeeper.io/injected': '{"rules":["mine"],"serviceAccount":["elsewhere"]}' };
    const controller = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'x',
      uid: '00000000-0000-0000-0000-000000000001',
      controller: true,
    };
    expect((await tryCreate(pod('mirror', { ...bad, nodeName: 'node-1' }, { annotations: mirror }))).stderr).toContain(
      'is not from a configured registry',
    );
    expect((await tryCreate(pod('owned', bad, { ownerReferences: [controller] }))).stderr).toContain('is not from a configured registry');

    const listed = { containers: [{ name: 'app', image: corp }], imagePullSecrets: [{ name: 'mine' }] };
    await create(pod('marked', listed, { annotations: mark }));
    expect(secretsIn(await kubectl.json(['get', 'pod/marked', '-n', keeper.namespace]))).toEqual(['mine', 'corp-pull']);
  });

  test('through a subresource, or next to an existing image', async () => {
    await create(deployment('steady', { containers: [{ name: 'app', image: corp }] }));
    const containers = [{ name: 'app', image: 'bad.example.com/app' }];
    await run([
      'patch',
      'deployment/steady',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { template: { spec: { containers } } } }),
    ]);
    expect(JSON.stringify(await template('deployment/steady'))).not.toContain('bad.example.com');

    const bothChanges = [
      { op: 'add', path: '/spec/template/spec/initContainers', value: [{ name: 'init', image: corp }] },
      { op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'bad.example.com/app' },
    ];
    const { code, stderr } = await run(['patch', 'deployment/steady', '--type=json', '-p', JSON.stringify(bothChanges)], true);
    expect(code).not.toBe(0);
    expect(stderr).toContain('container "app": image "bad.example.com/app"');
  });
});

type PodLike = { spec: { imagePullSecrets?: { name: string }[] } };

function secretsIn({ spec }: PodLike): string[] {
  return (spec.imagePullSecrets ?? []).map(({ name }) => name);
}

type Workload = { spec: { template?: PodLike; jobTemplate?: { spec: { template: PodLike } } } };

function templateIn({ spec }: Workload): PodLike {
  return spec.template ?? spec.jobTemplate?.spec.template ?? { spec: {} };
}

async function template(what: string): Promise<PodLike> {
  return templateIn(await kubectl.json<Workload>(['get', what, '-n', keeper.namespace]));
}

async function templatesOf(file: string): Promise<PodLike[]> {
  return (await kubectl.json<{ items: Workload[] }>(['get', '-f', file, '-n', keeper.namespace])).items.map(templateIn);
}

/** Waits until the Deployment's controller has observed its latest generation, and expects `count` ReplicaSets. */
async function replicaSets(app: string, count: number): Promise<void> {
  await waitFor(
    async () => {
      const { metadata, status } = await kubectl.json<{ metadata: { generation: number }; status: { observedGeneration?: number } }>([
        ...['get', `deployment/${app}`, '-n', keeper.namespace],
      ]);
      return status.observedGeneration === metadata.generation;
    },
    { deadlineSeconds: 60, what: `the controller to see Deployment ${app}` },
  );
  const { items } = await kubectl.json<{ items: unknown[] }>(['get', 'replicasets', '-l', `app=${app}`, '-n', keeper.namespace]);
  expect(items).toHaveLength(count);
}

function pod(name: string, spec: object, metadata: object = {}) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec };
}

function deployment(name: string, spec: object) {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  };
}

async function serviceAccount(name: string, secret: string): Promise<void> {
  await create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name }, imagePullSecrets: [{ name: secret }] });
}

function run(args: readonly string[], allowFailure = false) {
  return kubectl([...args, '-n', keeper.namespace], { allowFailure });
}

function tryCreate(object: object, flags: readonly string[] = []) {
  return kubectl(['create', '-f', '-', '-n', keeper.namespace, ...flags], { stdin: JSON.stringify(object), allowFailure: true });
}

async function create(object: object): Promise<void> {
  await kubectl(['create', '-f', '-', '-n', keeper.namespace], { stdin: JSON.stringify(object) });
}

async function write(name: string, object: object): Promise<string> {
  const file = join(keeper.folder, name);
  await writeFile(file, JSON.stringify(object));
  return file;
}

async function waitUntilDenied(image: string): Promise<void> {
  await waitFor(async () => (await tryCreate(pod('probe', { containers: [{ name: 'app', image }] }), ['--dry-run=server'])).code !== 0, {
    deadlineSeconds: 60,
    what: `${image} to be refused`,
  });
}
