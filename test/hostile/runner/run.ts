/**
 * `npm run test:hostile`: runs every entry of the corpus against its own server process with the shipped limits. Prints the cost of each and
 * fails where an entry exceeds its budget, an answer is wrong or the server exits. Arguments after `--` select entries by name.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { buildProgram } from '../../cluster/program.ts';
import { waitFor } from '../../cluster/wait-for.ts';
import { pod, reviewOf } from '../../unit/server/reviews.ts';
import { type HostileEntry, isRecorded, problemOf, readCorpus, type Sent } from '../corpus.ts';
import { startApiStandIn } from './api-stand-in.ts';
import { type MeasuredServer, startMeasured } from './process.ts';

const ownRules = join(import.meta.dirname, '../rules.yaml');

type Row = { readonly name: string; readonly cells: readonly string[]; readonly problems: readonly string[] };

process.exitCode = await main(process.argv.slice(2).join(' '));

async function main(wanted: string): Promise<number> {
  if (process.platform !== 'linux') {
    log('the cost of a process is read from /proc, which only Linux has: nothing is measured here');
    return 1;
  }
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-program-'));
  try {
    await buildProgram(folder);
    return await runEntries((await readCorpus()).filter(({ name }) => name.includes(wanted)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runEntries(entries: readonly HostileEntry[]): Promise<number> {
  const rows: Row[] = [];
  for (const entry of entries) rows.push(await run(entry));
  log(renderTable(['processor time, ms', 'peak memory, MiB', 'audit records, bytes', 'slowest answer, ms', 'answers', 'cgroup'], rows));
  const failed = rows.filter(({ problems }) => problems.length > 0);
  for (const { name, problems } of failed) log(`${name}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  log(`${rows.length} entries, ${failed.length} beyond their budget`);
  return rows.length > 0 && failed.length === 0 ? 0 : 1;
}

async function run(entry: HostileEntry): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-hostile-'));
  const api = entry.cluster && (await startApiStandIn(entry.cluster()));
  const agent = new Agent({ connect: { rejectUnauthorized: false, timeout: 120_000 }, headersTimeout: 120_000, bodyTimeout: 120_000 });
  let server: MeasuredServer | undefined;
  try {
    const where = api ? ['--kubeconfig', await kubeconfigFor(api.url, folder), '--namespace', 'regkeeper'] : [];
    server = await startMeasured(folder, ['--tls', 'dev', ...where, ...(entry.flags ?? ['--rules', ownRules])]);
    // Once this returns, a server with a cluster has also synced its informers.
    await untilHonest(server, agent);
    return await measure(entry, server, agent, api ? 0 : server.cpuMilliseconds());
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { name: entry.name, cells: [], problems: [text, server?.logTail() ?? ''] };
  } finally {
    await server?.end();
    await agent.close();
    await api?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(
  { name, sends, concurrent = 1, budget }: HostileEntry,
  server: MeasuredServer,
  agent: Agent,
  cpuBefore: number,
): Promise<Row> {
  const recordsBefore = server.records();
  const problems: string[] = [];
  const answers = new Map<string, number>();
  let slowest = 0;
  const sent = sends?.() ?? [];
  const due = sent.filter(isRecorded).length;
  const left = [...sent];
  async function sendOneByOne(): Promise<void> {
    for (let next = left.shift(); next; next = left.shift()) {
      const { path, answer, stalled } = next;
      const began = performance.now();
      const sending = stalled === undefined ? send(server.url, agent, next) : stall(server.url, next);
      const { what, problem } = await sending.catch(({ message }: Error) => ({
        what: 'no answer',
        problem: answer.orNone ? undefined : `no answer: ${message}`,
      }));
      slowest = Math.max(slowest, performance.now() - began);
      answers.set(what, (answers.get(what) ?? 0) + 1);
      if (problem !== undefined) problems.push(`${path}: ${problem}`);
    }
  }
  await Promise.all(Array.from({ length: concurrent }, sendOneByOne));
  await server.quiet(10);
  const records = server.records();
  const recordBytes = records.bytes - recordsBefore.bytes;
  const written = records.lines - recordsBefore.lines;
  if (written < due) problems.push(`${written} audit records of ${due} requests`);
  await untilHonest(server, agent).catch((error: Error) => problems.push(error.message));
  const cpu = server.cpuMilliseconds() - cpuBefore;
  const peak = server.peakMiB();
  if (server.ended() !== undefined) problems.push(`the server ended: ${server.ended()}\n${server.logTail()}`);
  const cells = [
    within(cpu, budget.cpuMilliseconds, 'processor time', problems),
    within(peak, budget.memoryMiB, 'peak memory', problems),
    within(recordBytes, budget.recordBytes, 'audit records', problems),
    slowest.toFixed(),
    [...answers].map(([what, count]) => `${count} × ${what}`).join(', '),
    server.limited ? 'yes' : 'no',
  ];
  return { name, cells, problems };
}

function within(used: number, most: number, what: string, problems: string[]): string {
  const text = `${used.toFixed()} of ${most}`;
  if (used > most) problems.push(`${what}: ${text}`);
  return text;
}

/** Returns when an ordinary Pod is allowed, which shows that the server is ready and works. */
async function untilHonest(server: MeasuredServer, agent: Agent): Promise<void> {
  const body = JSON.stringify(reviewOf(pod('good.example.com/app')));
  const giveUp = () => (server.ended() === undefined ? undefined : new Error(`the server ended: ${server.ended()}\n${server.logTail()}`));
  await waitFor(
    async () => {
      const { problem } = await send(server.url, agent, { path: '/validate', body, answer: { allowed: true } });
      if (problem !== undefined) throw new Error(problem);
      return true;
    },
    { deadlineSeconds: 60, what: 'an ordinary Pod to be allowed', giveUp },
  );
}

