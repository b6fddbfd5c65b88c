/** Starts the load generator: the one in Go where `go` exists, because it costs the load's core less, and otherwise one with undici. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildWithGo, cacheRoot } from '../../test/cluster/binaries.ts';
import { loadCore, onCore } from './servers.ts';

export type Job = {
  /** `host:port`. */
  readonly address: string;
  readonly path: string;
  readonly caFile: string;
  /** A file with one body per line. */
  readonly bodies: string;
  readonly connections: number;
  readonly requests: number;
  /** Requests per second of an open loop. Without it each connection sends its next request when it has the answer. */
  readonly rate?: number;
};

export type JobResult = {
  readonly requests: number;
  readonly failed: number;
  readonly error?: string;
  readonly seconds: number;
  /** Milliseconds. In an open loop they are measured from the planned arrival. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
};

export type Load = {
  /** What runs, for the output. */
  readonly name: string;
  run(job: Job): Promise<JobResult>;
  end(): void;
};

export async function startLoad(): Promise<Load> {
  const program = await goProgram();
  const command = program ? [program] : [process.execPath, join(import.meta.dirname, 'load-undici.ts')];
  const [file = '', ...args] = onCore(loadCore, command);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, GOMAXPROCS: '1' } });
  const kill = () => child.kill();
  process.once('exit', kill);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    name: program ? 'Go (bench/speed/load)' : 'undici (there is no Go)',
    async run(job) {
      child.stdin.write(`${JSON.stringify(job)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('the load generator has ended');
      const result = JSON.parse(value) as JobResult;
      if (result.error !== undefined && job.rate === undefined) throw new Error(`${job.address}${job.path}: ${result.error}`);
      if (result.failed > 0) console.error(`${result.failed} of ${result.requests} requests failed, the last with ${result.error}`);
      return result;
    },
    end: kill,
  };
}

/** Builds it once into the cache of the test cluster's executables. Undefined without Go. */
async function goProgram(): Promise<string | undefined> {
  if (spawnSync('go', ['version']).status !== 0) return undefined;
  const module = join(import.meta.dirname, 'load');
  const version = createHash('sha256')
    .update(readFileSync(join(module, 'main.go')))
    .digest('hex')
    .slice(0, 12);
  const destination = join(cacheRoot(process.env), 'bench', `load-${version}`);
  if (existsSync(destination)) return destination;
  mkdirSync(join(cacheRoot(process.env), 'bench'), { recursive: true });
  await buildWithGo({ go: 'go', env: process.env, name: 'load', source: '.', module, linkerFlags: '-s -w', destination });
  return destination;
}
