/**
 * `npm run bench:check`: time and memory of the command line for large inputs. Prints a table and asserts nothing.
 *
 * Each command is a whole process of the bundle. All run once per round, in alternating order, so that other work on the machine affects
 * all of them. The table has the medians, and the ratio to another build that `--against FILE` measures in the same run.
 *
 *     npm run bench:check -- --rounds 5 --only List
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { rulesText, trustedImages } from './samples.ts';
import { largeDeployment } from './speed/manifests.ts';
import { estimate } from './speed/statistics.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    /** Only commands whose name contains the text. */
    only: { type: 'string', default: '' },
    /** Another build of regkeeper to measure in the same run. */
    against: { type: 'string' },
  },
});

type Usage = { readonly cpuSeconds: number; readonly peakMiB: number };
type Measured = Usage & { readonly seconds: number };

const root = join(import.meta.dirname, '..');
const rounds = Number(options.rounds);
const folder = mkdtempSync(join(tmpdir(), 'regkeeper-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const built = spawnSync(process.execPath, [join(root, 'build.ts')], { cwd: root, encoding: 'utf8' });
if (built.status !== 0) throw new Error(`the build failed: ${built.stderr}`);
const programs = [{ name: 'regkeeper', file: join(root, 'dist', 'regkeeper.mjs') }];
if (options.against !== undefined) programs.push({ name: 'against', file: options.against });

const inputs = writeInputs();
type Case = {
  readonly name: string;
  readonly line: readonly string[];
  /** Another program, which is measured alone. */
  readonly file?: string;
};

const allCases: readonly Case[] = [
  {
    name: `check a JSON List of 4,000 objects, ${megabytes(inputs.list)}`,
    line: ['check', '-f', inputs.list, '--rules', inputs.rules, '-q'],
  },
  {
    name: `check 4,000 concatenated JSON objects, ${megabytes(inputs.stream)}`,
    line: ['check', '-f', inputs.stream, '--rules', inputs.rules, '-q'],
  },
  { name: 'check 1,000 YAML files', line: ['check', '-f', inputs.files, '--rules', inputs.rules, '-q'] },
  { name: 'the yaml library alone, 1,000 YAML files', line: [inputs.files], file: join(import.meta.dirname, 'parse-yaml.mjs') },
  { name: `check a YAML stream, ${megabytes(inputs.yaml)}`, line: ['check', '-f', inputs.yaml, '--rules', inputs.rules, '-q'] },
  { name: 'the yaml library alone, YAML stream', line: [inputs.yaml], file: join(import.meta.dirname, 'parse-yaml.mjs') },
  { name: 'diff for 1,000 YAML files', line: ['diff', inputs.rules, inputs.rules, '-f', inputs.files] },
  { name: 'lint 10,000 rules', line: ['lint', inputs.manyRules] },
  { name: 'explain with 10,000 rules', line: ['explain', 'quay.io/team/app:v1', '-n', 'shop', '--rules', inputs.manyRules] },
];
const cases = allCases.filter(({ name }) => name.includes(options.only));

console.log(
  `${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, ${rounds} rounds. Load average ${loads()}.\n`,
);
const results = new Map<string, Measured[]>();
for (let round = 0; round < rounds; round += 1) {
  for (const { name, line, file } of cases) {
    for (const program of file ? programs.slice(0, 1) : round % 2 === 0 ? programs : programs.toReversed()) {
      const key = `${name} ${program.name}`;
      results.set(key, [...(results.get(key) ?? []), run(file ?? program.file, line)]);
    }
  }
}
console.log('| command | program | seconds | CPU seconds | 95% interval | peak MiB | CPU × the other |');
console.log('|---|---|---|---|---|---|---|');
for (const { name, file } of cases) {
  for (const program of file ? programs.slice(0, 1) : programs) {
    const measured = results.get(`${name} ${program.name}`) ?? [];
    const other = programs.find((each) => each !== program);
    const others = results.get(`${name} ${other?.name}`) ?? [];
    const cpu = estimate(measured.map(({ cpuSeconds }) => cpuSeconds));
    const ratio = estimate(measured.map(({ cpuSeconds }, round) => cpuSeconds / (others[round]?.cpuSeconds ?? Number.NaN)));
    const columns = [
      name,
      file ? '' : program.name,
      estimate(measured.map(({ seconds }) => seconds)).median.toFixed(2),
      cpu.median.toFixed(2),
      `${cpu.low.toFixed(2)} to ${cpu.high.toFixed(2)}`,
      estimate(measured.map(({ peakMiB }) => peakMiB)).median.toFixed(0),
      other && !file ? ratio.median.toFixed(2) : '',
    ];
    console.log(`| ${columns.join(' | ')} |`);
  }
}
console.log(`\nLoad average at the end: ${loads()}.`);

function megabytes(file: string): string {
  return `${(statSync(file).size / 1_000_000).toFixed(0)} MB`;
}

function loads(): string {
  return loadavg()
    .map((each) => each.toFixed(1))
    .join(', ');
}

function run(program: string, line: readonly string[]): Measured {
  const usage = join(folder, 'usage.json');
  const started = performance.now();
  const report = pathToFileURL(join(import.meta.dirname, 'report-usage.mjs')).href;
  const child = spawnSync(process.execPath, ['--import', report, program, ...line], {
    env: { ...process.env, USAGE_FILE: usage },
    encoding: 'utf8',
    maxBuffer: 1024 * 1024 * 1024,
  });
  if (child.status === null || child.status > 1) throw new Error(`${line.join(' ')}: ${child.stderr.slice(-2_000)}`);
  return { ...(JSON.parse(readFileSync(usage, 'utf8')) as Usage), seconds: (performance.now() - started) / 1_000 };
}

function writeInputs() {
  const images = trustedImages(100);
  const place = (name: string) => join(folder, name);
  const objects = Array.from({ length: 4_000 }, (_, index) => {
    const text = JSON.stringify(withContainers(3, largeDeployment(`app-${index}`)));
    return JSON.parse(
      text.replaceAll(/placeholder-(\d+)\.example\.com\/image:v1/g, (_all, at) => images[(index + Number(at)) % images.length] ?? ''),
    );
  });
  const indented = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 2);
  writeFileSync(place('list.json'), indented);
  writeFileSync(place('stream.json'), objects.map((object) => JSON.stringify(object, null, 2)).join('\n'));
  mkdirSync(place('files'));
  for (const [index, object] of objects.slice(0, 1_000).entries())
    writeFileSync(place(`files/app-${index}.yaml`), stringify(withContainers(2, object)));
  let yaml = '';
  for (const object of objects) if (yaml.length < 20_000_000) yaml += `---\n${stringify(object)}`;
  writeFileSync(place('stream.yaml'), yaml);
  writeFileSync(place('rules.yaml'), rulesText(100));
  writeFileSync(place('many-rules.yaml'), rulesText(10_000));
  return {
    list: place('list.json'),
    stream: place('stream.json'),
    files: place('files'),
    yaml: place('stream.yaml'),
    rules: place('rules.yaml'),
    manyRules: place('many-rules.yaml'),
  };
}

type Deployment = { readonly spec: { readonly template: { readonly spec: { containers: unknown[] } } } };

function withContainers(count: number, deployment: object): object {
  const copy = structuredClone(deployment) as Deployment;
  copy.spec.template.spec.containers = copy.spec.template.spec.containers.slice(0, count);
  return copy;
}
