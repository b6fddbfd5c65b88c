/** Creates a kind cluster and loads regkeeper's image into its nodes. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath } from '../cluster/binaries.ts';
import { freePorts } from '../cluster/free-ports.ts';
import { findEngine, output } from '../image/engine.ts';
import { hostsToml, registries } from '../node/registries.ts';
import type { Ground } from './ground.ts';

export type KindOptions = {
  readonly root: string;
  /** Leave the cluster running at the end. */
  readonly keep: boolean;
  readonly log: (line: string) => void;
};

const cluster = 'regkeeper';

/** @throws Error that names the missing tool and how to install it */
export async function startKind({ root, keep, log }: KindOptions): Promise<Ground> {
  const kind = await tool('kind', 'kind (https://kind.sigs.k8s.io), or run with --rehearse');
  const kubectl = await tool('kubectl', 'kubectl');
  const engine = await findEngine(', or run with --rehearse');
  const [registryPort] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-kind-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const stop = async () => {
    if (keep) {
      log(`the cluster stays: export KUBECONFIG=${kubeconfig}; kind delete cluster --name ${cluster} ends it`);
      return;
    }
    await show(kind, ['delete', 'cluster', '--name', cluster, '--kubeconfig', kubeconfig]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    // The name in the manifests. The image is loaded into the nodes, so they do not pull it from a registry.
    const image = `regkeeper.invalid/regkeeper:${version}`;
    await engine.run(['build', '-t', image, root]);
    const config = join(root, 'deploy/kind/cluster.yaml');
    await show(kind, ['create', 'cluster', '--name', cluster, '--config', config, '--kubeconfig', kubeconfig, '--wait', '180s']);
    const archive = join(folder, 'image.tar');
    await engine.run(['save', '-o', archive, image]);
    await show(kind, ['load', 'image-archive', archive, '--name', cluster]);
    const nodes = (await output(kind, ['get', 'nodes', '--name', cluster], 'pipe')).split('\n').filter(Boolean);
    for (const node of nodes) await engine.run(['exec', node, 'sh', '-c', registriesOfNode(registryPort)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kubeconfig,
    kubectl,
    runsPods: true,
    registryPort,
    async podsReady(asAdministrator) {
      await asAdministrator(['rollout', 'status', 'deployment/regkeeper', '-n', 'regkeeper', '--timeout=180s']);
    },
    podsGone: async () => {},
    stop,
  };
}

/** Commands of a node that bring it to the registries on this machine, which is its default gateway. */
function registriesOfNode(port: number): string {
  const hosts = Object.keys(registries);
  const files = [...hosts.map((host) => [host, host] as const), ['_default', 'nothing.test'] as const].map(([host, server]) => {
    const folder = `/etc/containerd/certs.d/${host}`;
    return `mkdir -p ${folder}; cat > ${folder}/hosts.toml <<'END'\n${hostsToml(host, `${server}:${port}`)}END`;
  });
  const gateway = `$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')`;
  return ['set -e', `echo "${gateway} ${hosts.join(' ')}" >> /etc/hosts`, ...files].join('\n');
}

async function tool(name: string, what: string): Promise<string> {
  const found = await findOnPath(name, process.env.PATH);
  if (found === undefined) throw new Error(`there is no ${name} in PATH: install ${what}`);
  return found;
}

async function show(program: string, args: readonly string[]): Promise<void> {
  await output(program, args, 'inherit');
}
