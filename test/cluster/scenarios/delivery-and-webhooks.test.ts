/** Webhooks and secret delivery together: an object needs a secret, the namespace gets it, and `onMissingSecret: deny` never blocks that. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyDelivery, applyDeliveryRights, applySource, type DeliveryProcess, deleteDelivery, startDelivery } from '../delivery.ts';
import { ownNamespace } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { actingIn, deployment, pod, running } from '../workloads.ts';

const cluster = target();
const { kubectl } = cluster;
const rules = `
mode: enforce
rules:
- {registry: corp.example.com, pullSecret: corp-pull, onMissingSecret: deny}
secrets:
- {name: corp-pull, source: corp-source, namespaces: {matchLabels: {tier: prod}}}
`;
const image = 'corp.example.com/team/app:1';

// The server checks its permissions when it starts, so the role exists before.
beforeAll(async () => {
  const rights = [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['corp-pull'], verbs: ['list', 'watch'] }];
  const metadata = { name: 'regkeeper-secrets' };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', ...metadata };
  const subjects = [{ kind: 'ServiceAccount', name: 'regkeeper', namespace: ownNamespace }];
  for (const object of [
    { apiVersion, kind: 'ClusterRole', metadata, rules: rights },
    { apiVersion, kind: 'ClusterRoleBinding', metadata, roleRef, subjects },
  ]) {
    await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(object) });
  }
});

const keeper = withRegkeeper(cluster, rules);
let delivery: DeliveryProcess;

beforeAll(async () => {
  await applyDelivery(kubectl, keeper.folder);
  await applyDeliveryRights(kubectl, keeper.folder, rules);
  await applySource(kubectl, 'corp.example.com');
  await start();
});

afterAll(async () => {
  await delivery?.end('SIGKILL');
  await deleteDelivery(kubectl);
  await kubectl(['delete', 'clusterrole,clusterrolebinding', 'regkeeper-secrets', '--ignore-not-found']);
});

let starts = 0;

async function start(): Promise<void> {
  starts += 1;
  delivery = await startDelivery({ kubectl, directory: join(keeper.folder, `delivery-${starts}`) });
}

/** A new namespace that may have the secret. */
async function newNamespace(labels: Readonly<Record<string, string>> = { tier: 'prod' }) {
  const namespace = await cluster.namespace(labels);
  const acting = actingIn(kubectl, () => namespace);
  const hasCopy = async () => (await acting.attempt(['get', 'secret', 'corp-pull'])).code === 0;
  return { acting, hasCopy, waitForCopy: () => waitFor(hasCopy, { deadlineSeconds: 60, what: `the copy in ${namespace}` }) };
}

/** What a client is shown for a Pod in a new namespace, without storing it. */
async function warningInNewNamespace(): Promise<string> {
  const { acting } = await newNamespace();
  return (await acting.tryCreate(pod('probe', running(image)), '--dry-run=server')).stderr;
}

describe('while secret delivery is running', () => {
  test('a Pod in a newly created namespace is created with a warning, and the secret is delivered', async () => {
    await waitFor(async () => (await warningInNewNamespace()).includes('It will be delivered.'), {
      deadlineSeconds: 60,
      what: 'the server to see that secret delivery is running',
    });
    const { acting, waitForCopy } = await newNamespace();
    const { code, stderr } = await acting.tryCreate(pod('web', running(image)));
    expect([code, stderr]).toEqual([0, expect.stringContaining('pull secret "corp-pull" does not exist in namespace')]);
    await waitForCopy();
    const again = await waitFor(
      async () => {
        const created = await acting.tryCreate(pod('again', running(image)), '--dry-run=server');
        return created.stderr === '' && created;
      },
      { deadlineSeconds: 60, what: 'a Pod without a warning' },
    );
    expect(again.code).toBe(0);
  });

  test('a Deployment at 0 replicas gets its secret before its first Pod', async () => {
    const { acting, waitForCopy } = await newNamespace();
    await acting.create(deployment('web', running(image), { replicas: 0 }));
    await waitForCopy();
    expect(await acting.list('pods')).toEqual([]);
  });

  test('a Pod in a namespace without entitlement is denied, and the namespace gets no copy', async () => {
    const { acting, hasCopy } = await newNamespace({ tier: 'sandbox' });
    const { code, stderr } = await acting.tryCreate(pod('web', running(image), { annotations: { 'regkeeper.io/secrets': 'corp-pull' } }));
    expect([code, stderr]).toEqual([1, expect.stringContaining('pull secret "corp-pull" does not exist in namespace')]);
    expect(await hasCopy()).toBe(false);
  });
});

describe('while secret delivery is stopped', () => {
  test('a Pod is created although onMissingSecret is deny, the warning shows since when, and a restart delivers', async () => {
    await delivery.end('SIGTERM');
    await waitFor(async () => /secret delivery has not been running since \d{4}-\d\d-\d\dT[\d:]{8}Z/.test(await warningInNewNamespace()), {
      deadlineSeconds: 60,
      what: 'the server to see that secret delivery has stopped',
    });
    const { acting, hasCopy, waitForCopy } = await newNamespace();
    const { code, stderr } = await acting.tryCreate(pod('web', running(image)));
    expect([code, stderr]).toEqual([0, expect.stringContaining('Ask an administrator to start it.')]);
    expect(await hasCopy()).toBe(false);
    await start();
    await waitForCopy();
  });

  test('after a crash, the warning changes when the Lease has expired', async () => {
    expect(await warningInNewNamespace()).toContain('It will be delivered.');
    await delivery.end('SIGKILL');
    await waitFor(async () => (await warningInNewNamespace()).includes('has not been running since'), {
      deadlineSeconds: 40,
      what: 'the Lease to run out',
    });
  });
});
