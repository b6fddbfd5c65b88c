/** Runs a whole server in this process: a failed or cancelled start leaves nothing behind, and a stop writes what waits, whatever fails. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createOutputs } from '../../../src/app/components/outputs.ts';
import { group, runGroups } from '../../../src/app/lifecycle.ts';
import { serve } from '../../../src/app/serve.ts';
import { readSettings } from '../../../src/app/settings.ts';
import { ConfigurationError } from '../../../src/settings/configuration-error.ts';
import type { Flags } from '../../../src/settings/input.ts';
import { type Clock, systemClock } from '../../../src/time/clock.ts';
import { type Answer, json, listing, scriptedApi, statusResponse, watching } from '../kube/scripted-api.ts';

const rules = [resolve(import.meta.dirname, '../../../deploy/examples/rules')];
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regkeeper-serve-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The system clock, which also counts what is scheduled on it. */
function countingClock(): Clock & { readonly scheduled: Set<object> } {
  const scheduled = new Set<object>();
  return {
    ...systemClock,
    scheduled,
    schedule(work, milliseconds) {
      const entry = {};
      scheduled.add(entry);
      const cancel = systemClock.schedule(() => {
        scheduled.delete(entry);
        work();
      }, milliseconds);
      return () => {
        scheduled.delete(entry);
        cancel();
      };
    },
  };
}

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { server, port };
}

async function freePort(): Promise<number> {
  const { server, port } = await listening();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Development certificates in the test's folder. There is a flag for certificate files, but none for the folder of development
 * certificates.
 */
async function settingsOf(flags: Flags) {
  const healthPort = await freePort();
  const common = { host: '127.0.0.1', port: '0', healthPort: String(healthPort), auditLog: join(folder, 'audit.log'), logLevel: 'error' };
  const settings = readSettings({ ...common, shutdownDelaySeconds: '0', ...flags }, {});
  const tls = settings.tls.mode === 'dev' ? { ...settings.tls, directory: join(folder, 'tls') } : settings.tls;
  return { settings: { ...settings, tls }, healthUrl: `http://127.0.0.1:${healthPort}/healthz` };
}

async function file(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

const isClosed = (url: string) =>
  request(url).then(
    () => false,
    () => true,
  );

/** An API server without objects, and a kubeconfig for it. */
async function emptyCluster(answers: (path: string) => Answer | undefined = () => undefined) {
  const api = await scriptedApi([], (response, received) => {
    const { path, query } = received;
    const answer =
      answers(path) ??
      (query.watch === 'true'
        ? watching()
        : /^\/apis\/[^/]+(\/[^/]+)?$/.test(path) || path.endsWith('snapshot')
          ? statusResponse(404, 'NotFound')
          : listing('1', []));
    answer(response, received);
  });
  const text = JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'here' },
    clusters: [{ name: 'scripted', cluster: { server: api.url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'somebody', user: { token: 'x' } }],
    contexts: [{ name: 'here', context: { cluster: 'scripted', user: 'somebody' } }],
  });
  return { ...api, kubeconfig: await file(`${new URL(api.url).port}.yaml`, text) };
}

describe('a failed start leaves nothing behind', () => {
  const missing = { tlsCert: '/nowhere/tls.crt', tlsKey: '/nowhere/tls.key' };

  test.each<{ why: string; flags: () => Promise<Flags>; message: RegExp }>([
    {
      why: 'a missing certificate file',
      flags: async () => ({ rules, ...missing }),
      message: /certificate file \/nowhere\/tls\.crt/,
    },
    {
      why: 'invalid rules',
      flags: async () => ({ rules: [await file('bad.yaml', 'rulez: []')] }),
      message: /bad\.yaml:1:1: .*Did you mean "rules"/,
    },
    { why: 'missing rules', flags: async () => ({ rules: ['/nowhere'] }), message: /^--rules: rules \/nowhere: no such file/ },
    {
      why: 'invalid custom kinds',
      flags: async () => ({ rules, customKinds: [await file('kinds.yaml', 'kindz: []')] }),
      message: /^--custom-kinds: .*kinds\.yaml/,
    },
    { why: 'a missing kubeconfig', flags: async () => ({ kubeconfig: '/nowhere' }), message: /\/nowhere/ },
    {
      why: 'a file that is not a kubeconfig',
      flags: async () => ({ kubeconfig: await file('not.yaml', 'hello') }),
      message: /not\.yaml/,
    },
    {
      why: 'an audit log that cannot be opened',
      flags: async () => ({ rules, auditLog: '/nowhere/audit' }),
      message: /^--audit-log \/nowhere\/audit: the directory \/nowhere does not exist\. Create it$/,
    },
  ])('$why', async ({ flags, message }) => {
    const clock = countingClock();
    const { settings, healthUrl } = await settingsOf(await flags());
    const starting = serve(settings, { env: {}, clock });
    await expect(starting).rejects.toThrow(message);
    await expect(starting).rejects.toThrow(ConfigurationError);
    expect(await isClosed(healthUrl)).toBe(true);
    expect(clock.scheduled.size).toBe(0);
  });

  test.each(['port', 'healthPort'])('a %s in use', async (setting) => {
    const { server, port } = await listening();
    onTestFinished(() => void server.close());
    const clock = countingClock();
    const { settings, healthUrl } = await settingsOf({ rules, [setting]: String(port) });
    await expect(serve(settings, { env: {}, clock })).rejects.toThrow(`port ${port} on 127.0.0.1 is already in use`);
    expect(await isClosed(healthUrl)).toBe(true);
    expect(clock.scheduled.size).toBe(0);
  });

  test('a missing certificate file, while the cluster is watched', async () => {
    const api = await emptyCluster();
    const clock = countingClock();
    const { settings, healthUrl } = await settingsOf({ kubeconfig: api.kubeconfig, ...missing });
    await expect(serve(settings, { env: {}, clock })).rejects.toThrow('certificate file /nowhere/tls.crt: no such file');
    expect(api.received.length).toBeGreaterThan(0);
    expect(await isClosed(healthUrl)).toBe(true);
    expect(clock.scheduled.size).toBe(0);
    await expect.poll(api.connections).toBe(0);
    const asked = api.received.length;
    await new Promise((later) => setImmediate(later));
    expect(api.received).toHaveLength(asked);
  });
});

