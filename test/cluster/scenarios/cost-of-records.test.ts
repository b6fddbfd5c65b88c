/** An ordinary user writes objects that could cause huge audit records: each leaves one record, and other users are answered meanwhile. */
import { expect, test } from 'vitest';
import { startHonestRequests } from '../honest-requests.ts';
import { shippedHeap } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { createTenant } from '../tenant.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl, kubeconfig } = cluster;
const rules = `
mode: enforce
unconfigured: deny
rules:
- {registry: good.example.com, pullSecret: corp-pull, pushSecret: corp-push}
- {registry: "good.example.com:*", pullSecret: corp-pull, pushSecret: corp-push}
`;
const keeper = withRegkeeper(cluster, rules, { nodeFlags: [shippedHeap] });

const port = `good.example.com:${'0'.repeat(3_900)}5000/x`;
const paths = [{ sourcePath: '/', destinationDir: 'x' }];
const sources: Record<string, object> = {
  'ports-of-zeros': { dockerfile: `ARG A=${port}\n${'FROM $A\n'.repeat(250)}` },
  'image-sources': {
    images: Array.from({ length: 3_000 }, (_, index) => ({ from: { kind: 'DockerImage', name: `good.example.com/x${index}` }, paths })),
  },
};

test.runIf(cluster.local)('each hostile BuildConfig has its audit record, stored or denied', async () => {
  const namespace = await cluster.namespace();
  const tenant = await createTenant({ kubectl, kubeconfig, namespace });
  const honest = await startHonestRequests({
    kubeconfig,
    namespace: keeper.namespace,
    image: 'good.example.com/app',
    deniedImage: 'bad.example.com/app',
    pullSecret: 'corp-pull',
  });
  for (const [name, source] of Object.entries(sources)) {
    const build = {
      apiVersion: 'build.openshift.io/v1',
      kind: 'BuildConfig',
      metadata: { name },
      spec: { source, strategy: { dockerStrategy: {} }, output: { to: { kind: 'DockerImage', name: 'good.example.com/app' } } },
    };
    const stored = await tenant.client.create(`/apis/build.openshift.io/v1/namespaces/${namespace}/buildconfigs`, build).then(
      () => true,
      (error: Error) => {
        if (!error.message.includes('denied the request')) throw error;
        return false;
      },
    );
    const recordsOf = () => keeper.server?.audit().filter((record) => record.namespace === namespace && record.name === name) ?? [];
    const webhooks = stored ? ['mutate', 'validate'] : ['validate'];
    await waitFor(() => webhooks.every((webhook) => recordsOf().some((record) => record.webhook === webhook)), {
      deadlineSeconds: 60,
      what: `the records of ${name}`,
    });
    for (const record of recordsOf()) {
      expect(record).toMatchObject({ user: tenant.user, outcome: stored ? 'allowed' : expect.stringMatching(/^(allowed|warned|denied)$/) });
      expect(JSON.stringify(record).length).toBeLessThan(256 * 1024);
    }
  }
  const [record] = keeper.server?.audit().filter(({ name, webhook }) => name === 'image-sources' && webhook === 'mutate') ?? [];
  const { images, imagesOmitted } = record as { images: unknown[]; imagesOmitted: number };
  expect(images.length + imagesOmitted).toBe(3_001);
  await honest.atLeast(200, { deadlineSeconds: 120 });
  const { failed, summary } = await honest.stop();
  process.stdout.write(`${summary}\n`);
  expect(failed).toEqual([]);
});
