/** Reads the bodies of requests within their limits: receive, scan, wait for a turn, parse. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Clock, repeat } from '../time/clock.ts';
import { type BodyReservation, createBodyBudget } from './body-budget.ts';
import { findExcess } from './body-scan.ts';
import { RequestError } from './error-bodies.ts';
import type { BodyLimits } from './limits.ts';
import { createOneAtATime } from './one-at-a-time.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The answer's stream, whose end frees what the body took. */
    response: ServerResponse;
    /** What frees the memory and the place in line that the body takes. */
    bodyResources: readonly (() => void)[];
  }
}

/** Others come first: HTTP 503, the API server asks again. */
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

/** Deadlines are looked at this often, in milliseconds. A timer for each body would cost each request. */
const sweepMilliseconds = 100;

/** Bytes. What Node makes of a chunk takes as much, so a smaller one counts as so many. TCP's are five times as large. */
const smallestChunk = 256;

type Done = (error: Error | null, value?: unknown) => void;

type Receiving = { deadline: number; expire(): void };

/** Makes `application/json` the only content type. Bodies become plain data: no schema, no coercion, and keys such as `__proto__` are data. */
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
  app.decorateRequest('bodyHolds', null as unknown as FastifyRequest['bodyResources']);
  app.addHook('onRequest', (request, reply, done) => {
    request.response = reply.raw;
    request.bodyResources = noResources;
    done();
  });
  // The answer is a text by now. Its reader may take its time: the body, and what was parsed of it, must not wait for that.
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

  /** Where the answers that nobody reads are too many bytes, the connection of the one with the most bytes times age ends. */
  function countAnswer(response: ServerResponse, bytes: number): void {
    const reservation: BodyReservation = { announced: 0, since: clock.monotonic(), evict: () => response.destroy() };
    response.once('close', () => unreadAnswers.release(reservation));
    if (!unreadAnswers.reserve(reservation, bytes)) reservation.evict();
  }

  /** Collects the bytes, and calls `done` once: with all of them, or with the reason why they cannot be taken. */
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
    /** By how much the chunks take more than their bytes. */
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
      // So many small chunks that their average is below: with the overhead the body takes more than one of the largest size.
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

    /** Every body closes in the end; an error made for each would cost a fourth of a request. */
    function onCut(): void {
      if (!settled) settle(failure ?? new RequestError(400, 'BadRequest', 'the body was cut short'));
    }

    /** The rest is read and thrown away, so that the sender reads the answer instead of an error of the connection. */
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

  /** The turn ends when the body is freed: only then is what was parsed garbage. */
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

/** Call it as soon as the body has been read: frees its bytes, what was parsed of it, and the next large one in line. Again is fine. */
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
 * The API server writes the uid first (field order of AdmissionReview and AdmissionRequest, k8s.io/api/admission/v1). Where it does, a body
 * that is not read as a whole still gets an answer whose message the API server passes on.
 */
function uidAtStart(body: Buffer | undefined): string | undefined {
  return body && start.exec(body.toString('latin1', 0, 200))?.[1];
}

const start = /^\{"kind":"AdmissionReview","apiVersion":"admission\.k8s\.io\/v1","request":\{"uid":"([0-9A-Za-z-]{1,64})"/;

/** The API server sends the webhook's own timeout along: `?timeout=5s` (apiserver webhook/generic, client-go Request.Timeout). */
function timeoutOf(url: string, maxMilliseconds: number): number {
  const seconds = /[?&]timeout=(\d{1,3})s(?:&|$)/.exec(url)?.[1];
  return seconds === undefined ? maxMilliseconds : Math.min(maxMilliseconds, Number(seconds) * 1000);
}
