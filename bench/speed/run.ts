/**
 * `npm run bench:speed`: what a request costs, next to other servers in the same run. Prints tables and asserts nothing.
 *
 * All servers run on one core and the load on the other. They take turns, round by round, so that other work on the machine affects all of
 * them. CPU time is that of the server's process. A ratio is computed within each round, and the table has the median of all rounds with
 * its interval.
 *
 *     npm run bench:speed -- --rounds 9 --only Pod --sections requests,open,scale,start --write
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePorts } from '../../test/cluster/free-ports.ts';
import { rulesText } from '../samples.ts';
import { type BodySet, createBodies } from './bodies.ts';
import { type Load, startLoad } from './load.ts';
import { opaCommand, opaProgram } from './opa.ts';
import { canPin, type Server, type ServerCommand, startServer, writeCertificates } from './servers.ts';
import { type Estimate, estimate } from './statistics.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    /** Only bodies whose name contains the text. */
    only: { type: 'string', default: '' },
    paths: { type: 'string', default: '/mutate,/validate' },
    sections: { type: 'string', default: 'requests,open,scale,start' },
    /** Another build of regkeeper to measure in the same run. */
    against: { type: 'string' },
    'without-opa': { type: 'boolean', default: false },
    /** Replaces the tables in bench/RESULTS.md. */
    write: { type: 'boolean', default: false },
  },
});

const root = join(import.meta.dirname, '..', '..');
const rounds = Number(options.rounds);
const warmUpRounds = 2;
/** About as many connections as one busy API server keeps open. */
const connections = 16;
const rules = 100;
const bundle = join(root, 'dist', 'regkeeper.mjs');

