/** Tests `rbac`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { runCommand } from '../run.ts';

async function rbac(text: string, ...more: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-rbac-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'rules.yaml');
  await writeFile(file, text);
  return runCommand('rbac', '--rules', file, ...more);
}

// kubectl reads YAML 1.1.
const documents = (text: string) => [...parseAllDocuments(text, { version: '1.1' })].map((document) => document.toJS());

test('prints the permission to see the secrets in the rules, each once, and no others', async () => {
  const rules = `
rules:
- {registry: a.io, pullSecret: [corp-pull, "1e3"], pushSecret: corp-push}
- {registry: b.io, pullSecret: corp-pull}
- {registry: c.io, pullSecret: "yes"}
`;
  const { exitCode, out } = await rbac(rules, '-n', 'guard', '--service-account', 'keeper');
  expect(exitCode).toBe(0);
  const [role, binding, ...others] = documents(out);
  expect(others).toEqual([]);
  expect(role).toMatchObject({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    rules: [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['1e3', 'corp-pull', 'corp-push', 'yes'], verbs: ['list', 'watch'] }],
  });
  expect(binding).toMatchObject({
    kind: 'ClusterRoleBinding',
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role.metadata.name },
    subjects: [{ kind: 'ServiceAccount', name: 'keeper', namespace: 'guard' }],
  });
});

test('prints nothing if the rules contain no secret, since an empty list of names would permit all', async () => {
  expect(await rbac('rules: [{registry: a.io}]')).toMatchObject({ exitCode: 0, out: '', err: expect.stringContaining('no secret') });
});

test('prints nothing for rules with problems', async () => {
  expect(await rbac('rules: [{registri: a.io}]')).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('unknown-field') });
});

describe('with --deliver and --custom-kinds', () => {
  const rules = `
rules: [{registry: a.io, pullSecret: corp-pull}]
secrets: [{name: corp-pull, source: corp-source, namespaces: '*'}]
`;
  const ofDeploy = 'deploy/custom-kinds/custom-kinds.yaml';

  test('prints the permission to list and watch those custom resources, and no others', async () => {
    const { exitCode, out } = await rbac(rules, '--deliver', '-n', 'guard', '--custom-kinds', ofDeploy);
    expect(exitCode).toBe(0);
    const [role, binding, ...others] = documents(out).filter(({ metadata }) => metadata.name === 'regkeeper-deliver-custom-kinds');
    expect(others).toEqual([]);
    const verbs = ['list', 'watch'];
    expect(role).toEqual({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'regkeeper-deliver-custom-kinds', labels: { 'app.kubernetes.io/name': 'regkeeper' } },
      rules: [
        { apiGroups: ['argoproj.io'], resources: ['rollouts'], verbs },
        { apiGroups: ['serving.knative.dev'], resources: ['services'], verbs },
        { apiGroups: ['tekton.dev'], resources: ['taskruns'], verbs },
        { apiGroups: ['tekton.dev'], resources: ['tasks'], verbs },
        { apiGroups: ['kubeflow.org'], resources: ['pytorchjobs'], verbs },
      ],
    });
    expect(binding).toEqual({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: role.metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role.metadata.name },
      subjects: [{ kind: 'ServiceAccount', name: 'regkeeper-deliver', namespace: 'guard' }],
    });
  });

  test('prints the same as without --custom-kinds, plus this permission', async () => {
    const without = documents((await rbac(rules, '--deliver')).out);
    const withKinds = documents((await rbac(rules, '--deliver', '--custom-kinds', ofDeploy)).out);
    expect(withKinds.filter(({ metadata }) => metadata.name !== 'regkeeper-deliver-custom-kinds')).toEqual(without);
    expect(withKinds).toHaveLength(without.length + 2);
  });

  test('prints no ClusterRole for files without kinds', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'regkeeper-rbac-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'kinds.yaml'), 'kinds: []');
    const { exitCode, out } = await rbac(rules, '--deliver', '--custom-kinds', join(folder, 'kinds.yaml'));
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: (await rbac(rules, '--deliver')).out });
  });

  test.each([
    ['a file that does not exist', 'absent.yaml', 'absent.yaml: no such file'],
    ['a file with problems', 'deploy/starter-rules/rules.yaml', 'unknown field "apiVersion"'],
  ])('prints nothing for %s', async (_what, file, problem) => {
    expect(await rbac(rules, '--deliver', '--custom-kinds', ofDeploy, file)).toMatchObject({
      exitCode: 2,
      out: '',
      err: expect.stringContaining(problem),
    });
  });
});

test.each([
  ['--custom-kinds', 'deploy/custom-kinds/custom-kinds.yaml'],
  ['--exclude-namespaces', 'cert-manager'],
])('rejects %s without --deliver, where it has no effect', async (flag, value) => {
  const result = rbac('rules: [{registry: a.io, pullSecret: corp-pull}]', flag, value);
  await expect(result).rejects.toThrow(`${flag} can be used only with --deliver`);
});
