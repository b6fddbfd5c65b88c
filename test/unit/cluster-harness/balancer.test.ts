/** The balancer of the test cluster, which simulates a Service. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type BalancerOptions, startBalancer } from '../../cluster/balancer.ts';
import { eventually } from '../../eventually.ts';
import { manualClock } from '../server/clock.ts';

const soon = { timeout: 60_000, interval: 5 };

test('new connections go to the endpoints whose probe succeeds, in turn', async () => {
  const balancer = await balancerFor({ lagMilliseconds: 0 });
  const [one, other, never] = [await endpoint('one'), await endpoint('other'), await endpoint('never', false)];
  for (const each of [one, other, never]) balancer.add(each);
  await eventually(() => expect(balancer.inUse()).toHaveLength(2), soon);
  expect([await ask(balancer.port), await ask(balancer.port), await ask(balancer.port)].toSorted()).toEqual(['one', 'one', 'other']);
  one.ready = false;
  await eventually(() => expect(balancer.inUse()).toEqual([other]), soon);
  expect([await ask(balancer.port), await ask(balancer.port)]).toEqual(['other', 'other']);
  expect(balancer.rejected).toEqual([]);
  expect(balancer.opened()).toBe(5);
});

test('an endpoint that is no longer ready still gets new connections until the lag is over', async () => {
  // Fake timers would include those of other tests that share the process.
  const clock = manualClock();
  const schedule = vi.fn(clock.schedule);
  const balancer = await balancerFor({ lagMilliseconds: 1000, schedule });
  const ending = await endpoint('ending');
  balancer.add(ending);
  const lags = () => schedule.mock.calls.filter(([, milliseconds]) => milliseconds === 1000);
  const probed = (times: number) => eventually(() => expect(lags()).toHaveLength(times), soon);
  await probed(1);
  expect(balancer.inUse()).toEqual([]);
  clock.pass(1000);
  expect(balancer.inUse()).toEqual([ending]);

  // The next probe is on its way, and has not reached the endpoint yet.
  ending.ready = false;
  await probed(2);
  clock.pass(999);
  expect(balancer.inUse()).toEqual([ending]);
  expect(await ask(balancer.port)).toBe('ending');
  clock.pass(1);
  expect(balancer.inUse()).toEqual([]);
});

test('a connection stays open when its endpoint is no longer ready', async () => {
  const balancer = await balancerFor({ lagMilliseconds: 0 });
  const ending = await endpoint('ending');
  balancer.add(ending);
  await eventually(() => expect(balancer.inUse()).toEqual([ending]), soon);
  const socket = connect({ port: balancer.port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  await eventually(() => expect(ending.connections).toBe(1), soon);
  ending.ready = false;
  await eventually(() => expect(balancer.inUse()).toEqual([]), soon);
  socket.end('?');
  expect(await text(socket)).toBe('ending');
});

test('without a ready endpoint, and if nothing listens, a connection is reset', async () => {
  const balancer = await balancerFor({ lagMilliseconds: 0 });
  await expect(ask(balancer.port)).rejects.toThrow('ECONNRESET');
  const dead = await endpoint('dead');
  balancer.add(dead);
  await eventually(() => expect(balancer.inUse()).toEqual([dead]), soon);
  await new Promise((resolve) => dead.server.close(resolve));
  await expect(ask(balancer.port)).rejects.toThrow('ECONNRESET');
  expect(balancer.rejected).toEqual(['no endpoint is ready', expect.stringContaining('ECONNREFUSED')]);
});

async function balancerFor(options: Omit<BalancerOptions, 'probeMilliseconds'>) {
  const balancer = await startBalancer({ probeMilliseconds: 1, ...options });
  onTestFinished(() => balancer.close());
  return balancer;
}

/** A server that responds with its name when the client has sent everything, and to probes according to `ready`. */
async function endpoint(name: string, ready = true) {
  const state = { ready, probes: 0, connections: 0, server: undefined as unknown as Server, port: 0, healthPort: 0 };
  state.server = createServer({ allowHalfOpen: true }, (socket) => {
    state.connections += 1;
    socket.on('error', () => {});
    socket.resume().once('end', () => socket.end(name));
  });
  const health = createHttpServer((_request, response) => {
    state.probes += 1;
    response.writeHead(state.ready ? 200 : 503).end();
  });
  for (const server of [state.server, health]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
  }
  state.port = (state.server.address() as AddressInfo).port;
  state.healthPort = (health.address() as AddressInfo).port;
  return state;
}

async function ask(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end('?');
  return await text(socket);
}
