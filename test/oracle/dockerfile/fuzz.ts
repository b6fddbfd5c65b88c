/**
 * `npm run fuzz:dockerfile`: runs generated Dockerfiles and the fixtures of the two Go modules through the tools and through our reader.
 * Every image that a tool would pull must be among ours. Exits with 1 where one is not, and with 2 where a tool is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startBuildah } from './buildah.ts';
import { cases } from './cases.ts';
import { missedPulls, type Pull } from './compare.ts';
import { type Case, generate } from './generate.ts';
import { fixtures, type Oracle, startOracle } from './oracle.ts';

const recordedFile = join(import.meta.dirname, 'recorded.jsonl');
/** Seeds that found a bug in the reader once. */
const foundSomething = [74, 483, 1048, 1567, 3207, 3903, 5660, 7420, 8075, 8212, 8494, 8849, 10304, 106617, 134381];

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    buildah: { type: 'string', default: '300' },
    record: { type: 'boolean', default: false },
  },
});

async function main(): Promise<boolean> {
  const oracle = await startOracle();
  try {
    if (values.record) return await record(oracle);
    const bare = (dockerfile: string): Case => ({ dockerfile, args: {}, env: {} });
    const seed = Number(values.seed);
    const results = [
      await compare('by hand', cases, oracle),
      await compare('fixtures', fixtures().map(bare), oracle),
      await compare('generated', generated(seed, Number(values.count)), oracle),
      compareBuildah('buildah, by hand', cases),
      compareBuildah('buildah, generated', generated(seed, Number(values.buildah))),
    ];
    return results.every((missed) => missed === 0);
  } finally {
    oracle.stop();
  }
}

function* generated(seed: number, count: number): Generator<Case> {
  for (let each = seed; each < seed + count; each++) yield generate(each);
}

async function compare(name: string, questions: Iterable<Case>, oracle: Oracle): Promise<number> {
  const tally = new Tally(name);
  for (const question of questions) tally.add(question, (await oracle.ask(question)).pulls);
  return tally.report();
}

function compareBuildah(name: string, questions: Iterable<Case>): number {
  const buildah = startBuildah();
  const tally = new Tally(`${name} (${buildah.version})`);
  try {
    for (const question of questions) {
      if (Object.keys(question.env).length > 0) continue;
      const pulls = buildah.pulls(question);
      if (!pulls) tally.countUnknownInstruction();
      else tally.add(question, asPulls(pulls, 'buildah'));
    }
  } finally {
    buildah.stop();
  }
  return tally.report();
}

function asPulls(images: readonly string[], tool: string): readonly Pull[] {
  return images.map((image) => ({ image, tool }));
}

class Tally {
  private readonly name: string;
  private files = 0;
  private pulls = 0;
  private missed = 0;
  private unknownInstructions = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(question: Case, pulls: readonly Pull[]): void {
    this.files++;
    this.pulls += pulls.length;
    const missed = missedPulls(question, pulls);
    if (missed.length === 0) return;
    this.missed++;
    if (this.missed > 5) return;
    const list = missed.map(({ image, tool }) => `${image} (${tool})`).join(', ');
    process.stdout.write(`${this.name}: not read: ${list}\n${JSON.stringify(question)}\n${question.dockerfile}\n`);
  }

  /** Counts a Dockerfile that the tool builds up to an unknown instruction. */
  countUnknownInstruction(): void {
    this.unknownInstructions++;
  }

  report(): number {
    process.stdout.write(
      `${this.name}: ${this.files} Dockerfiles, ${this.pulls} pulls of the tools, ${this.missed} Dockerfiles with a pull that is not read, ${this.unknownInstructions} that end in an unknown instruction\n`,
    );
    return this.missed;
  }
}

/** Writes the tools' answers to a file, so that `npm test` needs neither Go nor buildah. */
async function record(oracle: Oracle): Promise<boolean> {
  const buildah = startBuildah();
  const lines: string[] = [];
  try {
    for (const question of cases) {
      const { pulls } = await oracle.ask(question);
      const real = Object.keys(question.env).length > 0 ? [] : (buildah.pulls(question) ?? []);
      lines.push(JSON.stringify({ ...question, pulls: [...pulls, ...asPulls(real, buildah.version)] }));
    }
  } finally {
    buildah.stop();
  }
  const seeds = [...foundSomething, ...Array.from({ length: 400 }, (_, index) => 1_000_000 + index)];
  for (const seed of seeds) {
    const question = generate(seed);
    const { pulls } = await oracle.ask(question);
    lines.push(JSON.stringify({ name: `seed ${seed}`, ...question, pulls }));
  }
  writeFileSync(recordedFile, `${lines.join('\n')}\n`);
  process.stdout.write(`${lines.length} cases, ${readFileSync(recordedFile).length} bytes\n`);
  return true;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
