/**
 * `npm run bench:replay`: processor time and memory of `diff --replay` for a million audit records, with few and with many different
 * requests, and how much of it is reading the lines and JSON.parse. Prints results and asserts nothing. `-- 100000` takes fewer records.
 * `AGAINST=FILE` measures another build in the same run.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readLines } from '../src/evaluate/replay/read-lines.ts';

const targets = { seconds: 30, mebibytes: 400 };
const [mode = '1000000'] = process.argv.slice(2);
if (mode === 'floor') await parseLines();
else compare(Number(mode));

/** What no program that reads JSON can avoid. */
async function parseLines(): Promise<void> {
  let records = 0;
  await readLines(['-'], {
    line(_file, _number, text) {
      JSON.parse(text);
      records += 1;
    },
    tooLong: () => {},
  });
  console.log(JSON.stringify({ summary: { records } }));
}

function compare(records: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'regkeeper-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [before, after, log, usage] = ['before.yaml', 'after.yaml', 'audit.jsonl', 'usage.json'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  writeFileSync(before, rulesText(false));
  writeFileSync(after, rulesText(true));
  const built = spawnSync(process.execPath, [join(import.meta.dirname, '..', 'build.ts')], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`the build failed: ${built.stderr}`);
  const line = ['diff', before, after, '--replay', '-', '-o', 'json'];
  const programs = [
    { name: 'lines and JSON.parse', argv: [import.meta.filename, 'floor'] },
    { name: 'regkeeper', argv: [join(import.meta.dirname, '..', 'dist', 'regkeeper.mjs'), ...line] },
    ...(process.env.AGAINST === undefined ? [] : [{ name: 'against', argv: [process.env.AGAINST, ...line] }]),
  ];
  const load = () => loadavg()[0]?.toFixed(1);
  console.log(
    `${process.version}. Targets for a million records: ${targets.seconds} s, ${targets.mebibytes} MiB. Load average ${load()}.\n`,
  );
  console.log('| records | program | CPU seconds | peak MiB | CPU × JSON.parse |');
  console.log('|---|---|---|---|---|');
  for (const { name, images, ofMutating } of [
    { name: 'images that repeat, as in a cluster', images: 5_000, ofMutating: true },
    { name: 'a different image in each request', images: records, ofMutating: true },
    { name: 'the same, without records of the mutating webhook', images: 2 * records, ofMutating: false },
  ]) {
    const file = openSync(log, 'w');
    for (const chunk of chunksOf(records, images, ofMutating)) writeSync(file, chunk);
    closeSync(file);
    let floor = 0;
    for (const program of programs) {
      const report = pathToFileURL(join(import.meta.dirname, 'report-usage.mjs')).href;
      const input = openSync(log, 'r');
      const child = spawnSync(process.execPath, ['--import', report, ...program.argv], {
        stdio: [input, 'pipe', 'inherit'],
        env: { ...process.env, USAGE_FILE: usage },
        encoding: 'utf8',
        maxBuffer: 1024 * 1024 * 1024,
      });
      closeSync(input);
      const { summary } = JSON.parse(child.stdout) as { readonly summary: object };
      const { cpuSeconds, peakMiB } = JSON.parse(readFileSync(usage, 'utf8')) as { readonly cpuSeconds: number; readonly peakMiB: number };
      floor ||= cpuSeconds;
      const columns = [name, program.name, cpuSeconds.toFixed(1), peakMiB.toFixed(0), (cpuSeconds / floor).toFixed(2)];
      console.log(`| ${columns.join(' | ')} |`);
      if (program.name === 'regkeeper') process.stderr.write(`${JSON.stringify(summary)}\n`);
    }
  }
  console.log(`\nLoad average at the end: ${load()}.`);
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

function* chunksOf(records: number, images: number, ofMutating: boolean): Generator<string> {
  let chunk = '';
  for (let index = 0; index < records; index++) {
    chunk += `${recordOf(ofMutating ? index : 2 * index + 1, images)}\n`;
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
