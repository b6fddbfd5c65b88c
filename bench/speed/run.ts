/**
 * `npm run bench:speed`: what a request costs, next to other servers in the same run. Prints tables and asserts nothing.
 *
 * All servers run on one core and the load on the other. They take turns, round by round, so that other work on the machine affects all of
 * them. CPU time is that of the server's process. A ratio is computed within each round, and the table has the median of all rounds with
 * its interval.
 *
 *     npm run bench:speed -- --rounds 9 --only Pod --tables requests,open-loop,scale,cluster,start,pauses,sustained --write
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePorts } from '../../test/cluster/free-ports.ts';
import { rulesText } from '../samples.ts';
import { type BodySet, createBodies, writeBodies } from './bodies.ts';
import { type ScriptedCluster, startCluster } from './cluster.ts';
import { type JobResult, startLoad } from './load.ts';
import { opaCommand, opaProgram } from './opa.ts';
import { type Report, startReport, writeTable } from './results.ts';
import {
  canPin,
  hasPriority,
  imageEnvironment,
  peerCommand,
  type Server,
  type ServerCommand,
  serveCommand,
  startServer,
  writeCertificates,
} from './servers.ts';
import { type Estimate, estimate, type Point, slopeOf } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    /** Requests of one round, for many short rounds. By default about half a second of a core. */
    requests: { type: 'string' },
    /** Only bodies whose name contains the text. */
    only: { type: 'string', default: '' },
    paths: { type: 'string', default: '/mutate,/validate' },
    tables: { type: 'string', default: 'requests,open-loop,scale,cluster,start,pauses,sustained' },
    /** Another build of regkeeper to measure in the same run. */
    against: { type: 'string' },
    /** Options of Node.js for the other build, or for the same build without `--against`. */
    'against-node': { type: 'string' },
    /** Requests per second of the table "open-loop". */
    rates: { type: 'string', default: '500,1000' },
    /** Length of the table "sustained", and rate of "pauses" and "sustained". */
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '1000' },
    'without-opa': { type: 'boolean', default: false },
    /** Replaces the tables in bench/RESULTS.md. */
    write: { type: 'boolean', default: false },
  },
});

const root = join(import.meta.dirname, '..', '..');
const rounds = Number(options.rounds);
const warmUpRounds = 5;
/** About as many connections as one busy API server keeps open. */
const connections = 16;
const rules = 100;
const image = join(root, 'dist', 'image');
const bundle = join(image, 'regkeeper.mjs');
const environment = imageEnvironment();
/** The thread that parses long rules ends after 10 s without work. */
const restMilliseconds = 14_000;
const large = { accounts: 20_000, namespaces: 5_000 };

