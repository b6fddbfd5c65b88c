/**
 * A Service with several endpoints, as kube-proxy implements it: it balances connections, not requests. New connections go to the ready
 * endpoints in turn. An open connection stays with its endpoint, even when that is no longer ready.
 *
 * As in a cluster, the endpoint list lags behind: the kubelet probes periodically, and the result travels through the API server and
 * EndpointSlices to every node. So a terminating endpoint still gets new connections for a while, and a new one gets none at first.
 */
import { get } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import { joinConnections } from './egress.ts';

export interface Endpoint {
  readonly port: number;
  /** Port of `/readyz`, which decides whether the endpoint gets new connections. */
  readonly healthPort: number;
}

export interface BalancerOptions {
  /** Time between two probes of an endpoint. */
  readonly probeMilliseconds: number;
  /** Time from the result of a probe until new connections are balanced by it. */
  readonly lagMilliseconds: number;
  /** Tests pass that of their own clock. */
  readonly schedule?: Clock['schedule'];
}

export interface Balancer {
  /** The loopback port to route the Service to. */
  readonly port: number;
  /** Starts to probe the endpoint. */
  add(endpoint: Endpoint): void;
  /** Stops probing an endpoint whose Pod is gone. Connections to it stay open. */
  remove(endpoint: Endpoint): void;
  /** The endpoints that get new connections now. */
  inUse(): readonly Endpoint[];
  /** How many connections have been opened so far. */
  opened(): number;
  /** The reason for each connection that could not be forwarded and was reset. */
  readonly rejected: readonly string[];
  close(): Promise<void>;
}

export async function startBalancer({
  probeMilliseconds,
  lagMilliseconds,
  schedule = systemClock.schedule,
}: BalancerOptions): Promise<Balancer> {
  const endpoints = new Map<Endpoint, { ready: boolean; stop: () => void }>();
  const connections = new Set<Socket>();
  const timers = new Set<() => void>();
  const rejected: string[] = [];
  let turn = 0;

  const later = (work: () => void, milliseconds: number) => {
    const cancel = schedule(() => {
      timers.delete(cancel);
      work();
    }, milliseconds);
    timers.add(cancel);
  };
  const inUse = () => [...endpoints].filter(([, { ready }]) => ready).map(([endpoint]) => endpoint);

  const keep = (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const reject = (client: Socket, reason: string) => {
    rejected.push(reason);
    client.resetAndDestroy();
  };
  // Half-open connections are allowed, so that the end of one direction is forwarded and the other direction stays open, as with packets.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    keep(client);
    const ready = inUse();
    const endpoint = ready[turn % ready.length];
    turn += 1;
    if (endpoint === undefined) return reject(client, 'no endpoint is ready');
    const upstream = connect({ port: endpoint.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    keep(upstream);
    const fail = (error: Error) => reject(client, `${endpoint.port}: ${error.message}`);
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
    rejected,
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
      for (const cancel of timers) cancel();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** Probes like the kubelet: on a new connection, and an endpoint that does not answer within a second is not ready. */
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
