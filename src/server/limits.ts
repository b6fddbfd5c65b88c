/** What one caller, and all callers together, may cost a server. docs/operations.md has the table of budgets. */
import type { BudgetLimits } from './body-budget.ts';
import type { StructureLimits } from './body-scan.ts';

const mebibyte = 1024 * 1024;

export type BodyLimits = BudgetLimits &
  StructureLimits & {
    /** Bytes of one body. The API server itself takes requests of 3 MiB, and sends object and old object, escaped and with defaults. */
    readonly bytes: number;
    /** Bytes of a body that is too large which are read and thrown away, so that its sender gets to read the answer. */
    readonly discarded: number;
    /** Bodies of more bytes than this are parsed one at a time: what is made of one can take several times its bytes. */
    readonly largeBody: number;
    /** Milliseconds until a body must have arrived and be parsed. `?timeout=` of the API server shortens it. */
    readonly milliseconds: number;
    /** Bytes of all long answers that wait for their readers. */
    readonly answers: number;
    /** An answer of more characters than this is long. As many short ones as there may be connections are no more than `answers`. */
    readonly longAnswer: number;
    /** Milliseconds that the sender of an evicted body gets to finish, so that it reads the answer. */
    readonly evictionGrace: number;
  };

export const defaultBodyLimits: BodyLimits = {
  bytes: 20 * mebibyte,
  total: 64 * mebibyte,
  reserved: 16 * mebibyte,
  small: mebibyte,
  discarded: 256 * mebibyte,
  largeBody: 4 * mebibyte,
  // Custom resources without a schema nest as deep as their authors like; nothing real comes near.
  depth: 500,
  // A Pod of 95,000 containers with the API server's defaults has some 900,000.
  structures: 1_000_000,
  milliseconds: 5_000,
  answers: 16 * mebibyte,
  longAnswer: 16 * 1024,
  evictionGrace: 500,
};

export type ConnectionLimits = {
  /** Open connections, those in a handshake included. */
  readonly maxConnections: number;
  /** Milliseconds from the first byte of a request to the end of its headers, or of what follows a request that was answered early. */
  readonly headers: number;
  /** Milliseconds from the end of an answer until its caller must have read it. */
  readonly answer: number;
  /** Milliseconds of a TLS handshake. */
  readonly handshake: number;
  /** Milliseconds that a connection may be idle, before its first request or between two. */
  readonly idle: number;
};

/**
 * An API server opens as many connections as it has requests at a time: 200 changing ones (`--max-mutating-requests-inflight`), each asking
 * one webhook after the other.
 */
export const defaultConnectionLimits: ConnectionLimits = {
  maxConnections: 1_000,
  headers: 5_000,
  answer: 5_000,
  handshake: 5_000,
  // Longer than the API server keeps an idle connection (90 s): it, and never we, ends one.
  idle: 120_000,
};

export const healthConnectionLimits: ConnectionLimits = { ...defaultConnectionLimits, maxConnections: 100 };
