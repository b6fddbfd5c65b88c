/** Tests every sentence of docs/semantics.md on injecting, on a real API server with its controllers: what is written and what is not. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import {
  actingIn,
  deployment,
  listOf,
  markIn,
  type PodLike,
  type PodTemplate,
  pod,
  running,
  secretsIn,
  serviceAccount,
  type Workload,
  workload,
} from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;

const internal = 'image-registry.openshift-image-registry.svc:5000';
const rules = `
mode: enforce
unconfigured: deny
contact: the platform team
internalRegistries: ["${internal}"]
rules:
- {registry: corp.example.com, pullSecret: corp-pull, pushSecret: corp-push}
- {registry: second.example.com, pullSecret: second-pull}
- {registry: both.example.com, pullSecret: [second-pull, corp-pull]}
- {registry: open.example.com}
- registry: later.example.com
`;
const corp = 'corp.example.com/team/app:1';
const second = 'second.example.com/app:1';
const open = 'open.example.com/app:1';
const later = 'later.example.com/app:1';

const keeper = withRegkeeper(cluster, rules);
const acting = actingIn(kubectl, () => keeper.namespace);
const { create, tryCreate, get, list } = acting;

describe('the list of a Pod', () => {
  test('secrets are appended, what the author listed stays in place, and nothing is duplicated', async () => {
    const lists = [['z', 'a'], ['a', 'corp-pull', 'b'], ['twice', 'twice'], []];
    const pods = lists.map((names, index) =>
      pod(`listed-${index}`, { ...running(corp), imagePullSecrets: names.map((name) => ({ name })) }),
    );
    const [first, second, third, fourth] = (await create(...pods)).map(secretsIn);
    expect(first).toEqual(['z', 'a', 'corp-pull']);
    expect(second).toEqual(['a', 'corp-pull', 'b']);
    expect(third).toEqual(['twice', 'twice', 'corp-pull']);
    expect(fourth).toEqual(['corp-pull']);
  });

  test('one pass is enough: an object that is read and created again does not change', async () => {
    await accounts({ again: ['again-own'] });
    const spec = { ...running(corp), serviceAccountName: 'again' };
    const [made, template] = await create<PodLike & Workload>(pod('once', spec), deployment('once', spec, { replicas: 0 }));
    const copies = await create<PodLike & Workload>(renamed(made, 'once-more'), renamed(template, 'once-more'));
    expect(copies.map(({ metadata, spec }) => [markIn({ metadata }), spec.imagePullSecrets, spec.template?.spec])).toEqual(
      [made, template].map((each) => [markIn(each ?? {}), each?.spec.imagePullSecrets, each?.spec.template?.spec]),
    );
  });

  test('a Pod has the secrets of its account, including those that are newer than its template', async () => {
    await accounts({ growing: ['before'] });
    await create(deployment('growing', { ...running(corp), serviceAccountName: 'growing' }, { replicas: 0 }));
    const [template] = await list<Workload>('deployments', '--field-selector=metadata.name=growing');
    expect(template && secretsIn(template.spec.template)).toEqual(['corp-pull', 'before']);
    await acting('patch', 'serviceaccount/growing', '--type=merge', '-p', '{"imagePullSecrets":[{"name":"after"}]}');
    await waitUntilKnown('growing', 'after');
    await acting('scale', 'deployment/growing', '--replicas=1');
    const [made] = await podsOf('growing');
    expect(made && secretsIn(made)).toEqual(['corp-pull', 'before', 'after']);
    expect(made && markIn(made)).toEqual({ rules: ['corp-pull'], serviceAccount: ['before', 'after'] });
  });

  test('a Pod has the secrets of its account from its template even if regkeeper is not called any more', async () => {
    await accounts({ alone: ['alone-own'] });
    const [template] = await create<Workload>(deployment('alone', { ...running(corp), serviceAccountName: 'alone' }, { replicas: 0 }));
    // The webhooks exclude kube-system.
    const excluded = actingIn(kubectl, () => 'kube-system');
    const { metadata, spec } = template?.spec.template ?? { metadata: {}, spec: {} };
    const made = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, name: 'alone' },
      spec: { ...spec, serviceAccountName: 'default' },
    };
    const { stdout } = await excluded.tryCreate(made, '--dry-run=server', '-o', 'json');
    expect(secretsIn(JSON.parse(stdout))).toEqual(['corp-pull', 'alone-own']);
  });

  test('a Pod with a forged mark only gains secrets of its own account, and loses none', async () => {
    await accounts({ forger: ['forger-own'], victim: ['victim-own'] });
    const annotations = { 'regkeeper.io/injected': '{"rules":["mine"],"serviceAccount":["victim-own"]}' };
    const spec = { ...running(open), serviceAccountName: 'forger', imagePullSecrets: [{ name: 'mine' }] };
    const [forged] = await create(pod('forged', spec, { annotations }));
    expect(forged && secretsIn(forged)).toEqual(['mine', 'forger-own']);
  });

  test('an image with the default port gets the secret, with a warning about the spelling of its key', async () => {
    const { stdout, stderr } = await tryCreate(pod('ported', running('corp.example.com:443/app')), '-o', 'json');
    expect(secretsIn(JSON.parse(stdout))).toEqual(['corp-pull']);
    expect(stderr).toContain('Warning: regkeeper: image "corp.example.com:443/app" uses a non-canonical registry name');
  });

  test('if the file of a Pod is applied again without added secrets, they are restored, even if an image changes', async () => {
    const file = (image: string) =>
      pod('replaced', { ...running(image), serviceAccountName: 'default', automountServiceAccountToken: false });
    await create(file(corp));
    for (const image of [corp, corp.replace(/:.*|$/, ':next')]) {
      await acting('replace', '-f', await write('replaced', file(image)));
      const replaced = await get<PodLike>('pod/replaced');
      expect([secretsIn(replaced), markIn(replaced)]).toEqual([['corp-pull'], { rules: ['corp-pull'] }]);
    }
  });

  test('the secrets of a Pod stay when its mark is removed', async () => {
    await create(pod('unmarked', running(corp)));
    await acting('annotate', 'pod/unmarked', 'regkeeper.io/injected-');
    const unmarked = await get('pod/unmarked');
    expect([secretsIn(unmarked), markIn(unmarked)]).toEqual([['corp-pull'], undefined]);
  });
});

describe('a template that the request does not change', () => {
  test('an unchanged template has the same generation as without regkeeper, and one ReplicaSet, whatever request is sent', async () => {
    await accounts({ steady: ['steady-own'] });
    const name = `steady-${keeper.namespace}`;
    const file = await write('steady', deployment(name, { ...running(corp), serviceAccountName: 'steady' }, { replicas: 0 }));
    // The webhooks exclude kube-system.
    const twin = actingIn(kubectl, () => 'kube-system');
    for (const act of [acting, twin]) await act('apply', '-f', file);
    await replicaSets(name, 1);
    const before = await get<Workload>(`deployment/${name}`);
    expect(secretsIn(before.spec.template)).toEqual(['corp-pull', 'steady-own']);

    const without = { metadata: { annotations: { 'regkeeper.io/injected': null } }, spec: { imagePullSecrets: null } };
    const requests = [
      ['label', 'deployment', name, 'a=b'],
      // The API server increases the generation of a Deployment when its annotations change.
      ['annotate', 'deployment', name, 'a=b'],
      ['apply', '-f', file],
      ['patch', 'deployment', name, '--type=merge', '-p', JSON.stringify({ spec: { template: without } })],
      ['patch', 'deployment', name, '--type=merge', '-p', '{"spec":{"template":{"spec":{"imagePullSecrets":[]}}}}'],
      ['apply', '--server-side', '--force-conflicts', '-f', file],
      ['apply', '--server-side', '--force-conflicts', '-f', file],
      ['replace', '-f', file],
      ['apply', '-f', file],
      ['scale', 'deployment', name, '--replicas=1'],
      ['scale', 'deployment', name, '--replicas=0'],
    ];
    for (const request of requests) {
      for (const act of [acting, twin]) await act(...request);
      const [ours, theirs] = [await get<Workload>('deployment', name), await twin.get<Workload>('deployment', name)];
      expect([request, ours.metadata.generation, ours.spec.template]).toEqual([request, theirs.metadata.generation, before.spec.template]);
    }
    await replicaSets(name, 1);
    await twin('delete', 'deployment', name);
  });

  test('unchanged templates of other kinds keep their generation too', async () => {
    const kinds = [
      ['apps/v1', 'StatefulSet', { serviceName: 'held' }],
      ['apps/v1', 'DaemonSet', {}],
      ['apps.openshift.io/v1', 'DeploymentConfig', { selector: { app: 'held' } }],
    ] as const;
    const own = kinds.map(([apiVersion, kind, more]) => workload(apiVersion, kind, 'held', running(corp), more));
    const file = await write('held', listOf(own));
    const templates = async () =>
      (await list<Workload>('-f', file)).map(({ metadata, spec }) => [metadata.generation, secretsIn(spec.template), spec.template]);
    await acting('apply', '-f', file);
    const before = await templates();
    expect(before.map(([, secrets]) => secrets)).toEqual([['corp-pull'], ['corp-pull'], ['corp-pull']]);
    await acting('label', '-f', file, 'a=b');
    await acting('replace', '-f', file);
    await acting('apply', '--server-side', '--force-conflicts', '-f', file);
    expect(await templates()).toEqual(before);
  });

  test('the file of a Job can be applied without the added secrets, even with an allowed change', async () => {
    const job = (more: object) =>
      workload(
        'batch/v1',
        'Job',
        'waiting',
        { ...running(corp), restartPolicy: 'Never', ...more },
        { suspend: true, manualSelector: true },
      );
    await create(job({}));
    await acting('replace', '-f', await write('job', job({ nodeSelector: { disk: 'fast' } })));
    const { spec } = await get<Workload>('job/waiting');
    expect([spec.template.spec.nodeSelector, secretsIn(spec.template)]).toEqual([{ disk: 'fast' }, ['corp-pull']]);
  });
});

describe("a template that is older than its rule's secret", () => {
  test('an older template is left alone until it changes, its Pods already have the secret, and undo creates exactly one ReplicaSet', async () => {
    const file = await write('old', deployment('old', running(later), { replicas: 1 }));
    await acting('apply', '-f', file);
    const [bare] = await podsOf('old');
    expect(bare && secretsIn(bare)).toEqual([]);
    const before = await get<Workload>('deployment/old');

    await keeper.writeRules(`${rules}  pullSecret: later-pull\n`);
    await waitFor(
      async () => (await tryCreate(pod('probe', running(later)), '--dry-run=server', '-o', 'json')).stdout.includes('later-pull'),
      {
        deadlineSeconds: 60,
        what: 'the rule to name a secret',
      },
    );
    await acting('label', 'deployment/old', 'a=b');
    await acting('apply', '-f', file);
    await acting('apply', '--server-side', '--force-conflicts', '-f', file);
    await acting('replace', '-f', file);
    await acting('scale', 'deployment/old', '--replicas=2');
    expect((await get<Workload>('deployment/old')).spec.template).toEqual(before.spec.template);
    const pods = await podsOf('old', 2);
    expect(pods.map(secretsIn).toSorted()).toEqual([[], ['later-pull']]);

    // A Deployment recognizes a ReplicaSet by its template. With another template it would create ReplicaSets without end.
    await acting('delete', 'replicasets', '-l', 'app=old', '--cascade=foreground');
    expect((await podsOf('old', 2)).map(secretsIn)).toEqual([['later-pull'], ['later-pull']]);
    await replicaSets('old', 1);

    await acting('set', 'image', 'deployment/old', 'app=later.example.com/app:2');
    expect(secretsIn((await get<Workload>('deployment/old')).spec.template)).toEqual(['later-pull']);
    await replicaSets('old', 2);
    await acting('rollout', 'undo', 'deployment/old');
    await replicaSets('old', 3);
    await acting('rollout', 'undo', 'deployment/old');
    await replicaSets('old', 3);
    await acting('rollout', 'undo', 'deployment/old');
    await replicaSets('old', 3);
    expect(secretsIn((await get<Workload>('deployment/old')).spec.template)).toEqual(['later-pull']);
    await keeper.writeRules(rules);
  });
});

describe('a template that changes', () => {
  test('a changed template loses added secrets that it no longer needs, gets those that it needs, and keeps those of its author', async () => {
    await create(deployment('mixed', { ...running(corp), imagePullSecrets: [{ name: 'mine' }] }, { replicas: 0 }));
    await acting('set', 'image', 'deployment/mixed', `app=${second}`);
    expect(secretsIn((await get<Workload>('deployment/mixed')).spec.template)).toEqual(['mine', 'second-pull']);
    await acting('set', 'image', 'deployment/mixed', `app=${open}`);
    const { spec } = await get<Workload>('deployment/mixed');
    expect([secretsIn(spec.template), markIn(spec.template)]).toEqual([['mine'], undefined]);
  });

  test('a template that switches to another service account has the secrets of the new account, and no longer those of the old one', async () => {
    await accounts({ first: ['first-own'], next: ['next-own'], bare: [] });
    await create(deployment('moving', { ...running(corp), serviceAccountName: 'first' }, { replicas: 0 }));
    const move = async (account: string) => {
      await acting('set', 'serviceaccount', 'deployment/moving', account);
      return secretsIn((await get<Workload>('deployment/moving')).spec.template);
    };
    expect(await move('next')).toEqual(['corp-pull', 'next-own']);
    expect(await move('bare')).toEqual(['corp-pull']);
    expect(await move('first')).toEqual(['corp-pull', 'first-own']);
  });

  test('a template that loses only its mark gets it back without a rollout, and secrets still follow its images', async () => {
    const name = `remembered-${keeper.namespace}`;
    await create(deployment(name, running(corp), { replicas: 0 }));
    await replicaSets(name, 1);
    const before = await get<Workload>(`deployment/${name}`);
    const { annotations: _unknown, ...metadata } = before.spec.template.metadata;
    // As Terraform does: the spec as it was read, without the annotations of the template that its file does not have.
    const sent = { ...before.spec, template: { ...before.spec.template, metadata } };
    await acting('patch', `deployment/${name}`, '--type=json', '-p', JSON.stringify([{ op: 'replace', path: '/spec', value: sent }]));
    const after = await get<Workload>(`deployment/${name}`);
    expect([after.metadata.generation, after.spec]).toEqual([before.metadata.generation, before.spec]);
    await replicaSets(name, 1);
    await acting('set', 'image', `deployment/${name}`, `app=${open}`);
    expect(secretsIn((await get<Workload>(`deployment/${name}`)).spec.template)).toEqual([]);
  });

  test('a template that loses its mark in a change keeps its secrets, which then belong to the author', async () => {
    await create(deployment('vanished', running(corp), { replicas: 0 }));
    const edit = [
      { op: 'remove', path: '/spec/template/metadata/annotations' },
      { op: 'add', path: '/spec/template/spec/nodeSelector', value: { disk: 'fast' } },
    ];
    await acting('patch', 'deployment/vanished', '--type=json', '-p', JSON.stringify(edit));
    await acting('set', 'image', 'deployment/vanished', `app=${second}`);
    const { spec } = await get<Workload>('deployment/vanished');
    expect([secretsIn(spec.template), markIn(spec.template)]).toEqual([['corp-pull', 'second-pull'], { rules: ['second-pull'] }]);
  });
});

describe('Pods that controllers create', () => {
  test('Pods of a StatefulSet, a ReplicationController, a DaemonSet, a Job and a CronJob have all secrets', async () => {
    // The DaemonSet controller needs a Node, and the local cluster has none.
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: `node-${keeper.namespace}` } };
    if (cluster.local) await kubectl(['create', '-f', '-'], { stdin: JSON.stringify(node) });
    await accounts({ maker: ['maker-own'] });
    const spec = { ...running(corp), serviceAccountName: 'maker' };
    const once = { ...spec, restartPolicy: 'Never' };
    await create(
      workload('apps/v1', 'StatefulSet', 'of-stateful', spec, { serviceName: 'any' }),
      workload('v1', 'ReplicationController', 'of-replication', spec, { selector: { app: 'of-replication' } }),
      workload('apps/v1', 'DaemonSet', 'of-daemon', { ...spec, tolerations: [{ operator: 'Exists' }] }),
      workload('batch/v1', 'Job', 'of-job', once, { selector: null }),
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'of-cron' },
        spec: { schedule: '0 0 1 * *', jobTemplate: { spec: { template: { metadata: { labels: { app: 'of-cron' } }, spec: once } } } },
      },
    );
    // The CronJob controller starts a missed run at once.
    const lastScheduleTime = new Date(Date.now() - 40 * 24 * 3_600_000).toISOString().replace(/\.\d+/, '');
    await acting(
      'patch',
      'cronjob/of-cron',
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status: { lastScheduleTime } }),
    );

    for (const app of ['of-stateful', 'of-replication', 'of-daemon', 'of-job', 'of-cron']) {
      const [made] = await podsOf(app);
      expect([app, made && secretsIn(made)]).toEqual([app, ['corp-pull', 'maker-own']]);
    }
    const cron = await get<{ spec: { jobTemplate: Workload } }>('cronjob/of-cron');
    const [job] = (await list<Workload & Owned>('jobs')).filter(({ metadata }) => metadata.ownerReferences?.[0]?.kind === 'CronJob');
    expect(job?.spec.template.spec).toEqual(cron.spec.jobTemplate.spec.template.spec);
    if (cluster.local) await kubectl(['delete', 'node', node.metadata.name]);
  });
});

describe('left alone', () => {
  test.each(['ReplicaSet', 'ReplicationController', 'Job'])('a %s with a controller is left alone', async (kind) => {
    const [apiVersion, more] = {
      ReplicaSet: ['apps/v1', {}],
      ReplicationController: ['v1', { selector: { app: 'owned' } }],
      Job: ['batch/v1', { selector: null }],
    }[kind] as [string, object];
    const owner = { apiVersion: 'example.com/v1', kind: 'Owner', name: 'x', uid: '00000000-0000-0000-0000-000000000001', controller: true };
    const object = workload(apiVersion, kind, 'owned', { ...running(corp), restartPolicy: kind === 'Job' ? 'Never' : 'Always' }, more);
    const owned = { ...object, metadata: { ...object.metadata, ownerReferences: [owner] } };
    const { stdout, stderr } = await tryCreate(owned, '--dry-run=server', '-o', 'json');
    const { spec } = JSON.parse(stdout) as Workload;
    expect([stderr, secretsIn(spec.template), markIn(spec.template)]).toEqual(['', [], undefined]);
  });

  test('an existing Pod is left alone: a debug container is allowed with a warning that its secret is missing', async () => {
    await create(pod('debugged', running(corp)));
    const debug = (image: string) =>
      acting.attempt(['debug', 'debugged', `--image=${image}`, '--attach=false', '--profile=general', '-c', image.slice(0, 4)]);
    const needy = await debug(second);
    expect(needy).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the Pod lacks the pull secret "second-pull"'),
    });
    expect(await debug(corp)).toMatchObject({ code: 0, stderr: expect.not.stringContaining('regkeeper') });
    expect(secretsIn(await get('pod/debugged'))).toEqual(['corp-pull']);
  });

  test('the mirror Pod of a node is left alone, because it is already running', async ({ skip }) => {
    if (!cluster.local) return skip('acts as a node, which only the local cluster lets anybody do');
    const name = `node-${keeper.namespace}`;
    await kubectl(['create', 'clusterrolebinding', name, '--clusterrole=system:node', `--user=system:node:${name}`]);
    const annotations = { 'kubernetes.io/config.mirror': 'h', 'kubernetes.io/config.source': 'file' };
    const mirror = (image: string) => pod(`static-${image.split('.')[0]}`, { ...running(image), nodeName: name }, { annotations });
    const report = (image: string, ...as: string[]) => tryCreate(mirror(image), '-o', 'json', ...as);
    const asNode = [`--as=system:node:${name}`, '--as-group=system:nodes'];
    const trusted = await report(corp, ...asNode);
    const stored = JSON.parse(trusted.stdout) as PodLike;
    expect([trusted.stderr, secretsIn(stored), markIn(stored)]).toEqual(['', [], undefined]);
    const unknown = await report('unknown.example.com/app', ...asNode);
    expect(unknown).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('the static Pod is already running, so it is not denied: '),
    });
    expect(await report('stranger.example.com/app')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not from a configured registry'),
    });
    await kubectl(['delete', 'clusterrolebinding', name]);
  });

  test('objects whose account allows only listed secrets get no others, because the API server would reject their Pods', async () => {
    await create(serviceAccount('strict', ['second-pull'], { 'kubernetes.io/enforce-mountable-secrets': 'true' }));
    const spec = { ...running(corp), serviceAccountName: 'strict' };
    const warning = 'service account "strict" allows only the pull secrets that it lists';
    await waitFor(async () => (await tryCreate(deployment('strict', spec), '--dry-run=server')).stderr.includes(warning), {
      deadlineSeconds: 60,
      what: 'the account to be known',
    });
    expect((await tryCreate(deployment('strict', spec))).stderr).toContain(warning);
    expect((await tryCreate(pod('strict', spec))).stderr).toContain(warning);
    const [made] = await podsOf('strict');
    expect([made && secretsIn(made), secretsIn(await get('pod/strict'))]).toEqual([['second-pull'], ['second-pull']]);
    // The API server denies a Pod with a secret that the account does not list, which is why none is added.
    const insisting = await tryCreate(pod('insisting', { ...spec, imagePullSecrets: [{ name: 'corp-pull' }] }));
    expect(insisting.stderr).toContain('is not allowed because service account strict does not reference that imagePullSecret');
  });
});

describe('the secrets of a build', () => {
  const image = (name: string) => ({ kind: 'DockerImage', name });
  const stream = { kind: 'ImageStreamTag', name: 'nodejs:24' };
  const build = (name: string, spec: object) => ({
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name },
    spec: { source: { git: { uri: 'https://git.example.com/app.git' } }, ...spec },
  });
  const from = (name: string, more: object = {}) => ({ from: image(name), ...more });
  const extract = (name: string) => ({ from: image(name), paths: [{ sourcePath: '/a', destinationDir: 'a' }] });
  const inline = (...lines: string[]) => ({ source: { dockerfile: lines.join('\n') }, strategy: { dockerStrategy: {} } });
  const mine = { pullSecret: { name: 'mine' } };

  type Row = { sentence: string; spec: object; secrets: Record<string, string>; warning?: string };
  const rows: readonly Row[] = [
    {
      sentence: 'empty fields get their secrets',
      spec: { strategy: { sourceStrategy: from(corp) }, output: { to: image(corp) } },
      secrets: { sourceStrategy: 'corp-pull', output: 'corp-push' },
    },
    {
      sentence: 'user-supplied fields are kept',
      spec: { strategy: { sourceStrategy: from(corp, mine) }, output: { to: image(corp), pushSecret: { name: 'mine' } } },
      secrets: { sourceStrategy: 'mine', output: 'mine' },
    },
    { sentence: 'an image from a stream needs no secret', spec: { strategy: { sourceStrategy: { from: stream } } }, secrets: {} },
    {
      sentence: 'secrets are mounted into a custom build',
      spec: { strategy: { customStrategy: from(corp) } },
      secrets: { customStrategy: 'corp-pull' },
    },
    {
      sentence: 'an incremental build gets its secrets like any other build',
      spec: { strategy: { sourceStrategy: from(corp, { incremental: true }) }, output: { to: image(corp) } },
      secrets: { sourceStrategy: 'corp-pull', output: 'corp-push' },
    },
    {
      sentence: 'if one secret covers all images, it is used',
      spec: inline(`FROM ${corp} AS build`, 'FROM both.example.com/runtime', 'COPY --from=build /a /a'),
      secrets: { dockerStrategy: 'corp-pull' },
    },
    {
      sentence: 'if one field is for two registries, it gets the secret of the last FROM, and a warning names the other image',
      spec: inline(`FROM ${corp} AS build`, `FROM ${second}`, 'COPY --from=build /a /a'),
      secrets: { dockerStrategy: 'second-pull' },
      warning: `Images without a secret: "${corp}"`,
    },
    {
      sentence: 'no secret is set if images may come from the internal registry',
      spec: inline(`FROM ${internal}/openshift/base AS build`, `FROM ${corp}`),
      secrets: {},
      warning: 'was left empty, because other images of this build may come from the internal registry',
    },
    {
      sentence: 'the base image of the strategy gets its secret although a stream is used too, with a warning',
      spec: { source: { images: [{ from: stream, as: ['x'] }] }, strategy: { dockerStrategy: from(corp) } },
      secrets: { dockerStrategy: 'corp-pull' },
      warning: 'are pulled without the secrets of the builder service account',
    },
    {
      sentence: 'a build of a Dockerfile in Git gets the secret of its base image, without a warning',
      spec: { strategy: { dockerStrategy: from(corp) } },
      secrets: { dockerStrategy: 'corp-pull' },
    },
    {
      sentence: 'a source image with paths has its own field',
      spec: { source: { images: [extract(second), extract(open)] }, strategy: { sourceStrategy: from(corp) } },
      secrets: { sourceStrategy: 'corp-pull', 'images[0]': 'second-pull' },
    },
    {
      sentence: 'a source image without paths uses the secret of the strategy',
      spec: {
        ...inline(`FROM ${corp}`, 'COPY --from=x /a /a'),
        source: { dockerfile: `FROM ${corp}\nCOPY --from=x /a /a`, images: [{ from: image('both.example.com/x'), as: ['x'] }] },
      },
      secrets: { dockerStrategy: 'corp-pull' },
    },
  ];

  test.each(rows.map((row, index) => ({ ...row, index })))('$sentence', async ({ index, spec, secrets, warning }) => {
    const { code, stdout, stderr } = await tryCreate(build(`row-${index}`, spec), '-o', 'json');
    expect(code, stderr).toBe(0);
    expect(secretsOfBuild(JSON.parse(stdout))).toEqual(secrets);
    expect(stderr).toEqual(warning === undefined ? '' : expect.stringContaining(warning));
  });

  test('secrets follow their images: a different registry, no secret needed, a stream, no image', async () => {
    await create(build('moving', { strategy: { sourceStrategy: from(corp) }, output: { to: image(corp) } }));
    const change = async (...operations: object[]) => {
      await acting('patch', 'buildconfig/moving', '--type=json', '-p', JSON.stringify(operations));
      return secretsOfBuild(await get('buildconfig/moving'));
    };
    const base = (value: object) => ({ op: 'replace', path: '/spec/strategy/sourceStrategy/from', value });
    expect(await change(base(image(second)))).toEqual({ sourceStrategy: 'second-pull', output: 'corp-push' });
    expect(await change(base(image(open)))).toEqual({ output: 'corp-push' });
    expect(await change(base(image(corp)))).toEqual({ sourceStrategy: 'corp-pull', output: 'corp-push' });
    expect(await change(base(stream))).toEqual({ output: 'corp-push' });
    expect(await change({ op: 'remove', path: '/spec/output/to' })).toEqual({});
    expect(markIn(await get('buildconfig/moving'))).toBeUndefined();
  });

  test('secrets of a build stay when its mark is removed, and then belong to the author', async () => {
    await create(build('unmarked', { strategy: { sourceStrategy: from(corp) } }));
    await acting('annotate', 'buildconfig/unmarked', 'regkeeper.io/injected-');
    await acting(
      'patch',
      'buildconfig/unmarked',
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { strategy: { sourceStrategy: { from: stream } } } }),
    );
    expect(secretsOfBuild(await get('buildconfig/unmarked'))).toEqual({ sourceStrategy: 'corp-pull' });
  });

  test('the Pod of a custom build gets its secrets like any Pod', async () => {
    const [made] = await create(pod('custom-build', running(corp), { labels: { 'openshift.io/build.name': 'custom-1' } }));
    expect(made && secretsIn(made)).toEqual(['corp-pull']);
  });
});

type Owned = { readonly metadata: { readonly ownerReferences?: readonly { readonly kind: string }[] } };

/** A copy of a live object with another name, as a user would create it from `kubectl get -o yaml`. */
function renamed(live: PodLike | undefined, name: string): object {
  const { metadata, ...rest } = live as PodLike & { status?: unknown };
  const { labels, annotations } = metadata;
  const { nodeName: _node, ...spec } = rest.spec;
  return { ...rest, status: undefined, metadata: { name, labels, annotations }, spec };
}

