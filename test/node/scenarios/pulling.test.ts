/** Tests that pulls succeed because regkeeper added the secret, and that nothing but the rule and the secret is needed. */

import { beforeAll, describe, expect, test } from 'vitest';
import { target, waitFor } from '../../cluster/target.ts';
import { withRegkeeper } from '../../cluster/with-regkeeper.ts';
import { deployment, pod, secretsIn, serviceAccount, workload } from '../../cluster/workloads.ts';
import {
  actingOnNode,
  named,
  registrySecret,
  requestsFor,
  sleeping,
  untilPod,
  untilPullFails,
  untilRunning,
  usersWhoPulled,
} from '../target.ts';

const cluster = target();
const rules = `
mode: enforce
unconfigured: deny
rules:
- {registry: private.test, pullSecret: private-pull}
- {registry: second.test, pullSecret: second-pull}
- {registry: edited.test, pullSecret: first-pull}
- registry: open.test
`;
const keeper = withRegkeeper(cluster, rules);
const acting = actingOnNode(cluster.kubectl, () => keeper.namespace);
const { create, tryCreate } = acting;

beforeAll(async () => {
  await create(registrySecret('private-pull', { 'private.test': 'ada' }), registrySecret('second-pull', { 'second.test': 'grace' }));
});

describe.concurrent('with nothing but the rule and the secret in the namespace', () => {
  test.each([
    ['a Deployment', 'deploy', deployment('deploy', sleeping('private.test/deploy:1'))],
    [
      'a StatefulSet',
      'stateful',
      workload('apps/v1', 'StatefulSet', 'stateful', sleeping('private.test/stateful:1'), { serviceName: 'none' }),
    ],
    ['a DaemonSet', 'daemon', workload('apps/v1', 'DaemonSet', 'daemon', sleeping('private.test/daemon:1'))],
  ])('%s runs', async (_kind, name, object) => {
    await create(object);
    await untilRunning(acting, '-l', `app=${name}`);
    expect(usersWhoPulled(name)).toEqual(['ada@private.test']);
  });

  test('a bare Pod runs', async () => {
    await create(pod('bare', sleeping('private.test/bare:1')));
    await untilRunning(acting, named('bare'));
    expect(usersWhoPulled('bare')).toEqual(['ada@private.test']);
  });

  test('the Job of a CronJob runs', async () => {
    const template = { metadata: { labels: { app: 'cron' } }, spec: sleeping('private.test/cron:1', { restartPolicy: 'Never' }) };
    const spec = { schedule: '0 0 1 1 *', jobTemplate: { spec: { template } } };
    await create({ apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'cron' }, spec });
    await acting('create', 'job', 'cron-now', '--from=cronjob/cron');
    await untilRunning(acting, '-l', 'app=cron');
    expect(usersWhoPulled('cron')).toEqual(['ada@private.test']);
  });
});

test.concurrent('its twin in a namespace that regkeeper does not handle cannot be pulled', async () => {
  const excluded = actingOnNode(cluster.kubectl, () => 'kube-system');
  await excluded.create(registrySecret('private-pull', { 'private.test': 'ada' }), pod('twin', sleeping('private.test/twin:1')));
  try {
    await untilPullFails(excluded, named('twin'));
    expect(usersWhoPulled('twin')).toEqual([]);
  } finally {
    await excluded.remove('pod/twin', 'secret/private-pull');
  }
});

test.concurrent('a Pod with images of two private registries runs', async () => {
  const [first] = sleeping('private.test/two-a:1').containers;
  const containers = [first, { name: 'other', image: 'second.test/two-b:1' }];
  await create(pod('two', { ...sleeping(''), containers }));
  await untilRunning(acting, named('two'));
  expect([usersWhoPulled('two-a'), usersWhoPulled('two-b')]).toEqual([['ada@private.test'], ['grace@second.test']]);
});

test.concurrent('a Pod whose service account has a secret for one of its registries keeps that secret', async () => {
  await create(registrySecret('own-pull', { 'second.test': 'linus' }), serviceAccount('with-own', ['own-pull']));
  const [first] = sleeping('private.test/own-a:1').containers;
  const containers = [first, { name: 'other', image: 'second.test/own-b:1' }];
  const [made] = await create(pod('own', { ...sleeping(''), serviceAccountName: 'with-own', containers }));
  await untilRunning(acting, named('own'));
  expect(made && secretsIn(made)).toEqual(expect.arrayContaining(['private-pull', 'own-pull']));
  expect(usersWhoPulled('own-a')).toEqual(['ada@private.test']);
  expect(usersWhoPulled('own-b')).toHaveLength(1);
});

test.concurrent('an init container and an image volume are pulled with the secret', async () => {
  const initContainers = [{ name: 'init', image: 'private.test/init:1', command: ['/bin/true'] }];
  const volumes = [{ name: 'data', image: { reference: 'second.test/volume:1', pullPolicy: 'Always' } }];
  const containers = [{ name: 'app', image: 'open.test/app:1', volumeMounts: [{ name: 'data', mountPath: '/data' }] }];
  await create(pod('init', { ...sleeping(''), initContainers, containers, volumes }));
  await untilRunning(acting, named('init'));
  expect([usersWhoPulled('init'), usersWhoPulled('volume')]).toEqual([['ada@private.test'], ['grace@second.test']]);
});

test.concurrent('a debug container is pulled with the secret that the Pod has for its registry', async () => {
  await create(pod('debugged', sleeping('private.test/debugged:1')));
  await untilRunning(acting, named('debugged'));
  const debug = ['debug', 'debugged', '--image=private.test/debugger:1', '--container=debugger', '--profile=general'];
  await cluster.kubectl([...debug, '-n', keeper.namespace, '--', '/bin/sleep', '1000']);
  await untilPod(acting, [named('debugged')], 'to run its debug container', ({ status }) =>
    status.ephemeralContainerStatuses?.some(({ state }) => state.running),
  );
  expect(usersWhoPulled('debugger')).toEqual(['ada@private.test']);
});

test.concurrent('an untrusted image is denied before the node contacts its registry', async () => {
  const { code, stderr } = await tryCreate(pod('denied', sleeping('unknown.test/denied:1')));
  expect(code).not.toBe(0);
  expect(stderr).toContain('unknown.test/denied:1');
  expect(requestsFor('denied')).toEqual([]);
});

test.concurrent('the next Pod is evaluated with an edited rule', async () => {
  await create(registrySecret('changed-pull', { 'edited.test': 'barbara' }));
  await keeper.writeRules(rules.replace('first-pull', 'changed-pull'));
  let attempts = 0;
  const obeys = async () => {
    const [made] = await create(pod(`edited-${++attempts}`, sleeping('edited.test/edited:1')));
    return made !== undefined && secretsIn(made).includes('changed-pull');
  };
  await waitFor(obeys, { deadlineSeconds: 30, what: 'the edited rule to take effect' });
  await untilRunning(acting, named(`edited-${attempts}`));
  expect(usersWhoPulled('edited')).toEqual(['barbara@edited.test']);
});
