/**
 * The policy of deploy/webhook-protection: entries stay at regkeeper's Service, only regkeeper and administrators change them, and the emergency
 * exit stays open.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;
const deploy = join(import.meta.dirname, '../../../deploy');
const keeper = withRegkeeper(cluster, 'mode: enforce\nrules: [{registry: registry.example.com, pullSecret: corp-pull}]\n', {
  manifests: ['webhook-protection/policy.yaml'],
});

const both = ['mutatingwebhookconfiguration', 'validatingwebhookconfiguration'];
const onlyAdministrators = 'only regkeeper and its administrators may change the webhooks of this configuration';
const onlyOurService = 'each webhook of this configuration must call the Service regkeeper/regkeeper, port 443';
/** May change and delete every webhook configuration, but is not an administrator of regkeeper. */
const eve = ['--as=eve', '--as-group=system:authenticated'];

beforeAll(async () => {
  await kubectl(['create', 'clusterrolebinding', 'eve-is-admin', '--clusterrole=cluster-admin', '--user=eve']);
  await waitFor(async () => (await patch(both[0] as string, weaken, eve)).includes(onlyAdministrators), {
    deadlineSeconds: 60,
    what: 'the policy to take effect',
  });
});
afterAll(() => kubectl(['delete', 'clusterrolebinding', 'eve-is-admin', '--ignore-not-found']));

const weaken = [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }];
const narrow = [{ op: 'add', path: '/webhooks/0/namespaceSelector/matchExpressions/-', value: { key: 'x', operator: 'Exists' } }];
const forget = [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['DELETE'] }];
const empty = [{ op: 'replace', path: '/webhooks', value: [] }];
const service = (field: string, value: unknown) => [{ op: 'replace', path: `/webhooks/0/clientConfig/service/${field}`, value }];
const url = [{ op: 'replace', path: '/webhooks/0/clientConfig', value: { url: 'https://evil.example.com/' } }];
const addEntry = [
  {
    op: 'add',
    path: '/webhooks/-',
    value: {
      name: 'pods.evil.example.com',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      clientConfig: { service: { namespace: 'evil', name: 'evil' } },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    },
  },
];

/** Tries a JSON patch as a dry run. Returns the error, empty if it is allowed. */
async function patch(kind: string, operations: object[], as: readonly string[]): Promise<string> {
  const args = ['patch', kind, 'regkeeper', '--type=json', '--dry-run=server', '-p', JSON.stringify(operations), ...as];
  return (await kubectl(args, { allowFailure: true })).stderr;
}

describe.each(both)('the %s', (kind) => {
  test.each([
    ['a failure policy', weaken],
    ['a selector', narrow],
    ['the rules', forget],
    ['the list of entries', empty],
  ])('only regkeeper and its administrators can change it: %s', async (_what, operations) => {
    expect(await patch(kind, operations, eve)).toContain(onlyAdministrators);
    expect(await patch(kind, operations, [])).toBe('');
  });

  test.each([
    ['a Service with another name', service('name', 'evil')],
    ['a Service in another namespace', service('namespace', 'evil')],
    ['a different port', service('port', 8080)],
    ['a URL', url],
    ['a different URL in another entry', addEntry],
  ])('even administrators cannot direct the webhooks to %s', async (_where, operations) => {
    expect(await patch(kind, operations, [])).toContain(onlyOurService);
    expect(await patch(kind, operations, eve)).toContain(onlyOurService);
  });

  test('the token of regkeeper cannot direct the webhooks elsewhere', async () => {
    const { stdout } = await kubectl(['create', 'token', 'regkeeper', '-n', 'regkeeper']);
    const api = await cluster.kubectlAs(stdout.trim()).api();
    const path = `/apis/admissionregistration.k8s.io/v1/${kind}s/regkeeper`;
    const write = (body: object[]) =>
      api.request({ method: 'PATCH', path, query: { dryRun: 'All' }, body, contentType: 'application/json-patch+json' });
    await expect(write(service('name', 'evil'))).rejects.toThrow(onlyOurService);
    await write(weaken);
  });

  test('accepts labels and annotations from others', async () => {
    await kubectl(['label', kind, 'regkeeper', 'team=platform', ...eve]);
    await kubectl(['annotate', kind, 'regkeeper', 'note=hello', ...eve]);
    await kubectl(['label', kind, 'regkeeper', 'team-', ...eve]);
    await kubectl(['annotate', kind, 'regkeeper', 'note-', ...eve]);
  });

  test('cannot be created by others with entries, in any way', async () => {
    const { items } = await kubectl.json<{ items: { metadata: { name: string }; webhooks: object[] }[] }>(['get', kind]);
    const live = items.find(({ metadata }) => metadata.name === 'regkeeper');
    const [apiVersion, singular] = ['admissionregistration.k8s.io/v1', kind];
    const made = { apiVersion, kind: singular === both[0] ? 'MutatingWebhookConfiguration' : 'ValidatingWebhookConfiguration' };
    const stdin = JSON.stringify({ ...made, metadata: { name: 'regkeeper' }, webhooks: live?.webhooks.slice(0, 1) });
    await kubectl(['delete', kind, 'regkeeper']);
    const create = await kubectl(['create', '--dry-run=server', '-f', '-', ...eve], { stdin, allowFailure: true });
    expect(create.stderr).toContain(onlyAdministrators);
    const apply = await kubectl(['apply', '--server-side', '--dry-run=server', '-f', '-', ...eve], { stdin, allowFailure: true });
    expect(apply.stderr).toContain(onlyAdministrators);
    await applyProgram();
    await filled(kind);
  });
});

