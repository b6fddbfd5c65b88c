// The program that `helm test` runs: prints /readyz of every replica, and fails unless all are ready. Arguments: host, port, seconds to wait.
import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';

const [host, port, seconds] = process.argv.slice(-3);
const deadline = Date.now() + Number(seconds) * 1000;
let replicas = await readReplicas();
while (!allReady(replicas) && Date.now() < deadline) {
  await delay(500);
  replicas = await readReplicas();
}
for (const { name, text } of replicas) console.log(`${name}\n${text.trim()}`);
if (!allReady(replicas)) {
  console.log('Not every replica of regkeeper is ready. The lines that begin with [-] show what is missing.');
  process.exitCode = 1;
}

async function readReplicas() {
  try {
    const addresses = await lookup(host, { all: true });
    return await Promise.all(addresses.map(({ address, family }) => readReplica(family === 6 ? `[${address}]` : address)));
  } catch (error) {
    return [{ name: host, ready: false, text: `[-] no replica found: ${error.message}` }];
  }
}

async function readReplica(address) {
  try {
    const response = await fetch(`http://${address}:${port}/readyz`, { signal: AbortSignal.timeout(5_000) });
    return { name: address, ready: response.ok, text: await response.text() };
  } catch (error) {
    return { name: address, ready: false, text: `[-] no response on port ${port}: ${error.cause?.message ?? error.message}` };
  }
}

function allReady(all) {
  return all.length > 0 && all.every(({ ready }) => ready);
}
