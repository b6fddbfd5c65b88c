/** Rules ConfigMaps as policy owners write them: which edits are rejected, which are accepted, and how they take effect. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runToEnd } from '../kubectl.ts';
import { ownNamespace, readiness } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const root = resolve(import.meta.dirname, '../../..');
const cluster = target();
const { kubectl } = cluster;

const rules = `
contact: the platform team
delegate: [delegated.example.com]
rules:
- registry: registry.example.com
  pullSecret: corp-pull
- registry: sandbox.example.com
  namespaces: {matchLabels: {tier: sandbox}}
- registry: docker.io
  trust: false
`;

const keeper = withRegkeeper(cluster, rules, { flags: ['--namespace-rules'], manifests: ['namespace-rules/rbac.yaml'] });

describe('a rules ConfigMap is rejected', () => {
  test('for invalid contents: every problem, with line and column, code, and the likely intended name', async () => {
    const { code, stderr } = await apply(
      configMap('more-rules', { 'a.yaml': 'rules:\n- registry: a.example.com\n  pulSecret: x\n', 'b.yaml': 'mode: strict\n' }),
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain('configmaps.guard.regkeeper.io');
    expect(stderr).toMatch(/a\.yaml:3:3: .*Did you mean "pullSecret".* \(unknown-field\)/);
    expect(stderr).toMatch(/b\.yaml:1:7: .* \(unknown-value\)/);
  });

  test('for a conflict with another ConfigMap, which is named', async () => {
    const { code, stderr } = await apply(configMap('more-rules', { 'rules.yaml': 'rules: [{registry: registry.example.com}]\n' }));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/rules\.yaml:1:\d+: .*ConfigMap regkeeper\/regkeeper-rules, key rules\.yaml, line 5:13.*\(rule-tie\)/);
  });

  test('for an unknown label', async () => {
    const { code, stderr } = await apply(configMap('more-rules', { 'rules.yaml': 'rules: []' }, { label: 'clutser' }));
    expect(code).not.toBe(0);
    expect(stderr).toContain('Did you mean "cluster"?');
  });

  test('in a dry run too', async () => {
    const { code } = await apply(configMap('more-rules', { 'rules.yaml': 'rulez: []' }), ['--dry-run=server']);
    expect(code).not.toBe(0);
  });

  test('and the review is recorded, with its user', async ({ skip }) => {
    if (!keeper.server) return skip('reads the records of the server, so only where the server runs next to the test');
    const { server } = keeper;
    const review = await waitFor(() => server.audit().find(({ event, dryRun }) => event === 'rules-review' && dryRun === true), {
      deadlineSeconds: 60,
      what: 'the record',
    });
    expect(review).toMatchObject({
      user: 'admin',
      operation: 'CREATE',
      configMap: 'regkeeper/more-rules',
      outcome: 'rejected',
      problems: [expect.stringContaining('(unknown-field)')],
    });
  });
});

describe('a rules ConfigMap is accepted', () => {
  test('and its rules are in effect; a rule can move to another ConfigMap in two applies, without an interruption', async () => {
    onTestFinished(() => remove('one', 'two'));
    for (const [name, registry] of [
      ['one', 'moving.example.com'],
      ['one', 'staying.example.com'],
      ['two', 'moving.example.com'],
    ] as const) {
      const { code, stderr } = await apply(configMap(name, { 'rules.yaml': `rules: [{registry: ${registry}}]` }));
      expect(stderr).not.toContain('rule-tie');
      expect(code).toBe(0);
    }
    await waitUntil('the moved rule to take effect', async () => (await tryPod('moving.example.com/app')) === undefined);
  });

  test('with a warning when its label is removed, and its rules are no longer in effect', async () => {
    onTestFinished(() => remove('more-rules'));
    await applied(configMap('more-rules', { 'rules.yaml': 'rules: [{registry: more.example.com}]' }));
    await waitUntil('the rule to take effect', async () => (await tryPod('more.example.com/app')) === undefined);
    const { code, stderr } = await kubectl(['label', 'configmap/more-rules', '-n', ownNamespace, 'regkeeper.io/rules-']);
    expect(code).toBe(0);
    expect(stderr).toContain(
      'Warning: regkeeper: without the label regkeeper.io/rules, the rules of this ConfigMap are no longer in effect',
    );
    await waitUntil('the rule to be gone', async () => (await tryPod('more.example.com/app')) !== undefined);
  });

  test('with a warning about rules that are valid but probably not intended', async () => {
    onTestFinished(() => remove('more-rules'));
    const text = 'rules: [{registry: more.example.com, namespaces: "sandbox-*"}]';
    const { code, stderr } = await apply(configMap('more-rules', { 'rules.yaml': text }));
    expect(code).toBe(0);
    expect(stderr).toMatch(/Warning: regkeeper: rules\.yaml:1:\d+: more\.example\.com is trusted for namespaces named sandbox-\*/);
  });

  test('with a warning if it would never be read', async () => {
    const { code, stderr } = await apply(configMap('stray', { 'rules.yaml': 'rules: []' }, { namespace: keeper.namespace }));
    expect(code).toBe(0);
    expect(stderr).toContain('cluster rules are read only from namespace regkeeper');
  });

  test('without a response: an invalid edit is detected when it is loaded, and the last valid rules remain in effect', async ({ skip }) => {
    if (!keeper.server) return skip('stops the server, so only on the local cluster');
    onTestFinished(() => keeper.writeRules(rules));
    const { server } = keeper;
    // The review of the edit times out, and its failurePolicy Ignore allows the edit.
    server.process.kill('SIGSTOP');
    try {
      await keeper.writeRules(rules.replace('pullSecret', 'pulSecret'));
    } finally {
      server.process.kill('SIGCONT');
    }
    const line = await waitFor(() => server.log().find(({ code }) => code === 'unknown-field'), {
      deadlineSeconds: 60,
      what: 'the problem to be logged',
    });
    expect(line).toMatchObject({ level: 'error', line: 6, column: 3 });
    expect(line.msg).toMatch(/regkeeper\/regkeeper-rules.*line 6:3.*Did you mean "pullSecret"/);
    expect(await tryPod('registry.example.com/app')).toBeUndefined();
    expect(await tryPod('unknown.example.com/app')).toContain('denied the request');
  });

  test('while regkeeper is unavailable: a server that starts then uses the last valid rules, and is ready', async ({ skip }) => {
    if (!keeper.server) return skip('restarts the server, so only on the local cluster');
    await keeper.server.end('SIGTERM');
    await keeper.writeRules('rulez: []');
    const server = await keeper.restart();
    expect((await readiness(server)).ready).toBe(true);
    await waitFor(() => server.log().some(({ msg }) => /the version from before this server started/.test(String(msg))), {
      deadlineSeconds: 60,
      what: 'the log line',
    });
    expect(await tryPod('registry.example.com/app')).toBeUndefined();
    expect(await tryPod('unknown.example.com/app')).toContain('denied the request');
    await keeper.writeRules(rules);
  });
});

