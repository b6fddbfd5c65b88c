/** Callers of the webhook port authenticate by a client certificate, if there is a client CA. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { watchClientCa } from '../../../src/certificates/client-ca.ts';
import { isTrusted } from '../../../src/certificates/inspect.ts';
import { type CertificateWithKey, issueCa, issueServerCertificate } from '../../../src/certificates/issue.ts';
import type { AuditRecord } from '../../../src/observe/audit/decision-record.ts';
import type { RulesReviewRecord } from '../../../src/observe/audit/rules-review-record.ts';
import type { ClientCa } from '../../../src/server/caller-authentication.ts';
import { createWebhookServer, tlsContext, type WebhookServer } from '../../../src/server/webhook-server.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { makeClientCa, makeClientCertificate } from '../certificates/client-certificates.ts';
import { temporaryFolder } from '../certificates/samples.ts';
import { unwatched } from '../decision/changes.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { pod, reviewOf } from './reviews.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({ ca, commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: [], ...life });
const rules = ruleSetOf('rules: [{registry: reg.example.com, pullSecret: corp-pull}]');
const review = JSON.stringify(reviewOf(pod('reg.example.com/web:1')));

let ours: CertificateWithKey;
let theirs: CertificateWithKey;
let apiServer: CertificateWithKey;
let stranger: CertificateWithKey;
beforeAll(async () => {
  [ours, theirs] = await Promise.all([makeClientCa(), makeClientCa('another CA')]);
  [apiServer, stranger] = await Promise.all([makeClientCertificate(ours), makeClientCertificate(theirs)]);
});

type Running = {
  readonly server: WebhookServer;
  readonly port: number;
  readonly records: AuditRecord[];
  readonly reviewRecords: RulesReviewRecord[];
  readonly failures: string[];
};

async function run(clientCa: ClientCa | undefined, clock = systemClock): Promise<Running> {
  const records: AuditRecord[] = [];
  const reviewRecords: RulesReviewRecord[] = [];
  const failures: string[] = [];
  const server = createWebhookServer(
    {
      rules: () => rules,
      facts: () => unwatched,
      audit: (record) => records.push(record),
      reportBug: (error) => expect.unreachable(String(error)),
      failed: (failure) => failures.push(failure),
      rulesReview: {
        review: async ({ uid }) => ({
          answer: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true } },
          problems: [],
          warnings: [],
        }),
        audit: (record) => reviewRecords.push(record),
      },
    },
    { tls, clientCa, clock },
  );
  onTestFinished(() => server.close());
  await server.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.server.address() as { port: number };
  return { server, port, records, reviewRecords, failures };
}

/** A client CA in memory, and its replacement in a running server. */
function inMemory(pem: string): ClientCa & { replace(server: WebhookServer, next: string): void } {
  let current = pem;
  return {
    current: () => current,
    hasSigned: (certificate) => isTrusted(certificate, current),
    replace(server, next) {
      current = next;
      server.server.setSecureContext(tlsContext(tls, this));
    },
  };
}

async function open({ port }: Running, client?: CertificateWithKey): Promise<TLSSocket> {
  const shown = client && { cert: client.certificate, key: client.key };
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate, ...shown });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** Opens another connection with the session of an earlier one, and without a certificate. */
async function resume({ port }: Running, session: Promise<unknown[]>): Promise<TLSSocket> {
  const [ticket] = (await session) as [Buffer];
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate, session: ticket });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

const head = (path: string, length: number, connection = 'close') =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: ${connection}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

/** Status line and body of the only exchange on a connection. */
async function post(running: Running, client?: CertificateWithKey, path = '/validate'): Promise<{ status: string; body: string }> {
  const socket = await open(running, client);
  socket.write(head(path, review.length) + review);
  return split(await text(socket));
}

function split(answer: string) {
  const [status = ''] = answer.split('\r\n', 1);
  return { status, body: answer.slice(answer.indexOf('\r\n\r\n') + 4) };
}

/** The status line of one exchange on a connection that stays open. */
async function postAgain(socket: TLSSocket): Promise<string> {
  socket.write(head('/validate', review.length, 'keep-alive') + review);
  let received = '';
  while (!/\r\n\r\n\{.*\}$/s.test(received)) {
    const [chunk] = await once(socket, 'data');
    received += chunk;
  }
  return split(received).status;
}

