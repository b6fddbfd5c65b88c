/**
 * `npm run bench:sizing`: the resources that a replica needs. Measures the memory of watched objects, the CPU time per request, and latencies
 * at a fixed rate. The requests are those of `bench:speed`, which a real API server sent. They are compared with a Node HTTPS server that
 * only parses them. Prints results and asserts nothing.
 *
 * The CPU time of each server process comes from the scheduler (Linux only), so other processes do not count. The two servers take turns,
 * round by round.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createClusterFacts } from '../src/cluster/facts/facts.ts';
import type { ApiClient, KubeObject, ListOptions } from '../src/kube/api-client.ts';
import { rulesText } from './samples.ts';
import { createBodies, writeBodies } from './speed/bodies.ts';
import { startLoad } from './speed/load.ts';
import { peerCommand, type Server, serveCommand, startServer, writeCertificates } from './speed/servers.ts';

const rules = 1_000;
const rounds = 7;
/** About as many connections as an API server keeps open under some load. */
const connections = 8;
const objects = 10_000;

const collect = globalThis.gc;
if (!collect) {
  console.error('memory cannot be measured without --expose-gc; use "npm run bench:sizing"');
  process.exit(2);
}
const noLog = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'regkeeper-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

console.log(`Node.js ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, load ${loadavg()[0]?.toFixed(1)}`);
await reportMemory();
await reportProcessorTime();
process.exit(0);

async function reportMemory(): Promise<void> {
  console.log(`\nHeap that ${objects.toLocaleString('en')} objects hold`);
  const labels = { 'kubernetes.io/metadata.name': 'team-12345', team: 'payments', env: 'prod' };
  const collections = {
    'service accounts, two secrets each': (index: number) => ({
      path: '/api/v1/serviceaccounts',
      object: {
        metadata: { ...metadata(index), namespace: `team-${index}` },
        imagePullSecrets: [{ name: `default-dockercfg-${index}` }],
        secrets: [{ name: `default-dockercfg-${index}` }],
      },
    }),
    'namespaces, metadata': (index: number) => ({
      path: '/api/v1/namespaces',
      object: { metadata: { ...metadata(index), labels, annotations: { 'openshift.io/description': `the shop of team ${index}` } } },
    }),
  };
  for (const [what, make] of Object.entries(collections)) {
    // The first run fills caches that the program keeps anyway.
    await heapRetainedBy(clientListing(make));
    console.log(`${what.padEnd(40)}${(await heapRetainedBy(clientListing(make))).toFixed(1).padStart(6)} MiB`);
  }
}

/** In MiB: the heap that the facts of this cluster take. */
async function heapRetainedBy(client: ApiClient): Promise<number> {
  const before = await heapInUse();
  const facts = createClusterFacts({ client, namespace: 'regkeeper', log: noLog });
  facts.start();
  while (!facts.current()) await pause(10);
  const retained = (await heapInUse()) - before;
  await facts.stop();
  return retained / 1024 / 1024;
}

function metadata(index: number) {
  return {
    name: `default-${index}`,
    uid: `6b0e9f7e-2f0c-4f0a-9f5a-${String(index).padStart(12, '0')}`,
    resourceVersion: String(100_000 + index),
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
}

/** A client of a cluster with one collection that never changes. Each object is parsed from text, as if it had come over the network. */
function clientListing(make: (index: number) => { path: string; object: object }): ApiClient {
  const { path: collection } = make(0);
  const idle = (_path: string, _query: object, signal: AbortSignal) => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        await once(signal, 'abort');
        throw signal.reason;
      },
    }),
  });
  const client = {
    serverTime: () => undefined,
    close: async () => undefined,
    hasResource: async () => false,
    async list<T extends KubeObject>(path: string, _query: object, { keep = (object: T) => object }: ListOptions<T> = {}) {
      const size = path === collection ? objects : 0;
      const items = Array.from({ length: size }, (_, index) => keep(JSON.parse(JSON.stringify(make(index).object)) as T));
      return { items, resourceVersion: '1' };
    },
    watch: idle,
  };
  return client as unknown as ApiClient;
}

async function reportProcessorTime(): Promise<void> {
  const file = join(folder, 'rules.yaml');
  writeFileSync(file, rulesText(rules));
  const tls = writeCertificates(folder);
  const load = await startLoad();
  const ours = await startServer(serveCommand({ program: join(root, 'bin', 'regkeeper.mjs'), tls, rules: file }), tls);
  const bare = await startServer(peerCommand('parse-only', tls), tls);
  const resting = ours.resident();
  const job = (server: Server, path: string, bodies: string) => ({ address: `localhost:${server.port}`, path, caFile: tls.ca, bodies });
  console.log(
    `\nProcessor time of a request: ${formatCount(rules)} rules, ${connections} connections, median of ${rounds} rounds, load by ${load.name}`,
  );
  console.log('                                            a request   against a server that only parses   requests for a core');
  for (const set of createBodies(10)) {
    const { name, requests } = set;
    const bodies = writeBodies(folder, set);
    for (const path of ['/mutate', '/validate']) {
      const timeOf = async (server: Server) => {
        const before = server.cpu();
        await load.run({ ...job(server, path, bodies), connections, requests });
        return (server.cpu() - before) / requests / 1_000;
      };
      const times: { ours: number; bare: number }[] = [];
      for (let round = -2; round < rounds; round += 1) {
        const took = { ours: await timeOf(ours), bare: await timeOf(bare) };
        if (round >= 0) times.push(took);
      }
      const each = median(times.map((took) => took.ours));
      const ratio = median(times.map((took) => took.ours / took.bare));
      const columns = [`${name}, ${path}`.padEnd(44), `${each.toFixed(2).padStart(6)} ms`, ` ${ratio.toFixed(2).padStart(30)} ×`];
      console.log(`${columns.join('')}${formatCount(Math.round(1000 / each)).padStart(22)}/s`);
    }
    if (name !== 'Pod') continue;
    for (const rate of [500, 1_000]) {
      const { p50, p99, failed } = await load.run({ ...job(ours, '/mutate', bodies), connections: 64, requests: rate * 10, rate });
      console.log(
        `  open loop, ${rate}/s for 10 s: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms from the planned arrival, ${failed} failed`,
      );
    }
  }
  console.log(
    `resident memory of the server: ${resting.toFixed(0)} MiB at the start, ${ours.resident().toFixed(0)} MiB after all these requests`,
  );
  for (const server of [ours, bare]) await server.end();
  load.end();
}

function formatCount(count: number): string {
  return count.toLocaleString('en');
}

async function heapInUse(): Promise<number> {
  // Objects that were closed a moment ago are released in later turns of the event loop.
  for (let turn = 0; turn < 3; turn += 1) {
    await pause(10);
    collect?.();
  }
  return process.memoryUsage().heapUsed;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function ignore(): void {}
