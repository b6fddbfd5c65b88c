/** Tests which kubeconfig is used, and the errors of unusable ones. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type KubeConfigChoice, KubeconfigError, loadKubeConfig } from '../../../src/kube/kubeconfig.ts';

const files: Record<string, string> = {
  one: `
current-context: dev
clusters: [{name: dev, cluster: {server: "https://dev.example.com:6443", certificate-authority: pki/ca.crt}}]
users: [{name: ada, user: {token: abc}}, {name: robot, user: {token: loses, tokenFile: tokens/robot}}]
contexts: [{name: dev, context: {cluster: dev, user: ada, namespace: team-a}}, {name: robot, context: {cluster: dev, user: robot}}]
`,
  two: `
current-context: live
clusters: [{name: live, cluster: {server: "https://live.example.com"}}, {name: dev, cluster: {server: "https://other.example.com"}}]
users: [{name: ada, user: {token: other}}]
contexts: [{name: live, context: {cluster: live, user: ada}}]
`,
  'home/.kube/config': `
current-context: home
clusters: [{name: home, cluster: {server: "https://home.example.com"}}]
contexts: [{name: home, context: {cluster: home}}]
`,
  broken: 'clusters: [\nusers: {',
  sentence: 'just a sentence',
  empty: '',
  nameless: 'clusters: [{cluster: {server: "https://x"}}]',
  undecided: `
clusters: [{name: c, cluster: {server: "https://x"}}]
contexts: [{name: a, context: {cluster: c}}, {name: b, context: {cluster: c}}]
`,
  dangling: `
clusters: [{name: plain, cluster: {server: "http://x:8080"}}, {name: odd, cluster: {server: "x:6443"}}]
contexts:
- {name: no-cluster, context: {cluster: nowhere}}
- {name: no-user, context: {cluster: plain, user: nobody}}
- {name: plain, context: {cluster: plain}}
- {name: odd, context: {cluster: odd}}
`,
  incomplete: `
clusters: [{name: no-ca, cluster: {server: "https://x", certificate-authority: pki/nope.crt}}, {name: c, cluster: {server: "https://x"}}]
users:
- {name: no-certificate, user: {client-certificate: pki/nope.crt, client-key: pki/ca.crt}}
- {name: no-key, user: {client-certificate: pki/ca.crt, client-key: pki/nope.key}}
- {name: no-token, user: {tokenFile: tokens/nope}}
contexts:
- {name: no-ca, context: {cluster: no-ca}}
- {name: no-certificate, context: {cluster: c, user: no-certificate}}
- {name: no-key, context: {cluster: c, user: no-key}}
- {name: no-token, context: {cluster: c, user: no-token}}
`,
  'pki/ca.crt': 'a certificate',
  'tokens/robot': 'robot-token',
  'pod/ca.crt': 'a certificate',
  'pod/token': 'pod-token',
  'pod/namespace': 'regkeeper\n',
};

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  }
});

afterAll(() => rm(folder, { recursive: true }));

/** Names in the table are files of the folder above. By default there is no pod and no home. */
function load({ file, context, env = {}, pod }: { file?: string; context?: string; env?: KubeConfigChoice['env']; pod?: boolean }) {
  const within = (names: string | undefined) =>
    names
      ?.split(' ')
      .map((name) => join(folder, name))
      .join(delimiter);
  return loadKubeConfig({
    file: within(file),
    context,
    env: { ...env, KUBECONFIG: within(env.KUBECONFIG), HOME: within(env.HOME) },
    serviceAccountFolder: join(folder, pod ? 'pod' : 'none'),
  });
}

const inPod = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };

