/** Limits for one caller, and for all callers together. docs/sizing.md has the table of budgets. */
import type { BudgetLimits } from './bodies/body-budget.ts';
import type { StructureLimits } from './bodies/body-scan.ts';

const mebibyte = 1024 * 1024;

export type BodyLimits = BudgetLimits &
  StructureLimits & {
    /** Bytes of one body. The API server itself accepts requests of 3 MiB, and sends object and old object, escaped and with defaults. */
    readonly bytes: number;
    /** How many bytes of a body that is too large are read and discarded, so that its sender reads the answer. */
    readonly discarded: number;
    /** Bodies with more bytes than this are parsed one at a time, since the parsed object can need several times the bytes. */
    readonly largeBody: number;
    /** Milliseconds until a body must have arrived and be parsed. The API server's `?timeout=` shortens it. */
    readonly milliseconds: number;
    /** Bytes of all long answers that have not been read by their clients. */
    readonly answers: number;
    /** Answers with more characters than this are long. Short answers on all possible connections together are within `answers`. */
    readonly longAnswer: number;
    /** Milliseconds that the sender of an evicted body gets to finish sending, so that it reads the answer. */
    readonly evictionGrace: number;
  };

export const defaultBodyLimits: BodyLimits = {
  bytes: 20 * mebibyte,
  total: 64 * mebibyte,
  reserved: 16 * mebibyte,
  small: mebibyte,
  discarded: 256 * mebibyte,
  largeBody: 4 * mebibyte,
  // Custom resources without a schema may nest as deep as their authors like. Real ones are far below this.
  depth: 500,
  // A Pod of 95,000 containers with the API server's defaults has about 900,000.
  structures: 1_000_000,
  milliseconds: 5_000,
  answers: 16 * mebibyte,
  longAnswer: 16 * 1024,
  evictionGrace: 500,
};

export type ConnectionLimits = {
  /** Open connections, those in a handshake included. */
  readonly maxConnections: number;
  /** Milliseconds from the first byte of a request to the end of its headers, or for the rest of a request that was answered early. */
  readonly headers: number;
  /** Milliseconds from the end of an answer until its client must have read it. */
  readonly answer: number;
  /** Milliseconds of a TLS handshake. */
  readonly handshake: number;
  /** Milliseconds that a connection may be idle, before its first request or between two. */
  readonly idle: number;
};

/**
 * An API server opens one connection per concurrent request: up to 200 mutating ones (`--max-mutating-requests-inflight`), and each calls
 * one webhook after the other.
 */
export const defaultConnectionLimits: ConnectionLimits = {
  maxConnections: 1_000,
  headers: 5_000,
  answer: 5_000,
  handshake: 5_000,
  // Longer than the API server keeps an idle connection (90 s), so that it and never the server closes one.
  idle: 120_000,
};

export const healthConnectionLimits: ConnectionLimits = { ...defaultConnectionLimits, maxConnections: 100 };
