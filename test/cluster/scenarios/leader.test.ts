/** Leader election of several replicas: one holds the Lease, and another takes over however the first ends. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connectApi } from '../../../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../../../src/kube/kubeconfig.ts';
import type { Lease } from '../../../src/kube/lease.ts';
import {
  applyBase,
  deleteBase,
  launchRegkeeper,
  ownNamespace,
  type Regkeeper,
  readiness,
  routeTo,
  serviceAccountKubeconfig,
  waitUntilFilled,
  waitUntilReady,
} from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';

const cluster = target();
const { kubectl, kubeconfig, routeService } = cluster;

let folder = '';
let account: string;
const running: Regkeeper[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-leader-'));
  await applyBase(kubectl);
  account = await serviceAccountKubeconfig({ kubectl, directory: folder });
});

afterAll(async () => {
  await Promise.all(running.map((each) => each.end('SIGKILL')));
  await deleteBase(kubectl);
  await rm(folder, { recursive: true, force: true });
});

test('two replicas: one is the leader and fills the webhook configurations, both are ready, and the other logs which one is the leader', async () => {
  const [one, other] = await Promise.all([launch('one'), launch('other')]);
  const { leader, follower } = await waitForLeader(one, other);
  await routeTo(leader, cluster);
  await waitUntilFilled(kubectl);
  await waitUntilReady(follower, { deadlineSeconds: 60, what: 'the other replica to be ready' });
  await waitFor(() => messages(follower).some((each) => each.startsWith('another replica is the leader: ')), {
    deadlineSeconds: 60,
    what: 'the other to name the leader',
  });
  expect(messages(follower).filter((each) => each.startsWith('registered the webhooks'))).toEqual([]);
  expect(await leaseSpec()).toMatchObject({ leaseDurationSeconds: 15, leaseTransitions: 0 });
});

test('a killed leader is replaced by the other within the lease duration, which then repairs', async () => {
  const { leader, follower } = await waitForLeader(...two());
  await leader.end('SIGKILL');
  await routeTo(follower, cluster);
  await weaken();
  await waitFor(() => messages(follower).includes('became the leader'), { deadlineSeconds: 60, what: 'the other to lead' });
  await waitUntilRepaired();
  await waitFor(() => messages(follower).some((each) => each.startsWith('restored the')), {
    deadlineSeconds: 60,
    what: 'the log line',
  });
  expect(await leaseSpec()).toMatchObject({ leaseTransitions: 1 });
});

test('a leader that shuts down hands over before its drain is over', async () => {
  const next = await launch('next');
  await waitFor(() => messages(next).some((each) => each.startsWith('another replica is the leader: ')), {
    deadlineSeconds: 60,
    what: 'the next replica to see the leader',
  });
  const { leader } = await waitForLeader(...two());
  expect(leader).not.toBe(next);
  const ended = leader.end('SIGTERM');
  await waitFor(() => messages(next).includes('became the leader'), { deadlineSeconds: 8, what: 'the next to lead' });
  expect(leader.process.exitCode).toBe(null);
  const handover = ['became the leader', 'no longer the leader: shutting down', `released Lease ${ownNamespace}/regkeeper`];
  await waitFor(() => handover.every((each) => messages(leader).includes(each)), { deadlineSeconds: 60, what: 'the log of the handover' });
  await routeTo(next, cluster);
  expect(await ended).toBe(0);
  await weaken();
  await waitUntilRepaired();
});

test('a Lease that a user deletes or overwrites recovers, with one leader', async () => {
  const [leader] = alive();
  if (!leader) throw new Error('nobody runs');
  const before = (await leaseSpec()).holderIdentity;
  await kubectl(['delete', 'lease', 'regkeeper', '-n', ownNamespace]);
  await waitFor(async () => (await leaseSpec()).holderIdentity === before, { deadlineSeconds: 60, what: 'the Lease to be there again' });

  const scribble = {
    spec: {
      holderIdentity: 'me',
      leaseDurationSeconds: 2_000_000_000,
      leaseTransitions: 2 ** 31 - 1,
      renewTime: '2099-01-01T00:00:00.000000Z',
    },
  };
  await kubectl(['patch', 'lease', 'regkeeper', '-n', ownNamespace, '--type=merge', '-p', JSON.stringify(scribble)]);
  await waitFor(() => messages(leader).includes('another replica is the leader: me'), {
    deadlineSeconds: 60,
    what: 'the leader to notice',
  });
  await waitFor(async () => (await leaseSpec()).holderIdentity === before, { deadlineSeconds: 90, what: 'the Lease to be taken again' });
});

test('without permission for the Lease a replica is ready, is not the leader, registers nothing, and logs the missing permission', async () => {
  const roles = ['role', 'regkeeper-leader', '-n', ownNamespace];
  onTestFinished(() => applyBase(kubectl));
  await Promise.all(alive().map((each) => each.end()));
  await kubectl(['patch', ...roles, '--type=json', '-p', JSON.stringify([{ op: 'replace', path: '/rules', value: [] }])]);
  const lacking = await launch('lacking');
  await routeTo(lacking, cluster);
  const advice = await waitFor(() => messages(lacking).find((each) => each.includes('cannot acquire')), {
    deadlineSeconds: 40,
    what: 'the advice',
  });
  expect(advice).toContain(
    'does not manage the webhooks. Grant these permissions with a Role in namespace regkeeper: apiGroups ["coordination.k8s.io"]',
  );
  expect((await readiness(lacking)).ready).toBe(true);
  await applyBase(kubectl);
  await weaken();
  await waitFor(() => messages(lacking).includes('became the leader'), { deadlineSeconds: 60, what: 'the replica to lead once it may' });
  await waitUntilRepaired();
});

test('the API server does not recreate a Lease that was deleted after it had been read', async () => {
  const admin = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
  onTestFinished(() => admin.close());
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${ownNamespace}/leases`;
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'tried', namespace: ownNamespace } };
  const read = await admin.create<Lease>(leases, lease);
  await admin.delete(`${leases}/tried`);
  await expect(admin.replace(`${leases}/tried`, read)).rejects.toMatchObject({ status: 409 });
});

function launch(name: string): Promise<Regkeeper> {
  const flags = ['--shutdown-delay-seconds', '8'];
  const settings = { kubectl, kubeconfig, directory: join(folder, name), routeService, account, flags };
  return launchRegkeeper(settings).then((server) => {
    running.push(server);
    return server;
  });
}

function alive(): Regkeeper[] {
  return running.filter(({ process }) => process.exitCode === null && process.signalCode === null);
}

function two(): [Regkeeper, Regkeeper] {
  const [one, other] = alive();
  if (!one || !other) throw new Error('two replicas should run');
  return [one, other];
}

async function waitForLeader(one: Regkeeper, other: Regkeeper): Promise<{ leader: Regkeeper; follower: Regkeeper }> {
  return await waitFor(
    () => {
      const [first, second] = [messages(one).includes('became the leader'), messages(other).includes('became the leader')];
      if (first === second) return undefined;
      return first ? { leader: one, follower: other } : { leader: other, follower: one };
    },
    { deadlineSeconds: 60, what: 'one leader' },
  );
}

function messages(server: Regkeeper): string[] {
  return server.log().map(({ msg }) => String(msg));
}

async function leaseSpec(): Promise<NonNullable<Lease['spec']>> {
  return (await kubectl.json<Lease>(['get', 'lease', 'regkeeper', '-n', ownNamespace])).spec ?? {};
}

async function weaken(): Promise<void> {
  const patch = '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]';
  await kubectl(['patch', 'validatingwebhookconfiguration', 'regkeeper', '--type=json', `--patch=${patch}`]);
}

async function waitUntilRepaired(): Promise<void> {
  await waitFor(
    async () => {
      const { webhooks } = await kubectl.json<{ webhooks: { name: string; failurePolicy: string }[] }>([
        'get',
        'validatingwebhookconfiguration',
        'regkeeper',
      ]);
      return webhooks.every(({ name, failurePolicy }) => failurePolicy === (name.includes('.guard.') ? 'Ignore' : 'Fail'));
    },
    { deadlineSeconds: 60, what: 'the entries to be put back' },
  );
}
