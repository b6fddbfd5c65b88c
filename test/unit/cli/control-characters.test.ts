/**
 * In CI, objects come from pull requests of anyone. Their texts must neither move the cursor of a terminal nor begin a line: GitHub Actions runs
 * a line such as `::stop-commands::x`.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from './run.ts';

const evil = String.raw`a\e[31m\n::error::b\u202e`;
const metadata = `metadata: {name: "${evil}", namespace: "${evil}"}`;
const podSpec = (image: string) => `{containers: [{name: "${evil}", image: "${image}"}]}`;
const objects = [
  `apiVersion: v1\nkind: Pod\n${metadata}\nspec: ${podSpec(evil)}`,
  `apiVersion: example.com/v1\nkind: App\n${metadata}\nspec: ${podSpec(`\${X}${evil}`)}`,
  `apiVersion: example.com/v1\nkind: "${evil}"\n${metadata}\nspec: {image: x}`,
  `apiVersion: "${evil}"\nkind: Pod\n${metadata}`,
  `apiVersion: example.com/v1\nkind: "${evil}"\n${metadata}\nspec: {}`,
  `apiVersion: v1\nkind: Secret\n${metadata}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{"auths": {"${evil.replace('\\e', '\\u001b')}": 1}}'}`,
].join('\n---\n');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-control-'));
  await writeFile(join(folder, 'objects.yaml'), objects);
  await writeFile(join(folder, 'old.yaml'), 'unconfigured: allow\nrules: []\n');
  await writeFile(join(folder, 'new.yaml'), 'unconfigured: warn\nrules: []\n');
  await writeFile(
    join(folder, 'kinds.yaml'),
    'kinds: [{group: example.com, version: v1, resource: apps, kind: App, images: ["spec.containers[*].image"]}]\n',
  );
});
afterAll(() => rm(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

test.each([
  ['check', ['check', '--rules', 'new.yaml', '-f', 'objects.yaml', '--custom-kinds', 'kinds.yaml']],
  ['check with unknown kinds', ['check', '--rules', 'new.yaml', '-f', 'objects.yaml', '--skip-unknown']],
  ['check -o github', ['check', '--rules', 'new.yaml', '-f', 'objects.yaml', '-o', 'github']],
  ['check -o yaml', ['check', '--rules', 'new.yaml', '-f', 'objects.yaml', '-o', 'yaml']],
  ['check -o junit', ['check', '--rules', 'new.yaml', '-f', 'objects.yaml', '-o', 'junit']],
  ['diff', ['diff', 'old.yaml', 'new.yaml', '-f', 'objects.yaml', '--custom-kinds', 'kinds.yaml']],
  ['explain', ['explain', '--rules', 'new.yaml', 'a\u001b[31m\n::error::b\u202e']],
])('%s prints strings from objects on one line, without control characters', async (_name, words) => {
  const { out, err } = await runCommand(...words.map((word) => (word.endsWith('.yaml') ? at(word) : word)));
  expect((out + err).length).toBeGreaterThan(100);
  expect((out + err).match(/(?!\n)\p{Cc}|^::error::b.*/gmu)).toBeNull();
});
