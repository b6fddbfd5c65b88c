/** Limits the number of open connections, and the time for sending request headers and for reading an answer. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, repeat } from '../time/clock.ts';
import type { ConnectionLimits } from './limits.ts';

type Connection = {
  readonly address: string;
  /** The socket on which requests arrive. After a TLS handshake it is the TLS socket. */
  socket: Socket;
  /** Answers that have not been sent completely, oldest first, each with the time at which it was first seen complete. */
  answers: Map<ServerResponse, number | undefined>;
  /** Whether a request ever arrived. */
  hadRequest: boolean;
  /** Monotonic milliseconds of its start, of its last request, or of the end of that request's answer. */
  lastActivity: number;
  /** Bytes that had been read when the last answer was sent. Any more bytes belong to the next request. */
  bytesAfterLastAnswer: number;
  /** When bytes of the next request were first seen. */
  requestStartedAt: number | undefined;
};

type Listener = (...args: never[]) => void;

/** Interval in milliseconds at which connections are checked. */
const sweepMilliseconds = 1_000;

/**
 * A new connection is always accepted. Beyond the limit, another one is closed, of the client address with the most connections. The oldest
 * one without any request is chosen first, then the one that has been idle longest, then the one with the oldest request. So a client that
 * opens too many connections loses its own, and never those of an API server, which has few. This is true even during handshakes.
 *
 * @returns a function that stops the checks
 */
export function limitConnections(server: Pick<HttpServer, 'on'>, limits: ConnectionLimits, clock: Clock): () => void {
  const open = new Map<string, Connection>();
  const on = (event: string, listener: Listener) => server.on(event, listener as () => void);

  on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    const connection: Connection = {
      address: socket.remoteAddress ?? '',
      socket,
      answers: new Map(),
      hadRequest: false,
      lastActivity: clock.monotonic(),
      bytesAfterLastAnswer: 0,
      requestStartedAt: undefined,
    };
    if (open.size >= limits.maxConnections) chooseToClose(connectionsOfBusiestAddress(open.values()))?.socket.destroy();
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
    connection.answers.set(response, undefined);
    connection.hadRequest = true;
    connection.lastActivity = clock.monotonic();
    connection.requestStartedAt = undefined;
    response.once('close', () => {
      connection.answers.delete(response);
      connection.lastActivity = clock.monotonic();
      connection.bytesAfterLastAnswer = socket.bytesRead;
    });
  });

  const closeOverdue = () => {
    const now = clock.monotonic();
    for (const connection of open.values()) {
      const { socket, answers, bytesAfterLastAnswer, requestStartedAt } = connection;
      if (isAnswerOverdue(answers, now, limits)) socket.destroy();
      // Bytes of a handshake are not a request. The handshake has an own time limit.
      if (answers.size > 0 || !isHandshakeDone(socket, server) || socket.bytesRead <= bytesAfterLastAnswer) continue;
      if (requestStartedAt === undefined) connection.requestStartedAt = now;
      else if (now - requestStartedAt >= limits.headers) socket.destroy();
    }
  };
  return repeat(clock, closeOverdue, sweepMilliseconds);
}

/** Node sends the answers of one connection in the order of the requests, so only the oldest one is being sent. */
function isAnswerOverdue(answers: Connection['answers'], now: number, limits: ConnectionLimits): boolean {
  const [oldest] = answers;
  if (!oldest) return false;
  const [response, completeAt] = oldest;
  if (!response.writableEnded) return false;
  if (completeAt === undefined) answers.set(response, now);
  return completeAt !== undefined && now - completeAt >= limits.answer;
}

/** All connections of the address that has the most, or of several addresses with equally many. */
function connectionsOfBusiestAddress(connections: Iterable<Connection>): readonly Connection[] {
  const byAddress = [...Map.groupBy(connections, ({ address }) => address).values()];
  const most = Math.max(0, ...byAddress.map(({ length }) => length));
  return byAddress.filter(({ length }) => length === most).flat();
}

function chooseToClose(connections: Iterable<Connection>): Connection | undefined {
  let found: Connection | undefined;
  for (const each of connections) {
    if (
      !found ||
      usefulness(each) < usefulness(found) ||
      (usefulness(each) === usefulness(found) && each.lastActivity < found.lastActivity)
    )
      found = each;
  }
  return found;
}

function usefulness({ hadRequest: used, answers }: Connection): number {
  if (answers.size > 0) return 2;
  return used ? 1 : 0;
}

/** The peer's address and port. No two open connections have the same, and a TLS socket has those of its TCP socket. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function isHandshakeDone(socket: Socket, server: object): boolean {
  return !('setSecureContext' in server) || 'encrypted' in socket;
}