describe('loadKubeConfig', () => {
  const rows: [string, Parameters<typeof load>[0], string][] = [
    [
      'the specified file before everything else',
      { file: 'one', env: { KUBECONFIG: 'two', HOME: 'home' }, pod: true },
      'dev https://dev.example.com:6443',
    ],
    ['the requested context', { file: 'one', context: 'robot' }, 'robot https://dev.example.com:6443'],
    ['KUBECONFIG before the home directory', { env: { KUBECONFIG: 'two', HOME: 'home' } }, 'live https://live.example.com'],
    ['the first current-context of several files', { env: { KUBECONFIG: 'one two' } }, 'dev https://dev.example.com:6443'],
    ['a context of the second file', { env: { KUBECONFIG: 'one two' }, context: 'live' }, 'live https://live.example.com'],
    ['existing files among several', { env: { KUBECONFIG: 'missing two' } }, 'live https://live.example.com'],
    ['the home directory before the Pod', { env: { HOME: 'home', ...inPod }, pod: true }, 'home https://home.example.com'],
    ['the Pod if there is no home directory', { env: { HOME: 'missing', ...inPod }, pod: true }, 'service-account https://10.0.0.1:443'],
    ['brackets around IPv6', { env: { ...inPod, KUBERNETES_SERVICE_HOST: 'fd00::1' }, pod: true }, 'service-account https://[fd00::1]:443'],
  ];
  test.each(rows)('uses %s', async (_name, choice, expected) => {
    const kubeConfig = await load(choice);
    expect(`${kubeConfig.getCurrentContext()} ${kubeConfig.getCurrentCluster()?.server}`).toBe(expected);
  });

  describe('if the home directory is not accessible to this user', () => {
    const closed = () => join(folder, 'home');
    beforeAll(() => Promise.all([chmod(folder, 0o755), chmod(closed(), 0)]));
    afterAll(() => chmod(closed(), 0o755));

    test("the Pod's credentials are used instead", async () => {
      const kubeConfig = await asOrdinaryUser(() => load({ env: { HOME: 'home', ...inPod }, pod: true }));
      expect(kubeConfig.getCurrentContext()).toBe('service-account');
    });

    test('the error reports it if there is no Pod', async () => {
      const loading = asOrdinaryUser(() => load({ env: { HOME: 'home', ...inPod } }));
      await expect(loading).rejects.toThrow(/cannot read \S+home\/\.kube\/config \(EACCES\)/);
    });

    test('the error reports it if the file was specified', async () => {
      const loading = asOrdinaryUser(() => load({ env: { KUBECONFIG: 'home/.kube/config', ...inPod }, pod: true }));
      await expect(loading).rejects.toThrow(/cannot read \S+home\/\.kube\/config \(EACCES\)/);
    });
  });

  test('finds files relative to the kubeconfig, and reads a token file again', async () => {
    const kubeConfig = await load({ file: 'one', context: 'robot' });
    expect(kubeConfig.getCurrentCluster()?.caFile).toBe(join(folder, 'pki/ca.crt'));
    expect(kubeConfig.getCurrentUser()).toMatchObject({ authProvider: { config: { tokenFile: join(folder, 'tokens/robot') } } });
    expect(kubeConfig.getCurrentUser()?.token).toBeUndefined();
  });

  test('of two users with the same name, the first is used', async () => {
    const kubeConfig = await load({ env: { KUBECONFIG: 'one two' }, context: 'live' });
    expect(kubeConfig.getCurrentUser()?.token).toBe('abc');
  });

  test('reads the namespace, the CA and the token of the Pod', async () => {
    const kubeConfig = await load({ env: inPod, pod: true });
    expect(kubeConfig.getContextObject('service-account')?.namespace).toBe('regkeeper');
    expect(kubeConfig.getCurrentCluster()?.caFile).toBe(join(folder, 'pod/ca.crt'));
    expect(kubeConfig.getCurrentUser()).toMatchObject({ authProvider: { config: { tokenFile: join(folder, 'pod/token') } } });
  });

  const rejections: [string, Parameters<typeof load>[0], RegExp][] = [
    [
      'a missing file',
      { file: 'missing' },
      /^kubeconfig \S+missing does not exist. Correct --kubeconfig, REGKEEPER_KUBECONFIG or KUBECONFIG$/,
    ],
    ['a directory', { file: 'home' }, /^cannot read \S+home \(EISDIR\)/],
    [
      'KUBECONFIG without any file',
      { env: { KUBECONFIG: 'missing gone', HOME: 'home' } },
      /^no file in KUBECONFIG exists: .*missing, .*gone\. Correct or unset/,
    ],
    ['text that is not YAML', { file: 'broken' }, /^kubeconfig \S+broken is not YAML: /],
    ['YAML that is not a mapping', { file: 'sentence' }, /is not a kubeconfig: expected a mapping/],
    ['an empty file', { file: 'empty' }, /is not a kubeconfig: expected a mapping/],
    ['a cluster without a name', { file: 'nameless' }, /is invalid: clusters\[0\]\.name is missing$/],
    [
      'an unknown context',
      { file: 'one', context: 'prod' },
      /has no context "prod"\. Choose another one with --context \(available: dev, robot\)$/,
    ],
    ['no current context', { file: 'undecided' }, /has no current-context\. Choose a context with --context \(available: a, b\)$/],
    ['a context without its cluster', { file: 'dangling', context: 'no-cluster' }, /refers to cluster "nowhere", which does not exist/],
    ['a context without its user', { file: 'dangling', context: 'no-user' }, /refers to user "nobody", which does not exist/],
    ['an unencrypted server', { file: 'dangling', context: 'plain' }, /the unencrypted server http:\/\/x:8080\. Use https/],
    ['a server without a scheme', { file: 'dangling', context: 'odd' }, /has the invalid server "x:6443"\. Use https:\/\/host:port$/],
    [
      'a missing CA file',
      { file: 'incomplete', context: 'no-ca' },
      /^kubeconfig \S+incomplete: certificate-authority \S+pki\/nope\.crt does not exist\. Correct the path$/,
    ],
    [
      'a missing client certificate',
      { file: 'incomplete', context: 'no-certificate' },
      /: client-certificate \S+pki\/nope\.crt does not exist/,
    ],
    ['a missing client key', { file: 'incomplete', context: 'no-key' }, /: client-key \S+pki\/nope\.key does not exist/],
    ['a missing token file', { file: 'incomplete', context: 'no-token' }, /: tokenFile \S+tokens\/nope does not exist/],
    ['no configuration at all', {}, /^no cluster is configured: neither ~\/\.kube\/config nor a service account token exists/],
    [
      'a home directory without a kubeconfig',
      { env: { HOME: 'missing' } },
      /^no cluster is configured: neither \S+missing\/\.kube\/config/,
    ],
    ['a Pod that does not know its server', { pod: true }, /KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set/],
  ];
  test.each(rejections)('rejects %s in one line', async (_name, choice, message) => {
    const error = await load(choice).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(KubeconfigError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  });
});

/** Root may read everything, and many containers run tests as root. */
async function asOrdinaryUser<Result>(act: () => Promise<Result>): Promise<Result> {
  const { geteuid, seteuid } = process;
  if (geteuid?.() !== 0 || seteuid === undefined) return await act();
  seteuid(65534);
  try {
    return await act();
  } finally {
    seteuid(0);
  }
}
