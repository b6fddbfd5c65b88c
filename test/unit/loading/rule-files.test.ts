/** Rules from files and folders, once and followed. */
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDocumentParser } from '../../../src/loading/document-parser.ts';
import { loadRules } from '../../../src/loading/load-rules.ts';
import { createRuleFilesSource } from '../../../src/loading/rule-files.ts';
import { createRuleLoader } from '../../../src/loading/rule-loader.ts';
import { type Problem, renderOrigin } from '../../../src/rules/language/problem.ts';
import { createRuleStore, type RulesChange } from '../../../src/rules/store/rule-store.ts';
import { referenceOf, sha256, winnerOf } from '../rules/documents.ts';

let folder: string;
const open: { stop(): void }[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-rules-'));
});
afterEach(async () => {
  for (const files of open.splice(0)) files.stop();
  await rm(folder, { recursive: true });
});

/** Polls often, so that the tests also work on file systems without change events. */
async function watch(...paths: readonly string[]) {
  const store = createRuleStore(sha256);
  const changes: RulesChange[] = [];
  const problems: string[] = [];
  const parser = createDocumentParser();
  const files = createRuleFilesSource({
    paths,
    loader: createRuleLoader({ store, parsers: { cluster: parser, namespaces: parser }, onChange: (more) => changes.push(...more) }),
    onProblem: (problem) => problems.push(problem),
    onReadable: () => problems.push('can be read again'),
    pollMilliseconds: 100,
  });
  await files.start();
  open.push(files);
  const registries = () => (store.written()?.rules ?? []).map(({ pattern }) => pattern.text).sort();
  return { store, changes, problems, registries };
}

const rule = (registry: string) => `rules: [{registry: ${registry}}]\n`;

