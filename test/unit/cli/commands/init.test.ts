/** Tests `init`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCommand } from '../run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-init-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

async function init(objects: string, ...more: readonly string[]) {
  return runCommand('init', '-f', await write('objects.yaml', objects), ...more);
}

const pod = (name: string, image: string) =>
  `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop' }, spec: { containers: [{ name: 'app', image }] } })}\n`;
const app = '---\napiVersion: example.com/v1\nkind: App\nmetadata: {name: a}\nspec: {image: b.io/x}\n';

test('it prints a rules document that lints cleanly', async () => {
  const { exitCode, out, err } = await init(pod('web', 'a.io/x:1'));
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  expect(parse(out)).toEqual({ mode: 'audit', rules: [{ registry: 'a.io' }] });
  expect(await runCommand('lint', '--strict', await write('rules.yaml', out))).toMatchObject({ exitCode: 0, out: '' });
});

test('placeholder images that a kustomization replaces, and its patches, lead to no rule', async () => {
  const root = await mkdtemp(join(folder, 'kustomize-'));
  const files = {
    'kustomization.yaml': 'resources: [web.yaml]\nimages: [{name: web, newName: a.io/web}]\npatches: [{path: patch.yaml}]\n',
    'web.yaml': pod('web', 'web'),
    'patch.yaml': 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text);
  const alone = await runCommand('init', '-f', root);
  expect(alone).toMatchObject({ exitCode: 2, out: '' });
  expect(alone.err).toContain(
    `"kubectl kustomize ${root}". 2 files that the kustomization changes or uses as input were skipped: ${root}/patch.yaml, ${root}/web.yaml\n`,
  );
  const { exitCode, out } = await runCommand('init', '-f', root, await write('other.yaml', pod('other', 'b.io/x')));
  expect(exitCode).toBe(2);
  expect(parse(out)).toEqual({ mode: 'audit', rules: [{ registry: 'b.io' }] });
  expect(out).toMatch(
    /^# Not evaluated, so their registries may need a rule:\n# - \S*kustomization\.yaml:1:1: a kustomization must be rendered/m,
  );
});

test('-o configmap prints it as the rules ConfigMap of an installation', async () => {
  const { out } = await init(pod('web', 'a.io/x:1'), '-o', 'configmap');
  const { data, ...configMap } = parse(out);
  expect(configMap).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'regkeeper-rules', namespace: 'regkeeper' } });
  expect(data).toEqual({ 'rules.yaml': (await init(pod('web', 'a.io/x:1'))).out });
  expect(out).toContain('  rules.yaml: |\n    # Starter rules');
  expect(await runCommand('lint', '--strict', await write('rules.yaml', out))).toMatchObject({ exitCode: 0, out: '' });
});

test('--per-path trusts the paths in use', async () => {
  const { out } = await init(pod('web', 'nginx') + pod('api', 'a.io/team/x'), '--per-path');
  expect(parse(out).rules).toEqual([{ registry: 'a.io/team' }, { registry: 'docker.io/library' }]);
});

test('an image that no rule can allow is reported, with exit code 1', async () => {
  const { exitCode, out, err } = await init(pod('web', '<IMAGE>') + pod('api', 'a.io/x'));
  expect(exitCode).toBe(1);
  expect(parse(out).rules).toEqual([{ registry: 'a.io' }]);
  expect(err).toMatch(/^DENIED +Pod shop\/web {2}\S*objects\.yaml:2\n/);
});

test('a registry without a rule is reported, with exit code 1', async () => {
  const { exitCode, err } = await init(pod('web', 'github.com/acme/web'));
  expect({ exitCode, err }).toEqual({
    exitCode: 1,
    err: 'regkeeper: no rule for github.com: github.com is a web site, and no image name starts with it. The registry is ghcr.io.\n',
  });
});

test('what was not evaluated is reported like with check, with exit code 2, and the document is printed', async () => {
  const { exitCode, out, err } = await init(app + pod('web', 'a.io/x'));
  expect(exitCode).toBe(2);
  expect(parse(out).rules).toEqual([{ registry: 'a.io' }]);
  const rules = await write('rules.yaml', 'rules: []');
  expect(err).toBe((await runCommand('check', '-q', '-f', join(folder, 'objects.yaml'), '--rules', rules)).err);
});

test('--skip-unknown accepts unknown kinds', async () => {
  expect(await init(app + pod('web', 'a.io/x'), '--skip-unknown')).toMatchObject({ exitCode: 0, err: '' });
});

test('custom kinds are evaluated', async () => {
  const kinds = await write('kinds.yaml', 'kinds:\n- {group: example.com, version: v1, kind: App, resource: apps, images: [spec.image]}\n');
  const { out, err } = await init(app, '--custom-kinds', kinds);
  expect({ err, rules: parse(out).rules }).toEqual({ err: '', rules: [{ registry: 'b.io' }] });
});

test('images of custom kinds with a scheme get the rule of their registry', async () => {
  const images = '[{path: spec.image, schemes: [oci]}]';
  const kinds = await write('kinds.yaml', `kinds:\n- {group: example.com, version: v1, kind: App, resource: apps, images: ${images}}\n`);
  const { out, err } = await init(app.replace('b.io', 'oci://b.io'), '--custom-kinds', kinds);
  expect({ err, rules: parse(out).rules }).toEqual({ err: '', rules: [{ registry: 'b.io' }] });
});

test('without objects there is no document', async () => {
  expect(await init('')).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('no Kubernetes object') });
});

const hostile = ['x\nmode: enforce\n', '#', '"', "'", '&a', '*a', '\u001b[2J', '{{', '- a', '\u2028rules: []', '<<', '::error::x', '%YAML'];
test.each(hostile)('names with %j cannot change the document or the terminal', async (text) => {
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: text, namespace: `n${text}` },
    spec: {
      imagePullSecrets: [{ name: text }],
      containers: [
        { name: text, image: text },
        { name: 'app', image: 'a.io/x' },
      ],
    },
  };
  for (const output of ['rules', 'configmap']) {
    const { out, err } = await init(`${JSON.stringify(object)}\n`, '-o', output);
    const document = output === 'rules' ? parse(out) : parse(parse(out).data['rules.yaml']);
    expect(document).toMatchObject({ mode: 'audit', rules: [{ registry: 'a.io' }] });
    expect(out).toMatch(/^[ -~\n]*$/);
    expect(err).toMatch(/^[^\p{Cc}\u2028]*$/mu);
    expect(err).not.toMatch(/^::/m);
  }
});
