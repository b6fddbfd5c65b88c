/** Reading request bodies within their limits. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AdmissionAnswer } from '../../../../src/admission/response.ts';
import { issueCa, issueServerCertificate } from '../../../../src/certificates/issue.ts';
import { formatCount } from '../../../../src/image/wording.ts';
import type { AuditRecord } from '../../../../src/observe/audit/decision-record.ts';
import { defaultBodyLimits } from '../../../../src/server/limits.ts';
import { createWebhookServer, type WebhookOptions } from '../../../../src/server/webhook-server.ts';
import { lastApplied, podOfContainers, podWithAnnotation, reviewText } from '../../../hostile/bodies.ts';
import { collectGarbage } from '../../collect-garbage.ts';
import { unwatched } from '../../decision/changes.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import { manualClock } from '../clock.ts';
import { pod, reviewOf } from '../reviews.ts';

const life = { notBefore: new Date('2026-01-01'), notAfter: new Date('2036-01-01') };
const ca = issueCa({ commonName: 'test', ...life });
const tls = issueServerCertificate({
  ca,
  commonName: 'localhost',
  dnsNames: ['localhost'],
  ipAddresses: ['127.0.0.1'],
  ...life,
});
const rules = ruleSetOf('rules:\n- registry: r.io\n');
const mebibyte = 1024 * 1024;

type Reviewer = NonNullable<Parameters<typeof createWebhookServer>[0]['rulesReview']>['review'];

type Options = Partial<WebhookOptions> & { readonly reviewer?: Reviewer; readonly onRecord?: (count: number) => unknown };

function setUp({ reviewer, onRecord, ...options }: Options = {}) {
  const clock = manualClock();
  const records: AuditRecord[] = [];
  const bugs: unknown[] = [];
  const failures: string[] = [];
  const server = createWebhookServer(
    {
      rules: () => rules,
      facts: () => unwatched,
      audit(record) {
        records.push(record);
        onRecord?.(records.length);
      },
      reportBug: (error) => bugs.push(error),
      failed: (failure) => failures.push(failure),
      ...(reviewer && { rulesReview: { review: reviewer, audit: () => undefined } }),
    },
    { tls, clock, ...options },
  );
  onTestFinished(() => server.close());
  const post = async (payload: string | Buffer) => {
    const headers = { 'content-type': 'application/json' };
    const response = await server.inject({ method: 'POST', url: '/validate', payload, headers });
    return { code: response.statusCode, headers: response.headers, body: JSON.parse(response.body) };
  };
  const open = async () => {
    if (!server.server.listening) await server.listen({ host: '127.0.0.1', port: 0 });
    const { port } = server.server.address() as { port: number };
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca.certificate });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  };
  return { server, clock, post, open, records, bugs, failures };
}

/** Sends the head of a request and part of its body, and waits until the server has seen the request. */
async function begin(socket: TLSSocket, server: ReturnType<typeof setUp>['server'], body: string, length: number, url = '/validate') {
  const seen = once(server.server, 'request');
  const head = [`POST ${url} HTTP/1.1`, 'host: localhost', 'content-type: application/json', `content-length: ${length}`];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  await seen;
}

const uid = '6b0e9f7e-2f0c-4f0a-9f5a-0d5a3c1b7a11';
const small = reviewText(podOfContainers(1));