const folder = mkdtempSync(join(tmpdir(), 'regkeeper-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const tls = writeCertificates(folder);
const output: string[] = [];

build();
const bodySets = createBodies(10).filter(({ name }) => name.includes(options.only));
const load = await startLoad();
print(`${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, ${rounds} rounds, load by ${load.name}.`);
print(
  `${canPin ? 'Servers on one core, load on another' : 'Nothing is pinned to a core, because there is no taskset'}. Load average ${loads()}.`,
);
const sections: Record<string, () => Promise<void>> = {
  requests: reportRequests,
  open: reportOpenLoop,
  scale: reportScale,
  start: reportStart,
};
for (const name of options.sections.split(',')) await sections[name]?.();
print(`\nLoad average at the end: ${loads()}.`);
load.end();
if (options.write) writeResults();
process.exit(0);

/** The bundle of the sources, which is what the image runs. */
function build(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'build.ts')], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build failed: ${stderr}`);
}

function loads(): string {
  return loadavg()
    .map((each) => each.toFixed(1))
    .join(', ');
}

function print(line: string): void {
  output.push(line);
  console.log(line);
}

function ours(count: number, program = bundle, name = 'regkeeper'): ServerCommand {
  const file = join(folder, `rules-${count}.yaml`);
  // The registries of the denied images are unknown.
  writeFileSync(file, rulesText(count).replace('unconfigured: warn', 'unconfigured: deny'));
  const network = ['--host', '127.0.0.1', '--port', '0', '--health-port', '0', '--shutdown-delay-seconds', '0'];
  const certificates = ['--tls-cert', tls.certificate, '--tls-key', tls.key];
  return {
    name,
    command: [process.execPath, program, 'serve', '--rules', file, ...network, ...certificates],
    env: { NODE_ENV: 'production' },
    port: /"url":"https:\/\/[^"]*:(\d+)"/,
  };
}

function peer(name: string): ServerCommand {
  const command = [process.execPath, join(import.meta.dirname, 'peers.ts'), name, tls.certificate, tls.key];
  return { name, command, env: { NODE_ENV: 'production' }, port: /port (\d+)/ };
}

async function opaPeers(): Promise<readonly ServerCommand[]> {
  if (options['without-opa']) return [];
  const program = await opaProgram();
  if (program === undefined) {
    print('OPA is not in the table, because there is no Go to build it with.');
    return [];
  }
  const [one, other] = await freePorts(2);
  return [
    opaCommand(program, tls, { folder, rules, port: one, log: false }),
    opaCommand(program, tls, { folder, rules, port: other, log: true }),
  ];
}

/** CPU time of a request by server and body, with ratios to `parse-only`. */
async function reportRequests(): Promise<void> {
  const base = 'parse-only';
  const against = options.against === undefined ? [] : [ours(rules, options.against, 'against')];
  const servers = await startAll([ours(rules), ...against, peer(base), peer('no-parse'), peer('fastify'), ...(await opaPeers())]);
  print(`\n## CPU time of a request\n\n${rules} rules, audit records on, ${connections} connections, closed loop. µs of one core.\n`);
  print('| request | path | bytes | server | µs | × parse-only | 95 % interval |');
  print('|---|---|---|---|---|---|---|');
  for (const set of bodySets) {
    for (const path of options.paths.split(',')) {
      // Only regkeeper distinguishes the two.
      const measured = path === '/mutate' ? servers : servers.filter(({ name }) => ['regkeeper', 'against', base].includes(name));
      const times = await measureRounds(measured, set, path);
      const bytes = Math.round(set.bodies.reduce((sum, body) => sum + Buffer.byteLength(body), 0) / set.bodies.length);
      for (const { name } of measured) {
        const own = times.get(name) ?? [];
        const { median, low, high } = ratioOf(own, times.get(base) ?? []);
        const columns = [
          set.name,
          path,
          bytes,
          name,
          estimate(own).median.toFixed(0),
          median.toFixed(2),
          `${low.toFixed(2)} to ${high.toFixed(2)}`,
        ];
        print(`| ${columns.join(' | ')} |`);
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
  const bodies = writeBodies(set);
  const times = new Map(servers.map(({ name }): [string, number[]] => [name, []]));
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    // In alternating order, so that none always follows the same other one.
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const before = server.cpu();
      await load.run({ ...jobFor(server, path), bodies, requests: set.requests });
      if (round >= 0) times.get(server.name)?.push((server.cpu() - before) / set.requests);
    }
  }
  return times;
}

function jobFor({ port }: Server, path: string) {
  return { address: `localhost:${port}`, path, caFile: tls.ca, connections };
}

function writeBodies({ name, bodies }: BodySet): string {
  const file = join(folder, `${name.replaceAll(/\W/g, '-')}.jsonl`);
  writeFileSync(file, `${bodies.join('\n')}\n`);
  return file;
}

/** Latency at a rate that does not depend on the answers. */
async function reportOpenLoop(): Promise<void> {
  const servers = await startAll([ours(rules), peer('parse-only')]);
  const [set] = bodySets;
  if (!set) return;
  const bodies = writeBodies(set);
  print(`\n## Latency at a fixed rate\n\n${set.name}, /mutate, open loop with Poisson arrivals, milliseconds from the planned arrival.\n`);
  print('| rate | server | p50 | p99 | 95 % interval of p99 | longest | failed |');
  print('|---|---|---|---|---|---|---|');
  for (const rate of [500, 1_000]) {
    const results = new Map(servers.map(({ name }): [string, Awaited<ReturnType<Load['run']>>[]] => [name, []]));
    for (let round = -1; round < rounds; round += 1) {
      for (const server of servers) {
        const result = await load.run({ ...jobFor(server, '/mutate'), connections: 64, bodies, requests: rate * 4, rate });
        if (round >= 0) results.get(server.name)?.push(result);
      }
    }
    for (const [name, each] of results) {
      const p99 = estimate(each.map((result) => result.p99));
      const columns = [
        `${rate}/s`,
        name,
        estimate(each.map(({ p50 }) => p50)).median.toFixed(1),
        p99.median.toFixed(1),
        `${p99.low.toFixed(1)} to ${p99.high.toFixed(1)}`,
        Math.max(...each.map(({ max }) => max)).toFixed(0),
        each.reduce((sum, { failed }) => sum + failed, 0),
      ];
      print(`| ${columns.join(' | ')} |`);
    }
  }
  await endAll(servers);
}

/** CPU time of a request by the number of rules, with ratios to the fewest. */
async function reportScale(): Promise<void> {
  const [set] = bodySets;
  if (!set) return;
  const servers = await startAll([10, 100, 1_000, 10_000].map((count) => ours(count, bundle, formatRules(count))));
  const times = await measureRounds(servers, set, '/mutate');
  print(`\n## By number of rules\n\n${set.name}, /mutate, closed loop. µs of one core.\n`);
  print('| rules | µs | × 10 rules | 95 % interval |');
  print('|---|---|---|---|');
  for (const [name, own] of times) {
    const { median, low, high } = ratioOf(own, times.get(formatRules(10)) ?? []);
    print(`| ${name} | ${estimate(own).median.toFixed(0)} | ${median.toFixed(2)} | ${low.toFixed(2)} to ${high.toFixed(2)} |`);
  }
  await endAll(servers);
}

function formatRules(count: number): string {
  return count.toLocaleString('en');
}

/** From the start of the process to its first answer, and memory a second later. */
async function reportStart(): Promise<void> {
  const against = options.against === undefined ? [] : [ours(rules, options.against, `against, ${rules} rules`)];
  const few = ours(rules, bundle, `regkeeper, ${rules} rules`);
  const many = ours(10_000, bundle, `regkeeper, ${formatRules(10_000)} rules`);
  const commands = [few, ...against, many, peer('parse-only')];
  const results = new Map(commands.map(({ name }): [string, { ready: number; cpu: number; resident: number }[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const command of round % 2 === 0 ? commands : commands.toReversed()) {
      const server = await startServer(command, tls);
      const cpu = server.cpu() / 1_000;
      await pause(1_000);
      results.get(command.name)?.push({ ready: server.readyMilliseconds, cpu, resident: server.resident() });
      await server.end();
    }
  }
  print('\n## Start and memory at rest\n');
  print('| server | ms until the first answer | CPU ms until then | MiB resident a second later |');
  print('|---|---|---|---|');
  for (const [name, each] of results) {
    const median = (of: 'ready' | 'cpu' | 'resident') => estimate(each.map((result) => result[of])).median.toFixed(0);
    print(`| ${name} | ${median('ready')} | ${median('cpu')} | ${median('resident')} |`);
  }
}

async function startAll(commands: readonly ServerCommand[]): Promise<readonly Server[]> {
  const servers: Server[] = [];
  for (const command of commands) servers.push(await startServer(command, tls));
  return servers;
}

async function endAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((server) => server.end()));
}

function writeResults(): void {
  const file = join(root, 'bench', 'RESULTS.md');
  const [before, , after] = readFileSync(file, 'utf8').split(/<!-- (?:begin|end) of bench:speed -->/);
  writeFileSync(file, `${before}<!-- begin of bench:speed -->\n${output.join('\n')}\n<!-- end of bench:speed -->${after}`);
}
