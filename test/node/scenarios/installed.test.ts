/** Tests regkeeper as users run it: its own image in Pods of the node, two replicas, self-managed certificates, called through its Service. */

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createHelm, findHelm } from '../../cluster/helm.ts';
import { programFile } from '../../cluster/program.ts';
import { ownNamespace, waitUntilFilled } from '../../cluster/regkeeper.ts';
import { target, waitFor } from '../../cluster/target.ts';
import { actingIn, deployment, pod, secretsIn } from '../../cluster/workloads.ts';
import { nothingIsLeft, ways } from '../../kind/ways.ts';
import { memoryOf } from '../machine.ts';
import { makeOwnImage } from '../own-image.ts';
import { followService, type ServiceOnNode } from '../service.ts';
import { controlNode, named, preload, registrySecret, sleeping, untilRunning, usersWhoPulled } from '../target.ts';
import { describeTimes, measurePods, median, milliseconds } from '../times.ts';

const cluster = target();
const { kubectl } = cluster;
const address = { namespace: ownNamespace, service: 'regkeeper', port: 443 };
const inOwn = actingIn(kubectl, () => ownNamespace);
const excluded = actingIn(kubectl, () => 'kube-system');
const rules = `
mode: enforce
unconfigured: deny
rules:
- {registry: private.test, pullSecret: private-pull}
- registry: open.test
`;

const mebibyte = 2 ** 20;

let service: ServiceOnNode;

beforeAll(async () => {
  await preload(await shippedImage(), await makeOwnImage(programFile()));
  service = await followService(await kubectl.api(), address);
  await cluster.routeService(address, service.port);
});

afterAll(() => service.close());

/** The name of the image in deploy/. */
async function shippedImage(): Promise<string> {
  const { stdout } = await kubectl(['kustomize', 'deploy/program']);
  return /^ *image: (\S+)$/m.exec(stdout)?.[1] ?? '';
}

