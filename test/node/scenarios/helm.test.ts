/** Tests the installation with Helm, after the one with kustomize has been removed. */

import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createHelm, findHelm, type Helm } from '../../cluster/helm.ts';
import { ownNamespace } from '../../cluster/regkeeper.ts';
import { target, waitFor } from '../../cluster/target.ts';
import { deployment, pod } from '../../cluster/workloads.ts';
import { clusterScoped, nothingIsLeft, type Way, ways } from '../../kind/ways.ts';
import { installOnNode } from '../installation.ts';
import { actingOnNode, named, registrySecret, sleeping, untilRunning, usersWhoPulled } from '../target.ts';

const cluster = target();
const root = resolve(import.meta.dirname, '../../..');
const { kubectl } = cluster;
let namespace = '';
const acting = actingOnNode(kubectl, () => namespace);
const [kustomize, chart] = ways() as [Way, Way];
let helm: Helm;

beforeAll(async () => {
  helm = createHelm({ binary: await findHelm(), kubeconfig: cluster.kubeconfig });
  namespace = await cluster.namespace();
});

describe('after a removal, a new installation', () => {
  test('finds nothing of the one before', async () => {
    await kustomize.remove(kubectl, helm);
    await waitFor(() => nothingIsLeft(kubectl), { deadlineSeconds: 120, what: 'nothing to be left of the installation before' });
  });

  // `helm test` needs DNS, which this node has not. `npm run test:kind` runs it.
  test('with Helm has two replicas', async () => {
    await installOnNode(chart, kubectl, helm);
    const { stdout } = await kubectl(['get', 'deployment', 'regkeeper', '-n', ownNamespace, '-o', 'jsonpath={.status.readyReplicas}']);
    expect(stdout).toBe('2');
  });

  test('adds the secret with which a private image is pulled', async () => {
    await acting.create(registrySecret('private-pull', { 'private.test': 'ada' }));
    const rules = 'mode: enforce\nunconfigured: deny\nrules:\n- {registry: private.test, pullSecret: private-pull}\n';
    const patch = JSON.stringify({ data: { 'rules.yaml': rules } });
    await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch]);
    const denies = async () => (await acting.tryCreate(pod('denied', sleeping('unknown.test/x:1')), '--dry-run=server')).code !== 0;
    await waitFor(denies, { deadlineSeconds: 60, what: 'the rules to be in force' });
    await acting.create(deployment('with-helm', sleeping('private.test/with-helm:1')));
    await untilRunning(acting, '-l', 'app=with-helm');
    expect(usersWhoPulled('with-helm')).toEqual(['ada@private.test']);
  });

  test('delivers the secret to a namespace made from nothing, so that the Pod of its first Deployment runs', async () => {
    const secrets = [{ name: 'delivered-pull', source: 'delivered-source' }];
    const values = [
      '--set',
      'secretDelivery.enabled=true,secretDelivery.replicaCount=1',
      '--set-json',
      `secretDelivery.secrets=${JSON.stringify(secrets)}`,
    ];
    await helm(['upgrade', 'regkeeper', join(root, 'deploy/chart'), '-n', ownNamespace, ...values]);
    const source = registrySecret('delivered-source', { 'second.test': 'grace' });
    await actingOnNode(kubectl, () => ownNamespace).create({
      ...source,
      metadata: { ...source.metadata, labels: { 'regkeeper.io/source': 'true' } },
    });
    const rules = `mode: enforce
unconfigured: deny
rules: [{registry: second.test, pullSecret: delivered-pull}]
secrets: [{name: delivered-pull, source: delivered-source, namespaces: "*"}]
`;
    const patch = JSON.stringify({ data: { 'rules.yaml': rules } });
    await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch]);
    await kubectl(['rollout', 'status', 'deployment/regkeeper-deliver', '-n', ownNamespace, '--timeout=120s']);
    const made = await cluster.namespace();
    const inMade = actingOnNode(kubectl, () => made);
    await inMade.create(deployment('delivered', sleeping('second.test/delivered:1')));
    await untilRunning(inMade, '-l', 'app=delivered');
    expect(usersWhoPulled('delivered')).toEqual(['grace@second.test']);
    expect((await kubectl(['get', 'secrets', '-n', made, '-o', 'name'])).stdout).toBe('secret/delivered-pull\n');
  });

  // The scenarios of test/cluster show that the namespace can be deleted then. That takes a quarter of a minute.
  test('leaves a cluster that admits every Pod when it is removed', async () => {
    await helm(['uninstall', 'regkeeper', '-n', ownNamespace]);
    await waitFor(() => nothingIsLeft(kubectl, clusterScoped), { deadlineSeconds: 60, what: 'nothing to be left outside the namespace' });
    await acting.create(pod('after', sleeping('untrusted.test/after-helm:1')));
    await untilRunning(acting, named('after'));
  });
});
