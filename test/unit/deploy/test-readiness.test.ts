/** The program that `helm test` runs, against health servers like those of the replicas. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createHealthServer, type ReadinessCheck } from '../../../src/server/health-server.ts';

const program = readFileSync(join(import.meta.dirname, '../../../deploy/chart/files/test-readiness.mjs'), 'utf8');

test('succeeds and prints /readyz if the replica is ready', async () => {
  const port = await serve([{ name: 'rules', missing: () => undefined }]);
  expect(await run('127.0.0.1', port, 0)).toEqual({ code: 0, lines: ['127.0.0.1', '[+] rules ok'] });
});

test('waits for a replica that becomes ready', async () => {
  let questions = 0;
  const port = await serve([{ name: 'rules', missing: () => (++questions < 3 ? 'not loaded' : undefined) }]);
  expect(await run('127.0.0.1', port, 60)).toEqual({ code: 0, lines: ['127.0.0.1', '[+] rules ok'] });
  expect(questions).toBe(3);
});

const failed = 'Not every replica of regkeeper is ready. The lines that begin with [-] show what is missing.';

test('fails with what is missing', async () => {
  const port = await serve([{ name: 'rules', missing: () => 'no rules ConfigMap found' }]);
  expect(await run('127.0.0.1', port, 0)).toEqual({ code: 1, lines: ['127.0.0.1', '[-] rules: no rules ConfigMap found', failed] });
});

test('fails if a replica does not respond', async () => {
  const { code, lines } = await run('127.0.0.1', await closedPort(), 0);
  expect({ code, lines }).toMatchObject({ code: 1, lines: ['127.0.0.1', expect.stringContaining('[-] no response on port'), failed] });
});

test('fails if no replica exists', async () => {
  const { code, lines } = await run('regkeeper-test.invalid', 8080, 0);
  expect({ code, lines }).toMatchObject({
    code: 1,
    lines: ['regkeeper-test.invalid', expect.stringContaining('[-] no replica found'), failed],
  });
});

async function serve(checks: readonly ReadinessCheck[]): Promise<number> {
  const server = createHealthServer(checks, { contentType: 'text/plain', text: async () => '' });
  onTestFinished(() => server.close());
  return Number(new URL(await server.listen({ host: '127.0.0.1', port: 0 })).port);
}

async function closedPort(): Promise<number> {
  const server = createHealthServer([], { contentType: 'text/plain', text: async () => '' });
  const { port } = new URL(await server.listen({ host: '127.0.0.1', port: 0 }));
  await server.close();
  return Number(port);
}

/** As the Pod runs it. */
function run(host: string, port: number, seconds: number): Promise<{ code: number; lines: readonly string[] }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '--eval', program, host, `${port}`, `${seconds}`], (error, stdout) =>
      resolve({ code: Number(error?.code ?? 0), lines: stdout.trim().split('\n') }),
    );
  });
}
