/** `init --cluster`: first rules for running objects. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deployment, type LiveApiOptions, type LiveObject, liveApi, namespace, pod } from '../../scan/live-api.ts';
import { runCommand, runOnCluster } from '../run.ts';

const registrySecret = (place: string, name: string, ...keys: readonly string[]): LiveObject => {
  const auths = Object.fromEntries(keys.map((key) => [key, { auth: Buffer.from('user:password').toString('base64') }]));
  const content = Buffer.from(JSON.stringify({ auths })).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: place },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': content },
  };
};

const objects: readonly LiveObject[] = [
  namespace('shop'),
  namespace('billing'),
  registrySecret('shop', 'corp-pull', 'registry.example.com'),
  ...deployment({ image: 'registry.example.com/web:2', pods: 2, before: ['old.example.com/web:1'] }),
  // A Pod of an earlier template still runs.
  pod({ name: 'web-new-x', image: 'still.example.com/web:1', owner: ['apps/v1', 'ReplicaSet', 'web-new'] }),
  ...deployment({ namespace: 'billing', name: 'api', image: 'docker.io/acme/api:1', pods: 1 }),
  ...deployment({ namespace: 'kube-system', name: 'dns', image: 'registry.k8s.io/coredns/coredns:v1', pods: 1 }),
];

const init = (world: readonly LiveObject[] = objects, argv: readonly string[] = [], options: LiveApiOptions = {}) =>
  runOnCluster(liveApi(world, options).client, 'init', '--cluster', ...argv);

/** The lines with rules, without comments. */
const rulesIn = (text: string) => text.split('\n').filter((line) => /^(-|mode| {2}(pull|push)Secret)/.test(line));

test('there is a rule for each registry in use, with the secret that has a key for it', async () => {
  const { out, err, exitCode } = await init();
  expect(rulesIn(out)).toEqual([
    'mode: audit',
    '- registry: docker.io',
    '- registry: registry.example.com',
    '  pullSecret: corp-pull',
    '- registry: still.example.com',
  ]);
  expect(out).toContain('# Starter rules from regkeeper init: 3 rules for 3 images of 2 objects.');
  expect(out).toContain('# 1 image in 1 object of 1 namespace (shop): registry.example.com/web:2');
  expect(out).not.toContain('password');
  expect(err).toContain('regkeeper: excluded from the webhooks: 3 objects in kube-system');
  expect(exitCode).toBe(0);
});

test('with a namespace, only its registries have rules', async () => {
  const { out } = await init(objects, ['-n', 'billing']);
  expect(rulesIn(out)).toEqual(['mode: audit', '- registry: docker.io']);
});

test("a ConfigMap is for regkeeper's namespace", async () => {
  const { out } = await init(objects, ['-o', 'configmap', '--regkeeper-namespace', 'policy']);
  expect(out).toContain('namespace: policy');
});

test('without permission for Secrets, a rule only gets a secret if it is unambiguous, and this is reported', async () => {
  const { out, err, exitCode } = await init(objects, [], { forbidden: ['/api/v1/secrets'] });
  expect(rulesIn(out)).not.toContain('  pullSecret: corp-pull');
  expect(err).toContain('regkeeper: cannot read Secrets, so a rule gets a secret only if it is unambiguous: ');
  expect(exitCode).toBe(0);
});

test('a malformed Secret is reported without its content', async () => {
  const broken = { ...registrySecret('shop', 'broken'), data: { '.dockerconfigjson': Buffer.from('{"auths": []}').toString('base64') } };
  const { err } = await init([...objects, broken]);
  expect(err).toContain('regkeeper: Secret shop/broken: ');
});

test('a kind that cannot be listed makes the draft incomplete, which the document also shows', async () => {
  const { out, err, exitCode } = await init(objects, [], { forbidden: ['/apis/apps/v1/statefulsets'] });
  expect(err).toContain('regkeeper: cannot read statefulsets.apps in all namespaces: ');
  expect(out).toContain('# Not evaluated, so their registries may need a rule:\n# - statefulsets.apps in all namespaces: ');
  expect(exitCode).toBe(2);
});

test('an image that no rule can allow is listed', async () => {
  const { out, err, exitCode } = await init([...objects, pod({ name: 'odd', image: 'Registry.example.com/UPPER:1' })]);
  expect(out).toContain('# No rule can allow these images.');
  expect(err).toContain('odd');
  expect(exitCode).toBe(1);
});

test('on OpenShift, every name of the internal registry is left to the platform', async () => {
  const config: LiveObject = {
    apiVersion: 'config.openshift.io/v1',
    kind: 'Image',
    metadata: { name: 'cluster' },
    status: { internalRegistryHostname: 'image-registry.openshift-image-registry.svc:5000' },
  };
  const service: LiveObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'image-registry', namespace: 'openshift-image-registry' },
    spec: { clusterIP: '172.30.1.1', clusterIPs: ['172.30.1.1'], ports: [{ port: 5000 }] },
  };
  const { out } = await init([namespace('shop'), config, service, pod({ image: '172.30.1.1:5000/shop/web:1' })]);
  expect(rulesIn(out)).toEqual(['mode: audit']);
  expect(out).toContain('172.30.1.1:5000');
});

describe('the rules, once enforced', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'regkeeper-init-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each([
    ['a rule per registry', []],
    ['a rule per path', ['--per-path']],
  ])('deny nothing that is running, and lint cleanly: %s', async (_name, argv) => {
    const { out } = await init(objects, argv);
    const file = join(folder, 'rules.yaml');
    await writeFile(file, out.replace(/^mode: audit$/m, 'mode: enforce'));
    expect(await runCommand('lint', '--strict', file)).toMatchObject({ exitCode: 0 });
    const { out: scanned, exitCode } = await runOnCluster(liveApi(objects).client, 'scan', '--rules', file);
    expect(scanned).toContain('0 denied');
    expect(exitCode).toBe(0);
  });
});

test.each([
  [['init'], 'specify -f FILES or --cluster'],
  [['init', '-f', 'deploy/examples/objects', '-l', 'app=web'], '--selector can be used only with --cluster'],
])('%j is a usage error', async (argv, message) => {
  await expect(runOnCluster(liveApi(objects).client, ...argv)).rejects.toThrow(message);
});

test('-f and --cluster exclude each other', async () => {
  const { err, exitCode } = await init(objects, ['-f', 'deploy/examples/objects']);
  expect(err).toContain("cannot be used with option '--cluster'");
  expect(exitCode).toBe(2);
});