describe('secrets in rules', () => {
  // Grants the rights as docs/operations.md describes.
  const bind = async () => {
    const live = await kubectl(['get', 'configmap', '-n', ownNamespace, '-l', 'regkeeper.io/rules=cluster', '-o', 'yaml']);
    const rbac = [join(root, 'src/main.ts'), 'rbac', '--rules', '-', '-n', ownNamespace];
    const rights = await runToEnd(process.execPath, rbac, process.env, live.stdout);
    expect(rights).toMatchObject({ code: 0, stderr: '' });
    await kubectl(['apply', '-f', '-'], { stdin: rights.stdout });
  };
  const unbind = async () => {
    await kubectl(['delete', 'clusterrole,clusterrolebinding', 'regkeeper-secrets', '--ignore-not-found']);
  };
  const messagesOf = async (image: string) => (await tryRun(image)).stderr;

  test('are not watched without permission, and the log shows the permission', async ({ skip }) => {
    if (!keeper.server) return skip('reads the log of the server, so only where the server runs next to the test');
    const { server } = keeper;
    const line = await waitFor(() => server.log().find(({ msg }) => /no permission to watch the secrets corp-pull/.test(String(msg))), {
      deadlineSeconds: 60,
      what: 'the advice',
    });
    expect(line).toMatchObject({ level: 'warn', msg: expect.stringContaining('resourceNames ["corp-pull"]') });
    expect(await messagesOf('registry.example.com/app')).not.toContain('corp-pull');
  });

  test('with permission, a user who creates a Pod is warned about a missing secret and one of the wrong type', async ({ skip }) => {
    if (!keeper.server) return skip('restarts the server, so only on the local cluster');
    onTestFinished(unbind);
    await bind();
    await keeper.server.end('SIGTERM');
    await keeper.restart();
    await waitUntil('the warning about the missing secret', async () =>
      (await messagesOf('registry.example.com/app')).includes('corp-pull'),
    );
    await kubectl(['create', 'secret', 'generic', 'corp-pull', '-n', keeper.namespace]);
    await waitUntil('the warning about the type', async () => /corp-pull.*type/.test(await messagesOf('registry.example.com/app')));
    await kubectl(['delete', 'secret', 'corp-pull', '-n', keeper.namespace]);
    const login = ['--docker-server=registry.example.com', '--docker-username=u', '--docker-password=p'];
    await kubectl(['create', 'secret', 'docker-registry', 'corp-pull', '-n', keeper.namespace, ...login]);
    await waitUntil('no warning', async () => !(await messagesOf('registry.example.com/app')).includes('corp-pull'));
  });
});

test('a rule that selects by labels follows the namespace: relabelling it changes the outcome', async () => {
  const allowed = async () => (await tryPod('sandbox.example.com/app')) === undefined;
  expect(await allowed()).toBe(false);
  await kubectl(['label', 'namespace', keeper.namespace, 'tier=sandbox']);
  await waitUntil('the label to count', allowed);
  await kubectl(['label', 'namespace', keeper.namespace, 'tier=production', '--overwrite']);
  await waitUntil('the other label to count', async () => !(await allowed()));
});

