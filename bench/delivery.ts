/**
 * `npm run bench:delivery`: what `regkeeper deliver` needs in a large cluster: 150,000 Pods that all need a secret, 20,000 Deployments with three
 * ReplicaSets each, and 10,000 namespaces. Compares the peak of its resident memory and the time until it may write with the targets, once with
 * streamed initial states and once with pages. Linux, since the memory comes from /proc.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '../test/cluster/wait-for.ts';
import { kubeconfigFor } from './kubeconfig.ts';

const targets = { mebibytes: 200, seconds: 60 };
/** The limit that Node derives inside a container with the 512 MiB of deploy/secret-delivery. */
const heap = '--max-old-space-size=302';
const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'regkeeper-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const bundle = join(folder, 'regkeeper.mjs');
await run([join(root, 'build.ts'), join(root, 'src/main.ts'), bundle]);
let missed = false;
for (const [how, args] of [
  ['streamed', []],
  ['paged', ['--paged']],
] as const) {
  const api = await startApi(args);
  console.log(`${how} initial states, Node.js ${process.version}, load ${loadavg()[0]?.toFixed(1)}`);
  const { seconds, peak, resting, processor } = await measure(api.url);
  api.end();
  console.log(`  may write after ${seconds.toFixed(1)} s, with ${processor.toFixed(1)} s of processor time (target ${targets.seconds} s)`);
  console.log(
    `  resident memory: ${peak.toFixed(0)} MiB at most, ${resting.toFixed(0)} MiB after 30 s of writes (target ${targets.mebibytes} MiB)`,
  );
  missed ||= seconds > targets.seconds || peak > targets.mebibytes;
}
process.exit(missed ? 1 : 0);

async function startApi(args: readonly string[]) {
  const api = spawn(process.execPath, [join(import.meta.dirname, 'delivery-api.ts'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const end = () => void api.kill('SIGKILL');
  process.once('exit', end);
  let url = '';
  api.stdout.setEncoding('utf8').on('data', (text: string) => {
    url += text;
  });
  await waitFor(() => url.endsWith('\n'), { deadlineSeconds: 20, what: 'the simulated API server' });
  return { url: url.trim(), end };
}

async function measure(url: string) {
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigFor({ server: url, 'insecure-skip-tls-verify': true }));
  const args = [
    'deliver',
    '--kubeconfig',
    kubeconfig,
    '-n',
    'regkeeper',
    '--host',
    '127.0.0.1',
    '--health-port',
    '0',
    '--log-format',
    'json',
  ];
  const started = performance.now();
  const child = spawn(process.execPath, [heap, bundle, ...args, '--audit-log', join(folder, 'audit.log')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // As in deploy/secret-delivery/deployment.yaml.
    env: { HOME: folder, PATH: process.env.PATH, NODE_OPTIONS: '--max-semi-space-size=4' },
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const health = await waitFor(() => /"healthUrl":"([^"]+)"/.exec(log)?.[1], { deadlineSeconds: 60, what: 'the health port' });
  const pid = child.pid ?? 0;
  await waitFor(async () => /^regkeeper_leader 1$/m.test(await (await fetch(`${health}/metrics`)).text()), {
    deadlineSeconds: 300,
    what: 'leadership',
  });
  const seconds = (performance.now() - started) / 1_000;
  const processor = processorSeconds(pid);
  await pause(30_000);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  for (const line of log.split('\n')) if (/"level":"(warn|error)"/.test(line)) console.log(line);
  child.kill('SIGKILL');
  return { seconds, processor, peak: mebibytes(status, 'VmHWM'), resting: mebibytes(status, 'VmRSS') };
}

function mebibytes(status: string, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}

function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function run(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
  return new Promise((resolve, reject) => child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit code ${code}`)))));
}
