/** A server in its own process with the shipped limits, and what it costs. Linux only: figures come from /proc. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '../../cluster/wait-for.ts';

const root = resolve(import.meta.dirname, '../../..');

/** What Node derives from 768 MiB inside a container. */
const shippedHeap = '--max-old-space-size=453';
const shippedMemory = 768 * 1024 * 1024;

export type MeasuredServer = {
  readonly url: string;
  /** Whether the kernel holds it to 768 MiB. */
  readonly limited: boolean;
  /** Why it has ended; undefined while it runs. */
  ended(): string | undefined;
  cpuMilliseconds(): number;
  /** Since the start. */
  peakMiB(): number;
  /** Waits until it does nothing any more, at most so long. */
  quiet(seconds: number): Promise<void>;
  /** The audit records so far: bytes, and lines. */
  records(): { readonly bytes: number; readonly lines: number };
  /** The last lines of its log. */
  logTail(): string;
  end(): Promise<void>;
};

/** Starts `regkeeper serve` and returns when it listens; whether it is ready is asked for by sending. */
export async function startMeasured(folder: string, flags: readonly string[]): Promise<MeasuredServer> {
  const auditFile = join(folder, 'audit.log');
  const network = ['--host', '127.0.0.1', '--port', '0', '--health-port', '0', '--drain-seconds', '0'];
  const child = spawn(process.execPath, [shippedHeap, join(root, 'src/main.ts'), 'serve', ...network, '--audit-log', auditFile, ...flags], {
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
  const leave = limitMemory(child);
  const logTail = () => log.split('\n').slice(-15).join('\n').slice(-3_000);
  const serving = () => /"url":"(https:[^"]+)".*"msg":"serving"/.exec(log)?.[1];
  const hopeless = () => (ended() === undefined ? undefined : new Error(`the server ended: ${ended()}\n${logTail()}`));
  let last = { cpu: 0, peak: 0 };
  const read = () => {
    const { pid = 0 } = child;
    try {
      last = { cpu: cpuOf(pid), peak: peakOf(pid) };
    } catch {
      // It has ended: what was seen last.
    }
    return last;
  };
  const sampling = setInterval(read, 50);
  const end = async () => {
    clearInterval(sampling);
    kill();
    await gone;
    process.off('exit', kill);
    leave?.();
  };
  try {
    const url = await waitFor(serving, { deadlineSeconds: 60, what: 'the server to listen', hopeless });
    return {
      url,
      limited: leave !== undefined,
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

/** Of all its threads. Those that have ended are in the ticks of /proc/PID/stat alone, which are coarse. */
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

/** By a cgroup of version 2 or 1, where we may make one. Returns what removes it; undefined where there is none. */
function limitMemory({ pid }: ChildProcess): (() => void) | undefined {
  for (const [parent, limit] of [
    ['/sys/fs/cgroup', 'memory.max'],
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
  ] as const) {
    // A folder that is none of the kernel's takes any file.
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
        // The kernel has not let go of it yet; an empty one costs nothing.
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
