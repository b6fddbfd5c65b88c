/** Tests every sentence of docs/semantics.md on evaluation, on a real API server with its controllers: what is denied and what is allowed. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveWebhook } from '../other-webhook.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { actingIn, deployment, listOf, type PodLike, pod, running, secretsIn, type Workload, workload } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;

const rules = `
mode: enforce
unconfigured: deny
contact: the platform team
rules:
- {registry: good.example.com, pullSecret: good-pull}
- {registry: second.example.com, pullSecret: second-pull}
- registry: fallen.example.com
`;
const afterTheFall = `${rules}  trust: false\n  reason: it has fallen\n`;
const good = 'good.example.com/team/app:1';
const second = 'second.example.com/app:1';
const fallen = 'fallen.example.com/app:1';
const unknown = 'unknown.example.com/app:1';

const keeper = withRegkeeper(cluster, rules);
const acting = actingIn(kubectl, () => keeper.namespace);
const { create, tryCreate, attempt, get, list } = acting;

const image = (name: string) => ({ kind: 'DockerImage', name });
const stream = { kind: 'ImageStreamTag', name: 'web:1' };
const buildConfig = (name: string, spec: object) => ({
  apiVersion: 'build.openshift.io/v1',
  kind: 'BuildConfig',
  metadata: { name },
  spec: { source: { git: { uri: 'https://git.example.com/app.git' } }, ...spec },
});

describe('an existing image that would be denied today', () => {
  const once = running(fallen, { restartPolicy: 'Never' });
  const templates = [
    deployment('old', running(fallen)),
    workload('apps/v1', 'StatefulSet', 'old', running(fallen), { serviceName: 'old' }),
    workload('apps/v1', 'DaemonSet', 'old', running(fallen)),
    workload('apps/v1', 'ReplicaSet', 'old-set', running(fallen)),
    workload('v1', 'ReplicationController', 'old-controller', running(fallen), { selector: { app: 'old-controller' } }),
    workload('apps.openshift.io/v1', 'DeploymentConfig', 'old', running(fallen), { selector: { app: 'old' } }),
  ];
  const others = [
    workload('batch/v1', 'Job', 'old', once, { selector: null, suspend: true }),
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'old' },
      spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: { spec: once } } } },
    },
    { apiVersion: 'v1', kind: 'PodTemplate', metadata: { name: 'old' }, template: { metadata: { labels: { app: 'any' } }, spec: once } },
    buildConfig('old', { strategy: { sourceStrategy: { from: image(fallen) } }, output: { to: image(fallen) } }),
    {
      apiVersion: 'image.openshift.io/v1',
      kind: 'ImageStream',
      metadata: { name: 'old' },
      spec: { tags: [{ name: '1', from: image(fallen) }] },
    },
    pod('old', running(fallen)),
  ];
  let file = '';

  beforeAll(async () => {
    file = await write('old', listOf([...templates, ...others]));
    await acting('create', '-f', file);
    await create(
      deployment('crowd', { containers: crowd(fallen) }, { replicas: 0 }),
      deployment('moved', running(fallen), { replicas: 0 }),
      deployment('spelled', running(fallen.replace(':1', '')), { replicas: 0 }),
    );
    await keeper.writeRules(afterTheFall);
    await waitUntilDenied(fallen);
  });
  afterAll(async () => {
    await keeper.writeRules(rules);
    await waitFor(async () => (await tryCreate(pod('probe', running(fallen)), '--dry-run=server')).code === 0, {
      deadlineSeconds: 60,
      what: 'the rules to be back',
    });
  });

  test('an earlier untrusted image causes no message when labels, annotations, finalizers or status change, for any kind', async () => {
    const finalizers = '{"metadata":{"finalizers":["example.com/wait"]}}';
    const said = [
      await acting('label', '-f', file, 'a=b'),
      await acting('annotate', '-f', file, 'a=b'),
      await acting('patch', '-f', file, '--type=merge', '-p', finalizers),
    ];
    const withStatus = ['deployment/old', 'statefulset/old', 'daemonset/old', 'replicaset/old-set', 'cronjob/old', 'pod/old'];
    for (const each of withStatus) said.push(await acting('patch', each, '--subresource=status', '--type=merge', '-p', '{"status":{}}'));
    expect(said.map(({ stderr }) => stderr)).toEqual(said.map(() => ''));
  });

  test('an earlier untrusted image does not prevent scaling by users and autoscalers, but new Pods are evaluated, whatever their owner', async () => {
    for (const each of ['deployment/old', 'statefulset/old', 'replicaset/old-set', 'replicationcontroller/old-controller']) {
      expect(await acting('scale', each, '--replicas=2')).toMatchObject({ stderr: '' });
      const autoscaled = await acting('patch', each, '--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":3}}');
      expect(autoscaled).toMatchObject({ stderr: '' });
    }
    const failure = await waitFor(
      async () => {
        const { status } = await get<{ status: { conditions?: { type: string; message: string }[] } }>('replicaset/old-set');
        return status.conditions?.find(({ type }) => type === 'ReplicaFailure')?.message;
      },
      { deadlineSeconds: 60, what: 'the Pods of the controller to be denied' },
    );
    // Not the random name of a Pod: the events of all attempts are one.
    expect(failure).toMatch(
      /Pod of ReplicaSet \S+\/old-set: container "app": image ".*" is from an untrusted registry \(rule .*\): it has fallen/,
    );
    expect(await list('pods', '-l', 'app=old-set')).toHaveLength(1);
    const denials = await waitFor(
      async () => {
        const ofReplicaSet = 'involvedObject.kind=ReplicaSet,involvedObject.name=old-set,reason=FailedCreate';
        const events = await list<{ count?: number }>('events', '--field-selector', ofReplicaSet);
        return events.reduce((attempts, { count = 1 }) => attempts + count, 0) >= 5 && events;
      },
      { deadlineSeconds: 60, what: 'five attempts of the controller' },
    );
    expect(denials, 'one Event counts all attempts').toHaveLength(1);
  });

  test.each(templates.map(({ kind, metadata }) => `${kind}/${metadata.name}`))(
    'an earlier untrusted image causes a warning when the template of %s changes',
    async (what) => {
      const change = '{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}';
      const { stderr } = await acting('patch', what, '--type=merge', '-p', change);
      expect(stderr).toContain('already in use, so this update is allowed, but new Pods will be denied');
    },
  );

  test('a change to a CronJob, a BuildConfig, an image stream or a PodTemplate with such an image causes a warning', async () => {
    const changes = {
      'cronjob/old': '{"spec":{"jobTemplate":{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}}}',
      'buildconfig/old': '{"spec":{"runPolicy":"Serial"}}',
      'imagestream.image.openshift.io/old': JSON.stringify({ spec: { tags: ['1', '2'].map((name) => ({ name, from: image(fallen) })) } }),
      'podtemplate/old': '{"template":{"metadata":{"annotations":{"a":"b"}}}}',
    };
    for (const [what, change] of Object.entries(changes)) {
      expect((await acting('patch', what, '--type=merge', '-p', change)).stderr).toContain('already in use, so this update is allowed');
    }
  });

  test('an earlier image can move within the object, but its tag cannot change', async () => {
    const move = [
      { op: 'add', path: '/spec/template/spec/initContainers', value: [{ name: 'init', image: fallen }] },
      { op: 'replace', path: '/spec/template/spec/containers/0/image', value: good },
    ];
    const moved = await acting('patch', 'deployment/moved', '--type=json', '-p', JSON.stringify(move));
    expect(moved.stderr).toContain('init container "init"');
    const { code, stderr } = await attempt(['set', 'image', 'deployment/moved', `app=${fallen.replace(':1', ':2')}`]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(`container "app": image "${fallen.replace(':1', ':2')}" is from an untrusted registry`);
  });

  test('an earlier image can be spelled with the default port and tag', async () => {
    const [host = '', path = ''] = fallen.replace(':1', '').split(/\/(.*)/);
    const { stderr } = await acting('set', 'image', 'deployment/spelled', `app=${host}:443/${path}:latest`);
    expect(stderr).toContain('already in use, so this update is allowed');
  });

  test('next to an earlier image, only the new image is denied', async () => {
    const withSideContainer = { spec: { template: { spec: { containers: [{ name: 'side', image: unknown }] } } } };
    const { code, stderr } = await attempt(['patch', 'deployment/old', '--type=strategic', '-p', JSON.stringify(withSideContainer)]);
    expect(code).not.toBe(0);
    const [, denial = ''] = stderr.split('denied the request:');
    expect(denial).toContain(`container "side": image "${unknown}"`);
    expect(denial).not.toContain(fallen);
    expect(stderr).toMatch(new RegExp(`^Warning: regkeeper: already in use, so this update is allowed.*"${fallen}"`, 'm'));
    expect((await attempt(['set', 'image', 'pod/old', `app=${unknown}`])).stderr).toContain('denied the request');
  });

  test('warnings are short enough for clients to show, limited in number, and count those left out', async () => {
    const { stderr } = await acting(
      'patch',
      'deployment/crowd',
      '--type=merge',
      '-p',
      '{"spec":{"template":{"metadata":{"annotations":{"a":"b"}}}}}',
    );
    const warnings = stderr
      .split('\n')
      .filter((line) => line.startsWith('Warning: '))
      .map((line) => line.slice('Warning: '.length));
    expect(warnings.length).toBeGreaterThan(10);
    expect(Math.max(...warnings.map(({ length }) => length))).toBeLessThanOrEqual(256);
    expect(warnings.join('').length).toBeLessThanOrEqual(4096);
    expect(warnings.at(-1)).toMatch(/^regkeeper: and \d+ more warnings$/);
  });

  test('an earlier untrusted image does not prevent debug containers, eviction and deletion', async () => {
    const debug = await attempt(['debug', 'pod/old', `--image=${good}`, '--attach=false', '--profile=general', '-c', 'tools']);
    expect(debug).toMatchObject({ code: 0, stderr: expect.stringContaining('already in use, so this update is allowed') });
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'old', namespace: keeper.namespace } };
    await kubectl(['create', '--raw', `/api/v1/namespaces/${keeper.namespace}/pods/old/eviction`, '-f', '-'], {
      stdin: JSON.stringify(eviction),
    });

    const { stderr } = await acting('delete', '-f', file, '--wait=false', '--ignore-not-found');
    expect(stderr).toBe('');
    expect((await acting('patch', '-f', file, '--type=merge', '-p', '{"metadata":{"finalizers":null}}')).stderr).toBe('');
    await acting('wait', '--for=delete', '-f', file, '--timeout=30s');
    expect((await tryCreate(pod('old', running(fallen)))).stderr).toContain('denied the request');
  });
});

describe('a Pod is evaluated when it is created, whatever it claims to be', () => {
  test('a Pod is evaluated even if it has an owner or labels, or is a copy', async () => {
    const controller = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'x',
      uid: '00000000-0000-0000-0000-000000000001',
      controller: true,
    };
    const claims: Record<string, object> = {
      owned: { ownerReferences: [controller] },
      labelled: { labels: { 'regkeeper.io/skip': 'true', 'openshift.io/build.name': 'b', 'openshift.io/deployer-pod-for.name': 'd' } },
      annotated: { annotations: { 'regkeeper.io/injected': '{"rules":["good-pull"]}', 'openshift.io/build.name': 'b' } },
      leaving: { finalizers: ['example.com/wait'], deletionTimestamp: '2026-01-01T00:00:00Z' },
    };
    const answers = await Promise.all(Object.entries(claims).map(([name, metadata]) => tryCreate(pod(name, running(unknown), metadata))));
    expect(answers.map(({ stderr }) => /image ".*" is not from a configured registry/.test(stderr))).toEqual([true, true, true, true]);

    await create(pod('original', running(good)));
    const copy = await attempt([
      'debug',
      'pod/original',
      '--copy-to=copied',
      `--set-image=app=${unknown}`,
      '--attach=false',
      '--image',
      good,
    ]);
    expect(copy.stderr).toContain(`container "app": image "${unknown}"`);
  });

  test('a Pod is evaluated while it is being deleted', async () => {
    await create(pod('leaving', running(good), { finalizers: ['example.com/wait'] }));
    await acting('delete', 'pod/leaving', '--wait=false');
    const debug = await attempt(['debug', 'pod/leaving', `--image=${unknown}`, '--attach=false', '--profile=general', '-c', 'tools']);
    expect(debug.stderr).toContain(`ephemeral container "tools": image "${unknown}"`);
    await acting('patch', 'pod/leaving', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
  });

  test('a template in a namespace that is being deleted is evaluated', async () => {
    const namespace = await cluster.namespace();
    const there = actingIn(kubectl, () => namespace);
    const held = deployment('held', running(good), { replicas: 0 });
    await there.create({ ...held, metadata: { ...held.metadata, finalizers: ['example.com/wait'] } });
    await kubectl(['delete', 'namespace', namespace, '--wait=false']);
    await waitFor(
      async () => (await there.get<{ metadata: { deletionTimestamp?: string } }>('deployment/held')).metadata.deletionTimestamp,
      {
        deadlineSeconds: 60,
        what: 'the namespace controller to delete the Deployment',
      },
    );
    expect((await there.attempt(['set', 'image', 'deployment/held', `app=${unknown}`])).stderr).toContain('denied the request');
    expect(await there('label', 'deployment/held', 'a=b')).toMatchObject({ stderr: '' });
    await there('patch', 'deployment/held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
  });
});

describe('a dry run', () => {
  test('a dry run gets the same response as the change, stores nothing, and is marked in its records', async ({ skip }) => {
    const tried = await tryCreate(pod('dry', running(good)), '--dry-run=server', '-o', 'json');
    expect(secretsIn(JSON.parse(tried.stdout))).toEqual(['good-pull']);
    expect((await attempt(['get', 'pod/dry'])).code).not.toBe(0);
    expect((await tryCreate(pod('dry', running(unknown)), '--dry-run=server')).stderr).toContain('denied the request');

    if (!keeper.server) return skip('reads the records of the server, so only where the server runs next to the test');
    const dry = (count: number) => recordsOf('dry', count);
    expect((await dry(4)).map(({ webhook, dryRun, outcome }) => [webhook, dryRun, outcome])).toEqual([
      ['mutate', true, 'allowed'],
      ['validate', true, 'allowed'],
      ['mutate', true, 'allowed'],
      ['validate', true, 'denied'],
    ]);
    await create(pod('dry', running(good)));
    expect((await dry(6)).at(-1)).toMatchObject({ webhook: 'validate', dryRun: false });
  });

  test('a dry run does not affect the next request', async () => {
    const file = await write('compared', deployment('compared', running(good), { replicas: 0 }));
    await acting('apply', '-f', file);
    const other = await write('other', deployment('compared', running(second), { replicas: 0 }));
    const diff = await attempt(['diff', '-f', other]);
    expect(diff.stdout).toContain('+      - name: second-pull');
    await acting('apply', '--server-side', '--dry-run=server', '--force-conflicts', '-f', other);
    expect((await acting('apply', '-f', file)).stdout).toContain('unchanged');
    expect(secretsIn((await get<Workload>('deployment/compared')).spec.template)).toEqual(['good-pull']);
  });
});

describe.runIf(cluster.local)('what another webhook adds', () => {
  const name = () => `z-${keeper.namespace}`;

  beforeAll(async () => {
    const { namespace } = keeper;
    const { port, caBundle } = await serveWebhook(`sidecar.${namespace}.svc`, ({ object }) => {
      const { metadata, spec } = object as PodLike & { spec: { containers: { name: string }[] } };
      const added = metadata.labels?.sidecar;
      if (spec.containers.some(({ name }) => name === 'side')) return { allowed: true };
      const patch = [{ op: 'add', path: '/spec/containers/-', value: { name: 'side', image: `${added}.example.com/side` } }];
      return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
    });
    const service = { namespace, name: 'sidecar', port: 443 };
    await acting('create', 'service', 'clusterip', 'sidecar', '--tcp=443:8443');
    await cluster.routeService({ namespace, service: 'sidecar', port: 443 }, port);
    const webhook = {
      name: 'sidecar.example.com',
      clientConfig: { service, caBundle },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
      objectSelector: { matchExpressions: [{ key: 'sidecar', operator: 'Exists' }] },
      sideEffects: 'None',
      failurePolicy: 'Fail',
      admissionReviewVersions: ['v1'],
    };
    // The API server calls webhook configurations in the order of their names, so this one comes after regkeeper.
    const configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: name() },
      webhooks: [webhook],
    };
    await kubectl(['create', '-f', '-'], { stdin: JSON.stringify(configuration) });
    await waitFor(async () => (await withSidecar('second', '--dry-run=server')).stdout.includes('second.example.com/side'), {
      deadlineSeconds: 60,
      what: 'the other webhook to be called',
    });
  });
  afterAll(async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', name(), '--ignore-not-found']);
  });

  const withSidecar = (sidecar: string, ...flags: string[]) =>
    tryCreate(pod(`beside-${sidecar}`, running(good), { labels: { sidecar } }), '-o', 'json', ...flags);

  test('an image that another webhook adds after regkeeper was called gets its secret', async () => {
    const { stdout } = await withSidecar('second');
    expect(secretsIn(JSON.parse(stdout))).toEqual(['good-pull', 'second-pull']);
  });

  test('an image that another webhook adds is evaluated and denied by the validating webhook alone', async () => {
    const { code, stderr } = await withSidecar('unknown');
    expect(code).not.toBe(0);
    expect(stderr).toContain('container "side": image "unknown.example.com/side"');
    const records = await recordsOf('beside-unknown', 3);
    expect(records.map(({ webhook }) => webhook)).toEqual(['mutate', 'mutate', 'validate']);
  });
});

describe('an image that is filled in later', () => {
  const params = { automatic: true, containerNames: ['app'], from: stream };
  const triggers = [{ type: 'ImageChange', imageChangeParams: params }];
  const annotation = (fieldPath: string) => ({ 'image.openshift.io/triggers': JSON.stringify([{ from: stream, fieldPath }]) });
  const inTemplate = 'spec.template.spec.containers[?(@.name=="app")].image';
  const config = (name: string, image: string, more: object) =>
    workload('apps.openshift.io/v1', 'DeploymentConfig', name, running(image), { selector: { app: name }, replicas: 0, ...more });
  const annotated = (name: string, image: string, fieldPath = inTemplate) => {
    const made = deployment(name, running(image), { replicas: 0 });
    return { ...made, metadata: { ...made.metadata, annotations: annotation(fieldPath) } };
  };

  test('a blank image or a placeholder that a trigger fills is allowed', async () => {
    await create(
      config('blank', ' ', { triggers }),
      config('placeholder', 'app', { triggers }),
      annotated('blank', ' '),
      annotated('placeholder', 'app'),
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'placeholder', annotations: annotation('spec.jobTemplate.spec.template.spec.containers[0].image') },
        spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: { spec: running('app', { restartPolicy: 'Never' }) } } } },
      },
    );
  });

  test('the image that a trigger writes is evaluated, and gets its secret', async () => {
    expect((await attempt(['set', 'image', 'deployment/placeholder', `app=${unknown}`])).stderr).toContain('denied the request');
    await acting('set', 'image', 'deployment/placeholder', `app=${good}`);
    expect(secretsIn((await get<Workload>('deployment/placeholder')).spec.template)).toEqual(['good-pull']);
    const fill = (name: string) => JSON.stringify([{ op: 'replace', path: '/spec/template/spec/containers/0/image', value: name }]);
    expect((await attempt(['patch', 'deploymentconfig/blank', '--type=json', '-p', fill(unknown)])).stderr).toContain('denied the request');
    await acting('patch', 'deploymentconfig/blank', '--type=json', '-p', fill(good));
    expect(secretsIn((await get<Workload>('deploymentconfig/blank')).spec.template)).toEqual(['good-pull']);
  });

  test('a placeholder is a Docker Hub image where no trigger fills it: in another field, a ReplicaSet or a Pod', async () => {
    const objects = [
      deployment('unfilled', running('app')),
      annotated('unfilled', 'app', 'spec.template.spec.containers[?(@.name=="side")].image'),
      config('unfilled', 'app', { triggers: [{ type: 'ImageChange', imageChangeParams: { ...params, containerNames: ['side'] } }] }),
      {
        ...workload('apps/v1', 'ReplicaSet', 'unfilled', running('app')),
        metadata: { name: 'unfilled', annotations: annotation(inTemplate) },
      },
      pod('unfilled', running('app'), { annotations: annotation('spec.containers[?(@.name=="app")].image') }),
    ];
    const answers = await Promise.all(objects.map((object) => tryCreate(object)));
    expect(answers.map(({ stderr }) => stderr.includes('"app" (docker.io/library/app) is not from a configured registry'))).toEqual(
      objects.map(() => true),
    );
  });

  test('a blank image in a Pod is already rejected by the API server', async () => {
    for (const blank of ['', ' ']) expect((await tryCreate(pod('blank', running(blank)))).stderr).toMatch(/spec\.containers\[0\]\.image/);
  });
});

describe('an inline Dockerfile', () => {
  const inline = (name: string, lines: readonly string[], dockerStrategy: object = {}) =>
    buildConfig(name, { source: { dockerfile: lines.join('\n') }, strategy: { dockerStrategy } });

  test('images in FROM, COPY --from and RUN --mount are denied with their lines, earlier stages and here-documents are not images, and the current stage is one', async () => {
    const lines = [
      'ARG HOST=bad.example.com',
      'ARG TAG=1',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a build argument
      'FROM $HOST/base:${TAG} AS build',
      `FROM ${good} AS tools`,
      'COPY --from=build /a /a',
      'COPY --from=0 /a /a',
      'COPY --from=bad.example.com/copied /b /b',
      'RUN --mount=type=bind,from=bad.example.com/mounted,target=/m ls',
      'RUN --mount=type=bind,from=build,target=/t ls',
      'RUN --mount=type=bind,from=tools,target=/t ls',
      'RUN <<EOF',
      'FROM bad.example.com/only-text',
      'EOF',
      'FROM tools',
    ];
    const { stderr } = await tryCreate(inline('refused', lines));
    const denials = stderr.split('\n').filter((line) => line.startsWith('- '));
    expect(denials.map((line) => line.split(' is not from')[0])).toEqual([
      '- FROM on line 3 of the inline Dockerfile: image "bad.example.com/base:1"',
      '- COPY --from on line 7 of the inline Dockerfile: image "bad.example.com/copied"',
      '- RUN --mount on line 8 of the inline Dockerfile: image "bad.example.com/mounted"',
      '- RUN --mount on line 10 of the inline Dockerfile: image "tools" (docker.io/library/tools)',
    ]);
  });

  test('build arguments have the values of the build, and images with unknown values are allowed', async () => {
    const lines = ['ARG HOST=bad.example.com', 'FROM $HOST/base'];
    const withArgument = (value: object) => ({ buildArgs: [{ name: 'HOST', ...value }] });
    await create(inline('overridden', lines, withArgument({ value: 'good.example.com' })));
    const hidden = { valueFrom: { configMapKeyRef: { name: 'hosts', key: 'host' } } };
    await create(inline('hidden', lines, withArgument(hidden)));
    expect((await tryCreate(inline('default', lines))).stderr).toContain('"bad.example.com/base"');
    expect((await tryCreate(inline('worse', lines, withArgument({ value: 'worse.example.com' })))).stderr).toContain(
      '"worse.example.com/base"',
    );
  });

  test('the strategy replaces the last FROM, and source images replace images of the same name', async () => {
    const replaced = buildConfig('replaced', {
      source: {
        dockerfile: 'FROM bad.example.com/base AS build\nFROM bad.example.com/runtime',
        images: [{ from: image(good), as: ['bad.example.com/base'] }],
      },
      strategy: { dockerStrategy: { from: image(good) } },
    });
    await create(replaced);
    const half = buildConfig('half', {
      source: { dockerfile: 'FROM bad.example.com/base AS build\nFROM bad.example.com/runtime' },
      strategy: { dockerStrategy: { from: image(good) } },
    });
    const { stderr } = await tryCreate(half);
    expect(stderr).toContain('FROM on line 1 of the inline Dockerfile: image "bad.example.com/base"');
    expect(stderr).not.toContain('runtime');
  });
});

test('a denial is a Status 403, Forbidden, with one cause for each image', async () => {
  const spec = { containers: [{ name: 'app', image: unknown }], initContainers: [{ name: 'init', image: 'other.example.com/x' }] };
  const { stderr } = await tryCreate(deployment('causes', spec), '-v=10');
  const [text = '{}'] = /\{"kind":"Status".*\}/.exec(stderr) ?? [];
  expect(JSON.parse(text)).toMatchObject({
    status: 'Failure',
    code: 403,
    reason: 'Forbidden',
    details: {
      kind: 'Deployment',
      group: 'apps',
      name: 'causes',
      causes: [
        { reason: 'unconfigured', field: 'spec.template.spec.containers[0].image', message: expect.stringContaining('container "app"') },
        {
          reason: 'unconfigured',
          field: 'spec.template.spec.initContainers[0].image',
          message: expect.stringContaining('init container "init"'),
        },
      ],
    },
  });
});

function crowd(image: string): object[] {
  return Array.from({ length: 60 }, (_, index) => ({ name: `c${index}`, image: `${image}-${index}` }));
}

/** The audit records of objects with this name. Waits until there are at least `count`. */
async function recordsOf(name: string, count: number): Promise<readonly Record<string, unknown>[]> {
  return await waitFor(
    () => {
      const records = keeper.server?.audit().filter((record) => record.name === name) ?? [];
      return records.length >= count && records;
    },
    { deadlineSeconds: 60, what: `${count} records of ${name}` },
  );
}

async function waitUntilDenied(image: string): Promise<void> {
  await waitFor(async () => (await tryCreate(pod('probe', running(image)), '--dry-run=server')).code !== 0, {
    deadlineSeconds: 60,
    what: `${image} to be refused`,
  });
}

async function write(name: string, object: object): Promise<string> {
  const file = join(keeper.folder, `${name}.json`);
  await writeFile(file, JSON.stringify(object));
  return file;
}
