/** The limits of connections, headers and unread answers. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect as connectPlain, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import { limitConnections } from '../../../src/server/connections.ts';
import { createHealthServer } from '../../../src/server/health-server.ts';
import { defaultConnectionLimits, healthConnectionLimits } from '../../../src/server/limits.ts';
import { createWebhookServer } from '../../../src/server/webhook-server.ts';
import { unwatched } from '../decision/changes.ts';
import { manualClock } from './clock.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({
  ca,
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...life,
});
const collaborators = {
  rules: () => undefined,
  facts: () => unwatched,
  audit: () => undefined,
  reportBug: () => undefined,
  failed: () => undefined,
};

const ask = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

/** A plain server with few connections. It answers when the test allows it. */
async function setUp(maxConnections: number) {
  const clock = manualClock();
  const waiting: (() => void)[] = [];
  const server = createServer((_request, response) => waiting.push(() => response.end('answer')));
  limitConnections(server, { ...defaultConnectionLimits, maxConnections }, clock);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const open = async (localAddress?: string) => {
    const accepted = once(server, 'connection');
    const socket = connectTo(server, localAddress);
    await Promise.all([once(socket, 'connect'), accepted]);
    clock.pass(1);
    return socket;
  };
  const request = async (socket: Socket) => {
    const seen = once(server, 'request');
    socket.write(ask);
    await seen;
    clock.pass(1);
  };
  const answer = async (socket: Socket) => {
    const answered = once(socket, 'data');
    waiting.shift()?.();
    await answered;
    await expect.poll(() => socket.readableFlowing).toBe(true);
    clock.pass(1);
  };
  return { server, clock, open, request, answer };
}

function connectTo(server: Server, localAddress?: string): Socket {
  const { port } = server.address() as { port: number };
  const socket = connectPlain({ port, host: '127.0.0.1', ...(localAddress !== undefined && { localAddress }) });
  socket.on('error', () => undefined).resume();
  onTestFinished(() => void socket.destroy());
  return socket;
}

const isClosed = async (socket: Socket) => {
  await expect.poll(() => socket.destroyed || socket.readableEnded).toBe(true);
};

describe('if there is one connection too many, another one is closed', () => {
  test('the oldest without a request', async () => {
    const { open, request, answer } = await setUp(3);
    const used = await open();
    await request(used);
    await answer(used);
    const [unused, younger] = [await open(), await open()];
    await open();
    await isClosed(unused);
    expect([used.destroyed, younger.destroyed]).toEqual([false, false]);
  });

  test('otherwise the one that has been idle the longest', async () => {
    const { open, request, answer } = await setUp(3);
    const sockets = [await open(), await open(), await open()] as const;
    for (const socket of sockets) {
      await request(socket);
      await answer(socket);
    }
    await request(sockets[0]);
    await answer(sockets[0]);
    await request(sockets[1]);
    await open();
    await isClosed(sockets[2]);
    expect([sockets[0].destroyed, sockets[1].destroyed]).toEqual([false, false]);
  });

  test('otherwise the one with the oldest request', async () => {
    const { open, request } = await setUp(2);
    const [first, second] = [await open(), await open()];
    await request(second);
    await request(first);
    await open();
    await isClosed(second);
    expect(first.destroyed).toBe(false);
  });

  test('a connection from the address with the most connections is closed, so an address with few keeps even an idle one', async () => {
    const { open, request, answer } = await setUp(4);
    const few = await open('127.0.0.2');
    const many = [await open(), await open(), await open()] as const;
    for (const socket of many) {
      await request(socket);
      await answer(socket);
    }
    for (const socket of many) {
      await open();
      await isClosed(socket);
    }
    expect(few.destroyed).toBe(false);
    await request(few);
    await answer(few);
  });

  test('free places are reused', async () => {
    const { server, open } = await setUp(2);
    const [first, second] = [await open(), await open()];
    first.destroy();
    await expect.poll(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))).toBe(1);
    await open();
    expect(second.destroyed).toBe(false);
  });
});

