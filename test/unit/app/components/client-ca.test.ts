/** The client CA and the certificate of the webhook follow their files side by side. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { createCertificates } from '../../../../src/app/components/certificates.ts';
import { createClientCa } from '../../../../src/app/components/client-ca.ts';
import type { Logger } from '../../../../src/app/components/outputs.ts';
import { createWebhook } from '../../../../src/app/components/webhook.ts';
import { readSettings } from '../../../../src/app/settings.ts';
import type { CertificateWithKey } from '../../../../src/certificates/issue.ts';
import { systemClock } from '../../../../src/time/clock.ts';
import { makeClientCa, makeClientCertificate } from '../../certificates/client-certificates.ts';
import { sampleCa, sampleServer, temporaryFolder } from '../../certificates/samples.ts';
import { unwatched } from '../../decision/changes.ts';
import { recordingLog } from '../../kube/scripted-api.ts';
import { ruleSetOf } from '../../rules/documents.ts';

const notBefore = new Date(Date.now() - 3_600_000);
const serverCa = sampleCa({ notBefore });

async function started() {
  const folder = await temporaryFolder();
  const at = (name: string) => join(folder, name);
  const clientCa = await makeClientCa();
  const serve = async ({ certificate, key }: CertificateWithKey) => {
    await writeFile(at('tls.crt'), certificate);
    await writeFile(at('tls.key'), key);
  };
  await serve(sampleServer({ ca: serverCa, notBefore }));
  await writeFile(at('client-ca.crt'), clientCa.certificate);
  const flags = {
    rules: ['x.yaml'],
    host: '127.0.0.1',
    port: '0',
    tlsCert: at('tls.crt'),
    tlsKey: at('tls.key'),
    clientCa: at('client-ca.crt'),
  };
  const settings = readSettings(flags, {});
  const log = recordingLog();
  const shared = { settings, log: log as unknown as Logger, clock: systemClock };
  const certificates = createCertificates({ ...shared, client: undefined, leader: undefined });
  const followed = createClientCa(shared);
  const collaborators = {
    rules: () => ruleSetOf('rules: []'),
    facts: () => unwatched,
    audit() {},
    reportBug: (error: unknown) => expect.unreachable(String(error)),
    failed() {},
  };
  const webhook = createWebhook({ ...shared, certificates, clientCa: followed, collaborators });
  const components = [certificates, followed, webhook];
  onTestFinished(async () => {
    for (const each of components.toReversed()) await each?.stop?.();
  });
  for (const each of components) await each?.start?.(new AbortController().signal);
  return { at, clientCa, serve, log, port: Number(new URL(webhook.url()).port) };
}

/** The status line of an answer, and the server's certificate. */
async function post(port: number, client: CertificateWithKey): Promise<{ status: string; fingerprint: string }> {
  const shown = { cert: client.certificate, key: client.key };
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: serverCa.certificate, ...shown });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.write('POST /validate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  const [status = ''] = (await text(socket)).split('\r\n', 1);
  return { status, fingerprint: fingerprint256 };
}

const rejected = 'HTTP/1.1 401 Unauthorized';

test('a new certificate of the server keeps the client CA, and a new client CA keeps the certificate', async () => {
  const { at, clientCa, serve, port } = await started();
  const [ours, otherCa] = await Promise.all([makeClientCertificate(clientCa), makeClientCa('another CA')]);
  const theirs = await makeClientCertificate(otherCa);
  const before = await post(port, ours);
  expect(before.status).not.toBe(rejected);
  expect((await post(port, theirs)).status).toBe(rejected);

  await serve(sampleServer({ ca: serverCa, notBefore }));
  await expect.poll(async () => (await post(port, ours)).fingerprint, { timeout: 5_000 }).not.toBe(before.fingerprint);
  const after = await post(port, ours);
  expect(after.status).not.toBe(rejected);
  expect((await post(port, theirs)).status).toBe(rejected);

  await writeFile(at('client-ca.crt'), otherCa.certificate);
  await expect.poll(async () => (await post(port, ours)).status, { timeout: 5_000 }).toBe(rejected);
  expect(await post(port, theirs)).toMatchObject({ status: expect.not.stringContaining('401'), fingerprint: after.fingerprint });
});

test('an unusable file is a configuration error at startup, and is logged later', async () => {
  const { at, log } = await started();
  await writeFile(at('client-ca.crt'), 'hello');
  await expect
    .poll(() => log.lines.map(({ message }) => message).join('\n'), { timeout: 5_000 })
    .toContain('The previous client CA is still in use');

  const settings = readSettings({ rules: ['x.yaml'], clientCa: at('client-ca.crt') }, {});
  const component = createClientCa({ settings, log: log as unknown as Logger, clock: systemClock });
  await expect(component?.start?.(new AbortController().signal)).rejects.toMatchObject({ name: 'ConfigurationError' });
});
