/** The HTTPS server: limits of connections and bodies, errors, routes, and graceful close. */
import type { Server } from 'node:https';
import fastify, { type FastifyInstance, LogController } from 'fastify';
import { type Clock, systemClock } from '../time/clock.ts';
import { answerErrors } from './answer-errors.ts';
import { readBodies } from './bodies/read-bodies.ts';
import { limitConnections } from './connections.ts';
import { createGracefulClose, type GracefulClose } from './graceful-close.ts';
import { type BodyLimits, type ConnectionLimits, defaultBodyLimits, defaultConnectionLimits } from './limits.ts';
import { answerAdmissionReview } from './routes/admission.ts';
import { answerProbeReview } from './routes/probe.ts';
import { answerRulesReview } from './routes/rules-review.ts';
import type { WebhookCollaborators } from './webhook-collaborators.ts';

export type WebhookOptions = {
  readonly tls: { readonly certificate: string; readonly key: string };
  /** Overrides of the defaults. */
  readonly bodies?: Partial<BodyLimits>;
  readonly connections?: Partial<ConnectionLimits>;
  readonly clock?: Clock;
};

export const minimumTlsVersion = 'TLSv1.2';

export type WebhookServer = FastifyInstance<Server> & Pick<GracefulClose, 'drain' | 'finish'>;

export function createWebhookServer(collaborators: WebhookCollaborators, options: WebhookOptions): WebhookServer {
  const { clock = systemClock } = options;
  const connections = { ...defaultConnectionLimits, ...options.connections };
  const app = fastify({
    https: {
      cert: options.tls.certificate,
      key: options.tls.key,
      minVersion: minimumTlsVersion,
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
    logger: false,
    logController: new LogController({ disableRequestLogging: true }),
  }) as unknown as FastifyInstance<Server>;

  const closing = createGracefulClose(app, clock);
  const stopConnectionLimits = limitConnections(app.server, connections, clock);
  app.addHook('onClose', async () => stopConnectionLimits());
  readBodies(app, { ...defaultBodyLimits, ...options.bodies }, clock);
  answerErrors(app, collaborators, closing.isDraining);
  for (const webhook of ['mutate', 'validate'] as const) {
    app.post(`/${webhook}`, (request, reply) => answerAdmissionReview(webhook, request, reply, collaborators, clock));
  }
  app.post('/guard', (request, reply) => answerRulesReview(request, reply, collaborators, clock));
  app.post('/probe', (request, reply) => answerProbeReview(request, reply, collaborators));
  return Object.assign(app, { drain: closing.drain, finish: closing.finish });
}
