/**
 * The corpus of costs: what a tenant or a stranger can send, and the most that it may cost. `npm test` runs the counted half of each entry,
 * `npm run test:hostile` runs all of it against a server in its own process with the shipped limits.
 */

/** What one hostile sender does, and what it may cost. */
export type HostileEntry = {
  /** Who sends what, such as "a BuildConfig with 15,883 FROM lines of 4,001 characters". */
  readonly name: string;
  /** What the API server stores when regkeeper starts: the path of a collection, such as `/api/v1/serviceaccounts`, and its objects. */
  readonly cluster?: () => Readonly<Record<string, readonly object[]>>;
  /** What is sent to the webhook port, in this order; each is answered before the next is sent. */
  readonly sends?: () => readonly Sent[];
  /** Work without a server: runs the code with a counter of its own and returns the count. Compared with `budget.work`. */
  readonly work?: () => number;
  readonly budget: Budget;
};

export type Sent = {
  readonly path: '/mutate' | '/validate' | '/guard' | '/probe';
  readonly body: string | Buffer;
  readonly answer: Answer;
};

/** `status` is the one of HTTP; 200 unless given. `message` is looked for in the answer's text: a denial, warnings, a Status. */
export type Answer = { readonly status?: number; readonly allowed?: boolean; readonly message?: RegExp };

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