describe('the structure of a body', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const podWith = (field: string) =>
    `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","image":"r.io/a"}]},"field":${field}}`;
  const entries = (count: number) => `[${'1,'.repeat(count)}1]`;
  const limits = { depth: 10, structures: 300 };

  // The review and its request are two levels, the object is the third.
  test.each([
    ['as deep as allowed', podWith(nested(7)), undefined],
    ['one level deeper', podWith(nested(8)), /nested too deeply\. The maximum is 10 levels/],
    ['very deep, and small', podWith(nested(60_000)), /nested too deeply\. The maximum is 10 levels/],
    ['very deep, inside a string', podWith(JSON.stringify(nested(60_000))), undefined],
    ['many entries', podWith(entries(200)), undefined],
    ['too many entries', podWith(entries(300)), /too many lists, objects and entries\. The maximum is 300/],
  ])('%s', async (_name, object, message) => {
    const { post, failures, bugs } = setUp({ bodies: limits });
    const answer = await post(reviewText(object));
    expect(answer.code).toBe(200);
    const response = {
      uid,
      ...(message ? { allowed: false, status: { code: 400, message: expect.stringMatching(message) } } : { allowed: true }),
    };
    expect(answer.body.response).toMatchObject(response);
    expect(failures).toEqual(message ? ['unreadable'] : []);
    expect(bugs).toEqual([]);
  });

  test('if no uid can be read, the response is HTTP 400', async () => {
    const { post, failures, bugs } = setUp();
    const answer = await post('['.repeat(200_000));
    expect(answer).toMatchObject({
      code: 400,
      body: { kind: 'Status', message: expect.stringMatching(/nested too deeply\. The maximum is 500 levels/) },
    });
    expect(failures).toEqual(['unreadable']);
    expect(bugs).toEqual([]);
  });

  test('objects of 500 levels are compared with objects of 500 levels', async () => {
    const { post, bugs } = setUp();
    const template = { metadata: {}, spec: { containers: [{ name: 'a', image: 'r.io/a' }], field: JSON.parse(nested(490)) } };
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' }, spec: { template } };
    expect(await post(JSON.stringify(reviewOf(object, { operation: 'UPDATE', oldObject: object })))).toMatchObject({
      code: 200,
      body: { response: { allowed: true } },
    });
    expect(bugs).toEqual([]);
  });

  test.each([
    ['a number that does not fit into a double', '1e400'],
    ['a duplicate key', '{"a":1,"a":2}'],
    ['a lone surrogate', '"\\ud800"'],
    ['invalid UTF-8', Buffer.from([0x22, 0xc3, 0x22])],
  ])('is parsed like by JSON.parse: %s', async (_name, value) => {
    const { post } = setUp();
    const [before, after] = reviewText(podWith('@')).split('@') as [string, string];
    const answer = await post(Buffer.concat([Buffer.from(before), Buffer.from(value as string), Buffer.from(after)]));
    expect(answer).toMatchObject({ code: 200, body: { response: { allowed: true } } });
  });

  test.each(['{},', '['])('JSON inside an annotation is not parsed beyond the maximum size of annotations: %s', async (part) => {
    const { post, bugs } = setUp();
    for (const annotation of [lastApplied, 'regkeeper.io/injected', 'image.openshift.io/triggers']) {
      const answer = await post(reviewText(podWithAnnotation(annotation, part.repeat(400_000))));
      expect(answer.body.response).toMatchObject({ uid, allowed: true });
    }
    expect(bugs).toEqual([]);
  });
});

