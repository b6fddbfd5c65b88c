/** Opening a port without IPv6, and the explanations of failures. */
import { fastify } from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { listen } from '../../../src/app/listen.ts';
import { readSettings } from '../../../src/app/settings.ts';
import { ConfigurationError } from '../../../src/settings/configuration-error.ts';
import { recordingLog } from '../kube/scripted-api.ts';

const settingsOf = (host: string) => readSettings({ dev: true, host, port: '0', healthPort: '0' }, {});

/** A server on a kernel that fails like this for these addresses. */
function serverWhere(failures: Readonly<Record<string, string>>) {
  const app = fastify();
  onTestFinished(() => app.close());
  const { server } = app;
  const really = server.listen.bind(server);
  server.listen = ((place: { host: string; port: number }) => {
    const code = failures[place.host];
    if (code === undefined) return really(place);
    process.nextTick(() => server.emit('error', Object.assign(new Error(`listen ${code}`), { code })));
    return server;
  }) as typeof server.listen;
  return app;
}

describe.each(['port', 'healthPort'] as const)('%s', (setting) => {
  test.each(['EAFNOSUPPORT', 'EADDRNOTAVAIL'])('if :: is %s, a server listens on all IPv4 addresses, and logs that', async (code) => {
    const app = serverWhere({ '::': code });
    const log = recordingLog();
    await listen(app, settingsOf('::'), setting, log);
    expect(app.server.address()).toMatchObject({ address: '0.0.0.0', family: 'IPv4' });
    expect(log.lines).toEqual([{ level: 'info', message: `IPv6 is not available (${code}). Listening on 0.0.0.0 instead of ::` }]);
  });
});

test('with IPv6, nothing is logged', async () => {
  const log = recordingLog();
  const places: object[] = [];
  await listen({ listen: async (place) => places.push(place) }, settingsOf('::'), 'port', log);
  expect(places).toEqual([{ host: '::', port: 0 }]);
  expect(log.lines).toEqual([]);
});

test.each([
  ['::1', { '::1': 'EAFNOSUPPORT' }, '::1 is not an address of this machine. Choose another one with --host'],
  ['::1', { '::1': 'EADDRNOTAVAIL' }, '::1 is not an address of this machine. Choose another one with --host'],
  ['::', { '::': 'EADDRINUSE' }, 'port 0 on :: is already in use. Stop the other program, or choose another port with --port'],
  [
    '::',
    { '::': 'EAFNOSUPPORT', '0.0.0.0': 'EADDRINUSE' },
    'port 0 on 0.0.0.0 is already in use. Stop the other program, or choose another port with --port',
  ],
])('an error that the operator can fix includes the setting: %s where %j', async (host, failures, message) => {
  const failing = listen(serverWhere(failures), settingsOf(host), 'port', recordingLog());
  await expect(failing).rejects.toThrow(new ConfigurationError(message));
  await expect(failing).rejects.toBeInstanceOf(ConfigurationError);
});
