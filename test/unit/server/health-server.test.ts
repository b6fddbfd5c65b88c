/** The health port: readiness, metrics, and requests that must not cost more than their answer. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createHealthServer, type ReadinessCheck } from '../../../src/server/health-server.ts';

const page = { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: async () => 'up 1\n' };

function setUp(checks: readonly ReadinessCheck[] = []) {
  const server = createHealthServer(checks, page);
  onTestFinished(() => server.close());
  return server;
}

describe('the health port', () => {
  test('serves the metrics for Prometheus, with their content type', async () => {
    const { statusCode, headers, body } = await setUp().inject('/metrics');
    expect({ statusCode, type: headers['content-type'], body }).toEqual({ statusCode: 200, type: page.contentType, body: 'up 1\n' });
  });

  test('serves them even while the replica is not ready', async () => {
    const server = setUp([{ name: 'rules', missing: () => 'there are no rules' }]);
    expect((await server.inject('/readyz')).statusCode).toBe(503);
    expect((await server.inject('/metrics')).statusCode).toBe(200);
  });

  test('shows what an administrator should know without becoming unready', async () => {
    const server = setUp([{ name: 'cluster', missing: () => undefined, notes: () => ['5 secrets referenced by rules are not watched'] }]);
    const { statusCode, body } = await server.inject('/readyz');
    expect({ statusCode, body }).toEqual({
      statusCode: 200,
      body: '[+] cluster ok\n[!] cluster: 5 secrets referenced by rules are not watched\n',
    });
  });

  test.each(['/healthz', '/readyz', '/metrics'])('%s serves only GET requests', async (url) => {
    const server = setUp();
    for (const method of ['HEAD', 'POST', 'DELETE'] as const) expect((await server.inject({ method, url })).statusCode).toBe(404);
  });

  test.each([
    ['with its length', { 'content-length': '5' }],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
  ])('accepts no body: %s', async (_name, headers) => {
    const response = await setUp().inject({ method: 'GET', url: '/healthz', headers, payload: 'hello' });
    expect(response).toMatchObject({ statusCode: 413, headers: expect.objectContaining({ connection: 'close' }) });
    expect((await setUp().inject({ method: 'GET', url: '/healthz', headers: { 'content-length': '0' } })).statusCode).toBe(200);
  });

  test('accepts no long URL', async () => {
    const server = setUp();
    const url = `${await server.listen({ host: '127.0.0.1', port: 0 })}/healthz?`;
    expect((await fetch(url + 'x'.repeat(1_000))).status).toBe(200);
    expect((await fetch(url + 'x'.repeat(5_000))).status).toBe(431);
  });

  test('collects metrics once for concurrent requests', async () => {
    const pages: PromiseWithResolvers<string>[] = [];
    const text = () => {
      const collected = Promise.withResolvers<string>();
      pages.push(collected);
      return collected.promise;
    };
    const server = createHealthServer([], { ...page, text });
    onTestFinished(() => server.close());
    await server.ready();
    const both = [server.inject('/metrics'), server.inject('/metrics')];
    await expect.poll(() => pages.length).toBe(1);
    pages[0]?.resolve('up 1\n');
    expect((await Promise.all(both)).map(({ body }) => body)).toEqual(['up 1\n', 'up 1\n']);
    const later = server.inject('/metrics');
    await expect.poll(() => pages.length).toBe(2);
    pages[1]?.resolve('up 0\n');
    expect((await later).body).toBe('up 0\n');
  });
});