describe('a body that is too large', () => {
  const limits = { bytes: 4_000, discarded: 50_000 };
  const large = reviewText(podOfContainers(100));

  test('is denied with its size and the limit, so that the user sees them', async () => {
    const { post, failures, bugs } = setUp({ bodies: limits });
    const { code, body } = await post(large);
    expect(code).toBe(200);
    expect(body.response).toEqual({
      uid,
      allowed: false,
      status: {
        status: 'Failure',
        code: 413,
        reason: 'RequestEntityTooLarge',
        message: `regkeeper: the AdmissionReview has ${formatCount(large.length)} bytes. The maximum is 4,000 bytes. Make the object smaller, or split it.`,
      },
    } satisfies AdmissionAnswer['response']);
    expect(failures).toEqual(['unreadable']);
    expect(bugs).toEqual([]);
  });

  test('without a uid, the response is HTTP 413', async () => {
    const answer = await setUp({ bodies: limits }).post(JSON.stringify(reviewOf(pod('r.io/a', { padding: 'x'.repeat(5_000) }))));
    expect(answer).toMatchObject({ code: 413, body: { kind: 'Status', reason: 'RequestEntityTooLarge' } });
  });

  test('is read to its end and discarded, and the connection serves the next request', async () => {
    const { server, open, failures } = setUp({ bodies: { ...limits, total: 4_000, reserved: 0 } });
    const socket = await open();
    const nextAnswer = answersOn(socket);
    await begin(socket, server, large, large.length);
    expect(await nextAnswer()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*"code":413/);
    await begin(socket, server, small, small.length);
    expect(await nextAnswer()).toMatch(/"allowed":true/);
    expect(failures).toEqual(['unreadable']);
  });

  test('without an announced length too', async () => {
    const { open } = setUp({ bodies: limits });
    const socket = await open();
    const nextAnswer = answersOn(socket);
    const chunk = (part: string) => `${part.length.toString(16)}\r\n${part}\r\n`;
    const head = 'POST /validate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
    socket.write(head + chunk(large.slice(0, 3_000)) + chunk(large.slice(3_000)) + chunk(''));
    expect(await nextAnswer()).toMatch(/has more than 4,000 bytes\. The maximum is 4,000/);
  });

  test('beyond the discard limit its connection is closed', async () => {
    const { server, open } = setUp({ bodies: { ...limits, discarded: 10_000 } });
    const socket = await open();
    await begin(socket, server, large, 1_000_000);
    const answer = text(socket);
    socket.write('x'.repeat(20_000));
    expect(await answer).toMatch(/\r\nconnection: close\r\n[\s\S]*"code":413/i);
  });
});

test.each([
  ['as many as are evaluated', 10_000, true],
  ['more', 10_001, false],
  ['as many as fit into 3 MiB', 95_000, false],
])('a Pod of %s images', async (_name, count, allowed) => {
  const { body } = await setUp().post(reviewText(podOfContainers(count)));
  const message = `Pod shop/web cannot be evaluated: it contains ${formatCount(count)} images. At most 10,000 are evaluated.`;
  expect(body.response).toMatchObject(allowed ? { uid, allowed } : { uid, allowed, status: { code: 400, message } });
});

