/**
 * `npm run bench:scan`: what a scan of a very large cluster costs, with a scripted API server: 150,000 Pods of 30,000 Deployments, each with
 * ten old ReplicaSets. Prints the CPU time and peak memory of `regkeeper scan`, and exits with 1 if they exceed the bounds.
 * `-- json` measures the output as JSON.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProgram, programFile } from '../test/cluster/program.ts';
import { kubeconfigWithCa } from './kubeconfig.ts';

const bounds = { cpuSeconds: 60, peakMiB: 400 };
const [templates, podsEach, oldEach, namespaces] = (process.env.SCAN_SIZE ?? '30000 5 10 300').split(' ').map(Number);

const folder = mkdtempSync(join(tmpdir(), 'regkeeper-scan-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

// As in the image, where nothing is compiled.
await buildProgram(folder);
const api = fork(join(import.meta.dirname, 'scan-api.ts'), [templates, podsEach, oldEach, namespaces].map(String));
const [{ url, ca }] = (await once(api, 'message')) as [{ url: string; ca: string }];
writeFileSync(join(folder, 'kubeconfig'), kubeconfigWithCa(url, ca));
writeFileSync(join(folder, 'rules.yaml'), 'rules:\n- registry: registry.example.com\n  pullSecret: corp-pull\n');

const output = join(folder, 'output');
const usageFile = join(folder, 'usage.json');
const args = ['--rules', join(folder, 'rules.yaml'), '--kubeconfig', join(folder, 'kubeconfig'), ...process.argv.slice(2)];
const began = performance.now();
const scan = spawn(
  process.execPath,
  [
    ...(process.env.NODE_FLAGS?.split(' ') ?? []),
    '--import',
    join(import.meta.dirname, 'report-usage.mjs'),
    programFile(),
    'scan',
    ...args,
  ],
  {
    env: { ...process.env, USAGE_FILE: usageFile },
    stdio: ['ignore', openSync(output, 'w'), 'inherit'],
  },
);
const [exitCode] = (await once(scan, 'exit')) as [number | null];
api.disconnect();

const { cpuSeconds, peakMiB } = JSON.parse(readFileSync(usageFile, 'utf8')) as typeof bounds;
if (statSync(output).size < Number(process.env.SHOW ?? 5_000)) process.stdout.write(readFileSync(output));
console.log(
  `\n${((templates ?? 0) * (podsEach ?? 0)).toLocaleString('en')} Pods, ${templates?.toLocaleString('en')} Deployments with ${oldEach} old ReplicaSets each`,
);
console.log(
  `exit code ${exitCode}, ${((performance.now() - began) / 1000).toFixed()} s, load ${loadavg()[0]?.toFixed(1)}, ${statSync(output).size.toLocaleString('en')} bytes of output`,
);
console.log(`CPU time     ${cpuSeconds.toFixed(1).padStart(6)} s   of ${bounds.cpuSeconds}`);
console.log(`peak memory  ${peakMiB.toFixed().padStart(6)} MiB of ${bounds.peakMiB}`);
process.exitCode = exitCode === 1 && cpuSeconds <= bounds.cpuSeconds && peakMiB <= bounds.peakMiB ? 0 : 1;