describe('an aborted start leaves nothing behind', () => {
  test.each([
    { waiting: 'for an API server that does not respond', answers: () => () => undefined },
    { waiting: 'for an API server that is starting', answers: () => statusResponse(503, 'ServiceUnavailable') },
  ])('$waiting', async ({ answers }) => {
    const api = await emptyCluster(answers);
    const clock = countingClock();
    const shutdown = new AbortController();
    const { settings, healthUrl } = await settingsOf({ kubeconfig: api.kubeconfig });
    const starting = serve(settings, { env: {}, signal: shutdown.signal, clock });
    starting.catch(() => undefined);
    await expect.poll(() => api.received.some(({ path }) => path.endsWith('/regkeeper-rules-snapshot'))).toBe(true);
    expect(await isClosed(healthUrl)).toBe(false);
    shutdown.abort();
    await expect(starting).rejects.toThrow('stopped before it had started');
    expect(await isClosed(healthUrl)).toBe(true);
    expect(clock.scheduled.size).toBe(0);
    await expect.poll(api.connections).toBe(0);
  });

  test('before it has begun', async () => {
    const { settings, healthUrl } = await settingsOf({ rules });
    await expect(serve(settings, { env: {}, signal: AbortSignal.abort() })).rejects.toThrow('stopped before it had started');
    expect(await isClosed(healthUrl)).toBe(true);
  });
});

test('a started server responds, and leaves nothing behind when it is stopped', async () => {
  const clock = countingClock();
  const { settings, healthUrl } = await settingsOf({ rules });
  const server = await serve(settings, { env: {}, clock });
  expect((await request(healthUrl.replace('healthz', 'readyz'))).statusCode).toBe(200);
  expect(server.url).toMatch(/^https:\/\/localhost:\d+$/);
  expect(await readFile(join(folder, 'audit.log'), 'utf8')).toContain('"event":"rules"');
  await server.stop();
  expect(await isClosed(healthUrl)).toBe(true);
  expect(clock.scheduled.size).toBe(0);
});

test('a server in a cluster leaves no watch behind when it is stopped', async () => {
  const pair = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'rules', namespace: 'regkeeper', uid: '1', resourceVersion: '1' } };
  const configMap = { ...pair, data: { 'rules.yaml': 'rules: []' } };
  const api = await emptyCluster((path) =>
    path.endsWith('/namespaces/regkeeper/configmaps')
      ? (response, received) =>
          (received.query.watch === 'true'
            ? watching()
            : json({ kind: 'ConfigMapList', apiVersion: 'v1', metadata: { resourceVersion: '1' }, items: [configMap] }))(response, received)
      : undefined,
  );
  const clock = countingClock();
  const { settings, healthUrl } = await settingsOf({ kubeconfig: api.kubeconfig, tls: 'dev' });
  const server = await serve(settings, { env: {}, clock });
  await server.stop();
  expect(await isClosed(healthUrl)).toBe(true);
  expect(clock.scheduled.size).toBe(0);
  await expect.poll(api.connections).toBe(0);
});

test.each<{ what: string; stop: () => Promise<void> }>([
  {
    what: 'throws',
    async stop() {
      throw new Error('a bug');
    },
  },
  { what: 'never ends', stop: () => new Promise(() => undefined) },
])('audit records are written although a component $what when it is stopped', async ({ stop }) => {
  const auditLog = join(folder, `${crypto.randomUUID()}.log`);
  const { settings } = await settingsOf({ rules, auditLog });
  const outputs = createOutputs(settings);
  const failures: string[] = [];
  // The deadline of the failing component passes immediately.
  const clock = {
    schedule: (work: () => void, milliseconds: number) => systemClock.schedule(work, milliseconds === 1_234 ? 0 : milliseconds),
  };
  const failing = { name: 'failing', stop, stopWithinMilliseconds: 1_234 };
  const life = runGroups([group('outputs', outputs), group('failing', failing)], {
    stopWithinMilliseconds: 5_000,
    onStopFailure: (name) => failures.push(name),
    clock,
  });
  await life.started;
  for (let written = 0; written < 1_000; written += 1) outputs.auditLog.write({ written });
  await life.stop();
  expect(failures).toEqual(['failing']);
  expect((await readFile(auditLog, 'utf8')).trim().split('\n')).toHaveLength(1_000);
});
