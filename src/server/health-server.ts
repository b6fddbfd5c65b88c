/** The plain HTTP server: liveness and readiness for the kubelet, metrics for Prometheus. */
import fastify, { type FastifyInstance, LogController } from 'fastify';
import { type Clock, systemClock } from '../time/clock.ts';
import { limitConnections } from './connections.ts';
import { type ConnectionLimits, healthConnectionLimits } from './limits.ts';
import { noSchemas } from './no-schemas.ts';

/** One condition of readiness. */
export type ReadinessCheck = {
  readonly name: string;
  /** What is missing for readiness. Undefined if the condition is met. */
  readonly missing: () => string | undefined;
  /** Information for administrators that does not make this replica unready. */
  readonly notes?: () => readonly string[];
};

export type MetricsPage = { readonly contentType: string; readonly text: () => Promise<string> };

export type HealthOptions = { readonly connections?: Partial<ConnectionLimits>; readonly clock?: Clock };

/** Limit for URL and headers, in bytes. Node answers larger ones with 431. Kubelets and Prometheus send a few hundred. */
const maxHeaderBytes = 4_096;

/** Every Pod in the cluster may reach this port, so no request may cost more than its answer. */
export function createHealthServer(
  checks: readonly ReadinessCheck[],
  metrics: MetricsPage,
  { clock = systemClock, ...options }: HealthOptions = {},
): FastifyInstance {
  const connections = { ...healthConnectionLimits, ...options.connections };
  const app = fastify({
    http: { maxHeaderSize: maxHeaderBytes, headersTimeout: connections.idle },
    keepAliveTimeout: connections.idle,
    requestTimeout: connections.idle,
    logger: false,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    ...noSchemas,
    forceCloseConnections: true,
  });
  const stopConnectionLimits = limitConnections(app.server, connections, clock);
  app.addHook('onClose', async () => stopConnectionLimits());
  app.addHook('onRequest', (request, reply, done) => {
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
    if (length === '0' && encoding === undefined) return done();
    reply.code(413).header('connection', 'close').type('text/plain').send('requests to this port must not have a body\n');
  });
  const readMetrics = shareResult(metrics.text);
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', async (_request, reply) => {
    const results = checks.map(({ name, missing }) => ({ name, missing: missing() }));
    const ready = results.every(({ missing }) => missing === undefined);
    const lines = results.map(({ name, missing }) => (missing === undefined ? `[+] ${name} ok\n` : `[-] ${name}: ${missing}\n`));
    for (const { name, notes } of checks) for (const note of notes?.() ?? []) lines.push(`[!] ${name}: ${note}\n`);
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain')
      .send(lines.join(''));
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await readMetrics()));
  return app;
}

/** Requests that arrive while the same work is in progress share its result. */
function shareResult<T>(work: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => {
    underWay ??= work().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
