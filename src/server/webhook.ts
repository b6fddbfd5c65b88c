/** The HTTPS side: routes that take an AdmissionReview and answer it. */
import type { Server } from 'node:https';
import { Server as TcpServer } from 'node:net';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { renderProbeAnswer } from '../admission/reachability-probe.ts';
import { type AdmissionAnswer, allowed, errored, renderAnswer } from '../admission/response.ts';
import { changeOf, type DecodedReview, decodeReview, type ReviewRequest, type Webhook } from '../admission/review.ts';
import { decide } from '../decision/decide.ts';
import type { Decision } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import type { RequestFailure } from '../observe/audit/failure.ts';
import { type AuditRecord, buildAuditRecord, type Counted, countOf } from '../observe/audit/record.ts';
import {
  beginRulesReviewRecord,
  type RulesReviewConclusion,
  type RulesReviewEnd,
  type RulesReviewRecord,
} from '../observe/audit/rules-review-record.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { type Clock, sleep, systemClock } from '../time/clock.ts';
import { boundConnections } from './connections.ts';
import { internalError, RequestError, sendError, sendRetryLater } from './error-bodies.ts';
import { type BodyLimits, type ConnectionLimits, defaultBodyLimits, defaultConnectionLimits } from './limits.ts';
import { Overloaded, readBodies, releaseBody, TooSlow } from './read-bodies.ts';
import type { RulesReview, RulesReviewer } from './rules-review.ts';
import { type OpenConnections, waitUntilIdle } from './wait-until-idle.ts';

/** What the routes need from the rest of the program. */
export type WebhookCollaborators = {
  /** The rules in force for a namespace; undefined until they have been read. */
  rules(namespace: string): RuleSet | undefined;
  /** Undefined until the watches have synced. */
  facts(): Facts | undefined;
  /** `counted` are all images and secrets of the decision; the record shows only so many. */
  audit(record: AuditRecord, counted: Counted): void;
  /** Undefined where rules do not come from ConfigMaps. */
  readonly guard?: { readonly review: RulesReviewer; audit(record: RulesReviewRecord): void } | undefined;
  reportBug(error: unknown, uid: string | undefined): void;
  /** A request got no judgement. Bugs are told by `reportBug` alone. */
  failed(failure: WithoutJudgement): void;
};

export type WebhookOptions = {
  readonly tls: { readonly certificate: string; readonly key: string };
  /** Where they differ from the defaults. */
  readonly bodies?: Partial<BodyLimits>;
  readonly connections?: Partial<ConnectionLimits>;
  readonly clock?: Clock;
};

export const minimumTlsVersion = 'TLSv1.2';

export type WebhookServer = FastifyInstance<Server> & {
  /** From now on every answer ends its connection, so that callers find another replica before this one goes. */
  drain(): void;
  /**
   * Takes no new connection, answers what comes on those that are there, and closes. A connection that is open but has asked nothing yet may
   * be about to: Node's own close would cut it off, so it gets a moment. So does one that rests; HTTP/1.1 has no way to say beforehand that it
   * ends, and what its client sends in that very instant is lost.
   */
  finish(): Promise<void>;
};

/**
 * Longer than a client on a busy machine takes for one step of a handshake, or from there to its request; idle connections wait for it in vain.
 * The turns are a quarter of what fits into the time, so that a busy machine does not make it longer than the program has got to end.
 */
const lastMoment = { milliseconds: 2000, turns: 50 };