describe("a namespace's own rules", () => {
  const own = (text: string) => configMap('own-rules', { 'rules.yaml': text }, { label: 'namespace', namespace: keeper.namespace });
  const trusts = async (image: string, namespace?: string) => (await tryPod(image, namespace)) === undefined;

  test('deny what the cluster allows, determine its secret, and trust what is delegated, only in that namespace', async ({ skip }) => {
    if (!cluster.local) return skip('needs --namespace-rules, which is only known of the local cluster');
    const elsewhere = await cluster.namespace();
    expect(await trusts('registry.example.com/app')).toBe(true);
    expect(await trusts('delegated.example.com/app')).toBe(false);
    await applied(own('rules: [{registry: registry.example.com, trust: false, reason: not for us}, {registry: delegated.example.com}]'));
    await waitUntil('the denial to take effect', async () => !(await trusts('registry.example.com/app')));
    expect(await tryPod('registry.example.com/app')).toContain('not for us');
    expect(await trusts('delegated.example.com/app')).toBe(true);
    expect(await trusts('registry.example.com/app', elsewhere)).toBe(true);
    expect(await trusts('delegated.example.com/app', elsewhere)).toBe(false);
  });

  // Needs --namespace-rules, which an existing cluster may not have.
  test.runIf(cluster.local).each([
    ['trusts what the cluster denies', 'rules: [{registry: docker.io}]', /rules\.yaml:1:\d+: .*\(namespace-rule-without-effect\)/],
    ['trusts what no cluster rule contains', 'rules: [{registry: unknown.example.com}]', /\(namespace-rule-without-effect\)/],
    ['sets what only the cluster may set', 'mode: audit\nrules: []', /rules\.yaml:1:1: .*\(cluster-only-field\)/],
  ])('are rejected if one %s', async (_what, text, message) => {
    const { code, stderr } = await apply(own(text));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });

  test('never allow more, even if they bypass the guard, and an invalid one does not prevent readiness', async ({ skip }) => {
    if (!keeper.server) return skip('restarts the server, so only on the local cluster');
    await keeper.server.end('SIGTERM');
    await applied(own('rules: [{registry: docker.io}, {registry: unknown.example.com}]'));
    await applied(configMap('bad-rules', { 'rules.yaml': 'rulez: []' }, { label: 'namespace', namespace: keeper.namespace }));
    const server = await keeper.restart();
    expect((await readiness(server)).ready).toBe(true);
    await waitFor(() => server.log().some(({ level, code }) => level === 'warn' && code === 'unknown-field'), {
      deadlineSeconds: 60,
      what: 'the log line',
    });
    expect(await trusts('nginx')).toBe(false);
    expect(await trusts('unknown.example.com/app')).toBe(false);
    expect(await trusts('registry.example.com/app')).toBe(true);
  });

  test('are deleted with their ConfigMap', async ({ skip }) => {
    if (!cluster.local) return skip('needs --namespace-rules, which is only known of the local cluster');
    await kubectl(['delete', 'configmap', 'bad-rules', '-n', keeper.namespace, '--ignore-not-found']);
    await applied(own('rules: [{registry: registry.example.com, trust: false}]'));
    await waitUntil('the denial to take effect', async () => !(await trusts('registry.example.com/app')));
    await kubectl(['delete', 'configmap', 'own-rules', '-n', keeper.namespace]);
    await waitUntil('the denial to end', () => trusts('registry.example.com/app'));
  });
});

test('the component in deploy/ sets the flag and grants the permission', async () => {
  const overlay = join(keeper.folder, 'overlay');
  await mkdir(overlay);
  const [base, namespaceRules] = ['base', 'namespace-rules'].map((name) => relative(overlay, join(root, 'deploy', name)));
  await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify({ resources: [base], components: [namespaceRules] }));
  const { stdout } = await kubectl(['kustomize', overlay]);
  expect(stdout).toMatch(/- --namespace-rules/);
  expect(stdout).toMatch(/kind: ClusterRoleBinding[\s\S]*name: regkeeper-namespace-rules/);
});

function configMap(name: string, data: Record<string, string>, { label = 'cluster', namespace = ownNamespace } = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: { 'regkeeper.io/rules': label } }, data };
}

function apply(object: object, flags: readonly string[] = []) {
  return kubectl(['apply', '-f', '-', ...flags], { stdin: JSON.stringify(object), allowFailure: true });
}

async function applied(object: object): Promise<void> {
  expect(await apply(object)).toMatchObject({ code: 0 });
}

async function remove(...names: readonly string[]): Promise<void> {
  await kubectl(['delete', 'configmap', ...names, '-n', ownNamespace, '--ignore-not-found']);
}

/** Creates a Pod with this image, with a dry run. Returns the error, or undefined where the Pod is allowed. */
async function tryPod(image: string, namespace?: string): Promise<string | undefined> {
  const { code, stderr } = await tryRun(image, namespace);
  return code === 0 ? undefined : stderr;
}

function tryRun(image: string, namespace = keeper.namespace) {
  return kubectl(['run', 'trial', `--image=${image}`, '-n', namespace, '--dry-run=server'], { allowFailure: true });
}

async function waitUntil(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  await waitFor(isTrue, { deadlineSeconds: 60, what });
}