describe('headers that arrive slowly', () => {
  test('end their connection after 5 seconds, but a connection that sends nothing stays', async () => {
    const { clock, open } = await setUp(10);
    const [idle, slow] = [await open(), await open()];
    slow.write('GET / HTTP/1.1\r\nhost: ');
    // The bytes are only seen once they have arrived.
    await expect
      .poll(() => {
        clock.pass(1_000);
        return slow.destroyed || slow.readableEnded;
      })
      .toBe(true);
    clock.pass(60_000);
    expect(idle.destroyed || idle.readableEnded).toBe(false);
  });

  test('do not end it before, or if a response is pending', async () => {
    const { clock, open, request, answer } = await setUp(10);
    const socket = await open();
    await request(socket);
    for (let second = 0; second < 10; second += 1) clock.pass(1_000);
    await answer(socket);
    for (let second = 0; second < 10; second += 1) clock.pass(1_000);
    await request(socket);
    await answer(socket);
    expect(socket.destroyed).toBe(false);
  });
});

describe('a response that is not read', () => {
  test('ends its connection 5 seconds after it was complete, and one that is not complete has more time', async () => {
    const clock = manualClock();
    const responses: ServerResponse[] = [];
    const server = createServer((_request, response) => responses.push(response));
    limitConnections(server, defaultConnectionLimits, clock);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const socket = connectTo(server).pause();
    socket.write(ask);
    await expect.poll(() => responses.length).toBe(1);
    const [response] = responses as [ServerResponse];
    for (let second = 0; second < 10; second += 1) clock.pass(1_000);
    expect(response.destroyed).toBe(false);
    // More than the buffers of a loopback connection.
    response.end('x'.repeat(16 * 1024 * 1024));
    for (let second = 0; second < 5; second += 1) clock.pass(1_000);
    expect(response.destroyed).toBe(false);
    clock.pass(1_000);
    await expect.poll(() => response.destroyed).toBe(true);
  });
});

describe('both ports', () => {
  const ports = {
    webhook: () => createWebhookServer(collaborators, { tls }),
    health: () => createHealthServer([], { contentType: 'text/plain', text: async () => '' }),
  };

  test.each(['webhook', 'health'] as const)('%s: idle connections stay open longer than an API server keeps them, and then end', (port) => {
    const app = ports[port]();
    onTestFinished(() => void app.close());
    const { keepAliveTimeout, headersTimeout, requestTimeout } = app.server;
    // client-go's 90 s (k8s.io/apimachinery util/net, SetTransportDefaults), plus what Node adds to the announced time.
    expect({ keepAliveTimeout, headersTimeout, requestTimeout }).toEqual({
      keepAliveTimeout: 120_000,
      headersTimeout: 120_000,
      requestTimeout: 120_000,
    });
  });

  test('the limit exceeds the connections that API servers use at a time, and needs little memory', () => {
    expect([defaultConnectionLimits.maxConnections, healthConnectionLimits.maxConnections]).toEqual([1_000, 100]);
  });

  test('a connection that is idle for too long ends, whether or not it had a request', async () => {
    const app = createWebhookServer(collaborators, { tls, connections: { idle: 300 } });
    onTestFinished(() => app.close());
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate });
    await once(socket, 'secureConnect');
    socket.write(ask);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('a TLS handshake that does not arrive ends its connection', async () => {
    const app = createWebhookServer(collaborators, { tls, connections: { handshake: 200 } });
    onTestFinished(() => app.close());
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const socket = connectPlain(port, '127.0.0.1');
    await once(socket, 'connect');
    expect(await text(socket)).toBe('');
  });

  test('TLS connections count once, and slow headers end them too', async () => {
    const clock = manualClock();
    const app = createWebhookServer(collaborators, { tls, clock, connections: { maxConnections: 2 } });
    onTestFinished(() => app.close());
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const open = async () => {
      const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate });
      socket.on('error', () => undefined).resume();
      onTestFinished(() => void socket.destroy());
      const accepted = once(app.server, 'secureConnection');
      await Promise.all([once(socket, 'secureConnect'), accepted]);
      clock.pass(1);
      return socket;
    };
    const [first, second] = [await open(), await open()];
    expect(first.destroyed).toBe(false);
    const third = await open();
    await isClosed(first);
    third.write('POST /validate HTTP/1.1\r\n');
    await expect
      .poll(() => {
        clock.pass(1_000);
        return third.destroyed || third.readableEnded;
      })
      .toBe(true);
    expect(second.destroyed).toBe(false);
  });
});
