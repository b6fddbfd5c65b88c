/** Reads request bodies within their limits: receive, scan, wait for a turn, parse. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Clock, repeat } from '../../time/clock.ts';
import { RequestError } from '../error-bodies.ts';
import type { BodyLimits } from '../limits.ts';
import { type BodyReservation, createBodyBudget } from './body-budget.ts';
import { findExcess } from './body-scan.ts';
import { createOneAtATime } from './one-at-a-time.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The response stream. Its end releases what the body uses. */
    response: ServerResponse;
    /** Releases the memory of the body, and its turn in the queue of large bodies. */
    bodyResources: readonly (() => void)[];
  }
}

/** The server is busy with other requests: HTTP 503, and the API server retries. */
export class Overloaded extends RequestError {
  constructor(message: string) {
    super(503, 'ServiceUnavailable', message);
  }
}

/** The body did not arrive in time. */
export class TooSlow extends RequestError {
  constructor(milliseconds: number) {
    super(408, 'Timeout', `the body did not arrive within ${Math.round(milliseconds / 100) / 10} s`);
  }
}

/** Interval in milliseconds at which deadlines are checked. One timer per body would slow down every request. */
const sweepMilliseconds = 100;

/** A chunk counts at least this many bytes, because that is Node's overhead per chunk. Chunks of TCP are five times as large. */
const smallestChunk = 256;

type Done = (error: Error | null, value?: unknown) => void;

type Receiving = { deadline: number; expire(): void };

/** Accepts only `application/json`. Bodies become plain data without schema or coercion, and keys such as `__proto__` are ordinary data. */
export function readBodies(app: FastifyInstance<Server>, limits: BodyLimits, clock: Clock): void {
  const budget = createBodyBudget(limits, clock.monotonic);
  const largeBodies = createOneAtATime();
  const unreadAnswers = createBodyBudget({ total: limits.answers, reserved: 0, small: Number.POSITIVE_INFINITY }, clock.monotonic);
  const unfinished = new Set<Receiving>();
  const expireOverdue = () => {
    const now = clock.monotonic();
    for (const each of unfinished) if (each.deadline <= now) each.expire();
  };
  const stop = repeat(clock, expireOverdue, sweepMilliseconds);
  app.addHook('onClose', async () => stop());
  app.decorateRequest('response', null as unknown as ServerResponse);
  app.decorateRequest('bodyResources', null as unknown as FastifyRequest['bodyResources']);
  app.addHook('onRequest', (request, reply, done) => {
    request.response = reply.raw;
    request.bodyResources = noResources;
    done();
  });
  // The answer has been serialized. Its client may be slow to read it, and the body and its parsed form must not wait for that.
  app.addHook('onSend', (request, _reply, payload, done) => {
    releaseBody(request);
    if (typeof payload === 'string' && payload.length > limits.longAnswer) countAnswer(request.response, payload.length);
    done(null, payload);
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', (request: FastifyRequest, payload: IncomingMessage, done) => {
    const deadline = clock.monotonic() + timeoutOf(request.url, limits.milliseconds);
    receive(request, payload, deadline, (error, body) => {
      if (error) done(error);
      else if (body.length <= limits.largeBody) parse(body, done);
      else parseAlone(request, body, deadline, done);
    });
  });

  /** If unread answers are too many bytes, closes the connection of the one with the largest product of bytes and age. */
  function countAnswer(response: ServerResponse, bytes: number): void {
    const reservation: BodyReservation = { announced: 0, since: clock.monotonic(), evict: () => response.destroy() };
    response.once('close', () => unreadAnswers.release(reservation));
    if (!unreadAnswers.reserve(reservation, bytes)) reservation.evict();
  }

  /** Collects the bytes, and calls `done` once: with all of them, or with the reason why they are not accepted. */
  function receive(
    request: FastifyRequest,
    payload: IncomingMessage,
    deadline: number,
    done: (error: RequestError | null, body: Buffer) => void,
  ): void {
    const since = clock.monotonic();
    let chunks: Buffer[] = [];
    let bytes = 0;
    let discarded = 0;
    /** How many bytes the chunks need in addition to their content. */
    let overhead = 0;
    let failure: RequestError | undefined;
    let settled = false;

    const reservation: BodyReservation = {
      announced: Number(request.headers['content-length'] ?? 0),
      since,
      evict: () => discardRest(new Overloaded('too many bytes in flight'), clock.monotonic() + limits.evictionGrace),
    };
    const receiving: Receiving = { deadline, expire: () => settle(failure ?? new TooSlow(deadline - since)) };
    unfinished.add(receiving);
    releaseWithBody(request, () => budget.release(reservation));
    request.response.once('close', () => releaseBody(request));

    payload.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (settled) return;
      if (failure) {
        discarded += chunk.length;
        if (discarded > limits.discarded) settle(failure);
        return;
      }
      const size = Math.max(chunk.length, smallestChunk);
      overhead += size - chunk.length;
      // The chunks are so small on average that their overhead exceeds the limit for a whole body.
      if (overhead > limits.bytes) {
        settle(new RequestError(400, 'BadRequest', `the body arrived in chunks that average less than ${smallestChunk} bytes`));
        return;
      }
      chunks.push(chunk);
      if (Math.max(bytes, reservation.announced) > limits.bytes) failTooLarge();
      else if (!budget.reserve(reservation, size)) reservation.evict();
    });
    payload.once('end', () => {
      if (failure) return settle(failure);
      budget.arrived(reservation);
      settle(undefined);
    });
    payload.once('error', onCut);
    payload.once('close', onCut);

    /** Every body emits `close`. Creating an error for each would cost a quarter of a request's time. */
    function onCut(): void {
      if (!settled) settle(failure ?? new RequestError(400, 'BadRequest', 'the body was cut short'));
    }

    /** The rest is read and discarded, so that the sender reads the answer instead of a connection error. */
    function discardRest(error: RequestError, deadline: number): void {
      failure = error;
      chunks = [];
      budget.release(reservation);
      receiving.deadline = Math.min(receiving.deadline, deadline);
    }

    function failTooLarge(): void {
      const size = reservation.announced > limits.bytes ? `${reservation.announced} bytes` : `more than ${limits.bytes} bytes`;
      const message = `the AdmissionReview has ${size}, and regkeeper reads at most ${limits.bytes}: make the object smaller, or split it`;
      discardRest(new RequestError(413, 'RequestEntityTooLarge', message, uidAtStart(chunks[0])), receiving.deadline);
    }

    function settle(error: RequestError | undefined): void {
      if (settled) return;
      settled = true;
      unfinished.delete(receiving);
      const [first = noBytes, ...others] = chunks;
      chunks = [];
      if (error) {
        failure = error;
        budget.release(reservation);
        done(error, noBytes);
      } else done(null, others.length === 0 ? first : Buffer.concat([first, ...others], bytes));
    }
  }

  function parse(body: Buffer, done: Done): void {
    let value: unknown;
    try {
      value = parseBody(body, limits);
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, value);
  }

  /** The turn ends when the body is released, because only then the parsed object is garbage. */
  function parseAlone(request: FastifyRequest, body: Buffer, deadline: number, done: Done): void {
    const waiting: Receiving = {
      deadline,
      expire() {
        unfinished.delete(waiting);
        leave();
        done(new Overloaded('waiting for other large requests'));
      },
    };
    unfinished.add(waiting);
    const leave = largeBodies.enter((end) => {
      unfinished.delete(waiting);
      const { response } = request;
      if (response.destroyed || response.closed) return end();
      releaseWithBody(request, end);
      parse(body, done);
    });
    releaseWithBody(request, () => {
      unfinished.delete(waiting);
      leave();
    });
  }
}