type Answered = { readonly what: string; readonly problem: string | undefined };

async function send(url: string, dispatcher: Agent, { path, body, answer }: Sent): Promise<Answered> {
  const headers = { 'content-type': 'application/json' };
  const response = await request(url + path, { dispatcher, method: 'POST', body, headers });
  const { statusCode } = response;
  return { what: String(statusCode), problem: problemOf(answer, statusCode, await response.body.text()) };
}

/** Sends without reading, until the server closes the connection, which it must do within 30 seconds. */
async function stall(url: string, { path, body, stalled = 1 }: Sent): Promise<Answered> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  const closed = new Promise<void>((resolve) => socket.on('error', () => undefined).once('close', () => resolve()));
  const head = ['POST', path, 'HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length:', Buffer.byteLength(body)].join(
    ' ',
  );
  for (let count = 0; count < stalled; count += 1) {
    socket.write(`${head}\r\n\r\n`);
    socket.write(body);
  }
  // A paused socket does not see that it was closed, so only a write fails.
  const probe = setInterval(() => socket.write('\r\n'), 500);
  const late = new AbortController();
  const deadline = pause(30_000, false, { signal: late.signal }).catch(() => false);
  const ended = await Promise.race([closed.then(() => true), deadline]);
  clearInterval(probe);
  late.abort();
  socket.destroy();
  return {
    what: ended ? 'closed' : 'left open',
    problem: ended ? undefined : 'a connection that reads no answer is still open after 30 s',
  };
}

async function kubeconfigFor(server: string, folder: string): Promise<string> {
  const file = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    // The server speaks plain HTTP, which regkeeper only accepts with this setting.
    clusters: [{ name: 'stand-in', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'stand-in', user: { token: 'none' } }],
    contexts: [{ name: 'stand-in', context: { cluster: 'stand-in', user: 'stand-in' } }],
    'current-context': 'stand-in',
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

function renderTable(titles: readonly string[], rows: readonly Row[]): string {
  const lines = [['what is sent', ...titles], ...rows.map(({ name, cells }) => [name, ...cells])];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

function log(text: string): void {
  process.stdout.write(`${text}\n`);
}
