import { describe, expect, onTestFinished, test } from 'vitest';
import { createHealthServer, type ReadinessCheck } from '../../../src/server/health.ts';

const page = { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: async () => 'up 1\n' };

function setUp(checks: readonly ReadinessCheck[] = []) {
  const server = createHealthServer(checks, page);
  onTestFinished(() => server.close());
  return server;
}

describe('the health port', () => {
  test('gives Prometheus its page, with its content type', async () => {
    const { statusCode, headers, body } = await setUp().inject('/metrics');
    expect({ statusCode, type: headers['content-type'], body }).toEqual({ statusCode: 200, type: page.contentType, body: 'up 1\n' });
  });

  test('gives it also while the replica is not ready', async () => {
    const server = setUp([{ name: 'rules', missing: () => 'there are no rules' }]);
    expect((await server.inject('/readyz')).statusCode).toBe(503);
    expect((await server.inject('/metrics')).statusCode).toBe(200);
  });

  test('/readyz has notes beside the conditions, which make nothing unready', async () => {
    const server = createHealthServer([{ name: 'cluster', missing: () => undefined, notes: () => ['an API has not answered'] }], page);
    onTestFinished(() => server.close());
    const { statusCode, body } = await server.inject('/readyz');
    expect([statusCode, body]).toEqual([200, '[+] cluster ok\n[!] cluster: an API has not answered\n']);
  });

  test.each(['/healthz', '/readyz', '/metrics'])('%s answers GET alone', async (url) => {
    const server = setUp();
    for (const method of ['HEAD', 'POST', 'DELETE'] as const) expect((await server.inject({ method, url })).statusCode).toBe(404);
  });
});
