/** The plain HTTP side: for the kubelet, is the process alive, should it get requests; for Prometheus, what was counted. */
import fastify, { type FastifyInstance, LogController } from 'fastify';

/** One condition of readiness. */
export type ReadinessCheck = {
  readonly name: string;
  /** Undefined when it holds, else what is missing. */
  readonly missing: () => string | undefined;
  /** What an administrator should know although it does not make this replica unready. */
  readonly notes?: () => readonly string[];
};

export type MetricsPage = { readonly contentType: string; readonly text: () => Promise<string> };

export function createHealthServer(checks: readonly ReadinessCheck[], metrics: MetricsPage): FastifyInstance {
  const app = fastify({
    logger: false,
    logController: new LogController({ disableRequestLogging: true }),
    exposeHeadRoutes: false,
    forceCloseConnections: true,
  });
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
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  return app;
}
