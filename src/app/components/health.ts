/** The health port as a component. It opens first, so that the kubelet sees a live process while the server waits for the cluster. */
import type { FastifyInstance } from 'fastify';
import type { Component } from '../../contracts/component.ts';
import { createHealthServer, type MetricsPage, type ReadinessCheck } from '../../server/health-server.ts';
import type { Clock } from '../../time/clock.ts';
import { listen, urlOf } from '../listen.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

export type HealthOptions = {
  readonly settings: Pick<Settings, 'host' | 'healthPort' | 'nameOf'>;
  readonly readiness: readonly ReadinessCheck[];
  readonly metrics: MetricsPage;
  readonly log: Logger;
  readonly clock: Clock;
};

export function createHealth({ settings, readiness, metrics, log, clock }: HealthOptions): Component & { url(): string } {
  let server: FastifyInstance | undefined;
  let opening: Promise<void> | undefined;
  return {
    name: 'health',
    async start() {
      server = createHealthServer(readiness, metrics, { clock });
      opening = listen(server, settings, 'healthPort', log);
      await opening;
    },
    async stop() {
      // Closing a server that is still looking up its host would throw later, where nothing can catch it.
      await opening?.catch(() => undefined);
      await server?.close();
    },
    url: () => urlOf('http', settings.host, server),
  };
}