/** The secrets of a build, by the strategy, source image or output that they belong to. */
function secretsOfBuild({ spec }: { spec: object }): Record<string, string> {
  const {
    strategy = {},
    source,
    output,
  } = spec as {
    strategy?: Record<string, { pullSecret?: { name: string } } | string>;
    source?: { images?: { pullSecret?: { name: string } }[] };
    output?: { pushSecret?: { name: string } };
  };
  const places: [string, string | undefined][] = [
    ...Object.entries(strategy).map(([name, each]): [string, string | undefined] => [
      name,
      typeof each === 'object' ? each.pullSecret?.name : undefined,
    ]),
    ...(source?.images ?? []).map(({ pullSecret }, index): [string, string | undefined] => [`images[${index}]`, pullSecret?.name]),
    ['output', output?.pushSecret?.name],
  ];
  return Object.fromEntries(places.filter((place): place is [string, string] => place[1] !== undefined));
}

/** The Pods with the label `app`. Waits until there are at least `count`. */
async function podsOf(app: string, count = 1): Promise<PodTemplate[]> {
  return await waitFor(
    async () => {
      const pods = await list<PodLike & { metadata: { deletionTimestamp?: string } }>('pods', '-l', `app=${app}`);
      const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      return alive.length >= count && alive;
    },
    { deadlineSeconds: 60, what: `${count} Pods of ${app}` },
  );
}

