/** Reads request bodies within their limits: receive, scan, wait for a turn, parse. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '../../time/clock.ts';
import type { BodyLimits } from '../limits.ts';
import { type BodyReservation, createBodyBudget } from './body-budget.ts';
import { Overloaded } from './body-errors.ts';
import { createDeadlines, type Deadline } from './deadlines.ts';
import { createParser } from './known-fields.ts';
import { createOneAtATime } from './one-at-a-time.ts';
import { parseBody } from './parse-body.ts';
import { receiveBody } from './receive-body.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The response stream. Its end releases what the body uses. */
    response: ServerResponse;
    /** Releases the memory of the body, and its turn in the queue of large bodies. */
    bodyResources: readonly (() => void)[];
  }
}

type Done = (error: Error | null, value?: unknown) => void;

/** Accepts only `application/json`. Bodies become plain data without schema or coercion, and keys such as `__proto__` are ordinary data. */
export function readBodies(app: FastifyInstance<Server>, limits: BodyLimits, clock: Clock): void {
  const budget = createBodyBudget(limits, clock.monotonic);
  const largeBodies = createOneAtATime();
  const unreadAnswers = createBodyBudget({ total: limits.answers, reserved: 0, small: Number.POSITIVE_INFINITY }, clock.monotonic);
  const deadlines = createDeadlines(clock);
  const parseJson = createParser();
  app.addHook('onClose', async () => deadlines.stop());
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
    const release = receiveBody(
      payload,
      { announced: announcedBytes(request), deadline, limits, budget, deadlines, clock },
      (error, body) => {
        if (error) done(error);
        else if (body.length <= limits.largeBody) parse(body, done);
        else parseAlone(request, body, deadline, done);
      },
    );
    releaseWithBody(request, release);
    request.response.once('close', () => releaseBody(request));
  });

  /** If unread answers are too many bytes, closes the connection of the one with the largest product of bytes and age. */
  function countAnswer(response: ServerResponse, bytes: number): void {
    const reservation: BodyReservation = { announced: 0, since: clock.monotonic(), evict: () => response.destroy() };
    response.once('close', () => unreadAnswers.release(reservation));
    if (!unreadAnswers.reserve(reservation, bytes)) reservation.evict();
  }

  function parse(body: Buffer, done: Done): void {
    let value: unknown;
    try {
      value = parseBody(body, limits, parseJson);
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, value);
  }

  /** The turn ends when the body is released, because only then the parsed object is garbage. */
  function parseAlone(request: FastifyRequest, body: Buffer, deadline: number, done: Done): void {
    const waiting: Deadline = {
      deadline,
      expire() {
        deadlines.delete(waiting);
        leave();
        done(new Overloaded('busy with other large requests'));
      },
    };
    deadlines.add(waiting);
    const leave = largeBodies.enter((end) => {
      deadlines.delete(waiting);
      const { response } = request;
      if (response.destroyed || response.closed) return end();
      releaseWithBody(request, end);
      parse(body, done);
    });
    releaseWithBody(request, () => {
      deadlines.delete(waiting);
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

function announcedBytes({ headers }: FastifyRequest): number {
  return Number(headers['content-length'] ?? 0);
}

/** The API server sends the timeout of the webhook: `?timeout=5s` (apiserver webhook/generic, client-go Request.Timeout). */
function timeoutOf(url: string, maxMilliseconds: number): number {
  const seconds = /[?&]timeout=(\d{1,3})s(?:&|$)/.exec(url)?.[1];
  return seconds === undefined ? maxMilliseconds : Math.min(maxMilliseconds, Number(seconds) * 1000);
}
