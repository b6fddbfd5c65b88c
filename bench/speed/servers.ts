/** Starts the servers of the benchmark, all on one core, and reads the CPU time and memory of their processes. Linux only. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, get, request } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { issueCa, issueServerCertificate } from '../../src/certificates/issue.ts';

export type Server = {
  readonly name: string;
  readonly port: number;
  readonly path: string | undefined;
  /** Milliseconds from the start of the process to its first answer, or until it is ready. */
  readonly readyMilliseconds: number;
  /** CPU time in microseconds, of all threads. */
  cpu(): number;
  /** Resident memory in MiB. */
  resident(): number;
  /** The most resident memory so far, in MiB. */
  peak(): number;
  /** Lines that the process wrote to standard error. */
  log(): string;
  /** Pauses for garbage collection so far, with `--trace-gc`. */
  pauses(): readonly Pause[];
  end(): Promise<void>;
};

/** One pause, in milliseconds. */
export type Pause = { readonly collection: 'Scavenge' | 'Mark-Compact'; readonly milliseconds: number };

export type ServerCommand = {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Finds the port in what the process writes to standard error. A number if it was chosen before. */
  readonly port: RegExp | number;
  /** The request that shows that the server is ready. By default a review is posted to `/`. */
  readonly readyPath?: string;
  /** The only path of a server that has one for all reviews. */
  readonly path?: string;
};

export type Tls = { readonly ca: string; readonly certificate: string; readonly key: string };

/** Files with a certificate for `localhost`. */
export function writeCertificates(folder: string): Tls {
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 24 * 3_600_000) };
  const ca = issueCa({ commonName: 'bench', ...validity });
  const leaf = issueServerCertificate({ ca, commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'], ...validity });
  mkdirSync(folder, { recursive: true });
  const files = { ca: join(folder, 'ca.crt'), certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  writeFileSync(files.ca, ca.certificate);
  writeFileSync(files.certificate, leaf.certificate);
  writeFileSync(files.key, leaf.key);
  return files;
}

export type ServeOptions = {
  readonly name?: string;
  readonly program: string;
  readonly tls: Tls;
  /** The file with the rules. */
  readonly rules: string;
  /** Options of Node.js. */
  readonly node?: readonly string[];
  /** Further flags of `regkeeper serve`. */
  readonly flags?: readonly string[];
};

/** `regkeeper serve` on free ports, with the variables of the image. */
export function serveCommand({ name = 'regkeeper', program, tls, rules, node = [], flags = [] }: ServeOptions): ServerCommand {
  const network = ['--host', '127.0.0.1', '--port', '0', '--health-port', '0', '--shutdown-delay-seconds', '0'];
  const files = ['--rules', rules, '--tls-cert', tls.certificate, '--tls-key', tls.key];
  return {
    name,
    command: [process.execPath, ...node, program, 'serve', ...files, ...flags, ...network],
    env: imageEnvironment(),
    port: /"url":"https:\/\/[^"]*:(\d+)"/,
  };
}

/** A server of `peers.ts`. */
export function peerCommand(name: string, tls: Tls): ServerCommand {
  const command = [process.execPath, join(import.meta.dirname, 'peers.ts'), name, tls.certificate, tls.key];
  return { name, command, env: { NODE_ENV: 'production' }, port: /port (\d+)/ };
}

/** Puts a command on one core, where that is possible. */
export function onCore(core: number, command: readonly string[]): readonly string[] {
  const pinned = canPin ? ['taskset', '-c', String(core), ...command] : command;
  return hasPriority ? ['nice', '-n', '-15', ...pinned] : pinned;
}

export const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0;

/** With BENCH_PRIORITY=1, other work on the machine hardly delays servers and load. Needs root. */
export const hasPriority = process.env.BENCH_PRIORITY === '1';

export const serverCore = 0;
export const loadCore = 1;

export async function startServer({ name, command, env, port, readyPath, path }: ServerCommand, tls: Tls): Promise<Server> {
  const started = performance.now();
  const [program = '', ...args] = onCore(serverCore, command);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const pauses: Pause[] = [];
  // The audit records are read, as a container runtime does.
  if (command.includes('--trace-gc')) createInterface({ input: child.stdout }).on('line', (line) => pauses.push(...pauseIn(line)));
  else child.stdout.resume();
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-100_000);
  });
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  const giveUp = () => {
    if (ended() || performance.now() - started > 120_000) throw new Error(`${name} did not start: ${log.slice(-2_000)}`);
  };
  let found: number | undefined = typeof port === 'number' ? port : undefined;
  while (found === undefined) {
    giveUp();
    const text = typeof port === 'number' ? undefined : port.exec(log)?.[1];
    if (text !== undefined) found = Number(text);
    else await pause(1);
  }
  const agent = new Agent({ ca: readFileSync(tls.ca), keepAlive: false });
  while (!(await isReady(found, agent, readyPath))) {
    giveUp();
    await pause(2);
  }
  return {
    name,
    port: found,
    path,
    readyMilliseconds: performance.now() - started,
    cpu: () => cpuOf(child),
    resident: () => mebibytesOf(child, 'VmRSS'),
    peak: () => mebibytesOf(child, 'VmHWM'),
    log: () => log,
    pauses: () => [...pauses],
    async end() {
      const gone = ended() ? undefined : once(child, 'exit');
      kill();
      await gone;
      process.off('exit', kill);
    },
  };
}

/** V8 prints a line such as `[1:0x2f] 518 ms: Scavenge 18.8 (27.2) -> 12.1 (28.0) MB, pooled: 0 MB, 1.43 / 0.00 ms (average mu = …`. */
function pauseIn(line: string): readonly Pause[] {
  const [, collection, milliseconds] = /ms: (Scavenge|Mark-Compact)\b.* -> .* ([\d.]+) \/ [\d.]+ ms/.exec(line) ?? [];
  return collection === undefined ? [] : [{ collection: collection as Pause['collection'], milliseconds: Number(milliseconds) }];
}

/** The variables that the image sets, so that what runs here is what runs in a cluster. */
export function imageEnvironment(): Readonly<Record<string, string>> {
  const dockerfile = readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8').replaceAll(/\\\n\s*/g, '');
  const settings = [...dockerfile.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = '']) => line.split(' '));
  return Object.fromEntries(settings.map((setting) => setting.split(/=(.*)/s, 2)));
}

const smallReview = JSON.stringify({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: 'ready',
    operation: 'CREATE',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    namespace: 'default',
    name: 'ready',
    object: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'ready' },
      spec: { containers: [{ name: 'app', image: 'example.com/app:v1' }] },
    },
  },
});

function isReady(port: number, agent: Agent, path = '/mutate'): Promise<boolean> {
  return new Promise((resolve) => {
    const isGet = path === '/health';
    const options = {
      host: 'localhost',
      port,
      path,
      agent,
      method: isGet ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
    };
    const call = (isGet ? get : request)(options, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode === 200));
      response.once('error', () => resolve(false));
    });
    call.once('error', () => resolve(false));
    call.end(isGet ? undefined : smallReview);
  });
}

/** In nanoseconds of the scheduler, which are more precise than the ticks of /proc/PID/stat. Threads of a server do not end. */
function cpuOf({ pid }: ChildProcess): number {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return nanoseconds / 1_000;
}

function mebibytesOf({ pid }: ChildProcess, field: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
