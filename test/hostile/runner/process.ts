/** Runs a server in its own process with the shipped limits and measures it. Linux only, because the figures come from /proc. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { programFile } from '../../cluster/program.ts';
import { waitFor } from '../../cluster/wait-for.ts';

const root = resolve(import.meta.dirname, '../../..');

/** The limit that Node derives inside a container with 768 MiB. */
const shippedHeap = '--max-old-space-size=453';
const shippedMemory = 768 * 1024 * 1024;

export type MeasuredServer = {
  readonly url: string;
  /** Whether a cgroup limits the process to 768 MiB. */
  readonly limited: boolean;
  /** How the process ended. Undefined while it runs. */
  ended(): string | undefined;
  cpuMilliseconds(): number;
  /** Peak resident memory since the start. */
  peakMiB(): number;
  /** Waits until the process uses no CPU any more, at most so long. */
  quiet(seconds: number): Promise<void>;
  /** Bytes and lines of the audit records so far. */
  records(): { readonly bytes: number; readonly lines: number };
  /** The last 15 lines of the log. */
  logTail(): string;
  end(): Promise<void>;
};

/** Starts `regkeeper serve` and returns when it listens. It may not be ready yet. */
export async function startMeasured(folder: string, flags: readonly string[]): Promise<MeasuredServer> {
  const auditFile = join(folder, 'audit.log');
  const network = ['--host', '127.0.0.1', '--port', '0', '--health-port', '0', '--shutdown-delay-seconds', '0'];
  const child = spawn(process.execPath, [shippedHeap, programFile(), 'serve', ...network, '--audit-log', auditFile, ...flags], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-200_000);
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const gone = new Promise<void>((settle) => child.once('exit', () => settle()));
  const ended = () =>
    child.exitCode === null && child.signalCode === null ? undefined : `exit code ${child.exitCode}, signal ${child.signalCode}`;
  const removeLimit = limitMemory(child);
  const logTail = () => log.split('\n').slice(-15).join('\n').slice(-3_000);
  const serving = () => /"url":"(https:[^"]+)".*"msg":"serving"/.exec(log)?.[1];
  const giveUp = () => (ended() === undefined ? undefined : new Error(`the server ended: ${ended()}\n${logTail()}`));
  let last = { cpu: 0, peak: 0 };
  const read = () => {
    const { pid = 0 } = child;
    try {
      last = { cpu: cpuOf(pid), peak: peakOf(pid) };
    } catch {
      // The process has ended, so the last values stay.
    }
    return last;
  };
  const sampling = setInterval(read, 50);
  const end = async () => {
    clearInterval(sampling);
    kill();
    await gone;
    process.off('exit', kill);
    removeLimit?.();
  };
  try {
    const url = await waitFor(serving, { deadlineSeconds: 60, what: 'the server to listen', giveUp });
    return {
      url,
      limited: removeLimit !== undefined,
      ended,
      cpuMilliseconds: () => read().cpu,
      peakMiB: () => read().peak,
      async quiet(seconds) {
        const deadline = performance.now() + seconds * 1000;
        for (let before = read().cpu; performance.now() < deadline && ended() === undefined; ) {
          await pause(150);
          const now = read().cpu;
          if (now - before < 10) return;
          before = now;
        }
      },
      records() {
        const text = existsSync(auditFile) ? readFileSync(auditFile) : Buffer.alloc(0);
        return { bytes: text.length, lines: text.reduce((count, byte) => count + (byte === 0x0a ? 1 : 0), 0) };
      },
      logTail,
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** CPU milliseconds of all threads. Threads that have ended only count in the ticks of /proc/PID/stat, which are coarse. */
function cpuOf(pid: number): number {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // The thread ended meanwhile.
    }
  }
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Math.max(nanoseconds / 1e6, ticks * 10);
}

function peakOf(pid: number): number {
  const [, kibibytes = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) / 1024;
}

/** Limits the process with a cgroup of version 2 or 1. Returns a function that removes the cgroup, or undefined where none can be created. */
function limitMemory({ pid }: ChildProcess): (() => void) | undefined {
  for (const [parent, limit] of [
    ['/sys/fs/cgroup', 'memory.max'],
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
  ] as const) {
    // Without a mounted cgroup file system this is an ordinary folder, in which any file can be written.
    if (!existsSync(join(parent, 'cgroup.procs'))) continue;
    const group = join(parent, `regkeeper-hostile-${pid}`);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    const remove = () => {
      try {
        rmdirSync(group);
      } catch {
        // The kernel has not released the cgroup yet. An empty one costs nothing.
      }
    };
    try {
      writeFileSync(join(group, limit), String(shippedMemory));
      writeFileSync(join(group, 'cgroup.procs'), String(pid));
      return remove;
    } catch {
      remove();
    }
  }
  return undefined;
}
