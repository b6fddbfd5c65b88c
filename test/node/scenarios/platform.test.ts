/** Tests what the kubelet, containerd and registries do with secrets that regkeeper adds. docs/limits.md has the results. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseRegistrySecret, registrySecretProblems } from '../../../src/credentials/registry-secret.ts';
import { target, waitFor } from '../../cluster/target.ts';
import { withRegkeeper } from '../../cluster/with-regkeeper.ts';
import { pod, secretsIn } from '../../cluster/workloads.ts';
import {
  actingOnNode,
  named,
  needsOwnNode,
  ownNode,
  registrySecret,
  requestsFor,
  sleeping,
  untilPod,
  untilPullFails,
  untilRunning,
  usersWhoPulled,
} from '../target.ts';

const cluster = target();
const keeper = withRegkeeper(
  cluster,
  `
mode: enforce
unconfigured: deny
rules:
- {registry: private.test, pullSecret: private-pull}
- {registry: second.test, pullSecret: second-pull}
- {registry: mixed.test, pullSecret: wrong}
- {registry: token.test, pullSecret: wrong}
- {registry: edited.test, pullSecret: later-pull}
- {registry: mirrored.test, pullSecret: mirrored-pull}
- {registry: mirrored-with-header.test, pullSecret: mirrored-pull}
- registry: open.test
`,
);
const acting = actingOnNode(cluster.kubectl, () => keeper.namespace);
const { create, tryCreate } = acting;
const excluded = actingOnNode(cluster.kubectl, () => 'kube-system');

beforeAll(async () => {
  const expired = registrySecret('wrong', { 'mixed.test': 'ada', 'token.test': 'ada' }, 'expired');
  await create(registrySecret('private-pull', { 'private.test': 'ada' }), expired);
});

interface PodEvent {
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly name: string };
}

// The first one, because it waits for the back-off of the kubelet while the others run.
test.concurrent('a Pod recovers when its secret is created later', async () => {
  await create(pod('early', sleeping('edited.test/early:1')));
  await untilPullFails(acting, named('early'));
  await create(registrySecret('later-pull', { 'edited.test': 'ada' }));
  await untilRunning(acting, named('early'));
  expect(usersWhoPulled('early')).toEqual(['ada@edited.test']);
});

describe.concurrent('an image that is already on the node', () => {
  test('runs for a Pod with the injected secret, and not for one without', async () => {
    await create(pod('first', sleeping('private.test/cached:1')));
    const { nodeName } = (await untilRunning(acting, named('first'))).spec;
    const spec = sleeping('private.test/cached:1', { nodeName });
    await create(pod('second', spec));
    await untilRunning(acting, named('second'));
    await excluded.create(pod('without', spec));
    try {
      await untilPullFails(excluded, named('without'));
    } finally {
      await excluded.remove('pod/without');
    }
  });

  test('runs for a Pod with another secret with equal credentials, without a request to the registry', async () => {
    await create(pod('first-of-equal', sleeping('private.test/equal:1')));
    const { nodeName } = (await untilRunning(acting, named('first-of-equal'))).spec;
    const before = requestsFor('equal').length;
    await excluded.create(registrySecret('equal', { 'private.test': 'ada' }));
    await excluded.create(pod('equal', sleeping('private.test/equal:1', { nodeName, imagePullSecrets: [{ name: 'equal' }] })));
    try {
      await untilRunning(excluded, named('equal'));
      expect(requestsFor('equal')).toHaveLength(before);
    } finally {
      await excluded.remove('pod/equal', 'secret/equal');
    }
  });
});

describe.concurrent('an expired credential for a public image', () => {
  test('is not sent to a registry with Basic authentication, so the Pod runs', async () => {
    await create(pod('basic', sleeping('mixed.test/public/basic:1')));
    await untilRunning(acting, named('basic'));
    expect(usersWhoPulled('public/basic')).toEqual([]);
  });

  test('makes the pull fail where the registry has a token service', async () => {
    await create(pod('token', sleeping('token.test/public/token:1')));
    await untilPullFails(acting, named('token'));
    await excluded.create(pod('token', sleeping('token.test/public/token:1')));
    try {
      await untilRunning(excluded, named('token'));
    } finally {
      await excluded.remove('pod/token');
    }
  });
});

describe.concurrent('a mirror in hosts.toml', () => {
  const mirror = '[host."http://mirror.test"]\ncapabilities = ["pull", "resolve"]\n';
  const header = `Basic ${Buffer.from('mirror-user:correct horse').toString('base64')}`;

  beforeAll(async () => {
    await create(registrySecret('mirrored-pull', { 'mirrored.test': 'ada', 'mirrored-with-header.test': 'ada' }));
  });

  /** Returns who pulled an image of `host` while this is its hosts.toml. */
  async function pullsThrough(host: string, name: string, configuration: string): Promise<string[]> {
    const folder = join(ownNode().folder, 'certs.d', host);
    await mkdir(folder);
    await writeFile(join(folder, 'hosts.toml'), configuration);
    try {
      await create(pod(name, sleeping(`${host}/${name}:1`)));
      await untilRunning(acting, named(name));
      return usersWhoPulled(name);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test("without a credential gets the Pod's password for the written host", async ({ skip }) => {
    if (needsOwnNode) skip(needsOwnNode);
    expect(await pullsThrough('mirrored.test', 'mirrored', mirror)).toEqual(['ada@mirror.test']);
  });

  test('with its own credential gets only that one', async ({ skip }) => {
    if (needsOwnNode) skip(needsOwnNode);
    const withHeader = `${mirror}[host."http://mirror.test".header]\nauthorization = "${header}"\n`;
    expect(await pullsThrough('mirrored-with-header.test', 'own-header', withHeader)).toEqual(['mirror-user@mirror.test']);
  });
});

