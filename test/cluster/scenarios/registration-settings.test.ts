/** The settings of the webhook entries: the API server stores the entries unchanged and applies them. */
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { launchRegkeeper, routeTo } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;

const keeper = withRegkeeper(cluster, 'mode: enforce\nunconfigured: deny\nrules: []\n', {
  flags: [
    ...['--namespace-selector', 'team notin (legacy, old), !legacy'],
    ...['--match-condition', "request.userInfo.username != 'restorer'"],
    ...['--failure-policy', 'Ignore', '--webhook-timeout-seconds', '9'],
  ],
});

// In an existing cluster the server's flags come from its Deployment.
describe.runIf(cluster.local)('set by flags', () => {
  const tryPod = (namespace: string, ...more: readonly string[]) =>
    kubectl(['run', 'web', '--image=unknown.example.com/x', '-n', namespace, '--dry-run=server', ...more], { allowFailure: true });

  const entriesOf = async (kind: string) => {
    const { webhooks } = await kubectl.json<{ webhooks: ({ name: string } & Record<string, unknown>)[] }>(['get', kind, 'regkeeper']);
    return webhooks;
  };

  test('the API server stores the entries unchanged, so they are not written again and again', async () => {
    const entries = [...(await entriesOf('mutatingwebhookconfiguration')), ...(await entriesOf('validatingwebhookconfiguration'))];
    const ofPods = entries.filter(({ name }) => /^pods\.(mutate|validate)\./.test(name));
    expect(ofPods).toHaveLength(2);
    for (const entry of ofPods) {
      expect(entry).toMatchObject({ failurePolicy: 'Ignore', timeoutSeconds: 9 });
      expect(entry.namespaceSelector).toEqual({
        matchExpressions: [
          { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['regkeeper', 'kube-system', 'kube-node-lease'] },
          { key: 'team', operator: 'NotIn', values: ['legacy', 'old'] },
          { key: 'legacy', operator: 'DoesNotExist' },
        ],
      });
    }
    expect(entries.find(({ name }) => name === 'configmaps.guard.regkeeper.io')).toMatchObject({
      failurePolicy: 'Ignore',
      timeoutSeconds: 5,
    });
  });

  test('requests are intercepted according to namespace labels', async () => {
    const [asked, old, legacy] = [
      await cluster.namespace({ team: 'new' }),
      await cluster.namespace({ team: 'old' }),
      await cluster.namespace({ legacy: '' }),
    ];
    expect((await tryPod(asked)).stderr).toContain('denied the request');
    expect((await tryPod(old)).code).toBe(0);
    expect((await tryPod(legacy)).code).toBe(0);
  });

  test('requests that the match condition excludes are not intercepted', async () => {
    const restorer = ['--as', 'restorer', '--as-group', 'system:masters'];
    expect((await tryPod(keeper.namespace, ...restorer)).code).toBe(0);
    expect((await tryPod(keeper.namespace, '--as', 'somebody', '--as-group', 'system:masters')).stderr).toContain('denied the request');
  });

  test.each([
    ['request.userInfo.username ==', /--match-condition is invalid: compilation failed: .*Syntax error/],
    ['request.userInfo.username + "x"', /--match-condition is invalid: must evaluate to bool but got string$/],
  ])('the condition %s changes nothing, and the log shows why', async (condition, message) => {
    const before = await entriesOf('mutatingwebhookconfiguration');
    const { kubeconfig, routeService } = cluster;
    const directory = join(keeper.folder, 'mistaken');
    const settings = {
      kubectl,
      kubeconfig,
      directory,
      routeService,
      flags: ['--shutdown-delay-seconds', '1', '--match-condition', condition],
    };
    // Only the leader fills the configurations, so the other server must release its Lease first.
    await keeper.server?.end();
    const mistaken = await launchRegkeeper(settings);
    onTestFinished(async () => {
      await mistaken.end();
      await keeper.restart();
    });
    await routeTo(mistaken, settings);
    const loggedError = () =>
      mistaken.log().find(({ level, msg }) => level === 'error' && String(msg).includes('cannot register the webhooks'));
    await waitFor(async () => loggedError() !== undefined, { deadlineSeconds: 60, what: 'the complaint' });
    expect(loggedError()?.msg).toMatch(message);
    expect(String(loggedError()?.msg).length).toBeLessThan(600);
    expect(await entriesOf('mutatingwebhookconfiguration')).toEqual(before);
  });

  // Must be the last test, because no server runs afterwards.
  test('with Ignore, images are allowed while no replica responds, and the log warns about that at startup', async () => {
    const warnings = keeper.server?.log().filter(({ level }) => level === 'warn') ?? [];
    expect(warnings.map(({ msg }) => msg)).toContain(
      '--failure-policy is Ignore: while no replica is available, all images are allowed and no secrets are injected',
    );
    expect((await tryPod(keeper.namespace)).stderr).toContain('denied the request');
    await keeper.server?.end('SIGKILL');
    await waitFor(async () => (await tryPod(keeper.namespace)).code === 0, { deadlineSeconds: 60, what: 'a Pod to be allowed' });
  });
});
