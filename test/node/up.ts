/** `npm run test:node -- --up`: the cluster alone, until Ctrl-C. run.ts starts this inside the namespaces. */

import { kubectlOf } from '../cluster/kubectl.ts';
import { waitFor } from '../cluster/wait-for.ts';
import { pod, running } from '../cluster/workloads.ts';
import { failingVariable } from './interruption.ts';
import { prepareNamespaces } from './namespaces.ts';
import { nodeName, startNodeCluster } from './node.ts';

const folder = process.env.TEST_NODE;
if (folder === undefined) throw new Error('start it with npm run test:node -- --up');
await prepareNamespaces(folder);
const started = performance.now();
const { plane } = await startNodeCluster(folder);
process.stdout.write(`${nodeName} is Ready after ${((performance.now() - started) / 1000).toFixed(1)} s.\n`);
// Shows that the node works, and gives an interruption a container to end.
const api = await kubectlOf(plane).api();
const pods = '/api/v1/namespaces/default/pods';
await api.create(pods, pod('first', running('open.test/first:1', { automountServiceAccountToken: false })));
const isRunning = async () => (await api.get<{ status: { phase: string } }>(`${pods}/first`)).status.phase === 'Running';
await waitFor(isRunning, { deadlineSeconds: 60, what: 'the first Pod to run' });
process.stdout.write('The Pod default/first runs.\n');
if (process.env[failingVariable] !== undefined) throw new Error(`this run fails, as ${failingVariable} requests`);
const enter = 'nsenter --target $(pgrep -f test/node/up.ts | tail -1) --mount --net --pid';
process.stdout.write(`It is reachable inside its namespaces only: ${enter}\n`);
process.stdout.write(`There, kubectl is ${plane.binaries.kubectl} and KUBECONFIG is ${plane.kubeconfig}. Ctrl-C ends everything.\n`);
