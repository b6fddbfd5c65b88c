/**
 * The egress proxy, through which the API server reaches Services although the test cluster does not route ClusterIPs.
 *
 * The API server of the test cluster is configured to dial the cluster network through an HTTP CONNECT proxy on a unix socket
 * (EgressSelectorConfiguration, selection `cluster`). It resolves a webhook's Service to `ClusterIP:port` and sends CONNECT with that
 * address. The proxy looks up the Service with the address and connects to the loopback port that a test has routed it to. So webhooks are
 * registered by Service reference, as in a real cluster, and TLS is verified against `NAME.NAMESPACE.svc`.
 *
 * Tests run in other processes than the proxy, so the same socket also accepts `PUT` and `DELETE` of
 * `/namespaces/NAMESPACE/services/NAME/ports/PORT`.
 */

import { type ClientRequest, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ServiceAddress {
  readonly namespace: string;
  readonly service: string;
  /** The Service's port, not its targetPort. */
  readonly port: number;
}

export interface ServiceRoutes {
  /** Sends new connections for this Service port to 127.0.0.1:targetPort. The Service may be created later. A second call replaces the first. */
  route(address: ServiceAddress, targetPort: number): Promise<void>;
  /** Rejects new connections from now on. Open ones stay. Does nothing for a Service that is not routed. */
  unroute(address: ServiceAddress): Promise<void>;
}

export interface Egress {
  readonly routes: ServiceRoutes;
  /** Closes the socket and every joined connection. */
  close(): Promise<void>;
}

/** Returns the Service that has `ClusterIP:port` at the API server now. */
export type ServiceLookup = (clusterIP: string, port: number) => Promise<ServiceAddress | undefined>;

/** Listens on the unix socket (its path must be shorter than 100 characters). */
export async function startEgress(socketPath: string, lookup: ServiceLookup): Promise<Egress> {
  const targets = new Map<string, number>();
  const connections = new Set<Duplex>();
  const find = cachedFor(1000, lookup);
  const server = createServer({ noDelay: true }, (incoming, response) => answerControlRequest(targets, incoming, response));
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.on('connect', (incoming, client, head) => {
    client.on('error', () => client.destroy());
    void openTunnel({ destination: incoming.url ?? '', client, head, targets, lookup: find });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socketPath, resolve));
  return {
    routes: {
      route: async (address, targetPort) => void targets.set(routePath(address), targetPort),
      unroute: async (address) => void targets.delete(routePath(address)),
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** Changes the routes of a proxy in another process. @throws Error where a call fails */
export function remoteServiceRoutes(socketPath: string): ServiceRoutes {
  return {
    route: (address, targetPort) => callControl(socketPath, 'PUT', address, JSON.stringify({ targetPort })),
    unroute: (address) => callControl(socketPath, 'DELETE', address),
  };
}

interface TunnelRequest {
  /** `ClusterIP:port`, as in the CONNECT request. */
  readonly destination: string;
  readonly client: Duplex;
  readonly head: Buffer;
  readonly targets: ReadonlyMap<string, number>;
  readonly lookup: ServiceLookup;
}

async function openTunnel({ destination, client, head, targets, lookup }: TunnelRequest): Promise<void> {
  try {
    const [, clusterIP = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(destination) ?? [];
    const address = await lookup(clusterIP, Number(port));
    const targetPort = address && targets.get(routePath(address));
    if (targetPort === undefined) {
      rejectTunnel(client, address ? `no route for ${routePath(address)}` : `no Service has the address ${destination}`);
      return;
    }
    const upstream = await dialLoopback(targetPort);
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    upstream.write(head);
    joinConnections(client, upstream);
  } catch (error) {
    rejectTunnel(client, error instanceof Error ? error.message : String(error));
  }
}

/**
 * Caches successful lookups for a short time. Without a cache, each of many simultaneous connections would query the API server that opens
 * them, and take far longer than in a real cluster. A longer time would be wrong: a recreated Service has another ClusterIP.
 */
function cachedFor(milliseconds: number, lookup: ServiceLookup): ServiceLookup {
  const found = new Map<string, { readonly address: ServiceAddress; readonly until: number }>();
  return async (clusterIP, port) => {
    const key = `${clusterIP} ${port}`;
    const known = found.get(key);
    if (known && performance.now() < known.until) return known.address;
    const address = await lookup(clusterIP, port);
    if (address) found.set(key, { address, until: performance.now() + milliseconds });
    return address;
  };
}

// The API server repeats the status line in its error, so the status line contains the reason.
function rejectTunnel(client: Duplex, reason: string): void {
  client.end(`HTTP/1.1 502 ${reason.replaceAll(/[^\x20-\x7e]/g, ' ')}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}

function dialLoopback(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // Without noDelay, Nagle's algorithm and delayed acknowledgements delay about every fourth admission review by 40 ms.
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Forwards data and ends in both directions. When one connection breaks, the other is destroyed. */
export function joinConnections(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    // After an orderly end, forwarded data may still be in a buffer. Destroying the connection would lose its last answer.
    from.once('close', () => {
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  }
}

function routePath({ namespace, service, port }: ServiceAddress): string {
  return `/namespaces/${namespace}/services/${service}/ports/${port}`;
}

function answerControlRequest(targets: Map<string, number>, incoming: IncomingMessage, response: ServerResponse): void {
  const path = incoming.url ?? '';
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    response.statusCode = applyControl(targets, incoming.method, path, Buffer.concat(chunks).toString());
    response.end();
  });
}

function applyControl(targets: Map<string, number>, method: string | undefined, path: string, body: string): number {
  if (!/^\/namespaces\/[^/]+\/services\/[^/]+\/ports\/\d+$/.test(path)) return 404;
  if (method === 'DELETE') {
    targets.delete(path);
    return 204;
  }
  if (method !== 'PUT') return 405;
  const targetPort = readTargetPort(body);
  if (targetPort === undefined) return 400;
  targets.set(path, targetPort);
  return 204;
}

function readTargetPort(body: string): number | undefined {
  try {
    const { targetPort } = JSON.parse(body) as { targetPort?: unknown };
    return typeof targetPort === 'number' && Number.isInteger(targetPort) && targetPort > 0 ? targetPort : undefined;
  } catch {
    return undefined;
  }
}

function callControl(socketPath: string, method: string, address: ServiceAddress, body = ''): Promise<void> {
  const path = routePath(address);
  return new Promise((resolve, reject) => {
    const call: ClientRequest = request({ socketPath, method, path, agent: false }, (response) => {
      response.resume();
      response.once('end', () => {
        if (response.statusCode === 204) resolve();
        else reject(new Error(`${method} ${path}: the egress proxy answered ${response.statusCode}`));
      });
    });
    call.once('error', reject);
    call.end(body);
  });
}
