/** Tests the installation with Helm, after the one with kustomize has been removed. */

import { beforeAll, describe, expect, test } from 'vitest';
import { createHelm, findHelm, type Helm } from '../../cluster/helm.ts';
import { ownNamespace } from '../../cluster/regkeeper.ts';
import { target, waitFor } from '../../cluster/target.ts';
import { deployment, pod } from '../../cluster/workloads.ts';
import { clusterScoped, nothingIsLeft, type Way, ways } from '../../kind/ways.ts';
import { installOnNode, untilRolledOut } from '../installation.ts';
import { actingOnNode, named, putSource, registrySecret, sleeping, untilRunning, usersWhoPulled } from '../target.ts';

const cluster = target();
const { kubectl } = cluster;
let namespace = '';
const acting = actingOnNode(kubectl, () => namespace);
const [kustomize, chart] = ways() as [Way, Way];
let helm: Helm;

const rules = `
mode: enforce
unconfigured: deny
rules:
- {registry: private.test, pullSecret: private-pull}
- {registry: second.test, pullSecret: delivered-pull}
secrets:
- {name: delivered-pull, source: delivered-source, namespaces: "*"}
`;

beforeAll(async () => {
  helm = createHelm({ binary: await findHelm(), kubeconfig: cluster.kubeconfig });
  namespace = await cluster.namespace();
});

describe('after a removal, a new installation', () => {
  test('finds nothing left from the previous one', async () => {
    await kustomize.remove(kubectl, helm);
    await waitFor(() => nothingIsLeft(kubectl), { deadlineSeconds: 120, what: 'nothing to be left of the installation before' });
  });

  // `helm test` needs DNS, which this node does not have. `npm run test:kind` runs it.
  test('has two replicas with Helm', async () => {
    const delivered = 'secretDelivery.secrets[0]';
    const values = ['secretDelivery.enabled=true', `${delivered}.name=delivered-pull`, `${delivered}.source=delivered-source`];
    await installOnNode(chart, kubectl, helm, values);
    expect(await readyReplicas('regkeeper')).toBe('2');
  });

  test('adds the secret with which a private image is pulled', async () => {
    await acting.create(registrySecret('private-pull', { 'private.test': 'ada' }));
    const patch = JSON.stringify({ data: { 'rules.yaml': rules } });
    await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch]);
    const denies = async () => (await acting.tryCreate(pod('denied', sleeping('unknown.test/x:1')), '--dry-run=server')).code !== 0;
    await waitFor(denies, { deadlineSeconds: 60, what: 'the rules to take effect' });
    await acting.create(deployment('with-helm', sleeping('private.test/with-helm:1')));
    await untilRunning(acting, '-l', 'app=with-helm');
    expect(usersWhoPulled('with-helm')).toEqual(['ada@private.test']);
  });

  test('delivers the secret to a newly created namespace, so that the Pod of its first Deployment runs', async () => {
    await putSource(kubectl, 'delivered-source', { 'second.test': 'grace' });
    const name = await cluster.namespace();
    const inNew = actingOnNode(kubectl, () => name);
    await inNew.create(deployment('delivered', sleeping('second.test/delivered:1')));
    await untilRunning(inNew, '-l', 'app=delivered');
    expect(usersWhoPulled('delivered')).toEqual(['grace@second.test']);
    expect((await kubectl(['get', 'secrets', '-n', name, '-o', 'name'])).stdout).toBe('secret/delivered-pull\n');
    await untilRolledOut(kubectl, 'regkeeper-deliver');
    expect(await readyReplicas('regkeeper-deliver')).toBe('2');
  });

  // The scenarios of test/cluster show that the namespace can be deleted then. That takes a quarter of a minute.
  test('leaves a cluster that admits every Pod when it is removed', async () => {
    await helm(['uninstall', 'regkeeper', '-n', ownNamespace]);
    await waitFor(() => nothingIsLeft(kubectl, clusterScoped), { deadlineSeconds: 60, what: 'nothing to be left outside the namespace' });
    await acting.create(pod('after', sleeping('untrusted.test/after-helm:1')));
    await untilRunning(acting, named('after'));
  });
});

async function readyReplicas(deployment: string): Promise<string> {
  const { stdout } = await kubectl(['get', 'deployment', deployment, '-n', ownNamespace, '-o', 'jsonpath={.status.readyReplicas}']);
  return stdout;
}
