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

  test('tells what an administrator should know without getting unready for it', async () => {
    const server = setUp([{ name: 'cluster', missing: () => undefined, notes: () => ['5 secrets of the rules are not watched'] }]);
    const { statusCode, body } = await server.inject('/readyz');
    expect({ statusCode, body }).toEqual({
      statusCode: 200,
      body: '[+] cluster ok\n[!] cluster: 5 secrets of the rules are not watched\n',
    });
  });

  test.each(['/healthz', '/readyz', '/metrics'])('%s answers GET alone', async (url) => {
    const server = setUp();
    for (const method of ['HEAD', 'POST', 'DELETE'] as const) expect((await server.inject({ method, url })).statusCode).toBe(404);
  });
});
