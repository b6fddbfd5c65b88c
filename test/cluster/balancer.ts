/**
 * A Service with several endpoints, as kube-proxy makes one: it knows connections and no requests. A new connection goes to one of the
 * endpoints that it takes for ready, each in turn; one that is there stays where it is, whatever becomes of its endpoint's readiness.
 *
 * What it takes for ready lags behind, as in a cluster: the kubelet probes now and then, and its finding has to travel through the API server
 * and EndpointSlices to every node. So an endpoint that is told to end still gets new connections for a while, and a new one does not yet.
 */
import { get } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { joinConnections } from './egress.ts';

export interface Endpoint {
  readonly port: number;
  /** Of `/readyz`, which decides whether it gets new connections. */
  readonly healthPort: number;
}

export interface BalancerOptions {
  /** Between two probes of an endpoint. */
  readonly probeMilliseconds: number;
  /** From a probe's finding until new connections go by it. */
  readonly lagMilliseconds: number;
}

export interface Balancer {
  /** Where the Service's port is to be routed. */
  readonly port: number;
  /** From now on it is probed. */
  add(endpoint: Endpoint): void;
  /** Its Pod is gone: it is probed no more. Connections to it stay. */
  remove(endpoint: Endpoint): void;
  /** Those that new connections go to now. */
  inUse(): readonly Endpoint[];
  /** How many connections came so far. */
  opened(): number;
  /** Why some of them could not be passed on, each in words; the client's was cut off. */
  readonly refused: readonly string[];
  close(): Promise<void>;
}

export async function startBalancer({ probeMilliseconds, lagMilliseconds }: BalancerOptions): Promise<Balancer> {
  const endpoints = new Map<Endpoint, { ready: boolean; stop: () => void }>();
  const connections = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const refused: string[] = [];
  let turn = 0;

  const later = (work: () => void, milliseconds: number) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, milliseconds);
    timers.add(timer);
    return () => {
      clearTimeout(timer);
      timers.delete(timer);
    };
  };
  const inUse = () => [...endpoints].filter(([, { ready }]) => ready).map(([endpoint]) => endpoint);

  const keep = (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const refuse = (client: Socket, reason: string) => {
    refused.push(reason);
    client.resetAndDestroy();
  };
  // Half-closed connections pass on the end that came, and nothing more, as packets would.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    keep(client);
    const ready = inUse();
    const endpoint = ready[turn % ready.length];
    turn += 1;
    if (endpoint === undefined) return refuse(client, 'no endpoint is ready');
    const upstream = connect({ port: endpoint.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    keep(upstream);
    const fail = (error: Error) => refuse(client, `${endpoint.port}: ${error.message}`);
    upstream.once('error', fail);
    upstream.once('connect', () => {
      upstream.off('error', fail);
      joinConnections(client, upstream);
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));

  return {
    port: (server.address() as AddressInfo).port,
    inUse,
    opened: () => turn,
    refused,
    add(endpoint) {
      let stopped = false;
      const state = {
        ready: false,
        stop: () => {
          stopped = true;
        },
      };
      endpoints.set(endpoint, state);
      const probe = async () => {
        const found = await isReady(endpoint);
        if (stopped) return;
        later(() => {
          state.ready = found;
        }, lagMilliseconds);
        later(probe, probeMilliseconds);
      };
      void probe();
    },
    remove(endpoint) {
      endpoints.get(endpoint)?.stop();
      endpoints.delete(endpoint);
    },
    close: async () => {
      for (const endpoint of endpoints.values()) endpoint.stop();
      for (const timer of timers) clearTimeout(timer);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** As the kubelet: on a connection of its own, and whoever does not answer within a second is not ready. */
function isReady({ healthPort }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port: healthPort, path: '/readyz', agent: false, timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.once('timeout', () => call.destroy());
    call.once('error', () => resolve(false));
  });
}
