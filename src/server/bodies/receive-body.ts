/** Receives the bytes of one body within its limits. */
import type { Readable } from 'node:stream';
import { formatCount } from '../../image/wording.ts';
import type { Clock } from '../../time/clock.ts';
import { RequestError } from '../error-bodies.ts';
import type { BodyLimits } from '../limits.ts';
import type { BodyBudget, BodyReservation } from './body-budget.ts';
import { Overloaded, TooSlow } from './body-errors.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import { uidAtStart } from './parse-body.ts';

export type ReceiveOptions = {
  /** Bytes of `content-length`. 0 without that header. */
  readonly announced: number;
  /** Monotonic milliseconds. */
  readonly deadline: number;
  readonly limits: Pick<BodyLimits, 'bytes' | 'discarded' | 'evictionGrace'>;
  readonly budget: BodyBudget;
  readonly deadlines: Deadlines;
  readonly clock: Pick<Clock, 'monotonic'>;
};

/** A chunk counts at least this many bytes, because that is Node's overhead per chunk. Chunks of TCP are five times as large. */
const smallestChunk = 256;

/**
 * Collects the bytes, and calls `done` once: with all of them, or with the reason why they are not accepted.
 *
 * @returns a function that releases the bytes. It may be called several times
 */
export function receiveBody(
  payload: Readable,
  { announced, deadline, limits, budget, deadlines, clock }: ReceiveOptions,
  done: (error: RequestError | null, body: Buffer) => void,
): () => void {
  const since = clock.monotonic();
  let chunks: Buffer[] = [];
  let bytes = 0;
  let discarded = 0;
  /** How many bytes the chunks need in addition to their content. */
  let overhead = 0;
  let failure: RequestError | undefined;
  let settled = false;

  const reservation: BodyReservation = {
    announced,
    since,
    evict: () => discardRest(new Overloaded('too many bytes are being received'), clock.monotonic() + limits.evictionGrace),
  };
  const receiving: Deadline = { deadline, expire: () => settle(failure ?? new TooSlow(deadline - since)) };
  deadlines.add(receiving);
  payload.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (settled) return;
    if (failure) discard(chunk, failure);
    else collect(chunk);
  });
  payload.once('end', () => {
    if (failure) return settle(failure);
    budget.arrived(reservation);
    settle(undefined);
  });
  payload.once('error', onCut);
  payload.once('close', onCut);
  return () => budget.release(reservation);

  function collect(chunk: Buffer): void {
    const size = Math.max(chunk.length, smallestChunk);
    overhead += size - chunk.length;
    // The chunks are so small on average that their overhead exceeds the limit for a whole body.
    if (overhead > limits.bytes) {
      settle(new RequestError(400, 'BadRequest', `the body arrived in chunks of less than ${smallestChunk} bytes on average`));
      return;
    }
    chunks.push(chunk);
    if (Math.max(bytes, announced) > limits.bytes) failTooLarge();
    else if (!budget.reserve(reservation, size)) reservation.evict();
  }

  function discard(chunk: Buffer, reason: RequestError): void {
    discarded += chunk.length;
    if (discarded > limits.discarded) settle(reason);
  }

  function failTooLarge(): void {
    const size = announced > limits.bytes ? `${formatCount(announced)} bytes` : `more than ${formatCount(limits.bytes)} bytes`;
    const message = `the AdmissionReview has ${size}. The maximum is ${formatCount(limits.bytes)} bytes. Make the object smaller, or split it.`;
    discardRest(new RequestError(413, 'RequestEntityTooLarge', message, uidAtStart(chunks[0])), receiving.deadline);
  }

  /** The rest is read and discarded, so that the sender reads the answer instead of a connection error. */
  function discardRest(reason: RequestError, until: number): void {
    failure = reason;
    chunks = [];
    budget.release(reservation);
    receiving.deadline = Math.min(receiving.deadline, until);
  }

  /** Every body emits `close`. Creating an error for each would cost a quarter of a request's time. */
  function onCut(): void {
    if (!settled) settle(failure ?? new RequestError(400, 'BadRequest', 'the connection was closed before the whole body arrived'));
  }

  function settle(error: RequestError | undefined): void {
    if (settled) return;
    settled = true;
    deadlines.delete(receiving);
    const [first = noBytes, ...others] = chunks;
    chunks = [];
    if (error) {
      failure = error;
      budget.release(reservation);
      done(error, noBytes);
    } else done(null, others.length === 0 ? first : Buffer.concat([first, ...others], bytes));
  }
}

const noBytes = Buffer.alloc(0);