const folder = mkdtempSync(join(tmpdir(), 'regkeeper-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const tls = writeCertificates(folder);

build();
const bodySets = createBodies(10).filter(({ name }) => name.includes(options.only));
const load = await startLoad();
const tables: Readonly<Record<string, (report: Report) => Promise<void>>> = {
  requests: reportRequests,
  'open-loop': reportOpenLoop,
  scale: reportScale,
  cluster: reportCluster,
  start: reportStart,
  pauses: reportPauses,
  sustained: reportSustained,
};
for (const name of options.tables.split(',')) {
  const table = tables[name];
  if (!table) throw new Error(`unknown table ${name}. There are ${Object.keys(tables).join(', ')}`);
  const report = startReport();
  report.line(
    `\nNode.js ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, ${rounds} rounds, load by ${load.name}.`,
  );
  report.line(`${where()} Load average at the start: ${loads()}.\n`);
  await table(report);
  report.line(`\nLoad average at the end: ${loads()}.`);
  if (options.write) writeTable(name, report.text());
}
load.end();
process.exit(0);

/** The files of the image, with compiled code. */
function build(): void {
  for (const args of [[join(root, 'build.ts'), '--image', image], [join(image, 'compile.mjs')]]) {
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', env: { ...process.env, ...environment } });
    if (status !== 0) throw new Error(`the build failed: ${stderr}`);
  }
}

function where(): string {
  const cores = canPin ? 'Servers on one core, load on another.' : 'Nothing is pinned to a core, because there is no taskset.';
  return hasPriority ? `${cores} Both have priority over other work on the machine (nice -15).` : cores;
}

function loads(): string {
  return loadavg()
    .map((each) => each.toFixed(1))
    .join(', ');
}

type Variant = {
  readonly name?: string;
  readonly program?: string;
  readonly node?: readonly string[];
  readonly cluster?: ScriptedCluster | undefined;
};

function ours(count: number, { name = 'regkeeper', program = bundle, node = [], cluster }: Variant = {}): ServerCommand {
  const file = join(folder, `rules-${count}.yaml`);
  writeFileSync(file, rulesFor(count));
  const flags = cluster ? ['--kubeconfig', cluster.kubeconfig, '--events', 'off'] : [];
  return serveCommand({ name, program, node, tls, rules: file, flags });
}

/** The registries of the denied images are unknown. */
function rulesFor(count: number): string {
  return rulesText(count).replace('unconfigured: warn', 'unconfigured: deny');
}

/** The other version to compare with, if there is one. */
function against(count: number, name = 'against'): readonly ServerCommand[] {
  const { against: program = bundle, 'against-node': node } = options;
  if (program === bundle && node === undefined) return [];
  return [ours(count, { name, program, node: node?.split(' ') ?? [] })];
}

async function opaPeers(report: Report): Promise<readonly ServerCommand[]> {
  if (options['without-opa']) return [];
  const program = await opaProgram().catch((error: Error) => {
    report.line(`OPA is not in the table, because it could not be built: ${error.message.split('\n', 1)[0]}\n`);
    return undefined;
  });
  if (program === undefined) {
    report.line('OPA is not in the table.\n');
    return [];
  }
  const [one, other] = await freePorts(2);
  return [
    opaCommand(program, tls, { folder, rules, port: one, log: false }),
    opaCommand(program, tls, { folder, rules, port: other, log: true }),
  ];
}

/** CPU time of a request by server and body, with ratios to `parse-only`. */
async function reportRequests(report: Report): Promise<void> {
  const base = 'parse-only';
  const peers = [peerCommand(base, tls), peerCommand('no-parse', tls), peerCommand('fastify', tls), ...(await opaPeers(report))];
  const servers = await startAll([ours(rules), ...against(rules), ...peers]);
  report.line(`${rules} rules, audit records on, ${connections} connections, closed loop. µs of one core.\n`);
  report.line('| request | path | bytes | server | µs | × parse-only | 95% interval |');
  report.line('|---|---|---|---|---|---|---|');
  for (const set of bodySets) {
    for (const path of options.paths.split(',')) {
      // Only regkeeper distinguishes the two.
      const measured = path === '/mutate' ? servers : servers.filter(({ name }) => ['regkeeper', 'against', base].includes(name));
      const times = await measureRounds(measured, set, path);
      const bytes = Math.round(set.bodies.reduce((sum, body) => sum + Buffer.byteLength(body), 0) / set.bodies.length);
      for (const { name } of measured) {
        const own = times.get(name) ?? [];
        const { median, low, high } = ratioOf(own, times.get(base) ?? []);
        report.row([set.name, path, bytes, name, estimate(own).median.toFixed(0), median.toFixed(2), interval({ low, high }, 2)]);
      }
    }
  }
  await endAll(servers);
}

function ratioOf(values: readonly number[], base: readonly number[]): Estimate {
  return estimate(values.map((value, round) => value / (base[round] ?? Number.NaN)));
}

/** Microseconds of CPU per request, for each server and round. */
async function measureRounds(servers: readonly Server[], set: BodySet, path: string): Promise<Map<string, number[]>> {
  const bodies = writeBodies(folder, set);
  const requests = Math.min(Number(options.requests ?? set.requests), set.requests);
  const notCounted = Math.ceil((warmUpRounds * set.requests) / requests);
  const times = new Map(servers.map(({ name }): [string, number[]] => [name, []]));
  for (let round = -notCounted; round < rounds; round += 1) {
    // In alternating order, so that none always follows the same other one.
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const before = server.cpu();
      await load.run({ ...jobFor(server, path), bodies, requests });
      if (round >= 0) times.get(server.name)?.push((server.cpu() - before) / requests);
    }
  }
  return times;
}

function jobFor({ port, path: onlyPath }: Server, path: string) {
  return { address: `localhost:${port}`, path: onlyPath ?? path, caFile: tls.ca, connections };
}

function interval({ low, high }: Pick<Estimate, 'low' | 'high'>, digits: number): string {
  return `${low.toFixed(digits)} to ${high.toFixed(digits)}`;
}

/** Latency at a rate that does not depend on the answers. */
async function reportOpenLoop(report: Report): Promise<void> {
  const [set] = bodySets;
  if (!set) return;
  const base = 'parse-only';
  const servers = await startAll([ours(rules), ...against(rules), peerCommand(base, tls)]);
  const bodies = writeBodies(folder, set);
  report.line(`${set.name}, /mutate, ${rules} rules, open loop with Poisson arrivals. Milliseconds from the planned arrival.\n`);
  report.line('| rate | server | p50 | p99 | × parse-only | 95% interval | longest | failed |');
  report.line('|---|---|---|---|---|---|---|---|');
  for (const rate of options.rates.split(',').map(Number)) {
    const results = new Map(servers.map(({ name }): [string, JobResult[]] => [name, []]));
    for (let round = -1; round < rounds; round += 1) {
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        const result = await load.run({ ...jobFor(server, '/mutate'), connections: 64, bodies, requests: rate * 4, rate });
        if (round >= 0) results.get(server.name)?.push(result);
      }
    }
    const baseP99 = (results.get(base) ?? []).map(({ p99 }) => p99);
    for (const [name, each] of results) {
      const p99 = each.map((result) => result.p99);
      const ratio = ratioOf(p99, baseP99);
      report.row([
        `${rate}/s`,
        name,
        estimate(each.map(({ p50 }) => p50)).median.toFixed(1),
        estimate(p99).median.toFixed(1),
        ratio.median.toFixed(2),
        interval(ratio, 2),
        Math.max(...each.map(({ max }) => max)).toFixed(0),
        each.reduce((sum, { failed }) => sum + failed, 0),
      ]);
    }
  }
  await endAll(servers);
}

