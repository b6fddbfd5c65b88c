/**
 * `npm run bench:install`: how long it takes from `kubectl apply -k` on an empty cluster to the first Pod with its secret.
 *
 * It uses the test cluster plus a simulated node for regkeeper's Pods, on which the image is already present. Each round installs into a
 * cluster without regkeeper, with an empty kubectl cache, and uninstalls at the end.
 */
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectApi } from '../src/kube/client/connect-api.ts';
import { loadKubeConfig } from '../src/kube/kubeconfig.ts';
import { startControlPlane } from '../test/cluster/control-plane.ts';
import { firstRules, type InstallTimes, install, overlayWithRules, renderTimes } from '../test/cluster/first-install.ts';
import { createKubectl } from '../test/cluster/kubectl.ts';
import { startStandInNode } from '../test/cluster/stand-in-node.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const base = join(import.meta.dirname, '../deploy/base');
const rules = [
  'patch',
  'configmap',
  'regkeeper-rules',
  '-n',
  'regkeeper',
  '--type=merge',
  '-p',
  JSON.stringify({ data: { 'rules.yaml': firstRules } }),
];

const plane = await startControlPlane();
const { binaries, kubeconfig, directory, services } = plane;
const admin = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
const overlay = await overlayWithRules(join(directory, 'overlay'));
const serverSide = ['apply', '--server-side', '--field-manager=regkeeper-install', '-k'];

type Way = { readonly name: string; readonly command: readonly string[]; readonly folder: string; readonly edits: boolean };
const ways: readonly Way[] = [
  { name: 'kubectl apply -k, with rules of its own', command: ['apply', '-k'], folder: overlay, edits: false },
  { name: 'kubectl apply --server-side -k, with rules of its own', command: serverSide, folder: overlay, edits: false },
  { name: 'kubectl apply -k deploy/base, then an edit of the rules', command: ['apply', '-k'], folder: base, edits: true },
];

process.stdout.write(`Node.js ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}\n`);
try {
  for (const way of ways) {
    process.stdout.write(`\n${way.name}\n`);
    const all: InstallTimes[] = [];
    for (let round = 1; round <= Number(values.rounds); round++) {
      const times = await installOnce(way, `${ways.indexOf(way)}-${round}`);
      all.push(times);
      process.stdout.write(`  load ${loadavg()[0]?.toFixed(1)}: ${renderTimes(times)}\n`);
    }
    const totals = all.map((times) => times['first Pod with its secret']).toSorted((a, b) => a - b);
    process.stdout.write(
      `  median ${totals[Math.floor(totals.length / 2)]?.toFixed(1)} s, ${totals[0]?.toFixed(1)} to ${totals.at(-1)?.toFixed(1)} s\n`,
    );
  }
} finally {
  await admin.close();
  await plane.stop();
}

async function installOnce({ command, folder, edits }: Way, name: string): Promise<InstallTimes> {
  const kubectl = createKubectl({ binary: binaries.kubectl, kubeconfig, cacheFolder: join(directory, `cache-${name}`) });
  const node = await startStandInNode({ kubeconfig, directory: join(directory, name), services });
  const then = edits ? async () => void (await kubectl(rules)) : undefined;
  const times = await install({ kubectl, admin, node, command: [...command, folder], ...(then && { then }) });
  await kubectl(['delete', '-k', folder, '--timeout=60s']);
  await node.end();
  return times;
}
