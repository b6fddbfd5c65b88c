/** An ordinary user sends BuildConfigs with a small inline Dockerfile that would be expensive to expand, while others create Pods. */
import { expect, test } from 'vitest';
import { hostileDockerfiles } from '../../hostile/dockerfiles.ts';
import { startHonestRequests } from '../honest-requests.ts';
import { target } from '../target.ts';
import { createTenant } from '../tenant.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const rules = `
mode: enforce
unconfigured: deny
rules:
- {name: good, registry: good.example.com, pullSecret: good-pull}
`;
const regkeeper = withRegkeeper(cluster, rules);

test('expensive inline Dockerfiles are denied with the reason, and delay no other namespace', {
  timeout: 300_000,
}, async () => {
  const { kubectl, kubeconfig } = cluster;
  const tenant = await createTenant({ kubectl, kubeconfig, namespace: await cluster.namespace() });
  const honest = await startHonestRequests({
    kubeconfig,
    namespace: regkeeper.namespace,
    image: 'good.example.com/app',
    deniedImage: 'evil.example.com/app',
    pullSecret: 'good-pull',
  });

  const builds = `/apis/build.openshift.io/v1/namespaces/${tenant.namespace}/buildconfigs`;
  const unlike: string[] = [];
  let sent = 0;
  // Repeats all of them until enough honest requests have been answered in the meantime.
  do {
    for (const { name, build, message } of hostileDockerfiles) {
      const { metadata, ...rest } = build();
      const answer = await tenant.client.create(builds, { ...rest, metadata: { ...metadata, namespace: tenant.namespace } } as never).then(
        () => 'allowed',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      sent++;
      if (!message.test(answer)) unlike.push(`${name}: ${answer.slice(0, 300)}`);
    }
  } while (honest.answered() < 200);
  await honest.atLeast(200);
  const result = await honest.stop();
  process.stdout.write(`${sent} hostile BuildConfigs; ${result.summary}\n`);

  expect(unlike).toEqual([]);
  expect(result.failed).toEqual([]);
  expect(result.answered).toBeGreaterThanOrEqual(200);
  // Latencies are printed, not asserted, because they depend on the machine. A request that exceeds the webhook's timeout fails.
});
