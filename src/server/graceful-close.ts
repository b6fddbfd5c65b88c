/** Graceful shutdown of the HTTPS server: callers move on during the drain, and the last requests are answered. */
import type { Server } from 'node:https';
import { Server as TcpServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { type Clock, sleep } from '../time/clock.ts';
import { waitUntilIdle } from './wait-until-idle.ts';

export type GracefulClose = {
  /** From now on every answer closes its connection, so that callers use another replica before this one stops. */
  drain(): void;
  /**
   * Accepts no new connection, answers the requests on open ones, and closes. A connection without a request yet may be about to send one,
   * and Node's own close would reset it. So it gets some time, and so does an idle one. HTTP/1.1 cannot announce the end of a connection,
   * so a request that is sent at that very moment is lost.
   */
  finish(): Promise<void>;
  isDraining(): boolean;
};

/**
 * Longer than a client on a busy machine needs for one step of a handshake, or from there to its request. Idle connections wait that long
 * in vain. The turns are a quarter of those that fit into the time, so that a busy machine does not exceed the deadline of the process.
 */
const idleCriteria = { milliseconds: 2000, turns: 50 };

export function createGracefulClose(app: FastifyInstance<Server>, clock: Clock): GracefulClose {
  const activity = countActivity(app.server);
  let draining = false;
  app.addHook('onRequest', async (_request, reply) => {
    if (draining) reply.header('connection', 'close');
  });
  return {
    drain() {
      draining = true;
    },
    async finish() {
      draining = true;
      // The TCP server's close is called, because that of the HTTPS server also closes idle connections.
      TcpServer.prototype.close.call(app.server);
      const connections = () => countConnections(app.server);
      await waitUntilIdle({ ...activity, connections, nextTurn: () => sleep(clock, 10), now: clock.monotonic }, idleCriteria);
      // Closes connections that never sent a request. Node does not count them as idle and would wait for them. The API server keeps such
      // connections open in advance.
      app.server.closeAllConnections();
      await app.close().catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ERR_SERVER_NOT_RUNNING') throw error;
      });
    },
    isDraining: () => draining,
  };
}

/** The number of open requests, and a counter of events on all connections. */
function countActivity(server: Server): { openRequests(): number; activityCount(): number } {
  let openRequests = 0;
  let activityCount = 0;
  for (const event of ['connection', 'secureConnection']) {
    server.on(event, () => {
      activityCount += 1;
    });
  }
  server.on('request', (_request, response) => {
    openRequests += 1;
    activityCount += 1;
    response.once('close', () => {
      openRequests -= 1;
      activityCount += 1;
    });
  });
  return { openRequests: () => openRequests, activityCount: () => activityCount };
}

function countConnections(server: TcpServer): Promise<number> {
  return new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));
}
