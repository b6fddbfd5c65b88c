/** What a scan finds in the server's Deployment is what the server itself reads from its flags and variables. */
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { prepareArguments } from '../../../src/cli/line/prepare-arguments.ts';
import { addSettingOptions } from '../../../src/cli/line/setting-options.ts';
import type { ApiClient } from '../../../src/kube/api-client.ts';
import { readServerOptions } from '../../../src/scan/server-options.ts';
import { collectSettings, type Flags } from '../../../src/settings/input.ts';
import { settingNames, settingOf } from '../../../src/settings/table.ts';

const rows: { args?: string[]; env?: Record<string, string> }[] = [
  {},
  { args: ['--custom-kinds', '/k/a.yaml'] },
  { args: ['--custom-kinds', '/k/a.yaml', '/k/b.yaml', '--log-level', 'info'] },
  { args: ['--custom-kinds', '/k/a.yaml', '--custom-kinds', '/k/b.yaml'] },
  { args: ['--custom-kinds=/k/a.yaml', '--tls', 'self', '--custom-kinds=/k/b.yaml'] },
  { args: ['--custom-kinds', '/k/b.yaml', '--manage-webhooks', '--namespace-rules'] },
  { args: ['--namespace-rules', '--no-namespace-rules'] },
  { args: ['--no-namespace-rules', '--namespace-rules'] },
  { args: ['--rules', '/rules', '--custom-kinds', '/k/a.yaml'] },
  { args: ['--rules=/rules'] },
  { env: { REGKEEPER_CUSTOM_KINDS: '/k/a.yaml' } },
  { env: { REGKEEPER_CUSTOM_KINDS: '/k/a.yaml, /k/b.yaml' } },
  { env: { REGKEEPER_CUSTOM_KINDS: ' ' } },
  { args: ['--custom-kinds', '/k/b.yaml'], env: { REGKEEPER_CUSTOM_KINDS: '/k/a.yaml' } },
  { env: { REGKEEPER_NAMESPACE_RULES: 'true' } },
  { env: { REGKEEPER_NAMESPACE_RULES: ' true ' } },
  { env: { REGKEEPER_NAMESPACE_RULES: '1' } },
  { env: { REGKEEPER_NAMESPACE_RULES: 'false' } },
  { args: ['--no-namespace-rules'], env: { REGKEEPER_NAMESPACE_RULES: 'true' } },
  { env: { REGKEEPER_RULES: '/rules' } },
  { env: { REGKEEPER_RULES: '' } },
];

describe('a scan reads the options of the server:', () => {
  test.each(rows)('$args $env', async ({ args = [], env = {} }) => {
    const { inputs } = collectSettings(flagsOf(args), env);
    const { namespaceRules, rulesFromCluster, kinds, notRead } = await readServerOptions(apiWith(args, env), 'regkeeper');
    expect({ namespaceRules, rulesFromCluster, notRead }).toEqual({
      namespaceRules: inputs.namespaceRules?.value ?? false,
      rulesFromCluster: inputs.rules === undefined,
      notRead: [],
    });
    const files = kinds.rows.filter(({ group }) => group.endsWith('.example.com')).map(({ group }) => `/k/${group[0]}.yaml`);
    expect(files).toEqual(inputs.customKinds?.value ?? []);
  });
});

function flagsOf(args: readonly string[]): Flags {
  const command = new Command('serve').exitOverride();
  addSettingOptions(command, settingNames, settingOf);
  let flags: Flags = {};
  command.action((parsed: Flags) => {
    flags = parsed;
  });
  command.parse([...prepareArguments(args, command).words], { from: 'user' });
  return flags;
}

/** An API server with the server's Deployment, and a ConfigMap with two files of custom kinds. */
function apiWith(args: readonly string[], env: Readonly<Record<string, string>>): ApiClient {
  const kinds = (name: string) =>
    `kinds: [{group: ${name}.example.com, version: v1, resource: things, kind: Thing, podSpec: spec.template.spec}]`;
  const container = {
    name: 'regkeeper',
    args,
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    volumeMounts: [{ name: 'kinds', mountPath: '/k' }],
  };
  const spec = { containers: [container], volumes: [{ name: 'kinds', configMap: { name: 'kinds' } }] };
  const get = async (path: string) =>
    path.includes('/deployments/') ? { spec: { template: { spec } } } : { data: { 'a.yaml': kinds('a'), 'b.yaml': kinds('b') } };
  return { get } as unknown as ApiClient;
}
