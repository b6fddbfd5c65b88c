/** Graceful shutdown of the HTTPS server: callers move on during the drain, and the last requests are answered. */
import type { Server } from 'node:https';
import { Server as TcpServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { type Clock, sleep } from '../time/clock.ts';
import { waitUntilIdle } from './wait-until-idle.ts';

export type GracefulClose = {
  /** From now on every answer ends its connection, so that callers find another replica before this one goes. */
  drain(): void;
  /**
   * Takes no new connection, answers what comes on those that are there, and closes. A connection that is open but has asked nothing yet may
   * be about to: Node's own close would cut it off, so it gets a moment. So does one that rests; HTTP/1.1 has no way to say beforehand that it
   * ends, and what its client sends in that very instant is lost.
   */
  finish(): Promise<void>;
  isDraining(): boolean;
};

/**
 * Longer than a client on a busy machine takes for one step of a handshake, or from there to its request; idle connections wait for it in vain.
 * The turns are a quarter of what fits into the time, so that a busy machine does not make it longer than the program has got to end.
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
      // Of the plain TCP server: the HTTPS server's own close also ends connections that are silent just now.
      TcpServer.prototype.close.call(app.server);
      const connections = () => countConnections(app.server);
      await waitUntilIdle({ ...activity, connections, nextTurn: () => sleep(clock, 10), now: clock.monotonic }, idleCriteria);
      // Those that have never asked anything. Node does not count them as idle and would wait for them; the API server keeps such in store.
      app.server.closeAllConnections();
      await app.close().catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ERR_SERVER_NOT_RUNNING') throw error;
      });
    },
    isDraining: () => draining,
  };
}

/** Requests without an answer, and a number that grows with whatever happens on a connection. */
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