export function createWebhookServer(collaborators: WebhookCollaborators, options: WebhookOptions): WebhookServer {
  const { clock = systemClock } = options;
  const connections = { ...defaultConnectionLimits, ...options.connections };
  const app = fastify({
    https: {
      cert: options.tls.certificate,
      key: options.tls.key,
      minVersion: minimumTlsVersion,
      handshakeTimeout: connections.handshake,
      // Node counts from the connection's start, also where nothing was sent. An API server keeps such connections in store, so they get as
      // long as idle ones; headers and bodies that come slowly have limits of their own.
      headersTimeout: connections.idle,
    },
    keepAliveTimeout: connections.idle,
    requestTimeout: connections.idle,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    logger: false,
    logController: new LogController({ disableRequestLogging: true }),
  }) as unknown as FastifyInstance<Server>;

  let draining = false;
  let answering = 0;
  let happened = 0;
  for (const event of ['connection', 'secureConnection']) {
    app.server.on(event, () => {
      happened += 1;
    });
  }
  app.server.on('request', (_request, response) => {
    answering += 1;
    happened += 1;
    response.once('close', () => {
      answering -= 1;
      happened += 1;
    });
  });
  app.addHook('onRequest', async (_request, reply) => {
    if (draining) reply.header('connection', 'close');
  });
  const unbound = boundConnections(app.server, connections, clock);
  app.addHook('onClose', async () => unbound());
  readBodies(app, { ...defaultBodyLimits, ...options.bodies }, clock);
  answerErrors(app, collaborators, () => draining);
  for (const webhook of ['mutate', 'validate'] as const) {
    app.post(`/${webhook}`, (request, reply) => answerReview(webhook, request, reply, collaborators, clock));
  }
  app.post('/guard', (request, reply) => answerGuardReview(request, reply, collaborators, clock));
  app.post('/probe', (request, reply) => answerProbeReview(request, reply, collaborators));
  return Object.assign(app, {
    drain() {
      draining = true;
    },
    async finish() {
      draining = true;
      // Of the plain TCP server: the HTTPS server's own close also ends connections that are silent just now.
      TcpServer.prototype.close.call(app.server);
      const remaining: OpenConnections = {
        connections: () => countConnections(app.server),
        answering: () => answering,
        happened: () => happened,
        turn: () => sleep(clock, 10),
        now: clock.monotonic,
      };
      await waitUntilIdle(remaining, lastMoment);
      // Those that have never asked anything. Node does not count them as idle and would wait for them; the API server keeps such in store.
      app.server.closeAllConnections();
      await app.close().catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ERR_SERVER_NOT_RUNNING') throw error;
      });
    },
  });
}

function countConnections(server: TcpServer): Promise<number> {
  return new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));
}

function answerReview(webhook: Webhook, request: FastifyRequest, reply: FastifyReply, collaborators: WebhookCollaborators, clock: Clock) {
  const started = clock.monotonic();
  const review = decodeReview(request.body);
  if (!review.ok) return answerUndecodable(review, reply, collaborators);

  const audit = (conclusion: { decision: Decision | undefined; failure?: string }) => {
    const durationMicroseconds = Math.round((clock.monotonic() - started) * 1_000);
    const event = { webhook, request: review.request, ...conclusion, durationMicroseconds };
    const record = buildAuditRecord(event);
    collaborators.audit(record, countOf(event, record));
  };
  try {
    const judgement = judge(webhook, review.request, collaborators);
    if (judgement.why) collaborators.failed(judgement.why);
    audit(judgement);
    return judgement.answer ?? sendRetryLater(reply, judgement.failure);
  } catch (error) {
    // A bug of ours refuses, in HTTP 200 with the uid: an HTTP 500 would be repeated until the deadline, and its message lost.
    collaborators.reportBug(error, review.request.uid);
    audit({ decision: undefined, failure: 'internal error' });
    return internalError(review.request.uid);
  }
}

/** A review waits for seconds. What was parsed of its body takes up to twenty times its bytes, so nothing of that may wait with it. */
function answerGuardReview(request: FastifyRequest, reply: FastifyReply, collaborators: WebhookCollaborators, clock: Clock) {
  const { guard } = collaborators;
  const started = clock.monotonic();
  const review = decodeReview(request.body);
  if (!review.ok) return answerUndecodable(review, reply, collaborators);
  const { uid } = review.request;
  if (!guard) return allowed(uid);

  const { record, reviewing } = startReview(guard.review, review.request);
  releaseBody(request);
  const audit = (conclusion: RulesReviewConclusion) => {
    const durationMicroseconds = Math.round((clock.monotonic() - started) * 1_000);
    guard.audit(record({ ...conclusion, durationMicroseconds }));
  };
  return concludeReview({ uid, reviewing, audit }, reply, collaborators);
}

/** Of both results nothing keeps the request. */
function startReview(
  review: RulesReviewer,
  request: ReviewRequest,
): { record: (end: RulesReviewEnd) => RulesReviewRecord; reviewing: Promise<RulesReview> } {
  const record = beginRulesReviewRecord(request);
  try {
    return { record, reviewing: review(request) };
  } catch (error) {
    return { record, reviewing: Promise.reject(error) };
  }
}

type Reviewing = { readonly uid: string; readonly reviewing: Promise<RulesReview>; audit(conclusion: RulesReviewConclusion): void };

