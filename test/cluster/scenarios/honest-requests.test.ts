/** The helpers of the scenarios about hostile input: honest requests must report failures, and only those, and a tenant has only `edit`. */
import { expect, test } from 'vitest';
import { startHonestRequests } from '../honest-requests.ts';
import { target } from '../target.ts';
import { createTenant } from '../tenant.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl, kubeconfig } = cluster;
const rules = 'mode: enforce\nunconfigured: deny\nrules:\n- {registry: good.example.com, pullSecret: corp}\n';
const keeper = withRegkeeper(cluster, rules);
const images = { image: 'good.example.com/app', deniedImage: 'bad.example.com/app', pullSecret: 'corp' };

test('undisturbed requests all succeed', async () => {
  const honest = await startHonestRequests({ kubeconfig, namespace: keeper.namespace, ...images, perSecond: 20 });
  await honest.atLeast(100);
  const { failed, answered, p50, p99, max, summary } = await honest.stop();
  process.stdout.write(`${summary}\n`);
  expect(failed).toEqual([]);
  expect(answered).toBeGreaterThanOrEqual(100);
  expect([p50 <= p99, p99 <= max]).toEqual([true, true]);
});

test('a Pod that is denied by mistake counts as failed, with the reason', async () => {
  const honest = await startHonestRequests({ kubeconfig, namespace: keeper.namespace, ...images });
  await keeper.writeRules(rules.replace('good', 'other'));
  const before = honest.answered();
  await honest.atLeast(before + 50);
  const { failed } = await honest.stop();
  await keeper.writeRules(rules);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed[0]?.message).toMatch(/image "good\.example\.com\/app" is not from a configured registry/);
});

test('a tenant may create builds in its own namespace, and nothing in another one', async () => {
  const namespace = await cluster.namespace();
  const { client, user } = await createTenant({ kubectl, kubeconfig, namespace });
  const build = {
    apiVersion: 'build.openshift.io/v1',
    kind: 'BuildConfig',
    metadata: { name: 'app' },
    spec: { strategy: { dockerStrategy: {} }, output: { to: { kind: 'DockerImage', name: 'good.example.com/app' } } },
  };
  await client.create(`/apis/build.openshift.io/v1/namespaces/${namespace}/buildconfigs`, build);
  const elsewhere = client.create(`/apis/build.openshift.io/v1/namespaces/${keeper.namespace}/buildconfigs`, build);
  await expect(elsewhere).rejects.toThrow(`User "${user}" cannot create resource "buildconfigs"`);
});
