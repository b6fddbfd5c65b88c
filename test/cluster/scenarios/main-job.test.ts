/** regkeeper's main tasks, with kubectl against a real API server. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ownNamespace } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

// `kubectl edit` runs sed as its editor. In the edited YAML file the rules are indented.
process.env.KUBE_EDITOR = "sed -i -e 's/^    rules:/    rules:\\n    - registry: later.example.com\\n      pullSecret: later-secret/'";

const cluster = target();
const { kubectl } = cluster;

const registry = 'external-registry.example.com:5000';
const image = `${registry}/privaterepo/sample-app:1.0`;

const rules = `
mode: enforce
unconfigured: deny
contact: the platform team
internalRegistries: [image-registry.openshift-image-registry.svc:5000]
rules:
- name: external
  registry: ${registry}
  pullSecret: external-registry
  pushSecret: external-registry
- registry: second.example.com
  pullSecret: second-registry
- registry: docker.io
  trust: false
  reason: use ${registry}/hub
`;

const keeper = withRegkeeper(cluster, rules);

describe('Pods', () => {
  test('a Pod from a registry that needs a secret gets it', async () => {
    await created(pod('sample-app', image));
    expect(await secretsOf('pod/sample-app')).toEqual(['external-registry']);
  });

  test('user-supplied secrets stay, in front', async () => {
    await created(pod('with-list', image, { imagePullSecrets: [{ name: 'mine' }, { name: 'external-registry' }] }));
    await created(pod('with-other', image, { imagePullSecrets: [{ name: 'mine' }] }));
    expect(await secretsOf('pod/with-list')).toEqual(['mine', 'external-registry']);
    expect(await secretsOf('pod/with-other')).toEqual(['mine', 'external-registry']);
  });

  test('the secrets of the service account stay on the Pod', async () => {
    await serviceAccount('has-own', ['own-a', 'own-b']);
    await created(pod('with-account', image, { serviceAccountName: 'has-own' }));
    expect(await secretsOf('pod/with-account')).toEqual(['own-a', 'own-b', 'external-registry']);
  });

  test('each image counts, including those of init containers and image volumes', async () => {
    await created(
      pod('many', image, {
        initContainers: [{ name: 'init', image: 'second.example.com/init:1' }],
        volumes: [{ name: 'data', image: { reference: 'second.example.com/data:1' } }],
      }),
    );
    expect(await secretsOf('pod/many')).toEqual(expect.arrayContaining(['external-registry', 'second-registry']));
  });

  test('an image from an unknown host is denied, with the container, the image and the contact', async () => {
    const { code, stderr } = await create(pod('unknown', 'unknown.example.com/team/app:7'));
    expect(code).not.toBe(0);
    expect(stderr).toContain('denied the request');
    expect(stderr).toContain('container "app"');
    expect(stderr).toContain('unknown.example.com/team/app:7');
    expect(stderr).toContain('Contact: the platform team');
  });

  test('an untrusted image is denied with the reason and the rule', async () => {
    const { code, stderr } = await create(pod('hub', 'nginx'));
    expect(code).not.toBe(0);
    expect(stderr).toContain('docker.io/library/nginx');
    expect(stderr).toContain(`use ${registry}/hub`);
    expect(stderr).toContain('regkeeper/regkeeper-rules');
  });

  test('debug containers are evaluated like all others', async () => {
    await created(pod('debugged', image));
    const debug = await kubectl(
      ['debug', 'debugged', '-n', keeper.namespace, '--image=unknown.example.com/tools', '--attach=false', '-c', 'tools'],
      {
        allowFailure: true,
      },
    );
    expect(debug.code).not.toBe(0);
    expect(debug.stderr).toContain('ephemeral container "tools"');
  });

  test('a change of the image is evaluated, and a change of labels is not', async () => {
    await created(pod('changing', image));
    const changed = await kubectl(['set', 'image', 'pod/changing', 'app=unknown.example.com/x', '-n', keeper.namespace], {
      allowFailure: true,
    });
    expect(changed.code).not.toBe(0);
    expect(changed.stderr).toContain('unknown.example.com/x');
    await kubectl(['label', 'pod/changing', 'a=b', '-n', keeper.namespace]);
  });
});

describe('Deployments', () => {
  test('the template gets the secret, and its Pods have it', async () => {
    await serviceAccount('deployer-account', ['own-c']);
    await created(deployment('web', image, { serviceAccountName: 'deployer-account' }));
    expect(await secretsOf('deployment/web', 'spec.template.spec')).toEqual(['external-registry', 'own-c']);
    await settled('web');
    expect(await podSecrets('web')).toEqual([
      ['external-registry', 'own-c'],
      ['external-registry', 'own-c'],
    ]);
  });

  test('requests that leave the template unchanged cause no rollout: label, scale, replace, apply, server-side apply', async () => {
    const manifest = deployment('steady', image);
    const file = join(keeper.folder, 'steady.json');
    await writeFile(file, JSON.stringify(manifest));
    await kubectl(['apply', '-f', file, '-n', keeper.namespace]);
    await settled('steady');
    const template = await templateOf('steady');

    await kubectl(['label', 'deployment/steady', 'a=b', '-n', keeper.namespace]);
    await kubectl(['scale', 'deployment/steady', '--replicas=1', '-n', keeper.namespace]);
    await kubectl(['apply', '-f', file, '-n', keeper.namespace]);
    await kubectl(['replace', '-f', file, '-n', keeper.namespace]);
    await kubectl(['apply', '--server-side', '--force-conflicts', '-f', file, '-n', keeper.namespace]);
    expect(await templateOf('steady')).toEqual(template);
    await settled('steady');
    expect(await replicaSetsOf('steady')).toBe(1);
  });

  test('a different image adds a different secret, and the one that is no longer needed is removed', async () => {
    await created(deployment('moving', image));
    await kubectl(['set', 'image', 'deployment/moving', 'app=second.example.com/app:2', '-n', keeper.namespace]);
    expect(await secretsOf('deployment/moving', 'spec.template.spec')).toEqual(['second-registry']);
  });

  test('an image from an unknown host is denied in the Deployment, before its Pods are created', async () => {
    const { code, stderr } = await create(deployment('unknown', 'unknown.example.com/app'));
    expect(code).not.toBe(0);
    expect(stderr).toContain(`Deployment ${keeper.namespace}/unknown`);
  });
});

describe('all other kinds with a pod template get secrets', () => {
  const podTemplate = (restartPolicy = 'Always') => ({
    metadata: { labels: { app: 'any' } },
    spec: { restartPolicy, containers: [{ name: 'app', image }] },
  });
  const selector = { matchLabels: { app: 'any' } };

  test.each([
    ['apps/v1', 'ReplicaSet', { selector, replicas: 0, template: podTemplate() }, 'spec.template.spec'],
    ['apps/v1', 'StatefulSet', { selector, serviceName: 'any', replicas: 0, template: podTemplate() }, 'spec.template.spec'],
    ['apps/v1', 'DaemonSet', { selector, template: podTemplate() }, 'spec.template.spec'],
    ['v1', 'ReplicationController', { selector: { app: 'any' }, replicas: 0, template: podTemplate() }, 'spec.template.spec'],
    ['batch/v1', 'Job', { suspend: true, template: podTemplate('Never') }, 'spec.template.spec'],
    [
      'batch/v1',
      'CronJob',
      { schedule: '0 0 1 1 *', suspend: true, jobTemplate: { spec: { template: podTemplate('Never') } } },
      'spec.jobTemplate.spec.template.spec',
    ],
    ['apps.openshift.io/v1', 'DeploymentConfig', { replicas: 0, selector: { app: 'any' }, template: podTemplate() }, 'spec.template.spec'],
  ])('%s %s', async (apiVersion, kind, spec, path) => {
    const name = `any-${kind.toLowerCase()}`;
    await created({ apiVersion, kind, metadata: { name }, spec });
    expect(await secretsOf(`${kind.toLowerCase()}/${name}`, path)).toEqual(['external-registry']);
  });

  test('v1 PodTemplate', async () => {
    await created({ apiVersion: 'v1', kind: 'PodTemplate', metadata: { name: 'any' }, template: podTemplate() });
    expect(await secretsOf('podtemplate/any', 'template.spec')).toEqual(['external-registry']);
  });
});

describe('BuildConfigs', () => {
  test('a base image and an output in registries that need secrets: pullSecret and pushSecret', async () => {
    await created(buildConfig('sample'));
    const { spec } = await get<BuildConfig>('buildconfig/sample');
    expect(spec.strategy.sourceStrategy.pullSecret).toEqual({ name: 'external-registry' });
    expect(spec.output.pushSecret).toEqual({ name: 'external-registry' });
  });

  test('user-supplied secrets stay', async () => {
    await created(buildConfig('explicit', { pullSecret: { name: 'my-pull' }, pushSecret: { name: 'my-push' } }));
    const { spec } = await get<BuildConfig>('buildconfig/explicit');
    expect(spec.strategy.sourceStrategy.pullSecret).toEqual({ name: 'my-pull' });
    expect(spec.output.pushSecret).toEqual({ name: 'my-push' });
  });

  test('after a switch to an image stream our pullSecret is removed, because it would disable the builder account', async () => {
    await created(buildConfig('switching'));
    const from = { kind: 'ImageStreamTag', name: 'nodejs:24' };
    await kubectl([
      'patch',
      'buildconfig/switching',
      '-n',
      keeper.namespace,
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { strategy: { sourceStrategy: { from } } } }),
    ]);
    const { spec } = await get<BuildConfig>('buildconfig/switching');
    expect(spec.strategy.sourceStrategy.pullSecret).toBeUndefined();
    expect(spec.output.pushSecret).toEqual({ name: 'external-registry' });
  });

  test('a push to an unknown registry is denied', async () => {
    const { code, stderr } = await create(buildConfig('leaking', { to: 'unknown.example.com/out:1' }));
    expect(code).not.toBe(0);
    expect(stderr).toContain('spec.output.to');
  });
});

describe('rules in ConfigMaps', () => {
  test('after kubectl edit the same image is allowed within a second', async () => {
    const deniedAtFirst = pod('later', 'later.example.com/app:1');
    expect((await create(deniedAtFirst)).code).not.toBe(0);
    await kubectl(['edit', 'configmap', 'regkeeper-rules', '-n', ownNamespace]);
    await waitFor(async () => (await create(deniedAtFirst)).code === 0, { deadlineSeconds: 60, what: 'the edited rules to take effect' });
    expect(await secretsOf('pod/later')).toEqual(['later-secret']);
  });

  test('an invalid edit is rejected with line and column, and leaves the rules in effect', async () => {
    const before = await keeper.rulesText();
    await expect(keeper.writeRules(before.replace('pullSecret: second-registry', 'pulSecret: second-registry'))).rejects.toThrow(
      /regkeeper\/regkeeper-rules: rules\.yaml:14:3: .*Did you mean "pullSecret"/,
    );
    await created(pod('still-served', 'second.example.com/app:1'));
    expect(await secretsOf('pod/still-served')).toEqual(['second-registry']);
    expect((await create(pod('still-refused', 'unknown.example.com/app'))).code).not.toBe(0);
  });

  test('deleting the last rules keeps them in effect', async ({ skip }) => {
    if (!keeper.server) return skip('deletes the ConfigMap with the rules, so only on the local cluster');
    const running = keeper.server;
    const text = await keeper.rulesText();
    const manifest = await kubectl.json<{ metadata: { labels: object } }>(['get', 'configmap', 'regkeeper-rules', '-n', ownNamespace]);
    await kubectl(['delete', 'configmap', 'regkeeper-rules', '-n', ownNamespace]);
    await waitFor(() => running.log().find(({ msg }) => /regkeeper-rules was deleted/.test(String(msg))), {
      deadlineSeconds: 60,
      what: 'the alert',
    });
    expect((await create(pod('after-deletion', 'unknown.example.com/app'))).code).not.toBe(0);
    await created(pod('after-deletion-served', image));
    const { labels } = manifest.metadata;
    const metadata = { name: 'regkeeper-rules', namespace: ownNamespace, labels };
    await kubectl(['create', '-f', '-'], {
      stdin: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'rules.yaml': text } }),
    });
  });
});

describe('records and outages', () => {
  test('each decision has a record that shows who sent the request, for whom, and why it was decided', async ({ skip }) => {
    if (!keeper.server) return skip('reads the records of the server, so only where the server runs next to the test');
    const records = keeper.server.audit();
    expect(records.find(({ webhook, name }) => webhook === 'mutate' && name === 'sample-app')).toMatchObject({
      event: 'decision',
      kind: 'Pod',
      namespace: keeper.namespace,
      user: 'admin',
      outcome: 'allowed',
      inject: [{ secret: 'external-registry', from: 'rule' }],
      images: [
        { image, verdict: 'trusted', rule: { name: 'external', source: { configMap: 'regkeeper/regkeeper-rules', key: 'rules.yaml' } } },
      ],
    });
    expect(records.find(({ webhook, name }) => webhook === 'validate' && name === 'unknown')).toMatchObject({ outcome: 'denied' });
    expect(records.find(({ owner, webhook }) => webhook === 'mutate' && JSON.stringify(owner)?.includes('"web-'))).toMatchObject({
      kind: 'Pod',
      user: 'system:serviceaccount:kube-system:replicaset-controller',
      owner: { kind: 'ReplicaSet' },
    });
    expect(records.filter(({ event }) => event === 'rules').some(({ outcome }) => outcome === 'accepted')).toBe(true);
  });

  test('while the server is unavailable images are denied, and labels, scaling and deletion are allowed', async ({ skip }) => {
    if (!keeper.server) return skip('ends the server, so only on the local cluster');
    await created(deployment('orphan', image));
    expect(await keeper.server.end('SIGTERM')).toBe(0);
    const { code, stderr } = await create(pod('nobody-home', image));
    expect(code).not.toBe(0);
    expect(stderr).toContain('failed calling webhook');
    await kubectl(['label', 'deployment/orphan', 'a=b', '-n', keeper.namespace]);
    await kubectl(['scale', 'deployment/orphan', '--replicas=0', '-n', keeper.namespace]);
    await kubectl(['delete', 'deployment/orphan', '-n', keeper.namespace, '--wait=false']);

    await keeper.restart();
    await created(pod('home-again', image));
    expect(await secretsOf('pod/home-again')).toEqual(['external-registry']);
  });

  test('a server that starts while an edit is invalid uses the last valid rules', async ({ skip }) => {
    if (!keeper.server) return skip('restarts the server, so only on the local cluster');
    const before = await keeper.rulesText();
    await keeper.server.end('SIGTERM');
    await keeper.writeRules('rulez: []');
    await keeper.restart();
    await created(pod('after-bad-start', image));
    expect(await secretsOf('pod/after-bad-start')).toEqual(['external-registry']);
    expect((await create(pod('refused-after-bad-start', 'unknown.example.com/app'))).code).not.toBe(0);
    const { server } = keeper;
    await waitFor(() => server.log().some(({ level, msg }) => level === 'error' && /rulez/.test(String(msg))), {
      deadlineSeconds: 60,
      what: 'the log line',
    });
    await keeper.writeRules(before);
  });
});

type BuildConfig = {
  spec: { strategy: { sourceStrategy: { pullSecret?: { name: string } } }; output: { pushSecret?: { name: string } } };
};

function pod(name: string, of: string, spec: object = {}) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [{ name: 'app', image: of }], ...spec } };
}

function deployment(name: string, of: string, spec: object = {}) {
  const template = { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'app', image: of }], ...spec } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas: 2, selector: { matchLabels: { app: name } }, template },
  };
}

function buildConfig(name: string, explicit: { pullSecret?: object; pushSecret?: object; to?: string } = {}) {
  const { pullSecret, pushSecret, to = image } = explicit;
  return {
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name },
    spec: {
      source: { git: { uri: 'https://git.example.com/app.git' } },
      strategy: {
        sourceStrategy: { from: { kind: 'DockerImage', name: `${registry}/builders/nodejs:24` }, ...(pullSecret && { pullSecret }) },
      },
      output: { to: { kind: 'DockerImage', name: to }, ...(pushSecret && { pushSecret }) },
    },
  };
}

function create(object: object, flags: readonly string[] = []) {
  return kubectl(['create', '-f', '-', '-n', keeper.namespace, ...flags], { stdin: JSON.stringify(object), allowFailure: true });
}

async function created(object: object): Promise<void> {
  await kubectl(['create', '-f', '-', '-n', keeper.namespace], { stdin: JSON.stringify(object) });
}

function get<T>(what: string): Promise<T> {
  return kubectl.json<T>(['get', what, '-n', keeper.namespace]);
}

async function secretsOf(what: string, spec = 'spec'): Promise<string[]> {
  const { stdout } = await kubectl(['get', what, '-n', keeper.namespace, '-o', `jsonpath={.${spec}.imagePullSecrets[*].name}`]);
  return stdout.split(' ').filter((name) => name !== '');
}

async function templateOf(name: string): Promise<unknown> {
  const { spec } = await get<{ spec: { template: unknown } }>(`deployment/${name}`);
  return spec.template;
}

/** Waits until the controllers have observed the Deployment's latest generation and created its Pods. */
async function settled(name: string): Promise<void> {
  await waitFor(
    async () => {
      const { metadata, spec, status } = await get<{
        metadata: { generation: number };
        spec: { replicas: number };
        status: { observedGeneration?: number; updatedReplicas?: number; replicas?: number };
      }>(`deployment/${name}`);
      return (
        status.observedGeneration === metadata.generation && status.updatedReplicas === spec.replicas && status.replicas === spec.replicas
      );
    },
    { deadlineSeconds: 60, what: `the pods of Deployment ${name}` },
  );
}

async function podSecrets(app: string): Promise<string[][]> {
  const { items } = await kubectl.json<{ items: { spec: { imagePullSecrets?: { name: string }[] } }[] }>([
    'get',
    'pods',
    '-l',
    `app=${app}`,
    '-n',
    keeper.namespace,
  ]);
  return items.map(({ spec }) => (spec.imagePullSecrets ?? []).map(({ name }) => name));
}

async function replicaSetsOf(app: string): Promise<number> {
  const { items } = await kubectl.json<{ items: unknown[] }>(['get', 'replicasets', '-l', `app=${app}`, '-n', keeper.namespace]);
  return items.length;
}

async function serviceAccount(name: string, imagePullSecrets: readonly string[]): Promise<void> {
  const manifest = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name },
    imagePullSecrets: imagePullSecrets.map((secret) => ({ name: secret })),
  };
  await created(manifest);
}
