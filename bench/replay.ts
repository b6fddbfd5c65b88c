/**
 * `npm run bench:replay`: processor time and memory of `diff --replay` for a million audit records, with few and with many different
 * requests. Prints results and asserts nothing. `-- 100000` takes fewer records.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type ProgramActions, runProgram } from '../src/cli/program.ts';

const targets = { seconds: 30, mebibytes: 400 };
const [mode = '1000000', ...rest] = process.argv.slice(2);
if (mode === 'measure') await measure(rest);
else await compare(Number(mode));

/** Runs the command in this process, then prints what it took. */
async function measure(argv: readonly string[]): Promise<void> {
  // The command starts nothing.
  await runProgram(argv, {} as ProgramActions, {
    out: (shown) => process.stdout.write(shown),
    err: (shown) => process.stderr.write(shown),
  });
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  process.stdout.write(`\nseconds ${(userCPUTime + systemCPUTime) / 1e6}\nmebibytes ${maxRSS / 1024}\n`);
}

async function compare(records: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'regkeeper-bench-'));
  try {
    const [before, after] = [join(folder, 'before.yaml'), join(folder, 'after.yaml')];
    await writeFile(before, rulesText(false));
    await writeFile(after, rulesText(true));
    console.log(`${records} records, half of them of the mutating webhook. Targets: ${targets.seconds} s, ${targets.mebibytes} MiB`);
    for (const { name, images } of [
      { name: 'images that repeat, as in a cluster', images: 5_000 },
      { name: 'a different image in each request', images: records },
    ]) {
      const started = performance.now();
      const argv = ['diff', before, after, '--replay', '-', '-o', 'json'];
      const child = spawn(process.execPath, [import.meta.filename, 'measure', ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
      const output = text(child.stdout);
      for (const chunk of chunksOf(records, images)) if (!child.stdin.write(chunk)) await once(child.stdin, 'drain');
      child.stdin.end();
      const printed = await output;
      const elapsed = (performance.now() - started) / 1_000;
      const [, seconds = '?', mebibytes = '?'] = /\nseconds (.*)\nmebibytes (.*)\n$/.exec(printed) ?? [];
      const { summary } = JSON.parse(printed.slice(0, printed.lastIndexOf('\nseconds'))) as { summary: Record<string, unknown> };
      console.log(
        `${name}: ${Number(seconds).toFixed(1)} s of processor time, ${elapsed.toFixed(1)} s elapsed, ${Math.round(Number(mebibytes))} MiB`,
      );
      console.log(`  ${JSON.stringify(summary)}`);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** 300 rules, some of them by labels. The change denies one registry in ten, and gives another one in ten a different secret. */
function rulesText(changed: boolean): string {
  const rules = Array.from({ length: 300 }, (_, index) => {
    const where = index % 7 === 3 ? ', namespaces: {matchLabels: {team: a}}' : '';
    return changed && index % 10 === 0
      ? `- {registry: r${index}.example.com, trust: false${where}}`
      : `- {registry: r${index}.example.com, pullSecret: s${changed && index % 10 === 1 ? 'x' : index}${where}}`;
  });
  return `mode: enforce\nrules:\n${rules.join('\n')}\n`;
}

function* chunksOf(records: number, images: number): Generator<string> {
  let chunk = '';
  for (let index = 0; index < records; index++) {
    chunk += `${recordOf(index, images)}\n`;
    if (chunk.length < 256 * 1024) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}

/** As the server writes them: two for each request, with two containers. */
function recordOf(index: number, images: number): string {
  const request = index >> 1;
  // A fixed sequence that spreads the requests over images and namespaces.
  const spread = (request * 2_654_435_761) % 4_294_967_296;
  const number = spread % images;
  const namespace = `team-${spread % 2_000}`;
  const registry = `r${number % 310}.example.com`;
  const webhook = index % 2 === 0 ? 'mutate' : 'validate';
  const image = (name: string, container: number) => ({
    path: `spec.containers[${container}].image`,
    image: `${registry}/${namespace}/${name}:1.${number}`,
    canonical: `${registry}/${namespace}/${name}`,
    action: 'pull',
    verdict: 'trusted',
    reason: 'trusted',
    introduced: true,
    rule: { name: registry, source: { configMap: 'regkeeper/regkeeper-rules', key: 'rules.yaml', line: 3 } },
  });
  return JSON.stringify({
    log: 'audit',
    schemaVersion: 2,
    time: new Date(1_790_000_000_000 + request * 1_000).toISOString(),
    event: 'decision',
    uid: `1f48d2eb-ebd0-464a-ac0a-${String(index).padStart(12, '0')}`,
    webhook,
    callerAuthenticated: false,
    user: 'system:serviceaccount:kube-system:replicaset-controller',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
    operation: 'CREATE',
    dryRun: false,
    group: '',
    version: 'v1',
    kind: 'Pod',
    namespace,
    name: '',
    generateName: `web-${number}-`,
    owner: { kind: 'ReplicaSet', name: `web-${number}` },
    outcome: 'allowed',
    mode: 'enforce',
    rulesRevision: '97c78abedad8',
    images: [image('app', 0), image('sidecar', 1)],
    inject: [],
    messages: [],
    ...(webhook === 'validate' && {
      namespaceLabels: { team: number % 3 === 0 ? 'a' : null },
      secrets: { [`s${number % 310}`]: 'present' },
      suppliedSecrets: [],
    }),
    durationMicroseconds: 612,
  });
}