/** Waits until the Deployment's controller has observed its latest generation, and expects `count` ReplicaSets. Pods never become ready here. */
async function replicaSets(name: string, count: number): Promise<void> {
  await waitFor(
    async () => {
      const { metadata, status } = await get<Workload & { status: { observedGeneration?: number } }>(`deployment/${name}`);
      return status.observedGeneration === metadata.generation;
    },
    { deadlineSeconds: 60, what: `the controller to see Deployment ${name}` },
  );
  expect(await list('replicasets', '-l', `app=${name}`)).toHaveLength(count);
}

/** Creates service accounts with these secrets and waits until regkeeper knows them. */
async function accounts(secrets: Readonly<Record<string, readonly string[]>>): Promise<void> {
  await create(...Object.entries(secrets).map(([name, own]) => serviceAccount(name, own)));
  for (const [name, own] of Object.entries(secrets)) if (own[0] !== undefined) await waitUntilKnown(name, own[0]);
}

/** Waits until regkeeper knows that the service account has the secret. */
async function waitUntilKnown(account: string, secret: string): Promise<void> {
  const template = deployment('probe', { ...running(corp), serviceAccountName: account });
  const asked = async () => (await tryCreate(template, '--dry-run=server', '-o', 'json')).stdout.includes(`"${secret}"`);
  await waitFor(asked, { deadlineSeconds: 60, what: `secret ${secret} of service account ${account} to be known` });
}

async function write(name: string, object: object): Promise<string> {
  const file = join(keeper.folder, `${name}.json`);
  await writeFile(file, JSON.stringify(object));
  return file;
}