/** CPU time of a request by the number of rules, with ratios to the fewest. */
async function reportScale(report: Report): Promise<void> {
  const [set] = bodySets;
  if (!set) return;
  const servers = await startAll([10, 100, 1_000, 10_000].map((count) => ours(count, { name: formatCount(count) })));
  const times = await measureRounds(servers, set, '/mutate');
  report.line(`${set.name}, /mutate, closed loop. µs of one core.\n`);
  report.line('| rules | µs | × 10 rules | 95% interval |');
  report.line('|---|---|---|---|');
  for (const [name, own] of times) {
    const ratio = ratioOf(own, times.get(formatCount(10)) ?? []);
    report.row([name, estimate(own).median.toFixed(0), ratio.median.toFixed(2), interval(ratio, 2)]);
  }
  await endAll(servers);
}

/** CPU time of a request with and without a large cluster that is watched. */
async function reportCluster(report: Report): Promise<void> {
  const [set] = bodySets;
  if (!set) return;
  const cluster = await startCluster(folder, large);
  const alone = 'no cluster';
  const servers = await startAll([ours(rules, { name: alone }), ours(rules, { name: describe(large), cluster })]);
  const times = await measureRounds(servers, set, '/mutate');
  report.line(`${set.name}, /mutate, ${rules} rules, closed loop. µs of one core.\n`);
  report.line('| watched | µs | × no cluster | 95% interval |');
  report.line('|---|---|---|---|');
  for (const [name, own] of times) {
    const ratio = ratioOf(own, times.get(alone) ?? []);
    report.row([name, estimate(own).median.toFixed(0), ratio.median.toFixed(2), interval(ratio, 2)]);
  }
  await endAll(servers);
  cluster.end();
}

function describe({ accounts, namespaces }: typeof large): string {
  return `${formatCount(accounts)} ServiceAccounts, ${formatCount(namespaces)} namespaces`;
}

function formatCount(count: number): string {
  return count.toLocaleString('en');
}