async function concludeReview({ uid, reviewing, audit }: Reviewing, reply: FastifyReply, collaborators: WebhookCollaborators) {
  try {
    const { answer, problems, warnings } = await reviewing;
    audit({ outcome: answer === undefined ? 'error' : answer.response.allowed ? 'accepted' : 'refused', problems, warnings });
    if (answer) return answer;
    collaborators.failed('overload');
    return sendRetryLater(reply, problems.join('; '));
  } catch (error) {
    collaborators.reportBug(error, uid);
    audit({ outcome: 'error', problems: ['internal error'], warnings: [] });
    // Here a bug of ours lets pass (failurePolicy Ignore), or nobody could mend the rules: what is bad is still refused when it is loaded.
    return sendError(reply, 500, 'InternalError', `regkeeper failed while reading these rules; its log has the error, with uid ${uid}`);
  }
}

function answerProbeReview(request: FastifyRequest, reply: FastifyReply, collaborators: WebhookCollaborators) {
  const review = decodeReview(request.body);
  return review.ok ? renderProbeAnswer(review.request) : answerUndecodable(review, reply, collaborators);
}

type WithoutJudgement = Exclude<RequestFailure, 'bug'>;

type Judgement =
  | {
      readonly answer: AdmissionAnswer;
      readonly decision: Decision | undefined;
      readonly failure?: never;
      readonly why?: WithoutJudgement | undefined;
    }
  | { readonly answer?: never; readonly decision: Decision | undefined; readonly failure: string; readonly why: WithoutJudgement };

function judge(webhook: Webhook, request: ReviewRequest, collaborators: WebhookCollaborators): Judgement {
  const change = changeOf(request);
  if (!change) return { answer: allowed(request.uid), decision: undefined };
  const rules = collaborators.rules(request.namespace);
  if (!rules) return { decision: undefined, failure: 'no rules are loaded yet', why: 'not-ready' };
  const facts = collaborators.facts();
  if (!facts) return { decision: undefined, failure: 'the cluster has not been read yet', why: 'not-ready' };

  const decision = decide(change, rules, facts);
  if (decision.kind === 'not-yet') return { decision, failure: decision.message, why: 'behind' };
  return { answer: renderAnswer(webhook, request, decision, rules), decision, why: whyUnjudged[decision.kind] };
}

const whyUnjudged = { decided: undefined, malformed: 'unreadable', 'unknown-kind': 'unknown-kind' } as const;

function answerUndecodable(review: DecodedReview & { ok: false }, reply: FastifyReply, collaborators: WebhookCollaborators) {
  collaborators.failed('unreadable');
  if (review.uid !== undefined)
    return errored(review.uid, 400, 'BadRequest', `regkeeper cannot read this AdmissionReview: ${review.message}`);
  return sendError(reply, 400, 'BadRequest', review.message);
}

function answerErrors(app: FastifyInstance<Server>, collaborators: WebhookCollaborators, isDraining: () => boolean): void {
  app.setNotFoundHandler((request, reply) =>
    reply.send(
      sendError(
        reply,
        404,
        'NotFound',
        `there is no ${request.method} ${request.url.slice(0, 200)} here: POST /mutate, /validate or /guard`,
      ),
    ),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    // Fastify ends the connection after each error of a body. That is needed where more of the body may come; and a retry finds another
    // replica where this one has too much to do.
    if (request.raw.complete && !isDraining() && !(error instanceof Overloaded)) reply.removeHeader('connection');
    const code = error.statusCode ?? 500;
    if (code >= 500 && !(error instanceof Overloaded)) {
      collaborators.reportBug(error, undefined);
      return reply.send(sendError(reply, 500, 'InternalError', 'regkeeper failed while reading this request; its log has the error'));
    }
    collaborators.failed(error instanceof Overloaded ? 'overload' : error instanceof TooSlow ? 'too-slow' : 'unreadable');
    if (error instanceof Overloaded) return reply.send(sendRetryLater(reply, error.message));
    if (!(error instanceof RequestError)) return reply.send(sendError(reply, code, reasonOf(code), messageOf(error)));
    const { uid, reason, message } = error;
    // An API server shows its user the message of an answer in any case, that of an HTTP status not always.
    if (uid !== undefined) return reply.code(200).send(errored(uid, code, reason, `regkeeper: ${message}`));
    return reply.send(sendError(reply, code, reason, message));
  });
}

function reasonOf(code: number): string {
  return code === 415 ? 'UnsupportedMediaType' : 'BadRequest';
}

function messageOf(error: FastifyError): string {
  return error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' ? 'the content type must be application/json' : error.message;
}
