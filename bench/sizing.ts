/**
 * `npm run bench:sizing`: the resources that a replica needs. Measures the memory of watched objects and the CPU time per request. The latter
 * is compared with a bare Node HTTPS server that reads the same bodies and sends a constant answer. Prints results and asserts nothing.
 *
 * The CPU time of each server process comes from /proc/PID/stat (Linux only), so other processes do not count. The two servers take turns,
 * round by round.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createClusterFacts } from '../src/cluster/facts/facts.ts';
import { formatReference } from '../src/image/reference.ts';
import type { ApiClient, KubeObject, ListOptions } from '../src/kube/api-client.ts';
import { lookupsFor, rulesText } from './samples.ts';

const rules = 1_000;
const requestsPerRound = 3_000;
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
  writeFileSync(join(folder, 'rules.yaml'), rulesText(rules));
  const ours = await startOurs();
  const bare = await startBare();
  const resting = residentOf(ours);
  const bodies = reviews();
  console.log(`\nProcessor time of a request: ${rules.toLocaleString('en')} rules, ${connections} connections, median of ${rounds} rounds`);
  console.log('                                            a request   against a bare server   requests for a core');
  for (const [what, path, made] of bodies) {
    const times: { ours: number; bare: number }[] = [];
    for (let round = -2; round < rounds; round += 1) {
      const took = { ours: await timeOf(ours, path, made), bare: await timeOf(bare, path, made) };
      if (round >= 0) times.push(took);
    }
    const each = median(times.map((took) => took.ours));
    const ratio = median(times.map((took) => took.ours / took.bare));
    const perSecond = Math.round(1000 / each).toLocaleString('en');
    console.log(`${what.padEnd(44)}${each.toFixed(2).padStart(6)} ms ${ratio.toFixed(2).padStart(20)} ×${perSecond.padStart(18)}/s`);
  }
  console.log(`resident memory of the server: ${resting} at the start, ${residentOf(ours)} after all these requests`);
  for (const server of [ours, bare]) {
    server.process.kill();
    await once(server.process, 'exit');
  }
}

function residentOf({ process: { pid } }: Server): string {
  const kibibytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return `${(kibibytes / 1024).toFixed(0)} MiB`;
}

type Server = { readonly process: ChildProcess; readonly port: number; readonly agent: Agent };

async function startOurs(): Promise<Server> {
  const args = ['serve', '--dev', '--rules', join(folder, 'rules.yaml'), '--port', '0', '--health-port', '0'];
  const child = spawn(process.execPath, [join(root, 'bin', 'regkeeper.mjs'), ...args], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return { process: child, port: await portFrom(child, /answers on https:\/\/localhost:(\d+)/), agent: agent() };
}

async function startBare(): Promise<Server> {
  const program = `
    import { readFileSync } from 'node:fs';
    import { createServer } from 'node:https';
    const server = createServer({ cert: readFileSync('certs/dev/tls.crt'), key: readFileSync('certs/dev/tls.key') }, (request, response) => {
      let size = 0;
      request.on('data', (chunk) => { size += chunk.length; });
      request.on('end', () => response.end('{"size":' + size + '}'));
    });
    server.listen(0, '127.0.0.1', () => console.error('port ' + server.address().port));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  return { process: child, port: await portFrom(child, /port (\d+)/), agent: agent() };
}

function agent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: connections, ca: readFileSync(join(folder, 'certs/dev/ca.crt')) });
}

async function portFrom(child: ChildProcess, pattern: RegExp): Promise<number> {
  let output = '';
  for await (const chunk of child.stderr ?? []) {
    output += chunk;
    const port = pattern.exec(output)?.[1];
    if (port !== undefined) {
      child.stderr?.resume();
      return Number(port);
    }
  }
  throw new Error(`a server did not start: ${output}`);
}

/** Milliseconds of CPU time per request. */
async function timeOf(server: Server, path: string, bodies: readonly string[]): Promise<number> {
  const before = processorMilliseconds(server);
  let next = 0;
  const senders = Array.from({ length: connections }, async () => {
    for (let at = next++; at < requestsPerRound; at = next++) await post(server, path, bodies[at % bodies.length] ?? '');
  });
  await Promise.all(senders);
  return (processorMilliseconds(server) - before) / requestsPerRound;
}

/** User and system time in milliseconds. /proc counts in ticks of 10 ms on every Linux that Node supports. */
function processorMilliseconds({ process: { pid } }: Server): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function post({ port, agent }: Server, path: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request({ host: 'localhost', port, agent, path, method: 'POST', headers }, (response) => {
      response.resume();
      response.once('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${path} answered ${response.statusCode}`))));
    });
    call.once('error', reject);
    call.end(body);
  });
}

/** A hundred request bodies of each sort, with images spread over the rules. */
function reviews(): [what: string, path: string, bodies: string[]][] {
  const images = lookupsFor(rules).map(({ reference }) => formatReference(reference));
  const image = (index: number) => images[index % images.length] ?? '';
  const containers = (count: number, from: number) =>
    Array.from({ length: count }, (_, index) => ({
      name: `app-${index}`,
      image: image(from + index * 37),
      env: Array.from({ length: 10 }, (_, at) => ({ name: `SETTING_${at}`, value: `value ${at} of the container` })),
      resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    }));
  const many = <T>(make: (index: number) => T) => Array.from({ length: 100 }, (_, index) => JSON.stringify(make(index)));
  const pod = (index: number) => review(index, '', 'Pod', { containers: containers(1, index), serviceAccountName: 'default' });
  const deployment = (index: number) => {
    const template = { metadata: { labels: { app: 'web' } }, spec: { containers: containers(3, index) } };
    return review(index, 'apps', 'Deployment', { replicas: 3, selector: { matchLabels: { app: 'web' } }, template });
  };
  return [
    ['Pod with one container, mutate', '/mutate', many(pod)],
    ['Pod with one container, validate', '/validate', many(pod)],
    ['Deployment with three containers, mutate', '/mutate', many(deployment)],
  ];
}

function review(index: number, group: string, kind: string, spec: object) {
  const apiVersion = group === '' ? 'v1' : `${group}/v1`;
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: `6b0e9f7e-2f0c-4f0a-9f5a-${String(index).padStart(12, '0')}`,
      kind: { group, version: 'v1', kind },
      operation: 'CREATE',
      namespace: `team-${index}`,
      name: `web-${index}`,
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller', groups: ['system:authenticated'] },
      dryRun: false,
      object: { apiVersion, kind, metadata: { name: `web-${index}`, labels: { app: 'web' } }, spec },
      oldObject: null,
    },
  };
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
