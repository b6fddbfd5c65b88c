/**
 * The corpus of costs: what a tenant or a stranger can send, and the most that it may cost. `npm test` runs the counted half of each entry,
 * `npm run test:hostile` runs all of it against a server in its own process with the shipped limits.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** What one hostile sender does, and what it may cost. */
export type HostileEntry = {
  /** Who sends what, such as "a BuildConfig with 15,883 FROM lines of 4,001 characters". */
  readonly name: string;
  /**
   * What the API server stores when regkeeper starts: the path of a collection, such as `/api/v1/serviceaccounts`, and its objects. Without
   * it the server runs without a cluster, and has its rules from rules.yaml in this folder.
   */
  readonly cluster?: () => Readonly<Record<string, readonly object[]>>;
  /** Flags of `regkeeper serve` in place of `--rules rules.yaml`. */
  readonly flags?: readonly string[];
  /** Bodies so large that `npm test` leaves them to `npm run test:hostile`. */
  readonly large?: true;
  /** What is sent to the webhook port, in this order. */
  readonly sends?: () => readonly Sent[];
  /** How many of `sends` wait for their answers at a time; one unless given, so that each is answered before the next is sent. */
  readonly concurrent?: number;
  /** Work without a server: runs the code with a counter of its own and returns the count. Compared with `budget.work`. */
  readonly work?: () => number;
  readonly budget: Budget;
};

export type Sent = {
  readonly path: '/mutate' | '/validate' | '/guard' | '/probe';
  readonly body: string | Buffer;
  readonly answer: Answer;
  /** The body is denied before it is read as an AdmissionReview, so there is no audit record of it. */
  readonly unread?: true;
  /** Sent so many times on one connection that never reads an answer. The server must close it. */
  readonly stalled?: number;
};

/** `status` is the one of HTTP, or those that are right; 200 unless given. `message` is looked for in the text of the answer's body. */
export type Answer = {
  readonly status?: number | readonly number[];
  readonly allowed?: boolean;
  readonly message?: RegExp;
  /** The connection may also be closed without an answer that arrives. */
  readonly orNone?: true;
};

export type Budget = {
  /** Units of `work`: characters expanded, images parsed, comparisons, whatever the entry counts. */
  readonly work?: number;
  /** Bytes of all audit records that the entry causes, newlines included. */
  readonly recordBytes: number;
  /** Processor time of the whole server process for the entry, its start not included unless it has a `cluster`. */
  readonly cpuMilliseconds: number;
  /** Peak resident memory of the whole server process, from its start on. The shipped limit is 768. */
  readonly memoryMiB: number;
};

/** The entries of every file of this folder that exports `entries`. */
export async function readCorpus(): Promise<readonly HostileEntry[]> {
  const folder = import.meta.dirname;
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && file !== 'corpus.ts');
  const modules = await Promise.all(
    files.sort().map((file) => import(join(folder, file)) as Promise<{ entries?: readonly HostileEntry[] }>),
  );
  return modules.flatMap(({ entries = [] }) => entries);
}

/** Whether a request leaves an audit record of a decision: it can be read as an AdmissionReview. */
export function isRecorded({ path, answer, unread, stalled }: Sent): boolean {
  return !unread && stalled === undefined && (path === '/mutate' || path === '/validate') && (answer.status ?? 200) === 200;
}

/** What is wrong with an answer; undefined when it is as expected. */
export function problemOf(expected: Answer, status: number, body: string): string | undefined {
  const { status: wanted = 200, allowed, message } = expected;
  const start = body.slice(0, 300);
  if (![wanted].flat().includes(status)) return `HTTP ${status} in place of ${wanted}: ${start}`;
  if (message && !message.test(body)) return `the answer does not contain ${message}: ${start}`;
  if (allowed === undefined) return undefined;
  const { response } = JSON.parse(body) as { response?: { allowed?: boolean } };
  return response?.allowed === allowed ? undefined : `allowed is ${response?.allowed} in place of ${allowed}: ${start}`;
}
