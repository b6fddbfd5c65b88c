/** Bounds how many connections are open, and how long one may take to send the headers of a request. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, ConnectionLimits } from './limits.ts';

type Connection = {
  /** The one that requests come by: after a handshake that of TLS. */
  socket: Socket;
  /** Requests without an answer. */
  answering: number;
  /** Whether there was ever a request. */
  used: boolean;
  /** Milliseconds of the clock: its start, its last request, or the end of that request's answer. */
  since: number;
  /** Bytes that had been read when the last answer was out; more of them are the start of another request. */
  bytesAtRest: number;
  /** When such bytes were first seen. */
  startedAt: number | undefined;
};

type Listener = (...args: never[]) => void;

/** Connections are looked at this often, in milliseconds. */
const sweepInterval = 1_000;

/**
 * A new connection always gets its place. Beyond the limit another one ends: the oldest that never had a request, else the one that is idle
 * for longest, else the one whose request is the oldest. So connections that only fill up the places do not keep an API server out.
 *
 * @returns a function that stops looking at them
 */
export function boundConnections(server: Pick<HttpServer, 'on'>, limits: ConnectionLimits, clock: Clock): () => void {
  const open = new Map<string, Connection>();
  const on = (event: string, listener: Listener) => server.on(event, listener as () => void);

  on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    const connection: Connection = {
      socket,
      answering: 0,
      used: false,
      since: clock.now(),
      bytesAtRest: 0,
      startedAt: undefined,
    };
    if (open.size >= limits.most) leastUseful(open.values())?.socket.destroy();
    open.set(key, connection);
    socket.once('close', () => {
      if (open.get(key) === connection) open.delete(key);
    });
  });
  on('secureConnection', (socket: Socket) => {
    const connection = open.get(keyOf(socket));
    if (connection) connection.socket = socket;
  });
  on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const connection = open.get(keyOf(socket));
    if (!connection) return;
    connection.answering += 1;
    connection.used = true;
    connection.since = clock.now();
    connection.startedAt = undefined;
    response.once('close', () => {
      connection.answering -= 1;
      connection.since = clock.now();
      connection.bytesAtRest = socket.bytesRead;
    });
  });

  return clock.every(sweepInterval, () => {
    const now = clock.now();
    for (const connection of open.values()) {
      const { socket, answering, bytesAtRest, startedAt } = connection;
      // Before a handshake is done, its bytes are no request, and it has a time limit of its own.
      if (answering > 0 || !isReady(socket, server) || socket.bytesRead <= bytesAtRest) continue;
      if (startedAt === undefined) connection.startedAt = now;
      else if (now - startedAt >= limits.headers) socket.destroy();
    }
  });
}

function leastUseful(connections: Iterable<Connection>): Connection | undefined {
  let found: Connection | undefined;
  for (const each of connections) {
    if (!found || rank(each) < rank(found) || (rank(each) === rank(found) && each.since < found.since)) found = each;
  }
  return found;
}

function rank({ used, answering }: Connection): number {
  if (answering > 0) return 2;
  return used ? 1 : 0;
}

/** Address and port of the other side: no two open connections share them, and a TLS socket has those of the socket under it. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function isReady(socket: Socket, server: object): boolean {
  return !('setSecureContext' in server) || 'encrypted' in socket;
}
