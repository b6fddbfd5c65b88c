/** Tests the annotation with the needed secrets on a real API server: where it is, that it starts no rollout, and that no two writers fight over it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { actingIn, deployment, type PodLike, pod, running, type Workload, workload } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;
const rules = `
mode: enforce
rules:
- {registry: corp.example.com, pullSecret: corp-pull, pushSecret: corp-push}
- {registry: second.example.com, pullSecret: second-pull}
- {registry: open.example.com}
secrets:
- {name: corp-pull, source: corp-pull, namespaces: "*"}
- {name: corp-push, source: corp-push, namespaces: "*"}
- {name: second-pull, source: second-pull, namespaces: nowhere}
`;
const corp = 'corp.example.com/team/app:1';
const second = 'second.example.com/app:1';
const open = 'open.example.com/app:1';
const key = 'regkeeper.io/secrets';

const keeper = withRegkeeper(cluster, rules);
const acting = actingIn(kubectl, () => keeper.namespace);
const { attempt, create, get, list } = acting;

type Versioned = PodLike & { readonly metadata: { readonly resourceVersion: string; readonly generation: number } };

function neededBy({ metadata }: Pick<PodLike, 'metadata'> | undefined = { metadata: { name: '' } }): string | undefined {
  return metadata.annotations?.[key];
}

describe('the secrets with delivery that an object needs', () => {
  test('needs are recorded on a Deployment and its Pod, and in no template', async () => {
    await create(deployment('web', running(corp), { replicas: 1 }));
    const made = await get<Workload>('deployment/web');
    expect([neededBy(made), made.spec.template.metadata.annotations]).toEqual([
      'corp-pull',
      { 'regkeeper.io/injected': '{"rules":["corp-pull"]}' },
    ]);
    const pods = await waitFor(
      async () => {
        const found = await list('pods', '-l', 'app=web');
        return found.length > 0 && found;
      },
      { deadlineSeconds: 60, what: 'the Pod of the Deployment' },
    );
    expect(pods.map(neededBy)).toEqual(['corp-pull']);
  });

  test('needs are recorded on every kind with a template, on builds and on image streams', async () => {
    const image = (name: string) => ({ kind: 'DockerImage', name });
    const template = { metadata: { labels: { app: 'kinds' } }, spec: { ...running(corp), restartPolicy: 'Never' } };
    const named = { metadata: { name: 'kinds' } };
    const objects = [
      workload('apps/v1', 'StatefulSet', 'kinds', running(corp), { serviceName: 'kinds', replicas: 0 }),
      workload('apps/v1', 'DaemonSet', 'kinds', running(corp)),
      { apiVersion: 'batch/v1', kind: 'Job', ...named, spec: { suspend: true, template } },
      {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        ...named,
        spec: { suspend: true, schedule: '0 3 * * *', jobTemplate: { spec: { template } } },
      },
      {
        apiVersion: 'build.openshift.io/v1',
        kind: 'BuildConfig',
        ...named,
        spec: { strategy: { type: 'Source', sourceStrategy: { from: image(corp) } }, output: { to: image(corp) } },
      },
      { apiVersion: 'image.openshift.io/v1', kind: 'ImageStream', ...named, spec: { tags: [{ name: '1', from: image(corp) }] } },
    ];
    expect((await create(...objects)).map(neededBy)).toEqual([
      'corp-pull',
      'corp-pull',
      'corp-pull',
      'corp-pull',
      'corp-pull,corp-push',
      'corp-pull',
    ]);
  });

  test('needs follow the images of a template', async () => {
    await create(deployment('moving', running(corp), { replicas: 0 }));
    for (const [image, needed] of [
      [second, 'second-pull'],
      [open, undefined],
      [corp, 'corp-pull'],
    ] as const) {
      await acting('set', 'image', 'deployment/moving', `app=${image}`);
      expect([image, neededBy(await get('deployment/moving'))]).toEqual([image, needed]);
    }
  });

  test('needs include secrets that the author lists or that come from the service account', async () => {
    await create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' }, imagePullSecrets: [{ name: 'corp-pull' }] });
    const listing = { ...running(corp), imagePullSecrets: [{ name: 'corp-pull' }] };
    const made = await create(pod('listing', listing), pod('of-robot', { ...running(corp), serviceAccountName: 'robot' }));
    expect(made.map(neededBy)).toEqual(['corp-pull', 'corp-pull']);
  });

  test('forged needs are replaced', async () => {
    const annotations = { [key]: 'second-pull' };
    const made = await create(pod('forged', running(open), { annotations }), pod('forged-too', running(corp), { annotations }));
    expect(made.map(neededBy)).toEqual([undefined, 'corp-pull']);
  });
});

describe('the annotation of a Deployment', () => {
  test('the annotation stays, with one ReplicaSet and the same generation as without regkeeper, whatever request is sent', async () => {
    const name = `steady-${keeper.namespace}`;
    const file = await write('steady', deployment(name, running(corp), { replicas: 0 }));
    // The webhooks exclude kube-system.
    const twin = actingIn(kubectl, () => 'kube-system');
    for (const act of [acting, twin]) await act('apply', '-f', file);
    await oneReplicaSet(name);
    const requests = [
      ['apply', '-f', file],
      ['label', 'deployment', name, 'a=b'],
      ['annotate', 'deployment', name, 'a=b'],
      ['apply', '--server-side', '--force-conflicts', '-f', file],
      ['apply', '--server-side', '-f', file],
      ['replace', '-f', file],
      ['apply', '-f', file],
      ['patch', 'deployment', name, '--type=merge', '-p', '{"spec":{"template":{"spec":{"imagePullSecrets":[]}}}}'],
      ['scale', 'deployment', name, '--replicas=1'],
      ['scale', 'deployment', name, '--replicas=0'],
    ];
    for (const request of requests) {
      for (const act of [acting, twin]) await act(...request);
      const [ours, theirs] = [await get('deployment', name), await twin.get('deployment', name)];
      expect([request, neededBy(ours), ours.metadata.generation]).toEqual([request, 'corp-pull', theirs.metadata.generation]);
    }
    await oneReplicaSet(name);
    await twin('delete', 'deployment', name);
  });

  test('the annotation causes no difference in kubectl diff, and a second apply of each kind changes nothing', async () => {
    const file = await write('same', deployment('same', running(corp), { replicas: 0 }));
    await acting('apply', '-f', file);
    expect((await attempt(['diff', '-f', file])).stdout).toBe('');
    await settled('same');
    const version = async () => (await get<Versioned>('deployment/same')).metadata.resourceVersion;
    const before = await version();
    await acting('apply', '-f', file);
    expect(await version()).toBe(before);

    const applied = await write('server-side', deployment('server-side', running(corp), { replicas: 0 }));
    const serverSide = () => acting('apply', '--server-side', '--field-manager=gitops', '-f', applied);
    await serverSide();
    await settled('server-side');
    const { metadata } = await get<Versioned>('deployment/server-side');
    await serverSide();
    expect((await get<Versioned>('deployment/server-side')).metadata).toEqual(metadata);
    expect(metadata.annotations?.[key]).toBe('corp-pull');
  });

  test('an annotation that a user removes or forges stays that way until the template changes, and requests without images are allowed alike', async () => {
    await create(deployment('edited', running(corp), { replicas: 0 }));
    await acting('annotate', 'deployment/edited', `${key}-`);
    expect(neededBy(await get('deployment/edited'))).toBeUndefined();
    await acting('annotate', 'deployment/edited', `${key}=second-pull`);
    await acting('scale', 'deployment/edited', '--replicas=1');
    expect(neededBy(await get('deployment/edited'))).toBe('second-pull');
    await acting('set', 'image', 'deployment/edited', `app=${corp}-next`);
    expect(neededBy(await get('deployment/edited'))).toBe('corp-pull');
  });

  test('is in the response to a dry run, which stores nothing', async () => {
    const { stdout } = await acting.tryCreate(deployment('dry', running(corp)), '--dry-run=server', '-o', 'json');
    expect(neededBy(JSON.parse(stdout))).toBe('corp-pull');
    expect((await attempt(['get', 'deployment/dry'])).stderr).toContain('NotFound');
  });
});

test('a debug container is still allowed, and so is a deletion', async () => {
  await create(pod('debugged', running(corp)));
  const patch = JSON.stringify({ spec: { ephemeralContainers: [{ name: 'debug', image: corp }] } });
  await acting('patch', 'pod/debugged', '--subresource=ephemeralcontainers', '-p', patch);
  const made = await get<PodLike & { spec: { ephemeralContainers: unknown[] } }>('pod/debugged');
  expect([neededBy(made), made.spec.ephemeralContainers]).toMatchObject(['corp-pull', [{ image: corp }]]);
  await acting('delete', 'pod/debugged', '--wait=false');
});

/** Waits until the controller has observed the latest generation. Its status is written then. */
async function settled(name: string): Promise<void> {
  await waitFor(
    async () => {
      const { metadata, status } = await get<Workload & { status?: { observedGeneration?: number; conditions?: unknown[] } }>(
        `deployment/${name}`,
      );
      return status?.observedGeneration === metadata.generation && (status?.conditions ?? []).length === 2;
    },
    { deadlineSeconds: 60, what: `the controller to see Deployment ${name}` },
  );
}

async function oneReplicaSet(name: string): Promise<void> {
  await waitFor(
    async () => {
      const { metadata, status } = await get<Workload & { status?: { observedGeneration?: number } }>(`deployment/${name}`);
      return status?.observedGeneration === metadata.generation;
    },
    { deadlineSeconds: 60, what: `the controller to see Deployment ${name}` },
  );
  expect(await list('replicasets', '-l', `app=${name}`)).toHaveLength(1);
}

async function write(name: string, object: object): Promise<string> {
  const file = join(keeper.folder, `${name}.json`);
  await writeFile(file, JSON.stringify(object));
  return file;
}