/** From the start of the process to its first answer, and memory at rest. */
async function reportStart(report: Report): Promise<void> {
  const [small, big] = [await startCluster(folder, { accounts: 100, namespaces: 25 }), await startCluster(folder, large)];
  const commands = [
    ours(rules, { name: `${rules} rules` }),
    ...against(rules, `against, ${rules} rules`),
    ours(10_000, { name: '10,000 rules' }),
    ours(rules, { name: `${rules} rules, a small cluster`, cluster: small }),
    ours(rules, { name: `${rules} rules, ${describe(large)}`, cluster: big }),
    ours(10_000, { name: `10,000 rules, ${describe(large)}`, cluster: big }),
    peerCommand('parse-only', tls),
  ];
  const results = new Map(commands.map(({ name }): [string, Started[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    const resting: Promise<void>[] = [];
    for (const command of round % 2 === 0 ? commands : commands.toReversed()) {
      const server = await startServer(command, tls);
      const cpu = server.cpu() / 1_000;
      resting.push(
        rest(server).then((memory) => void results.get(command.name)?.push({ ready: server.readyMilliseconds, cpu, ...memory })),
      );
    }
    await Promise.all(resting);
  }
  report.line(
    'Milliseconds from the start of the process until its first response. CPU time includes all threads until then. MiB are resident memory.\n',
  );
  report.line('| server | ms until the first response | CPU ms until then | × parse-only | MiB after 14 s | MiB at most |');
  report.line('|---|---|---|---|---|---|');
  const base = (results.get('parse-only') ?? []).map(({ cpu }) => cpu);
  for (const [name, each] of results) {
    const median = (of: 'ready' | 'cpu' | 'resident' | 'peak') => estimate(each.map((result) => result[of])).median.toFixed(0);
    const ratio = ratioOf(
      each.map(({ cpu }) => cpu),
      base,
    );
    report.row([name, median('ready'), median('cpu'), ratio.median.toFixed(2), median('resident'), median('peak')]);
  }
  small.end();
  big.end();
}

type Started = { readonly ready: number; readonly cpu: number; readonly resident: number; readonly peak: number };

async function rest(server: Server): Promise<Pick<Started, 'resident' | 'peak'>> {
  await pause(restMilliseconds);
  const memory = { resident: server.resident(), peak: server.peak() };
  await server.end();
  return memory;
}

/** Pauses for garbage collection at a fixed rate. */
async function reportPauses(report: Report): Promise<void> {
  const [set] = bodySets;
  if (!set) return;
  const cluster = await startCluster(folder, large);
  const rate = Number(options.rate);
  const seconds = 30;
  const [server] = await startAll([ours(rules, { name: 'regkeeper', node: ['--trace-gc'], cluster })]);
  if (!server) return;
  const bodies = writeBodies(folder, set);
  const run = (length: number) => load.run({ ...jobFor(server, '/mutate'), connections: 64, bodies, requests: rate * length, rate });
  await run(5);
  const before = server.pauses().length;
  const { p99, failed } = await run(seconds);
  const pauses = server.pauses().slice(before);
  report.line(
    `${set.name}, /mutate, ${rules} rules, ${describe(large)}, ${rate}/s for ${seconds} s: p99 ${p99.toFixed(1)} ms, ${failed} failed. V8 measures`,
  );
  report.line('wall time, so a pause includes the time in which another process had the core.\n');
  report.line('| collection | count | median ms | longest ms |');
  report.line('|---|---|---|---|');
  for (const collection of ['Scavenge', 'Mark-Compact'] as const) {
    const own = pauses.filter((each) => each.collection === collection).map(({ milliseconds }) => milliseconds);
    if (own.length === 0) report.row([collection, 0, '', '']);
    else report.row([collection, own.length, estimate(own).median.toFixed(1), Math.max(...own).toFixed(1)]);
  }
  await server.end();
  cluster.end();
}

/** A fixed rate for minutes, with an edit of the rules each second: failures, latency, and whether memory grows. */
async function reportSustained(report: Report): Promise<void> {
  const [set] = bodySets;
  if (!set) return;
  const rate = Number(options.rate);
  const minutes = Number(options.minutes);
  const cluster = await startCluster(folder, large);
  const server = await startServer(ours(rules, { cluster }), tls);
  const bodies = writeBodies(folder, set);
  const job = { ...jobFor(server, '/mutate'), connections: 64, bodies, rate };
  await load.run({ ...job, requests: rate * 10 });
  const running = load.run({ ...job, requests: rate * 60 * minutes });
  const isDone = running.then(() => true);
  const samples: Point[] = [];
  const started = performance.now();
  let edits = 0;
  do {
    edits += 1;
    editRules(rules, edits);
    samples.push({ x: (performance.now() - started) / 60_000, y: server.resident() });
  } while (!(await Promise.race([isDone, pause(1_000).then(() => false)])));
  const { requests, failed, seconds, p50, p99, max } = await running;
  const second = samples.slice(samples.length / 2);
  const { median, low, high } = slopeOf(second);
  report.line(`${set.name}, /mutate, ${rules} rules, ${describe(large)}, an edit of the rules each second.\n`);
  report.line(
    '| requests | per second | failed | edits | p50 ms | p99 ms | longest ms | MiB at most | MiB per minute in the second half | 95% interval |',
  );
  report.line('|---|---|---|---|---|---|---|---|---|---|');
  const latencies = [p50, p99, max].map((each) => each.toFixed(1));
  const peak = Math.max(...samples.map(({ y }) => y)).toFixed(0);
  report.row([requests, (requests / seconds).toFixed(0), failed, edits, ...latencies, peak, median.toFixed(2), interval({ low, high }, 2)]);
  await server.end();
  cluster.end();
}

/** Replaces the file of the rules in one step, as an editor does. */
function editRules(count: number, edit: number): void {
  const file = join(folder, `rules-${count}.yaml`);
  writeFileSync(`${file}.next`, `contact: edit ${edit}\n${rulesFor(count)}`);
  renameSync(`${file}.next`, file);
}

async function startAll(commands: readonly ServerCommand[]): Promise<readonly Server[]> {
  const servers: Server[] = [];
  for (const command of commands) servers.push(await startServer(command, tls));
  return servers;
}

async function endAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((server) => server.end()));
}
