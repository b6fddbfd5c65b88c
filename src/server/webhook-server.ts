/** The HTTPS server: limits of connections and bodies, errors, routes, and graceful close. */
import { constants } from 'node:crypto';
import type { Server } from 'node:https';
import fastify, { type FastifyInstance, LogController } from 'fastify';
import { type Clock, systemClock } from '../time/clock.ts';
import { answerErrors } from './answer-errors.ts';
import { readBodies } from './bodies/read-bodies.ts';
import { authenticateCallers, type ClientCa } from './caller-authentication.ts';
import { limitConnections } from './connections.ts';
import { createGracefulClose, type GracefulClose } from './graceful-close.ts';
import { type BodyLimits, type ConnectionLimits, defaultBodyLimits, defaultConnectionLimits } from './limits.ts';
import { noSchemas } from './no-schemas.ts';
import { answerAdmissionReview } from './routes/admission.ts';
import { answerProbeReview } from './routes/probe.ts';
import { answerRulesReview } from './routes/rules-review.ts';
import type { WebhookCollaborators } from './webhook-collaborators.ts';

export type WebhookOptions = {
  readonly tls: { readonly certificate: string; readonly key: string };
  /** Callers must show a certificate that it has signed. Every caller is answered without it. */
  readonly clientCa?: ClientCa | undefined;
  /** Overrides of the defaults. */
  readonly bodies?: Partial<BodyLimits>;
  readonly connections?: Partial<ConnectionLimits>;
  readonly clock?: Clock;
};

/** The options of `https.createServer` and `server.setSecureContext`. */
export function tlsContext({ certificate, key }: WebhookOptions['tls'], clientCa: Pick<ClientCa, 'current'> | undefined) {
  // A resumed session would keep the result of its first handshake. API servers resume none.
  const authentication = clientCa && { ca: clientCa.current(), secureOptions: constants.SSL_OP_NO_TICKET };
  return { cert: certificate, key, minVersion: 'TLSv1.2', ...authentication } as const;
}

export type WebhookServer = FastifyInstance<Server> & Pick<GracefulClose, 'drain' | 'finish'>;

export function createWebhookServer(collaborators: WebhookCollaborators, options: WebhookOptions): WebhookServer {
  const { clock = systemClock, clientCa } = options;
  const connections = { ...defaultConnectionLimits, ...options.connections };
  const app = fastify({
    https: {
      ...tlsContext(options.tls, clientCa),
      // A caller without a certificate is answered with 401, which its user can read. A failed handshake would give no reason.
      ...(clientCa && { requestCert: true, rejectUnauthorized: false }),
      handshakeTimeout: connections.handshake,
      // Node counts from the start of the connection, even if nothing was sent. An API server keeps such connections open in advance, so
      // they get as long as idle ones. Slow headers and bodies have their own limits.
      headersTimeout: connections.idle,
    },
    keepAliveTimeout: connections.idle,
    requestTimeout: connections.idle,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    ...noSchemas,
    // Fastify answers a path with a broken escape itself, before any hook runs. No path of ours has an escape.
    rewriteUrl: ({ url = '' }) => url.replaceAll('%', '%25'),
    logger: false,
    logController: new LogController({ disableRequestLogging: true }),
  }) as unknown as FastifyInstance<Server>;

  const closing = createGracefulClose(app, clock);
  const stopConnectionLimits = limitConnections(app.server, connections, clock);
  app.addHook('onClose', async () => stopConnectionLimits());
  readBodies(app, { ...defaultBodyLimits, ...options.bodies }, clock);
  authenticateCallers(app, { clientCa, clock, onRejected: () => collaborators.failed('unauthenticated') });
  answerErrors(app, collaborators, closing.isDraining);
  for (const webhook of ['mutate', 'validate'] as const) {
    app.post(`/${webhook}`, (request, reply) => answerAdmissionReview(webhook, request, reply, collaborators, clock));
  }
  app.post('/guard', (request, reply) => answerRulesReview(request, reply, collaborators, clock));
  app.post('/probe', (request, reply) => answerProbeReview(request, reply, collaborators));
  return Object.assign(app, { drain: closing.drain, finish: closing.finish });
}