test('the policy is accepted with a namespace, which kustomize writes into it', async () => {
  const overlay = join(keeper.folder, 'overlay');
  await mkdir(overlay);
  const components = [relative(overlay, join(deploy, 'webhook-protection'))];
  await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify({ namespace: 'keeper', components }));
  expect((await kubectl(['apply', '--dry-run=server', '-k', overlay])).stdout).toContain('validatingadmissionpolicybinding');
});

test('regkeeper reverts the change of an administrator', async () => {
  await kubectl(['patch', 'validatingwebhookconfiguration', 'regkeeper', '--type=json', '-p', JSON.stringify(weaken)]);
  await waitFor(() => keeper.server?.log().some(({ msg }) => String(msg).includes('restored the')), {
    deadlineSeconds: 60,
    what: 'the repair',
  });
  await waitFor(async () => (await webhooks('validatingwebhookconfiguration'))[0]?.failurePolicy === 'Fail', {
    deadlineSeconds: 60,
    what: 'the policy Fail',
  });
});

test('users with permission to delete can use the emergency exit, and applying the installation restores the webhooks', async () => {
  const image = ['run', 'try', '--image=docker.io/library/nginx', '--dry-run=server', '-n', keeper.namespace];
  const denied = async () => (await kubectl(image, { allowFailure: true })).stderr.includes('denied the request');
  await waitFor(denied, { deadlineSeconds: 60, what: 'the image to be denied' });
  await kubectl(['delete', both.join(','), 'regkeeper', ...eve]);
  await waitFor(async () => !(await denied()), { deadlineSeconds: 60, what: 'the image to pass' });

  // As a user who is not an administrator of regkeeper: the shipped configurations are empty.
  await applyProgram(eve);
  for (const kind of both) await filled(kind);
  await waitFor(denied, { deadlineSeconds: 60, what: 'the image to be denied again' });
  await applyProgram(eve);
  for (const kind of both) expect((await webhooks(kind)).length).toBeGreaterThan(1);
});

/** As deploy/README.md does for an upgrade. */
async function applyProgram(as: readonly string[] = []): Promise<void> {
  const manager = ['--server-side', '--force-conflicts', '--field-manager=regkeeper-install'];
  await kubectl(['apply', ...manager, '-k', join(deploy, 'program'), ...as]);
}

type Entry = { readonly name: string; readonly failurePolicy: string };

async function webhooks(kind: string): Promise<readonly Entry[]> {
  return (await kubectl.json<{ webhooks?: Entry[] }>(['get', kind, 'regkeeper'])).webhooks ?? [];
}

async function filled(kind: string): Promise<void> {
  await waitFor(async () => (await webhooks(kind)).length > 1, { deadlineSeconds: 60, what: `the ${kind} to be filled` });
}
