/** Starts regkeeper with a scenario file's own rules before its tests, and removes it afterwards. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { applyBase, deleteBase, ownNamespace, type Regkeeper, startRegkeeper, waitUntilFilled } from './regkeeper.ts';
import { type Target, waitFor } from './target.ts';
import { pod, running } from './workloads.ts';

const root = resolve(import.meta.dirname, '../..');
const rulesPath = `/api/v1/namespaces/${ownNamespace}/configmaps/regkeeper-rules`;

export type WithRegkeeper = {
  /** The server that was started for the test. Undefined for an existing cluster, whose own server stays unchanged. */
  readonly server: Regkeeper | undefined;
  /** A namespace for this file, which is deleted after its tests. */
  readonly namespace: string;
  readonly folder: string;
  /** Starts the server again after it has ended. Only for the local cluster. */
  restart(): Promise<Regkeeper>;
  rulesText(): Promise<string>;
  writeRules(text: string): Promise<void>;
};

export type RegkeeperOptions = {
  /** Additional flags of `regkeeper serve`, on the local cluster. */
  readonly flags?: readonly string[];
  /** Flags of Node itself, on the local cluster, such as `shippedHeap` of regkeeper.ts. */
  readonly nodeFlags?: readonly string[];
  /** Files of `deploy/` to apply in addition to the base, on the local cluster. */
  readonly manifests?: readonly string[];
};

/** Call it once, at the top of a scenario file, with rules that do not trust unknown.example.com. Undoes everything after the tests. */
export function withRegkeeper(
  cluster: Target,
  rules: string,
  { flags = [], nodeFlags = [], manifests = [] }: RegkeeperOptions = {},
): WithRegkeeper {
  const { kubectl, kubeconfig, routeService } = cluster;
  let server: Regkeeper | undefined;
  let namespace = '';
  let folder = '';
  let rulesBefore: string | undefined;

  const restart = async () => {
    const ownFlags = ['--shutdown-delay-seconds', '0', ...flags];
    server = await startRegkeeper({ kubectl, kubeconfig, directory: folder, routeService, flags: ownFlags, nodeFlags });
    return server;
  };
  const rulesText = async () => {
    const api = await kubectl.api();
    const { data } = await api.get<{ data: Record<string, string> }>(rulesPath);
    return data['rules.yaml'] ?? '';
  };
  const writeRules = async (text: string) => {
    const api = await kubectl.api();
    const body = { data: { 'rules.yaml': text } };
    await api.request({ method: 'PATCH', path: rulesPath, body, contentType: 'application/merge-patch+json' });
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'regkeeper-scenario-'));
    if (cluster.local) {
      await applyBase(kubectl);
      for (const file of manifests) await kubectl(['apply', '-f', join(root, 'deploy', file)]);
      await restart();
    } else {
      await waitUntilFilled(kubectl);
    }
    rulesBefore = await rulesText();
    namespace = await cluster.namespace();
    await writeRules(rules);
    const api = await kubectl.api();
    const probe = pod('probe', running('unknown.example.com/x'));
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const error = () => api.create(path, probe, { dryRun: 'All' }).then(() => '', String);
    await waitFor(async () => (await error()).includes('denied the request'), {
      deadlineSeconds: 60,
      what: 'the rules of this scenario to take effect',
    });
  });

  afterAll(async () => {
    if (cluster.local) {
      await server?.end('SIGKILL');
      for (const file of manifests) await kubectl(['delete', '-f', join(root, 'deploy', file), '--ignore-not-found']);
      await deleteBase(kubectl);
    } else if (rulesBefore !== undefined) {
      await writeRules(rulesBefore);
    }
    await rm(folder, { recursive: true, force: true });
  });

  return {
    get server() {
      return server;
    },
    get namespace() {
      return namespace;
    },
    get folder() {
      return folder;
    },
    restart,
    rulesText,
    writeRules,
  };
}
