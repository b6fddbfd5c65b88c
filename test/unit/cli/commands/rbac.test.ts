/** Tests `rbac`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
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

test('prints the right to see the secrets that the rules name, each once, and no others', async () => {
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

test('prints nothing where the rules name no secret, since an empty list of names would mean all', async () => {
  expect(await rbac('rules: [{registry: a.io}]')).toMatchObject({ exitCode: 0, out: '', err: expect.stringContaining('no secret') });
});

test('prints nothing of rules with problems', async () => {
  expect(await rbac('rules: [{registri: a.io}]')).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('unknown-field') });
});
