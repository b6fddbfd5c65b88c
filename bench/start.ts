/**
 * `npm run bench:start`: how long commands that need no cluster take, as whole processes.
 *
 * Every command runs once per round, so that other work on the machine affects all alike. The table shows the median of all rounds and its
 * ratio to that of `node -e 0`, which is Node's own start. The first round is not counted, because it fills the compile cache.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

type Candidate = { readonly name: string; readonly command: readonly string[] };

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '21' } } });
const root = join(import.meta.dirname, '..');
const node = process.execPath;
const bundle = join(root, 'dist', 'regkeeper.mjs');

const rules = ['--rules', 'deploy/examples/rules'];
const commandLines = [
  { name: 'version', line: ['version'] },
  { name: '--help', line: ['--help'] },
  { name: 'check', line: ['check', '-f', 'deploy/examples/objects/pod.yaml', ...rules] },
  { name: 'explain', line: ['explain', 'quay.io/team-a/y', '-n', 'team-a', ...rules] },
  { name: 'lint', line: ['lint', 'deploy/examples/rules'] },
];
/** The ways to start the program. The bundle is the one that the last `npm run build` wrote. */
const programs: readonly Candidate[] = [
  { name: 'src/main.ts', command: [node, join(root, 'src', 'main.ts')] },
  { name: 'bin/regkeeper.mjs', command: [node, join(root, 'bin', 'regkeeper.mjs')] },
  ...(existsSync(bundle) ? [{ name: 'dist/regkeeper.mjs', command: [node, bundle] }] : []),
];
const bare: Candidate = { name: 'node -e 0', command: [node, '-e', '0'] };
const candidates: readonly Candidate[] = [
  bare,
  ...programs.flatMap((program) =>
    commandLines.map(({ name, line }) => ({ name: `${program.name} ${name}`, command: [...program.command, ...line] })),
  ),
  // The time of npx itself, and of npx with regkeeper.
  { name: 'npx -c "node -e 0"', command: ['npx', '-c', 'node -e 0'] },
  { name: 'npx regkeeper version', command: ['npx', 'regkeeper', 'version'] },
];

const times = new Map(candidates.map(({ name }): [string, number[]] => [name, []]));
const rounds = Number(values.rounds);
for (let round = 0; round <= rounds; round++) {
  for (const { name, command } of candidates) {
    const took = millisecondsOf(command);
    if (round > 0) times.get(name)?.push(took);
  }
}

const base = median(times.get(bare.name) ?? []);
const widest = Math.max(...candidates.map(({ name }) => name.length));
process.stdout.write(
  [
    `Node.js ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}, load ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds`,
    '',
    `${'median, × node -e 0, fastest'.padStart(widest + 30)}`,
    ...[...times].map(([name, each]) => {
      const middle = median(each);
      return `${name.padEnd(widest)} ${middle.toFixed(0).padStart(6)} ms ${(middle / base).toFixed(1).padStart(6)} × ${Math.min(...each)
        .toFixed(0)
        .padStart(6)} ms`;
    }),
    '',
  ].join('\n'),
);

function millisecondsOf([program = '', ...args]: readonly string[]): number {
  const start = process.hrtime.bigint();
  const { status, stderr, error } = spawnSync(program, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  const took = Number(process.hrtime.bigint() - start) / 1e6;
  // A command that fails early would distort the figures.
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')} failed: ${error?.message ?? stderr}`);
  return took;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
