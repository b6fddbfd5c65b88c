/** Bounds how many connections are open, and how long one may take to send the headers of a request and to read an answer. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Clock, repeat } from '../time/clock.ts';
import type { ConnectionLimits } from './limits.ts';

type Connection = {
  readonly address: string;
  /** The one that requests come by: after a handshake that of TLS. */
  socket: Socket;
  /** Answers that are not sent yet, the oldest first, and when each was first seen complete. */
  answers: Map<ServerResponse, number | undefined>;
  /** Whether there was ever a request. */
  hadRequest: boolean;
  /** Milliseconds of the clock: its start, its last request, or the end of that request's answer. */
  idleSince: number;
  /** Bytes that had been read when the last answer was out; more of them are the start of another request. */
  bytesAfterLastAnswer: number;
  /** When such bytes were first seen. */
  requestStartedAt: number | undefined;
};

type Listener = (...args: never[]) => void;

/** Connections are looked at this often, in milliseconds. */
const sweepMilliseconds = 1_000;

/**
 * A new connection always gets its place. Beyond the limit another one ends, of the address that has the most connections: the oldest that
 * never had a request, else the one that is idle for longest, else the one whose request is the oldest. So a client that fills up the places ends
 * its own connections, and not those of an API server, which has few: not even while it is in a handshake.
 *
 * @returns a function that stops looking at them
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
      idleSince: clock.monotonic(),
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
    connection.idleSince = clock.monotonic();
    connection.requestStartedAt = undefined;
    response.once('close', () => {
      connection.answers.delete(response);
      connection.idleSince = clock.monotonic();
      connection.bytesAfterLastAnswer = socket.bytesRead;
    });
  });

  const closeOverdue = () => {
    const now = clock.monotonic();
    for (const connection of open.values()) {
      const { socket, answers, bytesAfterLastAnswer, requestStartedAt } = connection;
      if (isAnswerOverdue(answers, now, limits)) socket.destroy();
      // Before a handshake is done, its bytes are no request, and it has a time limit of its own.
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

/** All connections of the address that has the most; of several, where they have equally many. */
function connectionsOfBusiestAddress(connections: Iterable<Connection>): readonly Connection[] {
  const byAddress = [...Map.groupBy(connections, ({ address }) => address).values()];
  const most = Math.max(0, ...byAddress.map(({ length }) => length));
  return byAddress.filter(({ length }) => length === most).flat();
}

function chooseToClose(connections: Iterable<Connection>): Connection | undefined {
  let found: Connection | undefined;
  for (const each of connections) {
    if (!found || usefulness(each) < usefulness(found) || (usefulness(each) === usefulness(found) && each.idleSince < found.idleSince))
      found = each;
  }
  return found;
}

function usefulness({ hadRequest: used, answers }: Connection): number {
  if (answers.size > 0) return 2;
  return used ? 1 : 0;
}

/** Address and port of the other side: no two open connections share them, and a TLS socket has those of the socket under it. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function isHandshakeDone(socket: Socket, server: object): boolean {
  return !('setSecureContext' in server) || 'encrypted' in socket;
}