describe('a body in chunks', () => {
  const head = 'POST /validate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
  const inPieces = (body: string, size: number) =>
    Array.from({ length: Math.ceil(body.length / size) }, (_piece, index) => body.slice(index * size, (index + 1) * size))
      .map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`)
      .join('');
  const body = reviewText(podOfContainers(20));

  test.each([
    ['a few small ones', 200, /"allowed":true/],
    ['many of enough bytes', 300, /"allowed":true/],
    ['many of few bytes', 10, /connection: close\r\n[\s\S]*the body arrived in chunks of less than 256 bytes on average/i],
  ])('%s', async (_name, size, answer) => {
    const { open, bugs } = setUp({ bodies: { bytes: 5_000 } });
    const socket = await open();
    const nextAnswer = answersOn(socket);
    socket.write(`${head + inPieces(body, size)}0\r\n\r\n`);
    expect(await nextAnswer()).toMatch(answer);
    expect(bugs).toEqual([]);
  });

  test('each chunk counts as at least 256 bytes, so that many tiny ones are dropped in favor of an honest body', async () => {
    const { server, open, post, clock, failures } = setUp({ bodies: { total: 3_000, reserved: 0, evictionGrace: 0 } });
    const socket = await open();
    const nextAnswer = answersOn(socket);
    const seen = once(server.server, 'request').then(([incoming]) => once(incoming, 'data'));
    socket.write(head + inPieces('x'.repeat(11), 1));
    await seen;
    clock.pass(50);
    expect((await post(small)).code).toBe(200);
    clock.pass(100);
    expect(await nextAnswer()).toMatch(/^HTTP\/1\.1 503 [\s\S]*too many bytes are being received/);
    expect(failures).toEqual(['overload']);
  });
});

describe('a body that arrives slowly', () => {
  test.each([
    ['the webhook’s own timeout', '/validate?timeout=2s', 2_000],
    ['never more than the cap', '/validate?timeout=30s', 5_000],
    ['the cap if there is no timeout', '/validate', 5_000],
    ['the cap if the timeout is not a number', '/validate?timeout=', 5_000],
    ['the timeout at any position in the query', '/validate?a=b&timeout=3s&c=d', 3_000],
  ])('gets %s', async (_name, url, milliseconds) => {
    const { server, clock, open, failures, records } = setUp();
    const socket = await open();
    const answer = text(socket);
    await begin(socket, server, small.slice(0, 100), small.length, url);
    clock.pass(milliseconds - 1);
    expect(failures).toEqual([]);
    clock.pass(101);
    expect(await answer).toMatch(
      /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*connection: close\r\n[\s\S]*the body did not arrive within \d s/i,
    );
    expect(failures).toEqual(['too-slow']);
    expect(records).toEqual([]);
  });

  test('and a byte now and then does not extend it', async () => {
    const { server, clock, open } = setUp();
    const socket = await open();
    const answer = text(socket);
    await begin(socket, server, small.slice(0, 100), small.length);
    for (let byte = 0; byte < 10; byte += 1) {
      socket.write(' ');
      clock.pass(501);
    }
    clock.pass(100);
    expect(await answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('whose sender disconnects is not a bug', async () => {
    const { server, open, bugs, failures } = setUp();
    const socket = await open();
    await begin(socket, server, small.slice(0, 100), small.length);
    socket.destroy();
    await expect.poll(() => failures).toEqual(['unreadable']);
    expect(bugs).toEqual([]);
  });
});

describe('21 slow bodies, and honest requests at the same time', () => {
  test.each([
    ['of 3.2 MiB, as many as fit', Math.floor(3.2 * mebibyte), 21],
    ['of 1 MiB, within the reserve', mebibyte, 70],
  ])('%s: all honest requests are served', async (_name, bytes, count) => {
    const { server, open, failures, clock } = setUp({ bodies: { evictionGrace: 1_000_000 } });
    const part = ' '.repeat(bytes);
    for (let index = 0; index < count; index += 1) {
      const dribbling = await open();
      await begin(dribbling, server, '', 20 * mebibyte);
      dribbling.write(part);
    }
    clock.pass(50);
    for (let request = 0; request < 38; request += 1) {
      const socket = await open();
      const nextAnswer = answersOn(socket);
      await begin(socket, server, small, small.length);
      expect(await nextAnswer()).toMatch(/^HTTP\/1\.1 200 OK/);
      socket.destroy();
    }
    expect(failures).toEqual([]);
  });
});

describe('large bodies are parsed one at a time', () => {
  const padded = (bytes: number) => reviewText(podWithAnnotation('a', 'x'.repeat(bytes)));
  const options = { bodies: { largeBody: 10_000 } };

  test('many at the same time all get a response', async () => {
    const { post } = setUp(options);
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(padded(20_000))));
    expect(answers.map(({ code }) => code)).toEqual(Array(8).fill(200));
  });

  test('one that waits too long is retried, and is not parsed', async () => {
    const { clock, post, failures, records } = setUp({
      ...options,
      // While the second one is parsed, more time passes than the third one may wait.
      onRecord: (count) => count === 2 && clock.pass(5_001),
    });
    const answers = await Promise.all([post(padded(20_000)), post(padded(20_000)), post(padded(20_000))]);
    expect(answers.map(({ code }) => code)).toEqual([200, 200, 503]);
    expect(answers[2]).toMatchObject({
      headers: { 'retry-after': '1' },
      body: { message: expect.stringContaining('busy with other large requests') },
    });
    expect(failures).toEqual(['overload']);
    expect(records).toHaveLength(2);
  });
});

describe('after a body has been read', () => {
  const padded = reviewText(podWithAnnotation('a', 'x'.repeat(20_000)));
  const answerOf = (uid: string, warning = '') => {
    const response = { uid, allowed: true, warnings: [warning] };
    const answer: AdmissionAnswer = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
    return { answer, problems: [], warnings: [] };
  };
  /** More than the buffers of a loopback connection. */
  const long = 'x'.repeat(16 * mebibyte);
  const bodies = { total: 21_000, reserved: 0, largeBody: 10_000, answers: 24 * mebibyte };

  /** A client that sends a request and does not read the answer. */
  async function stall({ server, open }: ReturnType<typeof setUp>) {
    const socket = await open();
    const seen = once(server.server, 'request').then(([, response]) => response as ServerResponse);
    await begin(socket, server, padded, padded.length, '/guard');
    const response = await seen;
    await expect.poll(() => response.writableEnded).toBe(true);
    return { socket, response };
  }

  test('its bytes and its turn are free, even if the response is not read', async () => {
    const server = setUp({ bodies, reviewer: async ({ uid }) => answerOf(uid, long) });
    const { response } = await stall(server);
    expect(response.writableFinished).toBe(false);
    expect((await server.post(padded)).code).toBe(200);
    expect(server.failures).toEqual([]);
  });

  test('its caller has 5 seconds to read the response', async () => {
    const server = setUp({ bodies, reviewer: async ({ uid }) => answerOf(uid, long) });
    const { response } = await stall(server);
    for (let second = 0; second < 5; second += 1) server.clock.pass(1_000);
    expect(response.destroyed).toBe(false);
    server.clock.pass(1_000);
    await expect.poll(() => response.closed).toBe(true);
  });

  test('of responses that are not read, the one with the most bytes for the longest time is dropped', async () => {
    const server = setUp({ bodies, reviewer: async ({ uid }) => answerOf(uid, long) });
    const first = await stall(server);
    server.clock.pass(1_000);
    const second = await stall(server);
    expect([first.response.destroyed, second.response.destroyed]).toEqual([true, false]);
    expect((await server.post(padded)).code).toBe(200);
  });

  test('a review in progress keeps neither the objects nor the turn', async () => {
    const objects: WeakRef<object>[] = [];
    const answered = Promise.withResolvers<void>();
    const server = setUp({
      bodies,
      reviewer: ({ uid, object }) => {
        objects.push(new WeakRef(object as object));
        return answered.promise.then(() => answerOf(uid));
      },
    });
    const headers = { 'content-type': 'application/json' };
    const review = server.server.inject({ method: 'POST', url: '/guard', payload: padded, headers });
    await expect.poll(() => objects.length).toBe(1);
    await expect
      .poll(() => {
        collectGarbage();
        return objects[0]?.deref() === undefined;
      })
      .toBe(true);
    expect((await server.post(padded)).code).toBe(200);
    answered.resolve();
    expect((await review).statusCode).toBe(200);
  });
});

test('the limits are those in the docs', () => {
  expect(defaultBodyLimits).toMatchObject({ bytes: 20 * mebibyte, total: 64 * mebibyte, reserved: 16 * mebibyte, small: mebibyte });
  expect(defaultBodyLimits).toMatchObject({ depth: 500, structures: 1_000_000, largeBody: 4 * mebibyte, milliseconds: 5_000 });
});

/** Reads one answer after the other on a connection that stays open, by their content-length. Create it before the first request. */
function answersOn(socket: TLSSocket): () => Promise<string> {
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  const complete = () => {
    const end = received.indexOf('\r\n\r\n') + 4;
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(received)?.[1];
    if (end < 4 || length === undefined || received.length < end + Number(length)) return undefined;
    const answer = received.slice(0, end + Number(length));
    received = received.slice(answer.length);
    return answer;
  };
  return async () => {
    for (;;) {
      const answer = complete();
      if (answer !== undefined) return answer;
      await once(socket, 'data');
    }
  };
}