/**
 * Call it as soon as the body has been evaluated. It releases the bytes and the parsed object, and starts the next large body. May be
 * called several times.
 */
export function releaseBody(request: FastifyRequest): void {
  const { bodyResources } = request;
  request.body = undefined;
  request.bodyResources = noResources;
  for (const free of bodyResources) free();
}

function releaseWithBody(request: FastifyRequest, free: () => void): void {
  request.bodyResources = [...request.bodyResources, free];
}

const noResources: readonly (() => void)[] = [];
const noBytes = Buffer.alloc(0);

/** @throws RequestError */
function parseBody(body: Buffer, limits: BodyLimits): unknown {
  if (body.length === 0) throw new RequestError(400, 'BadRequest', 'the body is empty: send an AdmissionReview');
  const excess = findExcess(body, limits);
  if (excess) throw new RequestError(400, 'BadRequest', excessMessages[excess](limits), uidAtStart(body));
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new RequestError(400, 'BadRequest', `the body is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

const excessMessages = {
  depth: ({ depth }: BodyLimits) => `the AdmissionReview is nested deeper than ${depth} levels, and regkeeper reads no deeper`,
  structures: ({ structures }: BodyLimits) =>
    `the AdmissionReview has more than ${structures} lists, objects and entries, and regkeeper reads no more: make the object smaller, or split it`,
};

/**
 * The API server writes the uid first (field order of AdmissionReview and AdmissionRequest, k8s.io/api/admission/v1). So a body that is not
 * read completely still gets an answer whose message the API server passes on.
 */
function uidAtStart(body: Buffer | undefined): string | undefined {
  return body && start.exec(body.toString('latin1', 0, 200))?.[1];
}

const start = /^\{"kind":"AdmissionReview","apiVersion":"admission\.k8s\.io\/v1","request":\{"uid":"([0-9A-Za-z-]{1,64})"/;

/** The API server sends the timeout of the webhook: `?timeout=5s` (apiserver webhook/generic, client-go Request.Timeout). */
function timeoutOf(url: string, maxMilliseconds: number): number {
  const seconds = /[?&]timeout=(\d{1,3})s(?:&|$)/.exec(url)?.[1];
  return seconds === undefined ? maxMilliseconds : Math.min(maxMilliseconds, Number(seconds) * 1000);
}