describe.concurrent('a host that is spelled differently from the key of the secret', () => {
  test.each([
    ['the default port', 'private.test:443'],
    ['leading zeros in the port', 'private.test:0443'],
    ['upper case', 'Private.test'],
  ])('%s: the Pod gets the secret with a warning, and the kubelet does not send it', async (what, host) => {
    const name = `spelled-with-${what.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`;
    const { stderr } = await tryCreate(pod(name, sleeping(`${host}/${name}:1`)));
    expect(stderr).toContain('Warning: ');
    expect(stderr).toContain(host);
    const failed = await untilPullFails(acting, named(name));
    expect(secretsIn(failed)).toContain('private-pull');
    const requests = requestsFor(name);
    expect(requests.length).toBeGreaterThan(0);
    expect(requests.filter(({ user }) => user !== '')).toEqual([]);
  });
});

describe.concurrent('a Pod with several secrets', () => {
  test('for one registry tries them in the order of its list', async () => {
    await create(registrySecret('stale', { 'second.test': 'stale' }, 'expired'), registrySecret('second-pull', { 'second.test': 'grace' }));
    await create(pod('both', sleeping('second.test/both:1', { imagePullSecrets: [{ name: 'stale' }] })));
    await untilRunning(acting, named('both'));
    const users = requestsFor('both').flatMap(({ user }) => (user === '' ? [] : [user]));
    expect([...new Set(users)]).toEqual(['stale', 'grace']);
    // Each attempt to pull costs so many failed logins, so the registry may lock the account.
    expect(users.filter((user) => user === 'stale').length).toBe(11);
  });

  test('runs although one of them is absent', async () => {
    await create(pod('absent', sleeping('private.test/absent:1', { imagePullSecrets: [{ name: 'nowhere' }] })));
    await untilRunning(acting, named('absent'));
    expect(usersWhoPulled('absent')).toEqual(['ada@private.test']);
    const hasEvent = async () =>
      (await acting.list<PodEvent>('events')).some(
        ({ reason, involvedObject, message }) =>
          reason === 'FailedToRetrieveImagePullSecret' && involvedObject.name === 'absent' && message.includes('nowhere'),
      );
    await waitFor(hasEvent, { deadlineSeconds: 60, what: 'the event about the absent secret' });
  });
});

test.concurrent('a secret of type dockercfg also works', async () => {
  const content = JSON.stringify({ 'second.test': { auth: Buffer.from('linus:correct horse').toString('base64') } });
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/dockercfg',
    metadata: { name: 'old' },
    stringData: { '.dockercfg': content },
  };
  await excluded.create(secret, pod('old', sleeping('second.test/old:1', { imagePullSecrets: [{ name: 'old' }] })));
  try {
    await untilRunning(excluded, named('old'));
    expect(usersWhoPulled('old')).toEqual(['linus@second.test']);
  } finally {
    await excluded.remove('pod/old', 'secret/old');
  }
});

describe.concurrent('a secret for another registry breaks the pull of a public image exactly if src/credentials finds a problem that breaks pulls', () => {
  const auths = (value: unknown) => JSON.stringify({ auths: { 'other.test': value } });
  test.each([
    ['a valid entry', auths({ auth: Buffer.from('a:b').toString('base64') })],
    ['auth without a colon', auths({ auth: Buffer.from('ab').toString('base64') })],
    ['auth that is not base64', auths({ auth: '%%%' })],
    ['auth without padding', auths({ auth: Buffer.from('a:b:cd').toString('base64').replaceAll('=', '') })],
    ['auth with line breaks', auths({ auth: 'YTpi\nYzpk' })],
    ['an empty auth', auths({ auth: '' })],
    ['auth next to a user name', auths({ auth: '%%%', username: 'a', password: 'b' })],
    ['a password that is a number', auths({ username: 'a', password: 1 })],
    ['an email that is null', auths({ username: 'a', password: 'b', email: null })],
    ['a null entry', auths(null)],
    ['an entry that is a string', auths('a:b')],
    ['auths that are a list', '{"auths":[]}'],
    ['null auths', '{"auths":null}'],
    ['no auths', '{}'],
    ['auths in upper case', '{"AUTHS":{"other.test":{"auth":"%%%"}}}'],
    ['headers that are a string', '{"auths":{},"HttpHeaders":"x"}'],
    ['a key that is not a registry', JSON.stringify({ auths: { 'https://other .test': { username: 'a', password: 'b' } } })],
    ['a key with brackets', JSON.stringify({ auths: { 'other[0-9].test': { username: 'a', password: 'b' } } })],
  ])('%s', async (name, content) => {
    const id = `content-of-${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}-x`;
    const secret = { ...registrySecret(id, {}), stringData: { '.dockerconfigjson': content } };
    const image = `open.test/${id}:1`;
    await create(secret, pod(id, sleeping(image, { imagePullSecrets: [{ name: id }] })));
    const problems = parseRegistrySecret(secret)?.problems ?? [];
    const breaks = problems.some(({ code }) => registrySecretProblems[code] === 'breaks-pulls');
    const last = await untilPod(acting, [named(id)], 'to run or to fail', ({ status }) => {
      // The kubelet's reason is the text of its error, as "illegal base64 data at input byte 0".
      const { reason } = status.containerStatuses?.[0]?.state.waiting ?? { reason: 'ContainerCreating' };
      return status.phase === 'Running' || reason !== 'ContainerCreating';
    });
    expect(last.status.phase === 'Running').toBe(!breaks);
  });
});