describe.each(ways())('installed with $name', (way) => {
  let namespace = '';
  const acting = actingIn(kubectl, () => namespace);
  const name = (text: string) => `${text}-${way.name.toLowerCase()}`;

  beforeAll(async () => {
    const helm = createHelm({ binary: await findHelm(), kubeconfig: cluster.kubeconfig });
    await way.install(kubectl, helm);
    await rolledOut();
    await waitUntilFilled(kubectl);
    namespace = await cluster.namespace();
    await acting.create(registrySecret('private-pull', { 'private.test': 'ada' }));
    const patch = JSON.stringify({ data: { 'rules.yaml': rules } });
    await inOwn('patch', 'configmap', 'regkeeper-rules', '--type=merge', '-p', patch);
    await waitFor(() => denies('unknown.test/x:1'), { deadlineSeconds: 20, what: 'the rules to be in force' });
  });

  async function rolledOut(): Promise<void> {
    await inOwn('rollout', 'status', 'deployment/regkeeper', '--timeout=60s');
  }

  async function denies(image: string): Promise<boolean> {
    const { code, stderr } = await acting.tryCreate(pod('denied', sleeping(image)), '--dry-run=server');
    return code !== 0 && stderr.includes('is not from a configured registry');
  }

  /** Creates a Deployment of a private image, and waits until its Pod runs with the secret. */
  async function pulls(app: string): Promise<void> {
    await acting.create(deployment(name(app), sleeping(`private.test/${name(app)}:1`)));
    await untilRunning(acting, '-l', `app=${name(app)}`);
    expect(usersWhoPulled(name(app))).toEqual(['ada@private.test']);
  }

  test('two replicas answer through the Service, and a private image is pulled', async () => {
    const { stdout } = await inOwn('get', 'deployment', 'regkeeper', '-o', 'jsonpath={.status.readyReplicas}');
    expect(stdout).toBe('2');
    await pulls('installed');
  });

  test('after all replicas were killed, excluded namespaces start Pods, and admission resumes by itself', async () => {
    await inOwn('delete', 'pods', '--all', '--force', '--grace-period=0');
    onTestFinished(async () => void (await excluded('delete', `pod/${name('system')}`, '--ignore-not-found')));
    await excluded.create(pod(name('system'), sleeping('open.test/system:1')));
    await untilRunning(excluded, named(name('system')));
    await rolledOut();
    await waitFor(() => denies('unknown.test/x:1'), { deadlineSeconds: 30, what: 'admission to resume' });
    await pulls('resumed');
  });

  test('during a rolling upgrade no Pod is denied or without its secret', async () => {
    await acting.create(deployment(name('scaled'), sleeping(`private.test/${name('scaled')}:1`), { replicas: 1 }));
    const api = await kubectl.api();
    const path = `/api/v1/namespaces/${namespace}/pods`;
    await inOwn('rollout', 'restart', 'deployment/regkeeper');
    let upgraded = false;
    const rollout = rolledOut().finally(() => {
      upgraded = true;
    });
    const results = new Map<string, number>();
    for (let count = 0; !upgraded; count++) {
      if (count % 20 === 0) await acting('scale', `deployment/${name('scaled')}`, `--replicas=${count % 40 === 0 ? 3 : 0}`);
      const made = api.create<ReturnType<typeof pod>>(path, pod('rolling', sleeping('private.test/x:1')), { dryRun: 'All' });
      const result = await made.then((object) => secretsIn(object as never).join(), String);
      results.set(result, (results.get(result) ?? 0) + 1);
    }
    await rollout;
    expect([...results.keys()]).toEqual(['private-pull']);
    const { items } = await kubectl.json<{ items: { reason: string; message: string }[] }>(['get', 'events', '-n', namespace]);
    expect(items.filter(({ reason }) => reason === 'FailedCreate').map(({ message }) => message)).toEqual([]);
    await acting('delete', 'deployment', name('scaled'));
  });

  test('after a restart of the kubelet and containerd, Pods are admitted and pulled as before', async () => {
    await controlNode('stop');
    await controlNode('start');
    await rolledOut();
    await pulls('restarted');
  });

  test('admission costs a Pod less than 40 ms', async () => {
    const api = await kubectl.api();
    const imagePullSecrets = [{ name: name('timed-pull') }];
    await excluded.create(registrySecret(name('timed-pull'), { 'private.test': 'ada' }));
    const [inScope, outOfScope] = [measurePods(api, namespace), measurePods(api, 'kube-system')];
    const running = { with: [] as number[], without: [] as number[] };
    const dryRuns = { with: [] as number[], without: [] as number[] };
    // In turn, and each one first in half of the rounds, so that the load of the machine meets both.
    for (let round = 0; round < 10; round++) {
      const runWith = async () => {
        const one = name(`timed-with-${round}`);
        running.with.push(await inScope.untilRunning(pod(one, sleeping(`private.test/${one}:1`))));
      };
      const runWithout = async () => {
        const one = name(`timed-without-${round}`);
        running.without.push(await outOfScope.untilRunning(pod(one, sleeping(`private.test/${one}:1`, { imagePullSecrets }))));
      };
      for (const run of round % 2 === 0 ? [runWith, runWithout] : [runWithout, runWith]) await run();
      for (let dryRun = 0; dryRun < 10; dryRun++) {
        const create = (where: string, more: object) =>
          api.create(`/api/v1/namespaces/${where}/pods`, pod('dry', sleeping('private.test/x:1', more)), { dryRun: 'All' });
        dryRuns.with.push(await milliseconds(() => create(namespace, {})));
        dryRuns.without.push(await milliseconds(() => create('kube-system', { imagePullSecrets })));
      }
    }
    await Promise.all([inScope.stop(), outOfScope.stop()]);
    await excluded('delete', 'pods', '--all', '--force');
    await excluded('delete', 'secret', name('timed-pull'));
    const lines = [
      ['request to Running', running],
      ['a dry run', dryRuns],
    ] as const;
    for (const [what, times] of lines) {
      console.log(`${what}, ${way.name}: with regkeeper ${describeTimes(times.with)}; without ${describeTimes(times.without)}`);
    }
    expect(median(dryRuns.with) - median(dryRuns.without)).toBeLessThan(40);
  });

  test('no replica was killed for its memory, and none has used half of its limit', async () => {
    type Replica = {
      metadata: { name: string; uid: string; deletionTimestamp?: string };
      status: { containerStatuses: { lastState: object; containerID: string }[] };
    };
    // Those that the upgrade has replaced may still end, and have no control group then.
    const replicas = (await inOwn.list<Replica>('pods')).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    expect(JSON.stringify(replicas.map(({ status }) => status.containerStatuses.map(({ lastState }) => lastState)))).not.toContain(
      'OOMKilled',
    );
    for (const { metadata, status } of replicas) {
      const { peak, limit } = memoryOf(metadata.uid, status.containerStatuses[0]?.containerID.replace(/^.*\//, '') ?? '');
      console.log(`${metadata.name} used at most ${(peak / mebibyte).toFixed(0)} of ${limit / mebibyte} MiB.`);
      expect(limit).toBe(768 * mebibyte);
      expect(peak).toBeLessThan(limit / 2);
    }
  });

  test('after its removal the cluster admits Pods as before', async () => {
    const helm = createHelm({ binary: await findHelm(), kubeconfig: cluster.kubeconfig });
    await way.remove(kubectl, helm);
    await waitFor(() => nothingIsLeft(kubectl), { deadlineSeconds: 60, what: `nothing to be left of ${way.name}` });
    await acting.create(pod(name('after'), sleeping('untrusted.test/after:1')));
    await untilRunning(acting, named(name('after')));
  }, 120_000);
});
