/** Installs regkeeper and measures the time from `kubectl apply` to the first Pod with its secret, with the steps in between. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { ApiClient } from '../../src/kube/api-client.ts';
import type { Kubectl } from './kubectl.ts';
import type { StandInNode } from './stand-in-node.ts';
import { waitFor } from './wait-for.ts';
import { pod, running } from './workloads.ts';

const deploy = resolve(import.meta.dirname, '../../deploy');

export const firstRules = 'mode: enforce\nunconfigured: deny\nrules:\n- {registry: registry.example.com, pullSecret: corp-pull}\n';

/** Writes an overlay as deploy/README.md recommends it, with the program and its own rules. Returns its folder. */
export async function overlayWithRules(folder: string, more: object = {}): Promise<string> {
  await mkdir(folder, { recursive: true });
  const rules = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'our-rules', namespace: 'regkeeper', labels: { 'regkeeper.io/rules': 'cluster' } },
    data: { 'rules.yaml': firstRules },
  };
  await writeFile(join(folder, 'rules.yaml'), JSON.stringify(rules));
  const resources = [relative(folder, join(deploy, 'program')), 'rules.yaml'];
  await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify({ resources, ...more }));
  return folder;
}

/** Seconds since `kubectl apply` was started. */
export type InstallTimes = Readonly<Record<(typeof moments)[number], number>>;

const moments = [
  'applied',
  'server started',
  'rules in force',
  'serving',
  'ready',
  'webhooks filled',
  'first Pod with its secret',
] as const;

export type Installing = {
  readonly kubectl: Kubectl;
  readonly admin: ApiClient;
  readonly node: StandInNode;
  /** The arguments of kubectl. */
  readonly command: readonly string[];
  /** Runs as soon as kubectl has returned, for instance an edit of the rules. */
  readonly then?: () => Promise<void>;
};

/** Installs, and then creates a Pod of registry.example.com in the namespace `default` (dry run) until it has its secret. */
export async function install({ kubectl, admin, node, command, then = async () => {} }: Installing): Promise<InstallTimes> {
  const before = node.servers().length;
  const start = Date.now();
  await kubectl(command);
  const applied = Date.now();
  await then();
  const isInjected = async () => {
    const wanted = pod('first', running('registry.example.com/x:1'));
    const { spec } = await admin.create<{ spec: { imagePullSecrets?: { name: string }[] } }>('/api/v1/namespaces/default/pods', wanted, {
      dryRun: 'All',
    });
    return spec.imagePullSecrets?.some(({ name }) => name === 'corp-pull');
  };
  await waitFor(isInjected, { deadlineSeconds: 60, what: 'the first Pod with its secret' });
  const first = Date.now();

  const servers = node.servers().slice(before);
  const filled = () => servers.flatMap((server) => server.log()).filter(({ msg }) => /^registered the webhooks/.test(String(msg)));
  // The first Pod only needs one of the two configurations.
  await waitFor(() => new Set(filled().map(({ msg }) => msg)).size === 2, {
    deadlineSeconds: 60,
    what: 'both configurations to be filled',
  });
  const lines = servers.flatMap((server) => server.log());
  const earliest = (times: readonly number[]) => Math.min(...times);
  const loggedAt = (pattern: RegExp) => lines.filter(({ msg }) => pattern.test(String(msg))).map(({ time }) => Date.parse(String(time)));
  const at = [
    applied,
    earliest(servers.map(({ startedAt }) => startedAt)),
    earliest(loggedAt(/^rules are in effect/)),
    earliest(loggedAt(/^serving$/)),
    earliest(servers.flatMap(({ readyAt }) => readyAt ?? [])),
    Math.max(
      earliest(loggedAt(/^registered the webhooks in the Mutating/)),
      earliest(loggedAt(/^registered the webhooks in the Validating/)),
    ),
    first,
  ];
  return Object.fromEntries(moments.map((moment, index) => [moment, ((at[index] ?? Number.NaN) - start) / 1000])) as InstallTimes;
}

export function renderTimes(times: InstallTimes): string {
  return moments.map((moment) => `${moment} ${times[moment].toFixed(1)} s`).join(', ');
}