describe('with a client CA', () => {
  test.each(['/mutate', '/validate', '/guard', '/probe'])('%s responds to a caller with its certificate', async (path) => {
    const running = await run(inMemory(ours.certificate));
    const { status, body } = await post(running, apiServer, path);
    expect(status).toBe('HTTP/1.1 200 OK');
    expect(JSON.parse(body)).toMatchObject({ kind: 'AdmissionReview', response: { allowed: true } });
    expect(running.failures).toEqual([]);
  });

  test.each(['/mutate', '/validate', '/guard', '/probe', '/nothing', '/%zz'])(
    '%s responds to other callers with 401, and writes no record',
    async (path) => {
      const running = await run(inMemory(ours.certificate));
      const { status, body } = await post(running, undefined, path);
      expect(status).toBe('HTTP/1.1 401 Unauthorized');
      expect(JSON.parse(body)).toEqual({
        apiVersion: 'v1',
        kind: 'Status',
        status: 'Failure',
        code: 401,
        reason: 'Unauthorized',
        message:
          'regkeeper accepts requests only from authenticated API servers: the client presented no certificate. Configure the API server to present one',
      });
      expect(running).toMatchObject({ records: [], reviewRecords: [], failures: ['unauthenticated'] });
    },
  );

  test.each([
    ['from a different CA', async () => stranger, /not accepted \(UNABLE_TO_/],
    ['for servers', () => makeClientCertificate(ours, { usage: 'serverAuth' }), /not accepted \(INVALID_PURPOSE\)/],
    ['from a CA with the same name', async () => makeClientCertificate(await makeClientCa()), /not accepted \(/],
    ['that is self-signed', async () => makeClientCa('kube-apiserver'), /not accepted \(/],
  ])('a certificate %s is not accepted', async (_which, client, message) => {
    const running = await run(inMemory(ours.certificate));
    const { status, body } = await post(running, await client());
    expect(status).toBe('HTTP/1.1 401 Unauthorized');
    expect(JSON.parse(body).message).toMatch(message);
    expect(running.records).toEqual([]);
  });

  test('the response is sent before the body is read, and closes the connection', async () => {
    const running = await run(inMemory(ours.certificate));
    const socket = await open(running);
    socket.write(head('/validate', 1_000_000, 'keep-alive'));
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  });

  test('a body that is not JSON, too large or of another type is not parsed', async () => {
    const running = await run(inMemory(ours.certificate));
    for (const length of [0, 5, 2 ** 40]) {
      const socket = await open(running);
      socket.write(head('/validate', length).replace('application/json', 'text/html') + '<html'.slice(0, length));
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/);
    }
    expect(running.failures).toEqual(['unauthenticated', 'unauthenticated', 'unauthenticated']);
  });

  test('the audit records show that the caller was authenticated', async () => {
    const running = await run(inMemory(ours.certificate));
    for (const path of ['/mutate', '/validate', '/guard']) await post(running, apiServer, path);
    expect([...running.records, ...running.reviewRecords]).toMatchObject(Array(3).fill({ callerAuthenticated: true }));
  });

  test('a connection does not outlive its certificate', async () => {
    let now = Date.now();
    const running = await run(inMemory(ours.certificate), { ...systemClock, now: () => now });
    const socket = await open(running, apiServer);
    expect(await postAgain(socket)).toBe('HTTP/1.1 200 OK');
    now += 31 * 86_400_000;
    expect(await postAgain(socket)).toBe('HTTP/1.1 401 Unauthorized');
  });

  test('a connection ends when its CA is removed, and continues while the bundle contains it', async () => {
    const clientCa = inMemory(ours.certificate);
    const running = await run(clientCa);
    const socket = await open(running, apiServer);
    expect(await postAgain(socket)).toBe('HTTP/1.1 200 OK');
    clientCa.replace(running.server, theirs.certificate + ours.certificate);
    expect(await postAgain(socket)).toBe('HTTP/1.1 200 OK');
    expect((await post(running, stranger)).status).toBe('HTTP/1.1 200 OK');
    clientCa.replace(running.server, theirs.certificate);
    expect(await postAgain(socket)).toBe('HTTP/1.1 401 Unauthorized');
    expect((await post(running, apiServer)).status).toBe('HTTP/1.1 401 Unauthorized');
    expect((await post(running, stranger)).status).toBe('HTTP/1.1 200 OK');
  });

  test('an intermediate CA is accepted if the client CA bundle contains it, even after a change', async () => {
    const intermediate = await makeClientCa('intermediate', ours);
    const leaf = await makeClientCertificate(intermediate);
    const chain = { ...leaf, certificate: leaf.certificate + intermediate.certificate };
    const clientCa = inMemory(ours.certificate + intermediate.certificate);
    const running = await run(clientCa);
    const socket = await open(running, leaf);
    expect(await postAgain(socket)).toBe('HTTP/1.1 200 OK');
    clientCa.replace(running.server, theirs.certificate + intermediate.certificate + ours.certificate);
    expect(await postAgain(socket)).toBe('HTTP/1.1 200 OK');
    expect((await post(running, chain)).status).toBe('HTTP/1.1 200 OK');
    clientCa.replace(running.server, ours.certificate);
    for (const client of [leaf, chain]) expect((await post(running, client)).status).toBe('HTTP/1.1 401 Unauthorized');
  });

  test.each([
    ['a different method', 'GET /validate HTTP/1.1'],
    ['a method that no route has', 'PROPFIND /validate HTTP/1.1'],
    ['an expectation', 'POST /validate HTTP/1.1\r\nexpect: 100-continue'],
    ['chunks', 'POST /validate HTTP/1.1\r\ntransfer-encoding: chunked'],
  ])('%s does not bypass it', async (_what, start) => {
    const running = await run(inMemory(ours.certificate));
    const socket = await open(running);
    socket.write(`${start}\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n`);
    expect(await text(socket)).toMatch(/^(HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 401 Unauthorized\r\n/);
    expect(running.records).toEqual([]);
  });

  test('TLS sessions are not resumed, so no session outlives its CA', async () => {
    const clientCa = inMemory(ours.certificate);
    const running = await run(clientCa);
    const socket = await open(running, apiServer);
    const session = once(socket, 'session');
    expect(await postAgain(socket)).toBe('HTTP/1.1 200 OK');
    expect((await resume(running, session)).isSessionReused()).toBe(false);
    clientCa.replace(running.server, theirs.certificate);
    const resumed = await resume(running, session);
    expect(await postAgain(resumed)).toBe('HTTP/1.1 401 Unauthorized');
  });
});

test('without a client CA every caller gets a response, and the records show that it was not authenticated', async () => {
  const running = await run(undefined);
  for (const path of ['/mutate', '/validate', '/guard']) expect((await post(running, apiServer, path)).status).toBe('HTTP/1.1 200 OK');
  expect([...running.records, ...running.reviewRecords]).toMatchObject(Array(3).fill({ callerAuthenticated: false }));
});

describe('the file of the client CA', () => {
  async function watch(contents: string) {
    const file = join(await temporaryFolder(), 'ca.crt');
    await writeFile(file, contents);
    const problems: string[] = [];
    let changes = 0;
    const watched = await watchClientCa({
      file,
      onChange: () => {
        changes += 1;
      },
      onProblem: (problem) => problems.push(problem),
      pollMilliseconds: 5,
    });
    onTestFinished(() => watched.close());
    return { file, watched, problems, changes: () => changes };
  }

  test('is followed, and an unusable version is logged and not used', async () => {
    const { file, watched, problems, changes } = await watch(ours.certificate);
    expect(watched.hasSigned(apiServer.certificate)).toBe(true);
    await writeFile(file, theirs.certificate);
    await expect.poll(() => watched.current()).toBe(theirs.certificate);
    expect([watched.hasSigned(apiServer.certificate), watched.hasSigned(stranger.certificate)]).toEqual([false, true]);
    await writeFile(file, 'hello');
    await expect
      .poll(() => problems)
      .toContain(
        `client CA file ${file} is not a PEM certificate. It must contain PEM certificates. The previous client CA is still in use`,
      );
    expect(watched.current()).toBe(theirs.certificate);
    expect(changes()).toBe(1);
  });

  test.each([
    ['is empty', () => '', /ca\.crt is empty\. It must contain PEM certificates$/],
    ['contains a leaf', () => ours.certificate + apiServer.certificate, /ca\.crt: certificate 2 is not a CA\. Use the CA that signed/],
    ['contains a key', () => ours.key, /ca\.crt contains a private key instead of a certificate/],
  ])('that %s causes a startup error', async (_what, contents, message) => {
    await expect(watch(contents())).rejects.toThrow(message);
  });

  test('that is missing causes a startup error', async () => {
    const file = join(await temporaryFolder(), 'ca.crt');
    await expect(watchClientCa({ file, onChange() {}, onProblem() {} })).rejects.toThrow(`client CA file ${file}: no such file`);
  });
});
