/**
 * The corpus of hostile input: what a tenant or an outsider can send, and a budget for its cost. `npm test` runs the part that is counted
 * without a clock. `npm run test:hostile` runs all of it against a server process with the shipped limits.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The input of one hostile sender, and its budget. */
export type HostileEntry = {
  /** What is sent, such as "a BuildConfig with 15,883 FROM lines of 4,001 characters". */
  readonly name: string;
  /**
   * The objects that the API server stores when regkeeper starts, by the path of their collection, such as `/api/v1/serviceaccounts`. Where
   * this is absent, the server runs without a cluster and reads its rules from rules.yaml in this folder.
   */
  readonly cluster?: () => Readonly<Record<string, readonly object[]>>;
  /** Flags of `regkeeper serve` that replace `--rules rules.yaml`. */
  readonly flags?: readonly string[];
  /** Bodies so large that `npm test` leaves them to `npm run test:hostile`. */
  readonly large?: true;
  /** Requests to the webhook port, in this order. */
  readonly sends?: () => readonly Sent[];
  /** How many of `sends` may wait for their answers at a time. By default one: each is answered before the next is sent. */
  readonly concurrent?: number;
  /** Runs the code without a server, with its own counter, and returns the count. Compared with `budget.work`. */
  readonly work?: () => number;
  readonly budget: Budget;
};

export type Sent = {
  readonly path: '/mutate' | '/validate' | '/guard' | '/probe';
  readonly body: string | Buffer;
  readonly answer: Answer;
  /** The body is rejected before it is read as an AdmissionReview, so it leaves no audit record. */
  readonly unread?: true;
  /** Sends the request so many times on one connection without reading an answer. The server must close the connection. */
  readonly stalled?: number;
};

/** `status` is the expected HTTP status, or all that are right, by default 200. `message` must match the text of the answer's body. */
export type Answer = {
  readonly status?: number | readonly number[];
  readonly allowed?: boolean;
  readonly message?: RegExp;
  /** The connection may also be closed without an answer. */
  readonly orNone?: true;
};

export type Budget = {
  /** Units of `work`, such as characters expanded, images parsed or comparisons. The entry decides what it counts. */
  readonly work?: number;
  /** Bytes of all audit records of the entry, including newlines. */
  readonly recordBytes: number;
  /** CPU time of the whole server process for the entry. It includes the start only where the entry has a `cluster`. */
  readonly cpuMilliseconds: number;
  /** Peak resident memory of the whole server process since its start. The shipped limit is 768. */
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

/** Whether a request can be read as an AdmissionReview, and so leaves an audit record of a decision. */
export function isRecorded({ path, answer, unread, stalled }: Sent): boolean {
  return !unread && stalled === undefined && (path === '/mutate' || path === '/validate') && (answer.status ?? 200) === 200;
}

/** Describes how an answer differs from the expected one. Undefined where it does not. */
export function problemOf(expected: Answer, status: number, body: string): string | undefined {
  const { status: wanted = 200, allowed, message } = expected;
  const start = body.slice(0, 300);
  if (![wanted].flat().includes(status)) return `HTTP ${status} in place of ${wanted}: ${start}`;
  if (message && !message.test(body)) return `the answer does not contain ${message}: ${start}`;
  if (allowed === undefined) return undefined;
  const { response } = JSON.parse(body) as { response?: { allowed?: boolean } };
  return response?.allowed === allowed ? undefined : `allowed is ${response?.allowed} in place of ${allowed}: ${start}`;
}