describe('reading', () => {
  test.each([
    ['Latin-1', Buffer.from('rules:\n- registry: a.io # \xe9t\xe9\n', 'latin1'), 2],
    ['UTF-16', Buffer.from('\ufeffrules: []\n', 'utf16le'), 1],
  ])('a file in %s is rejected, with the line', async (_name, bytes, line) => {
    await writeFile(join(folder, 'a.yaml'), bytes);
    await expect(watch(folder)).rejects.toThrow(new RegExp(`^rules .*a\\.yaml: not UTF-8 text \\(line ${line}\\)\\. Save it as UTF-8\\.$`));
  });

  test.each<[string, (folder: string) => Promise<string[]>, string[]]>([
    [
      'that do not exist',
      async () => ['one', 'two'],
      ['rules DIR/one: no such file or directory', 'rules DIR/two: no such file or directory'],
    ],
    [
      'without rules',
      async (folder) => {
        await writeFile(join(folder, 'pod.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n');
        await mkdir(join(folder, 'pods'));
        await writeFile(join(folder, 'pods/pod.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n');
        return ['pod.yaml', 'pods'];
      },
      [
        expect.stringMatching(/^rules DIR\/pod\.yaml: contains no rules, only Pod/),
        expect.stringMatching(/^rules directory DIR\/pods contains .* no rules/),
      ],
    ],
  ])('all paths %s are reported, one per line', async (_name, make, lines) => {
    const names = await make(folder);
    const reading = watch(...names.map((name) => join(folder, name)));
    const failure = await reading.then(undefined, (error: Error) => error.message.replaceAll(folder, 'DIR'));
    expect(String(failure).split('\n')).toEqual(lines);
  });

  test('files, and directories with their subdirectories, sorted by name', async () => {
    await mkdir(join(folder, 'rules/team'), { recursive: true });
    await writeFile(join(folder, 'rules/a.yaml'), rule('a.io'));
    await writeFile(join(folder, 'rules/team/b.yml'), rule('b.io'));
    await writeFile(join(folder, 'rules/notes.txt'), 'not rules');
    await writeFile(join(folder, 'c.json'), '{"rules": [{"registry": "c.io"}]}');
    const { registries } = await watch(join(folder, 'rules'), join(folder, 'c.json'));
    expect(registries()).toEqual(['a.io', 'b.io', 'c.io']);
  });

  test.each([
    ['a missing path', 'nowhere', /rules .*nowhere: no such file or directory/],
    ['standard input', undefined, /rules -: standard input cannot be watched/],
    ['a directory without rules', '.', /rules directory .* contains no \.yaml, \.yml or \.json file/],
  ])('%s is rejected at startup, with its name', async (_name, path, message) => {
    await expect(watch(path === undefined ? '-' : join(folder, path))).rejects.toThrow(message);
  });
});

const configMap = (registry: string, name = 'rules') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: {regkeeper.io/rules: cluster}}\ndata:\n  a.yaml: |\n    ${rule(registry)}`;
const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n';

describe('ConfigMaps among other objects', () => {
  test('are read from files and directories, and the rest is ignored', async () => {
    await writeFile(join(folder, 'all.yaml'), `${pod}---\n${configMap('a.io')}---\n${configMap('b.io', 'more')}`);
    await writeFile(join(folder, 'pod.json'), '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}');
    await writeFile(join(folder, 'kustomization.yaml'), 'resources: [all.yaml]\n');
    expect((await watch(folder)).registries()).toEqual(['a.io', 'b.io']);
  });

  test('are followed: an edit, a move after another object, a deletion', async () => {
    const file = join(folder, 'all.yaml');
    await writeFile(file, configMap('a.io'));
    const { registries } = await watch(file);
    await writeFile(file, `${pod}---\n${configMap('b.io')}`);
    await expect.poll(registries).toEqual(['b.io']);
    await writeFile(file, `${configMap('c.io')}---\n${configMap('b.io', 'more')}`);
    await expect.poll(registries).toEqual(['b.io', 'c.io']);
    await writeFile(file, `${pod}---\n${configMap('c.io')}`);
    await expect.poll(registries).toEqual(['c.io']);
  });

  test('that can no longer be parsed are not treated as deleted', async () => {
    await writeFile(join(folder, 'a.yaml'), configMap('a.io'));
    await writeFile(join(folder, 'b.yaml'), configMap('b.io', 'more'));
    const { registries, problems } = await watch(folder);
    await writeFile(join(folder, 'b.yaml'), configMap('b.io', 'more').replace('cluster', 'clutser'));
    await expect.poll(() => problems).toEqual([expect.stringMatching(/b\.yaml:3:\d+: the label .* Did you mean "cluster"/)]);
    expect(registries()).toEqual(['a.io', 'b.io']);
  });

  test.each([
    [
      'a file without rules',
      'pod.yaml',
      /rules .*pod\.yaml: contains no rules, only Pod web\. Use a rules document, or a ConfigMap with the label/,
    ],
    ['a directory without rules', '.', /rules directory .* contains Kubernetes objects but no rules/],
  ])('%s is rejected at startup', async (_name, path, message) => {
    await writeFile(join(folder, 'pod.yaml'), pod);
    await expect(watch(join(folder, path))).rejects.toThrow(message);
  });

  test.each([
    ['a.yaml', /only ConfigMap rules\. Add the label regkeeper\.io\/rules: cluster to ConfigMap rules\.$/],
    ['.', /but no rules\. Add the label regkeeper\.io\/rules: cluster to ConfigMap rules in a\.yaml\.$/],
  ])('a ConfigMap that only lacks the label is named in the error: %s', async (path, message) => {
    await writeFile(join(folder, 'a.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: rules}\ndata: {rules.yaml: "rules: []"}\n');
    await expect(watch(join(folder, path))).rejects.toThrow(message);
  });
});

describe('loading once', () => {
  const load = (...files: readonly string[]) => loadRules(files.map((file) => join(folder, file)));
  const places = (problems: readonly Problem[]) =>
    problems.map(({ code, origin }) => `${renderOrigin(origin).slice(folder.length + 1)} ${code}`);

  test('reports all problems in all files, and conflicts between the valid ones', async () => {
    await writeFile(join(folder, 'a.yaml'), 'rules:\n- registry: a.io\n- registry: a.io\n');
    await writeFile(join(folder, 'b.yaml'), 'rulez: []\n');
    await writeFile(join(folder, 'c.yaml'), configMap('c.io').replace('cluster', 'clutser'));
    await writeFile(join(folder, 'd.yaml'), 'mode: loud\nmood: x\n');
    const { ruleSet, problems, read } = await load('.');
    expect(places(problems)).toEqual([
      'a.yaml:3:13 rule-tie',
      'b.yaml:1:1 unknown-field',
      'c.yaml:3:54 bad-manifest',
      'd.yaml:1:7 unknown-value',
      'd.yaml:2:1 unknown-field',
    ]);
    expect(ruleSet).toBeUndefined();
    expect(read).toEqual({ files: 4, documents: 3, rules: 2 });
  });

  test('a file that is specified twice counts once, and two ConfigMaps with the same name cause a warning', async () => {
    await writeFile(join(folder, 'a.yaml'), configMap('a.io'));
    await writeFile(join(folder, 'b.yaml'), configMap('b.io'));
    const { ruleSet, problems, warnings } = await load('a.yaml', '.');
    expect(problems).toEqual([]);
    expect(places(warnings)).toEqual(['b.yaml:1:1 duplicate-configmap']);
    expect(warnings[0]?.message).toMatch(/^ConfigMap rules is also defined in .*a\.yaml:1:1\. .*Give them different names\.$/);
    expect(ruleSet?.rules).toHaveLength(2);
  });

  const own = (registry: string) => configMap(registry, 'own').replace('cluster', 'namespace').replace('{name:', '{namespace: shop, name:');

  test('rules of a namespace apply in it, and must not trust more than the cluster', async () => {
    await writeFile(join(folder, 'cluster.yaml'), 'delegate: [quay.io/shop]\nrules: [{registry: a.io}]\n');
    await writeFile(join(folder, 'own.yaml'), own('quay.io/shop'));
    const { ruleSet, problems } = await load('.');
    expect(problems).toEqual([]);
    const verdictIn = (namespace: string) =>
      ruleSet && winnerOf(ruleSet, referenceOf('quay.io/shop/web'), { namespace, labels: {} })?.trust;
    expect([verdictIn('shop'), verdictIn('other')]).toEqual([true, undefined]);

    await writeFile(join(folder, 'own.yaml'), own('other.io'));
    expect(places((await load('.')).problems)).toEqual(['own.yaml:6:24 namespace-rule-without-effect']);
  });

  test("rules of a namespace without the cluster's rules are not checked for this", async () => {
    await writeFile(join(folder, 'own.yaml'), own('quay.io/shop'));
    expect((await load('own.yaml')).problems).toEqual([]);
  });
});

describe('following changes', () => {
  test('an edit, a new file and a deletion', async () => {
    await writeFile(join(folder, 'a.yaml'), rule('a.io'));
    const { registries } = await watch(folder);
    await writeFile(join(folder, 'a.yaml'), rule('aa.io'));
    await expect.poll(registries).toEqual(['aa.io']);
    await writeFile(join(folder, 'b.yaml'), rule('b.io'));
    await expect.poll(registries).toEqual(['aa.io', 'b.io']);
    await rm(join(folder, 'a.yaml'));
    await expect.poll(registries).toEqual(['b.io']);
  });

  test('an invalid edit leaves the last valid rules in effect, and shows the position', async () => {
    const file = join(folder, 'a.yaml');
    await writeFile(file, rule('a.io'));
    const { registries, changes } = await watch(file);
    await writeFile(file, 'rules:\n- registry: b.io\n  pulSecret: x\n');
    await expect
      .poll(() => changes.at(-1)?.problems)
      .toMatchObject([{ code: 'unknown-field', origin: { line: 3, column: 3, source: { file } } }]);
    expect(registries()).toEqual(['a.io']);
  });

  test('deleting the last file keeps the rules and is logged once, and so is its return', async () => {
    await writeFile(join(folder, 'a.yaml'), rule('a.io'));
    const { registries, problems } = await watch(folder);
    await rm(join(folder, 'a.yaml'));
    await expect.poll(() => problems).toEqual([expect.stringContaining('contains no')]);
    expect(registries()).toEqual(['a.io']);
    await writeFile(join(folder, 'a.new'), rule('a.io'));
    await rename(join(folder, 'a.new'), join(folder, 'a.yaml'));
    await expect.poll(() => problems.slice(1)).toEqual(['can be read again']);
  });

  test('a mounted ConfigMap: files are links into a directory that is swapped atomically', async () => {
    await mkdir(join(folder, '..2026_01'));
    await writeFile(join(folder, '..2026_01/a.yaml'), rule('a.io'));
    await symlink('..2026_01', join(folder, '..data'));
    await symlink('..data/a.yaml', join(folder, 'a.yaml'));
    const { registries, store } = await watch(folder);
    expect(registries()).toEqual(['a.io']);
    expect(store.accepted()).toHaveLength(1);

    await mkdir(join(folder, '..2026_02'));
    await writeFile(join(folder, '..2026_02/a.yaml'), rule('b.io'));
    await symlink('..2026_02', join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await expect.poll(registries).toEqual(['b.io']);
  });
});
