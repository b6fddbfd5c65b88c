/** `npm run test:node -- --up`: the cluster alone, until Ctrl-C. run.ts starts this inside the namespaces. */

import { prepareNamespaces } from './namespaces.ts';
import { nodeName, startNodeCluster } from './node.ts';

const folder = process.env.TEST_NODE;
if (folder === undefined) throw new Error('start it with npm run test:node -- --up');
await prepareNamespaces(folder);
const started = performance.now();
const { plane } = await startNodeCluster(folder);
process.stdout.write(`${nodeName} is Ready after ${((performance.now() - started) / 1000).toFixed(1)} s.\n`);
const enter = 'nsenter --target $(pgrep -f test/node/up.ts | tail -1) --mount --net --pid';
process.stdout.write(`It is reachable inside its namespaces only: ${enter}\n`);
process.stdout.write(`There, kubectl is ${plane.binaries.kubectl} and KUBECONFIG is ${plane.kubeconfig}. Ctrl-C ends everything.\n`);
